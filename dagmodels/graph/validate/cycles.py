"""Is the graph acyclic? Statements are compared, so that levels of one node may depend on each other.

A lag on an ordered plate is no cycle: along it, elements only look back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import defines, expressions
from dagmodels.graph.faults import Faults
from dagmodels.graph.scope import Plates
from dagmodels.graph.validate.overlaps import Pattern, named_levels, pattern


@dataclass(frozen=True, slots=True)
class Edge:
    """A statement uses another's node: `back` holds plates with a lag, `same` those with the same element."""

    target: int
    name: str
    back: frozenset[str]
    same: frozenset[str]


def check(statements: Sequence[st.Statement], plates: Plates, faults: Faults) -> None:
    """Report one cycle of each knot, as a path of names."""
    edges = _edges(statements)
    for knot in _components(edges, range(len(statements))):
        loop = _cycle(knot, edges, plates)
        if loop:
            _report(loop, statements, faults)


def _edges(statements: Sequence[st.Statement]) -> list[list[Edge]]:
    by_name: dict[str, list[tuple[int, Pattern]]] = {}
    for number, statement in enumerate(statements):
        if not isinstance(statement, st.Covariance):
            for name in defines(statement):
                by_name.setdefault(name, []).append((number, pattern(statement)))
    edges = [list(uses(statement, by_name)) for statement in statements]
    for group in _tied(statements):
        _tie(group, statements, by_name, edges)
    return edges


def _tied(statements: Sequence[st.Statement]) -> list[list[int]]:
    """Numbers of the `~~` statements, those together whose residuals are drawn together."""
    groups: list[tuple[set[str], list[int]]] = []
    for number, statement in enumerate(statements):
        if isinstance(statement, st.Covariance):
            names, numbers = set(defines(statement)), [number]
            for group in [g for g in groups if g[0] & names]:
                groups.remove(group)
                names, numbers = names | group[0], group[1] + numbers
            groups.append((names, numbers))
    return [numbers for _, numbers in groups]


def _tie(
    group: Sequence[int],
    statements: Sequence[st.Statement],
    by_name: Mapping[str, list[tuple[int, Pattern]]],
    edges: list[list[Edge]],
) -> None:
    """Tied nodes depend on their residuals, and these on the covariances and on the nodes' scales."""
    first, names = group[0], dict.fromkeys(n for i in group for n in defines(statements[i]))
    told = " ~~ ".join(names)
    for number in group:
        statement = statements[number]
        assert isinstance(statement, st.Covariance)
        edges[first].extend(uses(st.Deterministic(statement.left, statement.expression), by_name))
    for name in names:
        for number, slots in by_name.get(name, ()):
            member = statements[number]
            if isinstance(member, st.Stochastic):
                law = member.distribution
                scale = tuple((k, v) for k, v in law.arguments if k != "mu")
                edges[first].extend(
                    uses(replace(member, distribution=replace(law, arguments=scale)), by_name)
                )
                same = frozenset(s.plate for s in slots if s.plate is not None)
                edges[number].append(Edge(first, told, frozenset(), same))


def uses(statement: st.Statement, by_name: Mapping[str, list[tuple[int, Pattern]]]) -> Iterator[Edge]:
    """The statements whose elements a statement's right-hand side reaches, each once."""
    if isinstance(statement, st.Covariance):
        return
    fixed = {s.plate: s.label for s in pattern(statement) if s.label is not None}
    seen: set[Edge] = set()
    for tree in expressions(statement):
        for reference in ex.references(tree):
            group = by_name.get(reference.name, ())
            indices = [
                ex.LevelIndex(label)
                if isinstance(i, ex.PlateIndex) and (label := fixed.get(i.plate)) is not None
                else i
                for i in reference.indices or ()
            ]
            back = frozenset(i.plate for i in indices if isinstance(i, ex.LagIndex))
            same = frozenset(i.plate for i in indices if isinstance(i, ex.PlateIndex))
            for number in _met(indices, group):
                edge = Edge(number, reference.name, back, same)
                if edge not in seen:
                    seen.add(edge)
                    yield edge


