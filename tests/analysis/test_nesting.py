"""Nested, crossed, partly crossed: by the graph and by the data."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.facts import facts
from dagmodels.analysis.nesting import count_pairs

CROSSED = """
plate student; plate item; plate rating in student, item
parameter m; parameter a, b, s > 0
u[student] ~ Normal(0, a)
v[item] ~ Normal(0, b)
observed y[rating] ~ Normal(m + u[student] + v[item], s)
"""


def ratings(students, items):
    return {"student": students, "item": items, "y": np.arange(len(students), dtype=float)}


def test_declared_nesting(read):
    found = facts(read("plate a; plate b in a; plate c in b; observed y[c] ~ Normal(0, 1)")).nesting
    assert found.nested == (("b", "a"), ("c", "b"))
    assert found.crossings == ()


def test_declared_crossing_without_data(read):
    (crossing,) = facts(read(CROSSED)).nesting.crossings
    assert (crossing.first, crossing.second, crossing.where) == ("student", "item", "rating")
    assert crossing.kind == "crossed"
    assert crossing.pairs is None


@pytest.mark.parametrize(
    ("students", "items", "kind", "pairs"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 1], "fully crossed", 4),
        ([0, 0, 1, 1], [0, 1, 0, 0], "partly crossed", 3),
        ([0, 0, 1, 2], [0, 0, 1, 1], "nested", 3),
    ],
)
def test_the_data_decide(read, bound, students, items, kind, pairs):
    (crossing,) = facts(bound(read(CROSSED), ratings(students, items))).nesting.crossings
    assert crossing.kind == kind
    assert crossing.pairs == pairs


def test_hidden_nesting_names_the_inner_plate_first(read, bound):
    crossings = facts(bound(read(CROSSED), ratings([0, 0, 1, 1], [0, 1, 2, 3]))).nesting.crossings
    assert (crossings[0].first, crossings[0].second) == ("item", "student")
    assert facts(bound(read(CROSSED), ratings([0, 0, 1, 1], [0, 1, 2, 3]))).nesting.crossed == ()


def test_a_node_on_two_plates(read, bound):
    dag = read("plate a; plate b; observed y[a, b] ~ Normal(0, 1)")
    found = facts(bound(dag, {"y": np.array([[1.0, np.nan], [2.0, 3.0]])})).nesting.crossings
    assert [(c.kind, c.pairs, c.possible) for c in found] == [("partly crossed", 3, 4)]


def test_aliases_of_one_plate_meet(read):
    dag = read("""
    plate team; plate home as team; plate away as team; plate match in home, away
    parameter s > 0
    skill[team] ~ Normal(0, 1)
    observed d[match] ~ Normal(skill[home] - skill[away], s)
    """)
    (crossing,) = facts(dag).nesting.crossings
    assert crossing.aliased
    assert [p.name for p in facts(dag).aliases] == ["home", "away"]


def test_a_matrix_along_a_plate_and_its_alias_is_no_crossing(models):
    crossings = facts(models["gp_regression"]).nesting.crossings
    assert crossings == ()


def test_pairs_are_counted_alike_in_both_ways(monkeypatch):
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 30, size=500), rng.integers(0, 40, size=500)
    expected = len(set(zip(first.tolist(), second.tolist(), strict=True)))
    assert count_pairs(first, second, (30, 40)) == expected
    monkeypatch.setattr("dagmodels.analysis.nesting.DENSE_CELLS", 10)
    assert count_pairs(first, second, (30, 40)) == expected
