"""Distance from a normal law: closed forms, and its definition minimised."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from dagmodels.numerics.sampling.normality import fisher_divergence

COVARIANCE = np.array([[4.0, 1.8, 0.0], [1.8, 1.0, 0.2], [0.0, 0.2, 9.0]])


def draws(covariance: NDArray[np.float64], n: int = 40) -> NDArray[np.float64]:
    """With this sample covariance, exactly."""
    y = np.random.default_rng(1).normal(size=(n, len(covariance)))
    y -= y.mean(axis=0)
    white = np.linalg.solve(np.linalg.cholesky(y.T @ y / n), y.T)
    return (np.linalg.cholesky(covariance) @ white).T


def test_normal_laws_are_as_far_as_their_correlations() -> None:
    precision = np.linalg.inv(COVARIANCE)
    y = draws(COVARIANCE)
    expected = 2 * (np.sqrt(np.diag(COVARIANCE) * np.diag(precision)) - 1)
    np.testing.assert_allclose(fisher_divergence(y, 3 - y @ precision), expected, rtol=1e-10)


def test_gradients_on_falling_lines_are_no_distance_wherever_the_draws_are() -> None:
    y = np.random.default_rng(2).exponential(size=(30, 4))
    np.testing.assert_allclose(fisher_divergence(y, 1.5 - y * [1, 2, 3, 4]), 0, atol=1e-14)


def test_shifts_and_scales_change_nothing() -> None:
    rng = np.random.default_rng(3)
    y, g, scale = rng.normal(size=(25, 3)), rng.normal(size=(25, 3)), np.array([1e-3, 1.0, 50.0])
    np.testing.assert_allclose(
        fisher_divergence(7 + scale * y, g / scale), fisher_divergence(y, g), rtol=1e-10
    )


@pytest.mark.parametrize("seed", [4, 5])
def test_it_is_the_least_mean_square(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, size=30)
    g = 0.3 - y**2 + 0.1 * rng.normal(size=30)

    def off(at: NDArray[np.float64]) -> float:
        sigma = np.exp(at[1])
        return float(((sigma * g + (y - at[0]) / sigma) ** 2).mean())

    least = optimize.minimize(
        off, [y.mean(), 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    assert fisher_divergence(y[:, None], g[:, None])[0] == pytest.approx(least.fun, rel=1e-8)