def _met(indices: Sequence[ex.Index], group: Sequence[tuple[int, Pattern]]) -> Iterable[int]:
    """The statements that define elements the indices reach."""
    if len(group) == 1:
        return (group[0][0],)
    reached = [(n, slots) for n, slots in group if _reaches(indices, slots)]
    covering = [named_levels(slots) for _, slots in reached if _covers(indices, slots)]
    least = max(covering, default=0)  # what names fewer levels is overruled there
    return [n for n, slots in reached if named_levels(slots) >= least]


def _reaches(indices: Sequence[ex.Index], slots: Pattern) -> bool:
    pairs = zip(indices, slots, strict=False)
    return all(not isinstance(i, ex.LevelIndex) or s.label is None or i.label == s.label for i, s in pairs)


def _covers(indices: Sequence[ex.Index], slots: Pattern) -> bool:
    """Whether the statement holds for every element that the indices reach."""
    pairs = zip(indices, slots, strict=False)
    return all(
        not s.first and (s.label is None or (isinstance(i, ex.LevelIndex) and i.label == s.label))
        for i, s in pairs
    )


def _components(edges: Sequence[Sequence[Edge]], vertices: Iterable[int]) -> list[list[int]]:
    """Strongly connected components that hold a cycle (Tarjan 1972, without recursion)."""
    inside = set(vertices)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for root in sorted(inside):
        if root in index:
            continue
        work: list[tuple[int, Iterator[Edge]]] = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            vertex, rest = work[-1]
            edge = next(rest, None)
            if edge is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[vertex])
                if low[vertex] == index[vertex]:
                    part: list[int] = []
                    while not part or part[-1] != vertex:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    if len(part) > 1 or any(e.target == vertex for e in edges[vertex]):
                        found.append(part)
            elif edge.target in inside:
                if edge.target not in index:
                    index[edge.target] = low[edge.target] = len(index)
                    stack.append(edge.target)
                    on_stack.add(edge.target)
                    work.append((edge.target, iter(edges[edge.target])))
                elif edge.target in on_stack:
                    low[vertex] = min(low[vertex], index[edge.target])
    return found


def _cycle(knot: Sequence[int], edges: Sequence[Sequence[Edge]], plates: Plates) -> list[Edge]:
    """A cycle in the knot that no ordered plate unties, or nothing.

    Where every edge either looks back along a plate or stays at its element, the edges that look
    back cannot close a cycle; the rest is examined again.
    """
    inside = set(knot)
    own = {v: [e for e in edges[v] if e.target in inside] for v in knot}
    every = [e for es in own.values() for e in es]
    for plate in sorted({p for e in every for p in e.back}):
        if all(plate in e.back or plate in e.same for e in every):
            rest = [[e for e in own.get(v, ()) if plate not in e.back] for v in range(max(knot) + 1)]
            for inner in _components(rest, knot):
                loop = _cycle(inner, rest, plates)
                if loop:
                    return loop
            return []
    return _path(knot[-1], own)


def _path(start: int, edges: Mapping[int, Sequence[Edge]]) -> list[Edge]:
    """The shortest way from a statement back to itself."""
    came: dict[int, tuple[int, Edge]] = {}
    queue = [start]
    for vertex in queue:
        for edge in edges[vertex]:
            if edge.target == start:
                path = [edge]
                while vertex != start:
                    vertex, before = came[vertex]
                    path.append(before)
                return path[::-1]
            if edge.target not in came:
                came[edge.target] = (vertex, edge)
                queue.append(edge.target)
    return []


def _report(loop: Sequence[Edge], statements: Sequence[st.Statement], faults: Faults) -> None:
    names = [e.name for e in loop]  # each is used by the one before it
    first = min(loop, key=lambda e: e.target)
    turn = next(i for i, e in enumerate(loop) if e is first)
    names = names[turn:] + names[:turn]
    path = list(reversed([*names, names[0]]))
    statement = statements[first.target]
    faults.add(
        f"The graph has a cycle: {' -> '.join(path)}.",
        statement,
        node=names[0],
        hint="a node cannot depend on itself; use a lag, or Simultaneous(mu, B, cov) for a joint system",
    )
