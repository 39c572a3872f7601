"""The guess of a fit's seconds: its order of magnitude, and what it grows with."""

from __future__ import annotations

import time

import numpy as np
import pytest

import dagmodels as dm

NESTED = """model nested
plate g
plate r in g
covariate x[r]
parameter m, b
parameter tau, s > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Normal(m + b*x + u[g], s)
"""
CROSSED = """model crossed
plate a
plate b
plate r in a, b
parameter m
parameter ta, tb, s > 0
u[a] ~ Normal(0, ta)
v[b] ~ Normal(0, tb)
observed y[r] ~ Normal(m + u[a] + v[b], s)
"""
COUNTS = NESTED.replace("Normal(m + b*x + u[g], s)", "Poisson(exp(m + b*x + u[g]))").replace(", s >", " >")


def nested(n, k, counts=False):
    rng = np.random.default_rng(0)
    y = rng.poisson(2, n) if counts else rng.normal(size=n)
    return {"g": np.arange(n) % k, "x": rng.normal(size=n), "y": y}


def crossed(n, k, m):
    rng = np.random.default_rng(0)
    return {"a": np.arange(n) % k, "b": rng.permutation(n) % m, "y": rng.normal(size=n)}


def guess(text, data):
    return dm.read(text).plan(data).verdict.cost


def test_without_data_there_is_no_guess():
    assert dm.read(NESTED).plan().verdict.cost is None
    assert "cost" not in str(dm.read(NESTED).plan())


def test_the_guess_grows_with_what_costs():
    base = guess(NESTED, nested(1000, 50))
    assert 1e-3 < base < 0.1
    assert guess(NESTED, nested(100_000, 50)) > 2 * base
    assert guess(NESTED, nested(100_000, 50_000)) > 2 * guess(NESTED, nested(100_000, 50))
    assert guess(COUNTS, nested(100_000, 50, counts=True)) > 10 * guess(NESTED, nested(100_000, 50))
    small, large = guess(CROSSED, crossed(20_000, 3000, 10)), guess(CROSSED, crossed(20_000, 3000, 2000))
    assert large > 20 * small  # the smaller plate is the dense remainder


@pytest.mark.parametrize(
    ("text", "data"), [(NESTED, nested(100_000, 1000)), (CROSSED, crossed(20_000, 600, 300))]
)
def test_the_guess_has_the_right_order(text, data):
    graph = dm.read(text)
    graph.fit_quietly(data)
    begin = time.process_time()
    graph.fit_quietly(data)
    took = time.process_time() - begin
    assert 1 / 20 < guess(text, data) / took < 20


def test_the_plan_prints_it():
    data = nested(1000, 50)
    (line,) = [line for line in str(dm.read(NESTED).plan(data)).split("\n") if "cost" in line]
    assert line == "  cost: about 0.008 s"
