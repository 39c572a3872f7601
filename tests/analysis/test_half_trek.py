"""The half-trek criterion and its neighbours: published graphs, brute force, and ranks of random graphs."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest

from dagmodels.analysis.identify.bow_free import bow_free
from dagmodels.analysis.identify.half_trek import half_trek, identifiable, infinite_to_one, reached
from dagmodels.analysis.identify.mixed_graph import components
from dagmodels.analysis.identify.path_model import PathModel
from dagmodels.analysis.identify.rank_condition import rank, rank_condition
from dagmodels.analysis.identify.recursive import recursive
from tests.mixed_graphs import FIGURES, mixed, random_graph, unidentified


def plain(g):
    """The graph as a path model whose coefficients are all free."""
    return PathModel(g, (), (), True, "", True, True, "" if g.arrows else "no equations")


def verdict(g):
    """Without decomposition, as the paper's figures are."""
    if identifiable(g) == set(g.nodes):
        return "identified"
    return "not identified" if infinite_to_one(g) else "silent"


@pytest.mark.parametrize("name", FIGURES)
def test_published_figures(name):
    arrows, arcs, told, finite = FIGURES[name]
    g = mixed(arrows, arcs)
    assert verdict(g) == told
    assert (unidentified(g, np.random.default_rng(1))[1] == 0) == finite


def test_decomposition_identifies_figure_9a():
    """Section 8 of the paper: inconclusive as a whole, identifiable by its components (Tian 2005)."""
    g = mixed(*FIGURES["9a"][:2])
    assert len(list(components(g))) == 2
    assert half_trek(plain(g)).verdict == "identified"


def test_instrument_and_bow():
    """The textbook pair: z -> x -> y with x <-> y, and the bow without z."""
    instrument = mixed("12 23", "23", 3)
    bow = mixed("12", "12", 2)
    assert half_trek(plain(instrument)).verdict == rank_condition(plain(instrument)).verdict == "identified"
    assert half_trek(plain(bow)).verdict == rank_condition(plain(bow)).verdict == "not identified"
    assert half_trek(plain(bow)).nodes == ("2",)
    assert bow_free(plain(instrument)).verdict == "silent"
    assert recursive(plain(mixed("12 23 13", "", 3))).verdict == "identified"


def test_verma_graph_is_bow_free():
    """Verma and Pearl's graph 1 -> 2 -> 3 -> 4 with 2 <-> 4."""
    g = mixed("12 23 34", "24", 4)
    assert bow_free(plain(g)).verdict == half_trek(plain(g)).verdict == "identified"
    assert recursive(plain(g)).verdict == "silent"


# -- brute force: half-trek systems and families of sets, written out


def half_treks(g, start, end):
    """Nodes on the right sides of all half-treks without a node twice."""
    found = []

    def walk(path):
        if path[-1] == end:
            found.append(frozenset(path))
        for n in g.children(path[-1]):
            if n not in path:
                walk((*path, n))

    for first in (start, *g.siblings(start)):
        walk((first,))
    return found


def system(g, sources, targets):
    """Whether half-treks lead from the sources to the targets with disjoint right sides."""
    for order in permutations(targets):
        choices = [half_treks(g, s, t) for s, t in zip(sources, order, strict=True)]
        for sides in product(*choices):
            if len(frozenset().union(*sides)) == sum(map(len, sides)):
                return True
    return False


def sets_of(g, v):
    """All sets that satisfy the criterion for a node."""
    allowed = [n for n in g.nodes if n != v and n not in g.siblings(v)]
    parents = g.parents(v)
    return [frozenset(y) for y in combinations(allowed, len(parents)) if system(g, y, parents)]


def brute(g):
    """Theorems 1 and 2 as they stand."""
    families = [sets_of(g, v) for v in g.nodes]
    of = dict(zip(g.nodes, families, strict=True))
    solved, grown = set(), True
    while grown:
        new = {
            v for v in g.nodes if v not in solved
            and any(all(w in solved or w not in reached(g, v) for w in y) for y in of[v])
        }  # fmt: skip
        solved |= new
        grown = bool(new)
    place = {v: k for k, v in enumerate(g.nodes)}
    some = any(
        not any(v in y[place[w]] and w in y[place[v]] for v, w in combinations(g.nodes, 2))
        for y in product(*families)
    )
    return solved, not some


@pytest.mark.parametrize("acyclic", [True, False])
def test_flows_find_what_enumeration_finds(acyclic):
    rng = np.random.default_rng(8)
    seen = set()
    for _ in range(60):
        g = random_graph(rng, 4, acyclic)
        solved, infinite = brute(g)
        assert identifiable(g) == solved
        assert infinite_to_one(g) == infinite
        seen.add((solved == set(g.nodes), infinite))
    assert seen >= {(True, False), (False, True)}


# -- random graphs against the rank


@pytest.mark.parametrize(
    ("n", "acyclic"), [(3, True), (4, True), (4, False), (5, True), (5, False), (6, True)]
)
def test_verdicts_of_random_graphs_agree_with_the_rank(n, acyclic):
    """120 graphs each. Ranks at random points fail with probability zero up to rounding."""
    rng = np.random.default_rng(100 * n + acyclic)
    seen = set()
    for _ in range(120):
        g = random_graph(rng, n, acyclic)
        if not g.arrows:
            continue
        lost, size = unidentified(g, rng)
        for part in components(g):
            known = {v for v in identifiable(part) if v in part.endogenous}
            assert not {a for a in g.arrows if a[1] in known and a in part.arrows} & lost
        if infinite_to_one(g):
            assert size > 0
        model = plain(g)
        for rule in (recursive, bow_free, half_trek, rank_condition):
            told = rule(model)
            seen.add((rule.__name__, told.verdict))
            into = {a for a in g.arrows if a[1] in told.nodes}
            if told.verdict == "identified":
                assert not into & lost, (rule.__name__, g)
            elif told.verdict == "not identified":
                assert into & lost, (rule.__name__, g)
                assert told.remedy
    assert ("half_trek", "identified") in seen
    assert ("half_trek", "not identified") in seen


def test_an_equation_is_named_just_if_it_fails():
    """Feedback, covarying disturbances: the equation that leaves nothing out fails (Bollen 1989, 98)."""
    g = mixed("12 21 31", "12", 3)
    told = rank_condition(plain(g))
    assert (told.verdict, told.nodes) == ("not identified", ("1",))
    lost, _ = unidentified(g, np.random.default_rng(2))
    assert {a for a in g.arrows if a in lost} == {("2", "1"), ("3", "1")}


def test_rank_modulo_a_prime_is_the_rank():
    rng = np.random.default_rng(3)
    for _ in range(50):
        a = rng.integers(-5, 6, size=(4, 2)) @ rng.integers(-5, 6, size=(2, 5))
        a = a if rng.random() < 0.5 else rng.integers(-5, 6, size=(4, 5))
        assert rank(a.tolist()) == np.linalg.matrix_rank(a)
