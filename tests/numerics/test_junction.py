"""Orders of elimination and junction trees: the properties that make messages right."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

from dagmodels.numerics.junction.order import bits, elimination
from dagmodels.numerics.junction.tree import cliques_of, tree_of


def random_families(rng: np.random.Generator, n: int) -> list[tuple[int, ...]]:
    return [
        (*rng.choice(i, size=min(i, int(rng.integers(0, 4))), replace=False).tolist(), i) for i in range(n)
    ]


def masks(graph: nx.Graph) -> list[int]:
    return [sum(1 << j for j in graph[i]) for i in sorted(graph)]


@pytest.mark.parametrize("seed", range(20))
def test_cliques_form_a_junction_tree(seed: int):
    """Families lie in their holders; cliques with one node are connected; separators are shared nodes."""
    rng = np.random.default_rng([41, seed])
    n = int(rng.integers(1, 15))
    families, sizes = random_families(rng, n), rng.integers(1, 5, n).tolist()
    cliques = cliques_of(families, sizes)
    for family in families:
        assert set(family) <= set(cliques.members[cliques.holder(family)])
    graph = nx.Graph()
    graph.add_nodes_from(range(len(cliques.members)))
    for c, above in enumerate(cliques.parents):
        shared = set(cliques.members[c][: cliques.shared[c]])
        if above < 0:
            assert not shared
            continue
        assert above < c
        assert shared == set(cliques.members[c]) & set(cliques.members[above])
        assert shared < set(cliques.members[c])
        assert not set(cliques.members[above]) <= set(cliques.members[c])
        graph.add_edge(c, above)
    for node in range(n):
        holding = [c for c, members in enumerate(cliques.members) if node in members]
        assert nx.is_connected(graph.subgraph(holding))
    assert cliques.total == sum(math.prod(sizes[i] for i in m) for m in cliques.members)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_triangulates_and_keeps_last_nodes_last(seed: int):
    rng = np.random.default_rng([43, seed])
    graph = nx.gnp_random_graph(12, 0.3, seed=seed)
    sizes = rng.integers(2, 5, 12).tolist()
    last = sum(1 << int(i) for i in rng.choice(12, 4, replace=False))
    found = elimination(masks(graph), sizes, last)
    assert sorted(found.order) == list(range(12))
    assert set(found.order[-4:]) == set(bits(last))
    filled = graph.copy()
    for clique in found.cliques:
        inside = list(bits(clique))
        filled.add_edges_from((a, b) for a in inside for b in inside if a < b)
    assert nx.is_chordal(filled)
    free = elimination(masks(graph), sizes)
    assert free.cells(sizes) > 0


def test_small_graphs_get_the_best_order():
    """A cycle of six nodes needs triangles; a tree pairs; weights decide which chord a cycle of four gets."""
    cycle = nx.cycle_graph(6)
    assert max(c.bit_count() for c in elimination(masks(cycle), [2] * 6).cliques) == 3
    tree = nx.balanced_tree(2, 3)
    assert max(c.bit_count() for c in elimination(masks(tree), [2] * len(tree)).cliques) == 2
    four = elimination(masks(nx.cycle_graph(4)), [2, 50, 2, 50])
    assert max(math.prod([2, 50, 2, 50][i] for i in bits(c)) for c in four.cliques) == 2 * 2 * 50


def test_sizes_are_exact_integers_however_large():
    cliques = cliques_of([tuple(range(200))], [7] * 200)
    assert cliques.total == 7**200
    assert cliques.memory > 8 * 7**200


def test_potentials_are_products_of_factors():
    rng = np.random.default_rng(3)
    families, sizes = [(0,), (0, 1), (1, 0, 2)], [2, 3, 2]
    tables = [rng.random([sizes[i] for i in f]) for f in families]
    tree = tree_of(cliques_of(families, sizes))
    found = tree.potentials(zip(families, tables, strict=True))
    expected = np.einsum("a,ab,bac->abc", *tables)
    members = tree.cliques.members[0]
    assert tree.view(found, 0) == pytest.approx(np.transpose(expected, members))
