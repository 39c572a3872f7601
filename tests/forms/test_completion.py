"""What follows from draws of all unknowns: deterministic nodes and missing responses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.forms.collapses import collapse, unconstrained


def test_deterministic_nodes_are_functions_of_the_same_draw():
    text = """model functions
    plate g
    plate r in g
    covariate x[r]
    a[g] ~ Normal(m, t)
    m ~ Normal(0, 2)
    t, s ~ HalfNormal(1)
    mu[r] = a + 0.5*x
    ratio = t**2/(t**2 + s**2)
    spread = mean((a[g] - m)**2 for g)
    plain = 3
    observed y[r] ~ Normal(mu, s)
    """
    g, x = np.array([0, 1, 1, 2]), np.array([0.1, 0.2, 0.3, 0.4])
    c = collapse(text, {"g": g, "x": x, "y": [1.0, 2.0, 0.5, 0.3]})
    found = c.draws(np.random.default_rng(1).normal(size=(50, 2)), np.random.default_rng(2))
    assert set(found) == {"a", "m", "t", "s", "mu", "ratio", "spread"}
    assert found["mu"] == pytest.approx(found["a"][:, g] + 0.5 * x)
    assert found["ratio"] == pytest.approx(found["t"] ** 2 / (found["t"] ** 2 + found["s"] ** 2))
    assert found["spread"] == pytest.approx(((found["a"] - found["m"][:, None]) ** 2).mean(axis=1))
    assert found["mu"].shape == (50, 4)
    assert found["ratio"].shape == (50,)


def test_missing_counts_come_from_their_law():
    """Moments of two cells within 5 standard errors, and what is given stays: false alarms 2e-6."""
    text = """model gaps
    plate k
    covariate e[k]
    r[k] ~ Gamma(a, 2)
    a ~ Exponential(1)
    observed x[k] ~ Poisson(r*e)
    """
    x, e = np.array([3.0, np.nan, 0.0, np.nan]), np.array([1.0, 2.0, 0.5, 4.0])
    c = collapse(text, {"x": x, "e": e})
    S = 40_000
    found = c.draws(np.zeros((S, 1)), np.random.default_rng(4))  # a = 1
    assert (found["x"][:, [0, 2]] == [3.0, 0.0]).all()
    for k in (1, 3):
        law = stats.nbinom(1.0, 2 / (2 + e[k]))
        assert abs(found["x"][:, k].mean() - law.mean()) < 5 * law.std() / np.sqrt(S)
        assert np.corrcoef(found["x"][:, k], found["r"][:, k])[0, 1] > 0.3


def test_missing_components_of_vectors_come_from_their_conditional_law():
    """Given the other component: intercept, slope and residual variance within 5 standard errors (2e-6)."""
    text = """model vector
    plate r
    m ~ Normal(0, 1)
    t ~ HalfNormal(1)
    observed a[r] ~ Normal(m, t)
    observed b[r] ~ Normal(2*m, 1)
    a ~~ b = 0.5*t
    """
    a, b = np.array([0.3, np.nan, 1.0, 0.1]), np.array([1.0, 2.5, np.nan, 0.3])
    c = collapse(text, {"a": a, "b": b})
    S = 40_000
    t = 1.7
    y = np.tile(unconstrained(c, {"t": t}), (S, 1))
    found = c.draws(y, np.random.default_rng(6))
    assert (found["a"][:, [0, 2, 3]] == a[[0, 2, 3]]).all()
    for z, sd in (
        (found["a"][:, 1] - found["m"] - 0.5 * t * (2.5 - 2 * found["m"]), t * np.sqrt(0.75)),
        (found["b"][:, 2] - 2 * found["m"] - 0.5 / t * (1.0 - found["m"]), np.sqrt(0.75)),
    ):
        assert abs(z.mean()) < 5 * sd / np.sqrt(S)
        assert abs(z.var() / sd**2 - 1) < 5 * np.sqrt(2 / S)
        assert abs(np.corrcoef(z, found["m"])[0, 1]) < 5 / np.sqrt(S)


def test_what_looks_back_at_itself_is_computed_from_its_first_element():
    text = """model walk
    plate k ordered
    m ~ Normal(0, 1)
    s ~ HalfNormal(1)
    f[k] = 0.5*f[k-1] + m
    f[k first] = m
    observed y[k] ~ Normal(m, s)
    """
    c = collapse(text, {"y": [0.2, 0.4, 0.1]})
    found = c.draws(np.zeros((5, 1)), np.random.default_rng(1), ["f", "m"])
    np.testing.assert_allclose(found["f"], found["m"][:, None] * [1, 1.5, 1.75])
