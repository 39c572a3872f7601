"""d-separation against simulation-free truths: textbook patterns, and Gaussian partial correlations."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest

from dagmodels.analysis.separation import (
    d_separated,
    implied_independences,
    markov_blanket,
    moral_graph,
    to_networkx,
)
from dagmodels.errors import ModelErrors

SPRINKLER = {
    "season": "",
    "rain": ["season"],
    "sprinkler": ["season"],
    "wet": ["rain", "sprinkler"],
    "slip": ["wet"],
}


def test_chain_fork_and_collider(drawn):
    chain = drawn({"a": "", "b": "a", "c": "b"})
    assert not d_separated(chain, "a", "c")
    assert d_separated(chain, "a", "c", "b")
    fork = drawn({"b": "", "a": "b", "c": "b"})
    assert not d_separated(fork, "a", "c")
    assert d_separated(fork, "a", "c", "b")
    collider = drawn({"a": "", "c": "", "b": "ac", "d": "b"})
    assert d_separated(collider, "a", "c")
    assert not d_separated(collider, "a", "c", "b")
    assert not d_separated(collider, "a", "c", "d")


def test_sets_may_be_asked_for(drawn):
    dag = drawn(SPRINKLER)
    assert d_separated(dag, ["season"], ["wet", "slip"], ["rain", "sprinkler"])
    assert not d_separated(dag, ["season"], ["wet", "slip"], ["rain"])


def test_parameters_are_always_given(drawn):
    dag = drawn({"x": ["s"], "y": ["s"]}, parameters="s")
    assert d_separated(dag, "x", "y")
    assert not d_separated(dag, "x", "s")


def _covariance(dag, ties, rng):
    """Covariance of a linear Gaussian system with random coefficients on the graph's arrows."""
    names = list(dag.nodes)
    place = {n: i for i, n in enumerate(names)}
    b = np.zeros((len(names), len(names)))
    for child, parents in dag.parents.items():
        for parent in parents:
            b[place[child], place[parent]] = rng.uniform(0.5, 1.5) * rng.choice([-1, 1])
    noise = np.eye(len(names))
    for left, right in ties:
        noise[place[left], place[right]] = noise[place[right], place[left]] = rng.uniform(0.1, 0.3)
    inverse = np.linalg.inv(np.eye(len(names)) - b)
    return place, inverse @ noise @ inverse.T


def _independent(covariance, i, j, given):
    """Whether the partial covariance vanishes."""
    rows = [i, j]
    partial = covariance[np.ix_(rows, rows)]
    if given:
        cross = covariance[np.ix_(rows, given)]
        partial = partial - cross @ np.linalg.solve(covariance[np.ix_(given, given)], cross.T)
    return abs(partial[0, 1]) < 1e-9 * np.sqrt(partial[0, 0] * partial[1, 1])


@pytest.mark.parametrize("seed", range(12))
def test_separation_is_vanishing_partial_correlation(drawn, seed):
    """In a Gaussian system with generic coefficients the two are the same (faithfulness), `~~` included."""
    rng = np.random.default_rng(seed)
    names = "abcdef"
    arrows = {c: [p for p in names[:i] if rng.random() < 0.4] for i, c in enumerate(names)}
    pairs = [(p, c) for c in names for p in names if p < c and p not in arrows[c]]
    ties = [pair for pair in pairs if rng.random() < 0.2]
    dag = drawn(arrows, ties)
    place, covariance = _covariance(dag, ties, rng)
    checked = 0
    for a, b in itertools.combinations(names, 2):
        others = [n for n in names if n not in (a, b)]
        for size in range(len(others) + 1):
            for given in itertools.combinations(others, size):
                expected = _independent(covariance, place[a], place[b], [place[g] for g in given])
                assert d_separated(dag, a, b, given) == expected, (a, b, given, arrows, ties)
                checked += 1
    assert checked == 15 * 16


@pytest.mark.parametrize("seed", range(8))
def test_separation_agrees_with_networkx_on_larger_graphs(drawn, seed):
    rng = np.random.default_rng(100 + seed)
    names = [f"n{i}" for i in range(25)]
    dag = drawn({c: [p for p in names[:i] if rng.random() < 3 / 25] for i, c in enumerate(names)})
    graph = to_networkx(dag)
    for _ in range(60):
        chosen = list(rng.permutation(names))
        a, b, given = {chosen[0]}, {chosen[1]}, set(chosen[2 : 2 + rng.integers(0, 6)])
        assert d_separated(dag, a, b, given) == nx.is_d_separator(graph, a, b, given)


def test_blanket_separates_from_all_the_rest(drawn):
    dag = drawn(SPRINKLER)
    assert markov_blanket(dag, "rain") == ("season", "sprinkler", "wet")
    for name in dag.nodes:
        blanket = markov_blanket(dag, name)
        rest = set(dag.nodes) - {name, *blanket}
        assert not rest or d_separated(dag, name, rest, blanket)


def test_blanket_holds_what_a_residual_covariance_adds(drawn):
    dag = drawn({"a": "", "b": "", "x": "a", "y": "b"}, [("x", "y")])
    assert markov_blanket(dag, "x") == ("a", "b", "y")


def test_implied_independences_of_the_sprinkler(drawn):
    found = [str(i) for i in implied_independences(drawn(SPRINKLER))]
    assert found == [
        "rain _||_ sprinkler | season",
        "season _||_ wet | rain, sprinkler",
        "season _||_ slip | wet",
        "rain _||_ slip | wet",
        "sprinkler _||_ slip | wet",
    ]


def test_every_implied_independence_holds_and_is_minimal(drawn):
    rng = np.random.default_rng(5)
    names = "abcdefg"
    dag = drawn({c: [p for p in names[:i] if rng.random() < 0.4] for i, c in enumerate(names)})
    found = implied_independences(dag)
    adjacent = sum(len(p) for p in dag.parents.values())
    assert len(found) == 21 - adjacent
    for i in found:
        assert d_separated(dag, i.first, i.second, i.given)
        for name in i.given:
            assert not d_separated(dag, i.first, i.second, set(i.given) - {name})


def test_implied_independences_among_some(drawn):
    found = implied_independences(drawn(SPRINKLER), among=["season", "slip"])
    assert [str(i) for i in found] == ["season _||_ slip | wet"]


def test_moral_graph_marries_parents(drawn):
    graph = moral_graph(drawn(SPRINKLER))
    assert graph.has_edge("rain", "sprinkler")
    assert not graph.has_edge("season", "wet")
    assert graph.number_of_edges() == 6
    assert list(graph.nodes) == list(SPRINKLER)


def test_networkx_graph_carries_what_nodes_are(drawn):
    graph = to_networkx(drawn({"x": ["s"], "y": ["x"]}, [("x", "y")], parameters="s"))
    assert set(graph.edges) == {("s", "x"), ("x", "y")}
    assert graph.nodes["s"]["kind"] == "parameter"
    assert graph.nodes["x"]["role"] == "latent"
    assert graph.graph["covariances"] == (("x", "y"),)


def test_bad_questions_name_all_that_is_wrong(drawn):
    dag = drawn(SPRINKLER)
    with pytest.raises(ModelErrors) as caught:
        d_separated(dag, "sprinkel", "wet")
    assert "did you mean 'sprinkler'?" in str(caught.value)
    with pytest.raises(ModelErrors) as caught:
        d_separated(dag, "rain", "rain")
    assert "'rain' is named twice" in str(caught.value)
