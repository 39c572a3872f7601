"""Proposals along a ridge: exact where the density is normal, with the density they state, light tails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dagmodels.errors import FitError
from dagmodels.numerics.sampling import independence, ridge

Floats = NDArray[np.float64]
COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 2.0, 0.4], [-0.3, 0.4, 0.5]])
MEAN = np.array([1.0, -2.0, 0.5])


def normal(y: Floats) -> tuple[float, Floats]:
    slope = -np.linalg.solve(COVARIANCE, y - MEAN)
    return float(0.5 * slope @ (y - MEAN)), slope


def arm(y: Floats) -> tuple[float, Floats]:
    """y0 is the log of a gamma(1/2) precision, with which y1 and y2 are normal."""
    tau = np.exp(y[0])
    value = 0.5 * y[0] - tau + y[0] - 0.5 * tau * (y[1:] ** 2).sum()
    first = 1.5 - tau - 0.5 * tau * (y[1:] ** 2).sum()
    return float(value), np.concatenate([[first], -tau * y[1:]])


def many(one: Callable[[Floats], tuple[float, Floats]]) -> ridge.Criterion:
    """Of points, one a row."""

    def found(y: Floats) -> tuple[Floats, Floats]:
        values, gradients = zip(*map(one, y), strict=True)
        return np.array(values), np.array(gradients)

    return found


def of_arm() -> ridge.Ridge:
    return ridge.followed(many(arm), np.array([np.log(1.5), 0.0, 0.0]), np.diag([1.5, 1.5, 1.5]), 0)


def test_a_normal_density_has_its_own_marginal_and_conditionals() -> None:
    found = ridge.followed(many(normal), MEAN.copy(), np.linalg.inv(COVARIANCE), 1)
    t = found.knots
    np.testing.assert_allclose(
        np.diff(found.height), np.diff(stats.norm.logpdf(t, -2.0, np.sqrt(2.0))), atol=1e-6
    )
    weights = COVARIANCE[[0, 2], 1] / 2.0
    np.testing.assert_allclose(found.centre, MEAN[[0, 2]] + np.outer(t + 2.0, weights), atol=1e-7)
    left = COVARIANCE[np.ix_([0, 2], [0, 2])] - np.outer(weights, COVARIANCE[[0, 2], 1])
    np.testing.assert_allclose(
        found.root @ np.swapaxes(found.root, 1, 2), np.broadcast_to(left, (t.size, 2, 2)), atol=1e-6
    )


def test_draws_have_the_stated_density() -> None:
    """Four tests of Kolmogorov and Smirnov at 1e-5."""
    found = of_arm()
    y = found.drawn(np.random.default_rng(1), 20_000)
    t = np.linspace(found.knots[0] - 40.0, found.knots[-1] + 5.0, 200_001)
    flat = np.column_stack([t, np.zeros((t.size, 2))])
    centre, root = found._others(t)
    nu, volume = found.degrees, np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    at_centre = stats.multivariate_t.logpdf(np.zeros(2), shape=np.eye(2), df=nu)
    np.testing.assert_allclose(centre, 0.0, atol=1e-6)
    marginal = np.exp(found.log_density(flat) - at_centre + volume)
    below = np.concatenate([[0.0], np.cumsum(0.5 * (marginal[1:] + marginal[:-1]) * np.diff(t))])
    assert below[-1] == pytest.approx(1.0, abs=1e-5)
    assert stats.kstest(np.interp(y[:, 0], t, below), "uniform").pvalue > 1e-5
    centre, root = found._others(y[:, 0])
    z = np.linalg.solve(root, (y[:, 1:] - centre)[:, :, None])[:, :, 0]
    for i in range(2):
        assert stats.kstest(z[:, i], stats.t(nu).cdf).pvalue > 1e-5
    assert stats.kstest((z**2).sum(axis=1) / 2.0, stats.f(2, nu).cdf).pvalue > 1e-5
    along = found.log_density(np.column_stack([y[:, 0], centre])) - at_centre
    wanted = along + stats.multivariate_t.logpdf(z, shape=np.eye(2), df=nu)
    np.testing.assert_allclose(found.log_density(y), wanted, atol=1e-9)


def test_weights_along_an_arm_are_light_and_sum_to_the_evidence() -> None:
    """The integral of the arm is gamma(1/2) 2 pi; five standard errors."""

    def densities(y: Floats) -> Floats:
        return np.array([arm(row)[0] for row in y])

    found = of_arm()
    assert ridge.least_normal(densities, np.array([np.log(1.5), 0.0, 0.0]), np.eye(3) / 1.5) == 0
    trials = independence.weighted(densities, found, np.random.default_rng(3), 4000)
    gate = independence.gate(trials)
    assert gate.k < 0.3
    assert gate.effective > 0.7
    error = np.sqrt((1.0 / gate.effective - 1.0) / 4000)
    assert abs(gate.log_evidence - np.log(np.sqrt(np.pi) * 2.0 * np.pi)) < 5.0 * error


def test_a_ridge_without_end_is_told() -> None:
    def endless(y: Floats) -> tuple[float, Floats]:
        return float(-0.5 * y[1] ** 2), np.array([0.0, -y[1]])

    with pytest.raises(FitError, match="does not fall off"):
        ridge.followed(many(endless), np.zeros(2), np.eye(2), 0)
