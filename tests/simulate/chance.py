"""Monte Carlo checks: each one compares a statistic with its standard error.

A check fails by chance with probability below 1e-6 (4.9 standard errors, two sides), so the few
hundred checks of this folder together raise a false alarm in fewer than one of a thousand runs with
fresh seeds. The seeds stand in the tests and were not chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LIMIT = 4.9
ALPHA = 1e-6


def near(estimate: Any, expected: Any, standard_error: Any) -> None:
    """|estimate - expected| within LIMIT standard errors, entry by entry (few entries: no correction)."""
    z = (np.asarray(estimate) - np.asarray(expected)) / np.asarray(standard_error)
    assert np.all(np.abs(z) < LIMIT), f"{estimate} is {z} standard errors from {expected}"


def mean_is(sample: Any, expected: Any) -> None:
    """The mean of independent values, with the standard error that they show themselves."""
    x = np.asarray(sample, dtype=float)
    near(x.mean(axis=0), expected, x.std(axis=0, ddof=1) / np.sqrt(len(x)))


def deviation_is(sample: Any, sigma: float) -> None:
    """The standard deviation of independent Gaussian values with mean zero."""
    x = np.asarray(sample, dtype=float).ravel()
    near(np.mean(x**2), sigma**2, sigma**2 * np.sqrt(2 / x.size))


def residuals_are_white(sample: Any, sigma: Any, *covariates: Any) -> None:
    """Gaussian residuals of known scale: mean, scale, and no trace of the covariates."""
    z = np.asarray(sample, dtype=float).ravel() / np.broadcast_to(sigma, np.shape(sample)).ravel()
    near(z.mean(), 0, 1 / np.sqrt(z.size))
    near(np.mean(z**2), 1, np.sqrt(2 / z.size))
    for covariate in covariates:
        w = np.broadcast_to(covariate, np.shape(sample)).ravel().astype(float)
        near(w @ z, 0, np.sqrt(w @ w))


def scores_vanish(y: Any, mean: Any, variance: Any, *weights: Any) -> None:
    """sum w (y - mean) has mean zero and variance sum w^2 variance for independent y; also w = 1."""
    y, mean, variance = (np.asarray(a, dtype=float) for a in np.broadcast_arrays(y, mean, variance))
    for weight in (1.0, *weights):
        w = np.broadcast_to(weight, y.shape)
        near(np.sum(w * (y - mean)), 0, np.sqrt(np.sum(w**2 * variance)))
    ratio = ((y - mean) ** 2 / variance).ravel()
    near(ratio.mean(), 1, ratio.std(ddof=1) / np.sqrt(ratio.size))


def covariance_is(sample: Any, expected: Any) -> None:
    """The covariance matrix of independent Gaussian vectors, entry by entry."""
    x, expected = np.asarray(sample, dtype=float), np.asarray(expected, dtype=float)
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / len(x))
    near(np.cov(x.T), expected, error)


def frequencies_are(counts: Any, probabilities: Any) -> None:
    """Counts of independent draws, by chi-square."""
    from scipy.stats import chi2

    counts, p = np.asarray(counts, dtype=float).ravel(), np.asarray(probabilities, dtype=float).ravel()
    assert counts[p == 0].sum() == 0, "a state of probability zero was drawn"
    counts, p = counts[p > 0], p[p > 0]
    statistic = np.sum((counts - counts.sum() * p) ** 2 / (counts.sum() * p))
    assert chi2.sf(statistic, len(p) - 1) > ALPHA, f"{counts} against {counts.sum() * p}"


def follows(sample: Any, cdf: Any) -> None:
    """Kolmogorov-Smirnov against a continuous distribution function."""
    from scipy.stats import kstest

    assert kstest(np.asarray(sample, dtype=float), cdf).pvalue > ALPHA
