"""Draws that numpy has not, against closed forms; one run in 10,000 fails by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.numerics import random_laws
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR, independent_z

stats: Any = _stats
LEVEL = 1e-5  # of each Kolmogorov-Smirnov test


@pytest.mark.parametrize(
    ("a", "b"),
    [(-np.inf, np.inf), (-1.0, 2.0), (-0.2, 0.3), (0.0, np.inf), (3.0, 3.1), (8.0, np.inf), (-40.0, -39.0)],
)
def test_truncated_normal(a, b):
    rng = stream(1, 0)
    x = np.array([random_laws.cut_normal(rng, a, b) for _ in range(4000)])
    assert ((x >= a) & (x <= b)).all()
    assert stats.kstest(x, stats.truncnorm(a, b).cdf).pvalue > LEVEL


@pytest.mark.parametrize("shape", [1e-3, 0.3, 1.0, 25.0])
def test_log_gamma(shape):
    rng = stream(2, 0)
    x = np.array([random_laws.log_gamma_draw(rng, shape) for _ in range(4000)])
    assert np.isfinite(x).all()
    assert stats.kstest(x, stats.loggamma(shape).cdf).pvalue > LEVEL


@pytest.mark.parametrize("trials", [1.0, 4.0])
@pytest.mark.parametrize("tilt", [0.0, 0.7, -3.0, 20.0, 100.0])
def test_polya_gamma(trials, tilt):
    """By its Laplace transform, (cosh(c/2)/cosh(sqrt(c**2/2 + t)/sqrt 2))**b."""
    rng = stream(3, 0)
    x = np.array([random_laws.polya_gamma(rng, trials, tilt) for _ in range(8000)])

    def log_cosh(v):
        return v + np.log1p(np.exp(-2 * v)) - np.log(2)

    t = np.array([0.5, 2.0, 10.0]) * max(1.0, abs(tilt))
    exact = np.exp(trials * (log_cosh(abs(tilt) / 2) - log_cosh(np.sqrt(tilt**2 / 4 + t / 2))))
    assert np.abs(independent_z(np.exp(-x[:, None] * t), exact)).max() < FAR
    mean = trials / 4 if tilt == 0 else trials * np.tanh(tilt / 2) / (2 * tilt)
    assert abs(independent_z(x, mean)) < FAR


@pytest.mark.parametrize("inverse", [False, True])
def test_wishart(inverse):
    """Means, and the law of a quadratic form: a'W a/(a'V a) is chi-square."""
    rng, df, d = stream(4, 0), 7.5, 3
    rate = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.4], [0.1, -0.4, 1.5]])
    found, draws = np.empty(d * d), []
    for _ in range(4000):
        random_laws.wishart(rng, df, rate.reshape(-1), d, inverse, found)
        draws.append(found.reshape(d, d).copy())
    w = np.array(draws)
    np.testing.assert_array_equal(w, w.swapaxes(1, 2))
    v = np.linalg.inv(rate)
    expected = rate / (df - d - 1) if inverse else df * v
    assert np.abs(independent_z(w.reshape(-1, d * d), expected.reshape(-1))).max() < FAR
    a = np.array([1.0, -2.0, 0.5])
    if inverse:
        ratio = (a @ rate @ a) / np.einsum("i,nij,j->n", a, w, a)
        assert stats.kstest(ratio, stats.chi2(df - d + 1).cdf).pvalue > LEVEL
    else:
        ratio = np.einsum("i,nij,j->n", a, w, a) / (a @ v @ a)
        assert stats.kstest(ratio, stats.chi2(df).cdf).pvalue > LEVEL
