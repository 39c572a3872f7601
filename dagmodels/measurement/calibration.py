"""Regression calibration: true values replaced by their best linear predictions.

Carroll, Ruppert, Stefanski and Crainiceanu (2006), Measurement Error in Nonlinear Models, section 4.4.2.
Errors are by a bootstrap of rows in which everything is estimated anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.measurement.regression import regress
from dagmodels.measurement.row_design import RowDesign

Floats = NDArray[np.float64]
MOST_FAILURES = 0.1


def calibrated(design: RowDesign, weight: Floats | None = None) -> Floats:
    """Best linear predictions of the true values given readings and the columns without error, (n, k).

    Their mean is a regression of the readings on these columns; their covariance is that of its residuals
    (with n - q degrees of freedom) less the mean error covariance. Raises `FitError` where nothing is left.
    """
    z, w = design.side, design.w
    own = np.ones(w.shape[0]) if weight is None else weight
    error = design.errors_at(design.pooled(weight))
    gamma = np.linalg.lstsq(z * np.sqrt(own)[:, None], w * np.sqrt(own)[:, None], rcond=None)[0]
    left = w - z @ gamma
    scatter = (left * own[:, None]).T @ left / (own.sum() - np.linalg.matrix_rank(z))
    true = scatter - np.einsum("n,nij->ij", own, error) / own.sum()
    if np.linalg.eigvalsh(true)[0] <= 1e-10 * np.abs(scatter.diagonal()).max():
        raise FitError(
            "the error variances are as large as what was observed: no variance of true values is left"
        )
    share = np.linalg.solve(true + error, np.broadcast_to(left[..., None], (*left.shape, 1)))[..., 0]
    return z @ gamma + share @ true


def calibration(design: RowDesign, draws: int, seed: int) -> tuple[Floats, Floats]:
    """Coefficients and bootstrap standard errors of regression calibration.

    draws : resamples of rows. Raises `FitError` where more than a tenth of them cannot be fitted.
    """
    own = design.family, design.y, design.offset
    beta = regress(own[0], design.columns(calibrated(design)), *own[1:])
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    n = design.y.size
    found, failed = [], 0
    for _ in range(draws):
        weight = np.bincount(rng.integers(n, size=n), minlength=n).astype(float)
        try:
            x = design.columns(calibrated(design, weight))
            found.append(regress(own[0], x, *own[1:], weight=weight, start=beta))
        except FitError:  # counted: a resample may be separated, or leave no variance
            failed += 1
    if failed > MOST_FAILURES * draws:
        raise FitError(f"{failed} of {draws} resamples could not be fitted: the error leaves next to nothing")
    return beta, np.std(found, axis=0, ddof=1)


__all__ = ["calibrated", "calibration"]
