"""The order in which statements are drawn: parents first, chains element by element.

Statements that depend on one another through lags form a knot; it is untied by stepping along an
ordered plate on which every dependence either looks back or stays. What depends within a step is
ordered in the same way, so that lags along several plates become loops inside one another. The rules
are those by which a model is found free of cycles when it is read, so every model read can be ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dagmodels.errors import ModelError
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag, defines
from dagmodels.graph.validate.cycles import Edge, uses
from dagmodels.graph.validate.overlaps import Pattern, pattern

Edges = Sequence[Sequence[Edge]]


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw one vertex: the number of a statement, or of a group of residuals after all statements."""

    vertex: int


@dataclass(frozen=True, slots=True)
class Loop:
    """Do the steps for the first elements of the plate's chains, then for the second, and so on."""

    plate: str
    steps: tuple[Step, ...]


Step = Draw | Loop


@dataclass(frozen=True, slots=True)
class Residuals:
    """Nodes tied by `~~`, directly or through others: their residuals are drawn together.

    names : of the nodes, sorted, so that the order of statements means nothing.
    ties : the statements.
    """

    names: tuple[str, ...]
    ties: tuple[st.Covariance, ...]


def residual_groups(dag: Dag) -> tuple[Residuals, ...]:
    """All groups, each node in one at most."""
    groups: list[Residuals] = []
    for tie in dag.covariances:
        names = {tie.left.name: None, tie.right.name: None}
        touching = [g for g in groups if not names.keys().isdisjoint(g.names)]
        for group in touching:
            names.update(dict.fromkeys(group.names))
            groups.remove(group)
        ties = (*(t for g in touching for t in g.ties), tie)
        groups.append(Residuals(tuple(sorted(names)), ties))
    return tuple(groups)


def schedule(dag: Dag, groups: Sequence[Residuals]) -> tuple[Step, ...]:
    """Every vertex once, in an order in which each finds what it depends on."""
    return _steps(range(len(dag.statements) + len(groups)), _edges(dag, groups))


def _edges(dag: Dag, groups: Sequence[Residuals]) -> list[list[Edge]]:
    by_name: dict[str, list[tuple[int, Pattern]]] = {}
    for number, statement in enumerate(dag.statements):
        for name in () if isinstance(statement, st.Covariance) else defines(statement):
            by_name.setdefault(name, []).append((number, pattern(statement)))
    edges = [list(uses(statement, by_name)) for statement in dag.statements]
    for number, group in enumerate(groups, start=len(edges)):
        edges.append([e for s in _scales(dag, group) for e in uses(s, by_name)])
        for name in group.names:
            for member, _ in by_name[name]:
                same = frozenset(s.plate for s in pattern(dag.statements[member]) if s.plate is not None)
                edges[member].append(Edge(number, name, frozenset(), same))
    return edges


def _scales(dag: Dag, group: Residuals) -> list[st.Statement]:
    """What the residuals of a group depend on, as statements: scales, then covariances."""
    found: list[st.Statement] = [st.Deterministic(t.left, t.expression) for t in group.ties]
    for name in group.names:
        for s in dag.nodes[name].statements:
            if isinstance(s, st.Stochastic):
                scale = tuple((k, v) for k, v in s.distribution.arguments if k != "mu")
                found.append(replace(s, distribution=replace(s.distribution, arguments=scale)))
    return found


def _steps(vertices: Sequence[int], edges: Edges) -> tuple[Step, ...]:
    steps: list[Step] = []
    for knot in _knots(vertices, edges):
        inside = set(knot)
        every = [e for v in knot for e in edges[v] if e.target in inside]
        if not every:
            steps.append(Draw(knot[0]))
            continue
        plate = next((p for p in sorted({p for e in every for p in e.back}) if _unties(p, every)), None)
        if plate is None:
            names = ", ".join(dict.fromkeys(e.name for e in every))
            raise ModelError(f"{names} depend on one another", hint="write them as Simultaneous(mu, B, cov)")
        rest: Mapping[int, list[Edge]] = {v: [e for e in edges[v] if plate not in e.back] for v in knot}
        inner = [rest.get(v, []) for v in range(len(edges))]
        steps.append(Loop(plate, _steps(knot, inner)))
    return tuple(steps)


def _unties(plate: str, edges: Sequence[Edge]) -> bool:
    return all(plate in e.back or plate in e.same for e in edges)


def _knots(vertices: Sequence[int], edges: Edges) -> list[list[int]]:
    """Strongly connected components, each after those it depends on (Tarjan 1972, without recursion)."""
    inside = set(vertices)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    for root in vertices:
        work = [root] if root not in index else []
        at: dict[int, int] = {}
        while work:
            v = work[-1]
            if v not in index:
                index[v] = low[v] = len(index)
                stack.append(v)
                on_stack.add(v)
            targets = edges[v]
            at.setdefault(v, 0)
            while at[v] < len(targets):
                t = targets[at[v]].target
                if t in inside and t not in index:
                    work.append(t)
                    break
                if t in on_stack:
                    low[v] = min(low[v], low[t])
                at[v] += 1
            else:
                work.pop()
                if low[v] == index[v]:
                    part: list[int] = []
                    while not part or part[-1] != v:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    found.append(sorted(part))
    return found
