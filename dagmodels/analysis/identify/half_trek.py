"""The half-trek criterion of Foygel, Draisma and Drton (2012, Ann. Stat. 40:1682).

A half-trek from y to v goes y -> ... -> v or y <-> u -> ... -> v. A set Y satisfies the criterion for v if it
has as many nodes as v has parents, none of them v or a sibling of v, and half-treks lead from Y to all the
parents without two of them sharing a node on the same side. If the nodes can be ordered so that each has
such a set of nodes that are earlier, or that no half-trek from v reaches, all coefficients are rational
functions of the covariances (theorem 1). If no family of such sets is without two nodes that lie in each
other's, infinitely many parameters give the same covariances (theorem 2). Both are found by maximum flows
(theorems 6 and 7).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from dagmodels.analysis.identify.mixed_graph import Mixed, components
from dagmodels.analysis.identify.path_model import PathModel
from dagmodels.analysis.identify.verdict import IDENTIFIED, NOT, SILENT, RuleVerdict, listed

RULE = "half-trek criterion"


def half_trek(m: PathModel) -> RuleVerdict:
    """Its answer about a path model; nodes : those whose coefficients are identified, or all of those that
    are not together."""
    if m.silent:
        return RuleVerdict(RULE, SILENT, (), m.silent)
    if not m.own:
        return RuleVerdict(RULE, SILENT, (), m.not_own)
    ends = m.mixed.endogenous
    parts = list(components(m.mixed))
    solved = {n for part in parts for n in identifiable(part) & set(part.endogenous)}
    left = tuple(n for n in ends if n not in solved)
    if not left:
        told = f"every equation has a set of half-treks to its causes: {listed(ends)}{m.apart}"
        return RuleVerdict(RULE, IDENTIFIED, ends, told)
    for part in parts:
        if infinite_to_one(part) and m.alone:
            nodes = tuple(n for n in part.endogenous if n not in solved)
            told = f"infinitely many coefficients of {listed(nodes)} give the same covariances"
            return RuleVerdict(RULE, NOT, nodes, told, remedy(nodes))
    told = f"no set of half-treks is found for {listed(left)}"
    also = tuple(n for n in ends if n in solved)
    return RuleVerdict(
        RULE, SILENT, also, f"{told}; identified are {listed(also)}{m.apart}" if also else told
    )


def remedy(nodes: tuple[str, ...]) -> str:
    """What would let an equation that has too few instruments be solved."""
    return (
        f"drop an arrow into or an arc at {listed(nodes)}, or add an instrument: a variable that a cause "
        "depends on and the effect does not"
    )


def identifiable(g: Mixed) -> frozenset[str]:
    """Nodes all of whose coefficients the criterion identifies; those without parents are among them."""
    solved = {n for n in g.nodes if not g.parents(n)}
    reach = {n: reached(g, n) for n in g.nodes}
    grown = True
    while grown:
        grown = False
        for v in g.nodes:
            if v not in solved and _has_set(g, v, solved, reach[v]):
                solved.add(v)
                grown = True
    return frozenset(solved)


def reached(g: Mixed, v: str) -> frozenset[str]:
    """Nodes that a half-trek from v ends in, v itself included."""
    found, queue = {v, *g.siblings(v)}, [v, *g.siblings(v)]
    while queue:
        new = set(g.children(queue.pop())) - found
        found |= new
        queue += new
    return frozenset(found)


def _has_set(g: Mixed, v: str, solved: set[str], reach: frozenset[str]) -> bool:
    """Whether a half-trek system leads from nodes that may be used to all parents of v."""
    barred = {v} | g.siblings(v)
    sources = [n for n in g.nodes if n not in barred and (n in solved or n not in reach)]
    flow = _Flow()
    for n in sources:
        flow.join("source", ("left", n))
        _half_treks_from(flow, g, n, ("left", n), "right")
    _directed(flow, g, "right")
    for n in g.parents(v):
        flow.join(("right", n), "sink")
    return flow.value() == len(g.parents(v))


def infinite_to_one(g: Mixed) -> bool:
    """Whether the criterion shows that infinitely many parameters give the same covariances: a flow in which
    each pair of nodes serves one of the two only."""
    flow = _Flow()
    for v in g.endogenous:
        for w in g.nodes:
            if w == v or w in g.siblings(v):
                continue
            pair, left = ("pair", frozenset((v, w))), ("left", v, w)
            flow.join("source", pair)
            flow.join(pair, left)
            _half_treks_from(flow, g, w, left, v)
        _directed(flow, g, v)
        for n in g.parents(v):
            flow.join((v, n), "sink")
    return flow.value() < len(g.arrows)


def _half_treks_from(flow: _Flow, g: Mixed, n: str, left: Hashable, copy: str) -> None:
    for first in (n, *sorted(g.siblings(n))):
        flow.join(left, (copy, first))


def _directed(flow: _Flow, g: Mixed, copy: str) -> None:
    for a, b in sorted(g.arrows):
        flow.join((copy, a), (copy, b))


class _Flow:
    """A network whose nodes let one unit pass each."""

    def __init__(self) -> None:
        import networkx as nx

        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(("source", "sink"))

    def join(self, start: Hashable, end: Hashable) -> None:
        for n in self._inner((start, end)):
            self.graph.add_edge(("in", n), ("out", n), capacity=1)
        a = start if start == "source" else ("out", start)
        b = end if end == "sink" else ("in", end)
        self.graph.add_edge(a, b, capacity=1)

    def _inner(self, nodes: Iterable[Hashable]) -> list[Hashable]:
        return [n for n in nodes if n not in ("source", "sink")]

    def value(self) -> int:
        import networkx as nx

        return int(nx.maximum_flow_value(self.graph, "source", "sink"))
