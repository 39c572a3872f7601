"""Mixed graphs: arrows and arcs between variables that covariances are known of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Arrow = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mixed:
    """nodes : in order. arrows : (parent, child). arcs : pairs whose residuals covary."""

    nodes: tuple[str, ...]
    arrows: frozenset[Arrow]
    arcs: frozenset[frozenset[str]]

    def parents(self, name: str) -> tuple[str, ...]:
        return tuple(n for n in self.nodes if (n, name) in self.arrows)

    def children(self, name: str) -> tuple[str, ...]:
        return tuple(n for n in self.nodes if (name, n) in self.arrows)

    def siblings(self, name: str) -> frozenset[str]:
        return frozenset(n for pair in self.arcs if name in pair for n in pair if n != name)

    @property
    def endogenous(self) -> tuple[str, ...]:
        """Nodes with parents."""
        ends = {b for _, b in self.arrows}
        return tuple(n for n in self.nodes if n in ends)

    @property
    def acyclic(self) -> bool:
        return all(len(block) == 1 for block in blocks(self.nodes, self.arrows))


def blocks(nodes: tuple[str, ...], arrows: frozenset[Arrow]) -> list[tuple[str, ...]]:
    """Strongly connected components, causes before effects."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(sorted(arrows))
    whole = nx.condensation(graph)
    order = nx.topological_sort(whole)
    return [tuple(n for n in nodes if n in whole.nodes[k]["members"]) for k in order]


def components(g: Mixed) -> Iterator[Mixed]:
    """Mixed components: the nodes that arcs join, their parents cut loose (Tian 2005, AAAI 346).

    The parametrisation of an acyclic graph is identified just as those of its components are; of a graph
    with cycles the whole is given back.
    """
    if not g.acyclic:
        yield g
        return
    left = list(g.nodes)
    while left:
        part, queue = set[str](), [left[0]]
        while queue:
            name = queue.pop()
            if name not in part:
                part.add(name)
                queue += g.siblings(name)
        left = [n for n in left if n not in part]
        inside = frozenset(a for a in g.arrows if a[1] in part)
        if inside:
            names = part | {a for a, _ in inside}
            arcs = frozenset(pair for pair in g.arcs if pair <= part)
            yield Mixed(tuple(n for n in g.nodes if n in names), inside, arcs)
