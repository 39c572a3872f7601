"""EM steps of a covariance matrix, by a Cholesky factor or eigenvalues, against the step as it is written."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.fits.field.warm_start import LEAST, _covariance_step
from dagmodels.numerics.triangle import lower_triangle


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("steep", [0.1, 30.0])
def test_a_covariance_step(d: int, steep: float) -> None:
    """Sigma - Sigma G Sigma/m where that leaves enough; where not, no direction shrinks below `LEAST`."""
    rng = np.random.default_rng(d)
    i, j = lower_triangle(d)
    L = np.tril(rng.normal(size=(d, d))) + 2 * np.eye(d)
    L[0] *= -1.0  # either sign of a pivot
    G = rng.normal(size=(d, d))
    G = steep * (G + G.T)
    m = 7
    slope = 2 * G @ L
    new = np.zeros((d, d))
    new[i, j] = _covariance_step(L[i, j], slope[i, j], d, m)
    inner = np.eye(d) - L.T @ G @ L / m
    values, vectors = np.linalg.eigh(inner)
    inner = vectors * np.maximum(values, LEAST) @ vectors.T
    assert (np.diag(new) > 0).all()
    np.testing.assert_allclose(new @ new.T, L @ inner @ L.T, rtol=1e-9, atol=1e-9 * np.abs(L @ L.T).max())
