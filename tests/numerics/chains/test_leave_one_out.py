"""Leaving one out by weighted draws: against arviz-stats 0.8 (1e-8), the exact answer of a Normal mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.stats import norm

from dagmodels.numerics.chains.leave_one_out import leave_one_out, reliable, smoothed_log, waic


def normal_mean(n, draws, seed, outlier=0.0):
    """Log likelihood (draws, n) of y ~ N(mu, 1) under the posterior N(ybar, 1/n) of a flat mu; exact elpd."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n)
    y[0] += outlier
    mu = y.mean() + rng.standard_normal(draws) / math.sqrt(n)
    others = (y.sum() - y) / (n - 1)
    return norm.logpdf(y[None, :], mu[:, None], 1), norm.logpdf(y, others, math.sqrt(1 + 1 / (n - 1)))


@pytest.mark.parametrize(
    ("draws", "efficiency"), [(4000, 1.0), (4000, 0.3), (1000, 1.7), (200, 1.0), (60, 0.5)]
)
def test_pointwise_numbers_are_those_of_arviz(draws, efficiency):
    ll, _ = normal_mean(12, draws, 3, outlier=4)
    found = leave_one_out(ll, efficiency)
    for i in range(12):
        elpd, k, p = array_stats._loo(ll[:, i].reshape(1, -1), r_eff=efficiency)
        np.testing.assert_allclose([found.elpd[i], found.k[i], found.p[i]], [elpd, k, p], rtol=1e-8)


def test_smoothed_weights_are_those_of_arviz():
    x = 2 * np.random.default_rng(1).standard_normal(3000)
    mine, k = smoothed_log(x, 0.8)
    theirs, theirs_k = array_stats._psislw(-x, 0.8)
    np.testing.assert_allclose(mine, theirs, rtol=1e-8)
    assert k == pytest.approx(theirs_k, rel=1e-8)
    assert np.exp(mine).sum() == pytest.approx(1)


def test_it_is_the_exact_answer_of_a_normal_mean():
    """20,000 draws: the error of a weighted mean is about sd/sqrt(draws) = 0.002; five of them."""
    ll, exact = normal_mean(30, 20000, 5)
    found = leave_one_out(ll)
    np.testing.assert_allclose(found.elpd, exact, atol=0.01)
    assert (found.k < 0.5).all()
    assert found.p.sum() == pytest.approx(1.0, abs=0.35)  # one parameter
    np.testing.assert_allclose(waic(ll).elpd, exact, atol=0.05)  # equal up to terms of order 1/n^2


def test_waic_by_its_definition():
    ll, _ = normal_mean(7, 500, 2)
    found = waic(ll)
    np.testing.assert_allclose(found.p, ll.var(axis=0))
    np.testing.assert_allclose(found.elpd, np.log(np.exp(ll).mean(axis=0)) - ll.var(axis=0))
    assert np.isnan(found.k).all()


def test_an_outlier_has_a_heavy_tail():
    ll, _ = normal_mean(8, 4000, 5, outlier=12)
    found = leave_one_out(ll)
    assert found.k.argmax() == 0
    assert found.k[0] > reliable(4000)


def test_weights_without_a_tail_stay_as_they_are():
    flat, k = smoothed_log(np.zeros(100))
    np.testing.assert_allclose(np.exp(flat), 0.01)
    assert k == math.inf
    few, k = smoothed_log(np.arange(10.0))
    np.testing.assert_allclose(few, np.arange(10.0) - np.log(np.exp(np.arange(10.0)).sum()))
    assert k == math.inf


def test_an_impossible_observation_has_no_density():
    ll, _ = normal_mean(4, 500, 2)
    ll[3, 1] = -np.inf  # one draw cannot have made it: its weight is infinite
    found = leave_one_out(ll)
    assert found.elpd[1] == -np.inf
    assert np.isfinite(np.delete(found.elpd, 1)).all()


def test_how_large_a_shape_may_be():
    assert reliable(4000) == 0.7
    assert reliable(100) == 0.5
