"""The convex programme of mixing weights: against its optimality conditions, EM, and a general optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from dagmodels.numerics.mixing_weights import (
    local_maxima,
    mixing_weights,
    simplex_least_squares,
    triangle_of,
)


def normal(y, grid):
    likelihood = -0.5 * (y - grid[:, None]) ** 2
    return np.exp(likelihood - likelihood.max(axis=0))


def value(w, likelihood, counts):
    return counts @ np.log(w @ likelihood)


@pytest.mark.parametrize("seed", range(6))
def test_no_direction_rises_and_the_likelihood_never_fell(seed):
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 400)), int(rng.integers(1, 90))
    y = rng.choice([-2.0, 0.0, 3.0], n) + rng.normal(size=n)
    likelihood = normal(y, np.linspace(-6, 6, k)) if seed % 2 else rng.gamma(0.3, size=(k, n)) + 1e-12
    counts = rng.integers(1, 5, n).astype(float)
    found = mixing_weights(likelihood, counts)
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (np.diff(found.values) >= 0).all()
    gap = (likelihood @ (counts / (found.weights @ likelihood))).max() - counts.sum()
    assert gap <= 1e-8
    for _ in range(300):  # EM from there gains no more than the gap promises
        w = found.weights * (likelihood @ (counts / (found.weights @ likelihood))) / counts.sum()
        assert value(w, likelihood, counts) <= found.value + found.gap + 1e-9
        assert value(rng.dirichlet(np.full(k, 0.3)), likelihood, counts) <= found.value + 1e-9


def test_agrees_with_a_general_optimiser():
    rng = np.random.default_rng(5)
    likelihood, counts = rng.gamma(1.0, size=(6, 40)), rng.integers(1, 4, 40).astype(float)
    found = mixing_weights(likelihood, counts)

    def f(z):
        w = np.exp(z - z.max())
        return -value(w / w.sum(), likelihood, counts)

    other = min((minimize(f, rng.normal(size=6), tol=1e-12) for _ in range(5)), key=lambda r: r.fun)
    assert found.value >= -other.fun - 1e-9
    assert found.value == pytest.approx(-other.fun, abs=1e-4)


def test_rows_that_agree_count_as_often_as_they_occur():
    rng = np.random.default_rng(2)
    y = rng.poisson(3, 500).astype(float)
    kinds, counts = np.unique(y, return_counts=True)
    grid = np.linspace(0, 10, 60)
    every, merged = (
        mixing_weights(normal(y, grid), np.ones(500)),
        mixing_weights(normal(kinds, grid), counts * 1.0),
    )
    assert merged.value == pytest.approx(every.value, abs=1e-8)


def test_many_rows_end_with_a_small_gap_though_the_value_has_no_digits_left():
    """One value at 5.75 has weight 1e-5: its weight must be right to nine digits for a gap of 1e-7."""
    rng = np.random.default_rng(0)
    y = rng.choice([0.0, 2.5, -2.0], 100_000, p=[0.75, 0.15, 0.1]) + rng.normal(size=100_000)
    found = mixing_weights(normal(y, np.linspace(-6, 6, 121)), np.ones(y.size))
    assert found.gap < 1e-6


def test_least_squares_in_the_simplex():
    rng = np.random.default_rng(3)
    columns, root = rng.gamma(2.0, size=(4, 30)), rng.random(30) + 0.1
    x = simplex_least_squares(columns, root)

    def f(w):
        return (((w @ columns - 2.0) * root) ** 2).sum()

    assert x.sum() == pytest.approx(1)
    assert x.min() >= 0
    assert all(f(x) <= f(w) + 1e-9 for w in rng.dirichlet(np.full(4, 0.5), 3000))


def test_local_maxima_include_the_ends():
    assert local_maxima(np.array([3.0, 1.0, 2.0, 0.0, 5.0])).tolist() == [0, 2, 4]


@pytest.mark.parametrize("stray", [0.0, 1e9, 1e200])
def test_many_rows_begin_with_some(stray, monkeypatch):
    """A start at every so many-th row ends where all rows do, also where one row is like no other."""
    rng = np.random.default_rng(12)
    y = np.sort(rng.choice([-2.0, 0.0, 3.0], 40_003) + rng.normal(size=40_003))
    likelihood = normal(y, np.linspace(-6, 6, 61))
    likelihood[:, 17] /= 1.0 + stray * (np.arange(61) != 3)
    counts = np.ones(y.size)
    found = mixing_weights(likelihood, counts)
    monkeypatch.setattr("dagmodels.numerics.mixing_weights.SOME", 10**9)
    want = mixing_weights(likelihood, counts)
    assert found.value == pytest.approx(want.value, abs=want.gap + found.gap + 1e-8)
    for one in (found, want):
        gap = (likelihood @ (counts / (one.weights @ likelihood))).max() - counts.sum()
        assert gap <= max(1e-9, 4e-15 * y.size**1.5) * 1.01
        assert (np.diff(one.values) >= 0).all()
    if not stray:
        assert found.steps < want.steps


@pytest.mark.parametrize("rows", [3, 12, 1024, 5000, 7168])
def test_triangle_by_blocks(rows):
    columns = np.random.default_rng(rows).normal(size=(12, rows)) * np.logspace(-6, 6, 12)[:, None]
    r = triangle_of(columns)
    size = np.sqrt((columns**2).sum(axis=1))
    np.testing.assert_allclose(
        (r.T @ r) / np.outer(size, size), columns @ columns.T / np.outer(size, size), atol=1e-13
    )
