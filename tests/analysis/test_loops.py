"""Loops of names through lags."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from dagmodels.analysis.loops import loops
from dagmodels.analysis.separation import to_networkx


def test_a_graph_without_lags_has_none(drawn):
    assert loops(drawn({"a": "", "b": "a", "c": "ab"})) == ()


def test_own_lag_and_mutual_lags(drawn):
    dag = drawn({"x": ["x"], "p": ["q", "a"], "q": ["p"], "a": "", "y": ["x", "p"]})
    assert loops(dag) == (("x",), ("p", "q"))


@pytest.mark.parametrize("seed", range(20))
def test_components_agree_with_networkx(drawn, seed):
    rng = np.random.default_rng(seed)
    names = [f"n{i}" for i in range(12)]
    dag = drawn({c: [p for p in names if rng.random() < 0.12] for c in names})
    graph = to_networkx(dag)
    expected = {
        frozenset(c)
        for c in nx.strongly_connected_components(graph)
        if len(c) > 1 or graph.has_edge(*(list(c) * 2))
    }
    assert {frozenset(c) for c in loops(dag)} == expected
