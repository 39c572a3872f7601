"""Straight lines through points with errors in both coordinates: York's and Deming's, in closed form or
nearly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TOLERANCE = 1e-14
ROUNDS = 500


class Line(NamedTuple):
    """y = intercept + slope * x.

    covariance : of (intercept, slope), (2, 2).
    x, y : the adjusted points, where each observation is taken to have come from, (n,).
    chisq : sum of squared, scaled distances of the observations from their adjusted points.
    score : derivative of chisq/2 in the slope at the profiled intercept, times the slope's standard error.
    """

    intercept: float
    slope: float
    covariance: Floats
    x: Floats
    y: Floats
    chisq: float
    score: float


def york(x: Floats, y: Floats, sd_x: Floats, sd_y: Floats, r: Floats) -> Line:
    """The line of least squares under known errors of each point (York 1969; York et al. 2004, table I).

    sd_x, sd_y : standard deviations of the errors, at least one of a point's positive, (n,). r : their
    correlations, (n,).

    The iteration b = sum W beta V / sum W beta U has the stationary points of the sum of squares as fixed
    points; it is run from both regressions, and the lower sum is taken. Written in variances instead of
    weights, so that an error of zero is an ordinary one. Standard errors are those at the adjusted points.
    """
    found = [_york(x, y, sd_x, sd_y, r, b) for b in _starts(x, y)]
    return min(found, key=lambda line: (not abs(line.score) < 1e-6, line.chisq))


def _starts(x: Floats, y: Floats) -> tuple[float, ...]:
    u, v = x - x.mean(), y - y.mean()
    across, along, both = v @ v, u @ u, u @ v
    first = both / along
    return (first,) if both == 0 else (first, across / both)


def _york(x: Floats, y: Floats, sd_x: Floats, sd_y: Floats, r: Floats, b: float) -> Line:
    both = r * sd_x * sd_y
    for _ in range(ROUNDS):
        w, u, v, beta = _step(x, y, sd_x, sd_y, both, b)
        new = float((w * beta) @ v / ((w * beta) @ u))
        done = abs(new - b) <= TOLERANCE * max(abs(new), 1e-300)
        b = new
        if done or not np.isfinite(b):
            break
    w, u, v, beta = _step(x, y, sd_x, sd_y, both, b)
    mean_x, mean_y = x - u, y - v
    a = float(mean_y[0] - b * mean_x[0])
    adjusted = mean_x + beta
    centre = (w @ adjusted) / w.sum()
    variance = 1.0 / (w @ (adjusted - centre) ** 2)
    cross = -centre * variance
    covariance = np.array([[1.0 / w.sum() + centre**2 * variance, cross], [cross, variance]])
    residual = y - a - b * x
    # d(chisq/2)/db with the intercept profiled: W residual = 0 removes its share
    slope = -(w * residual) @ x - (w**2 * residual**2) @ (b * sd_x**2 - both)
    return Line(
        a, b, covariance, adjusted, a + b * adjusted, float(w @ residual**2), float(slope * np.sqrt(variance))
    )


def _step(
    x: Floats, y: Floats, sd_x: Floats, sd_y: Floats, both: Floats, b: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Weights W, deviations U and V from the weighted means, and beta = adjusted x less its mean."""
    w = 1.0 / (sd_y**2 + b**2 * sd_x**2 - 2.0 * b * both)
    u, v = x - (w @ x) / w.sum(), y - (w @ y) / w.sum()
    return w, u, v, w * (u * sd_y**2 + b * v * sd_x**2 - (b * u + v) * both)


def deming(x: Floats, y: Floats, ratio: float) -> tuple[float, float]:
    """Intercept and slope where var(error of y) = ratio * var(error of x), the same for all points.

    Deming (1943); Fuller (1987), equation 1.3.7. The slope is the positive root of a quadratic, written so
    that no digits cancel whichever sign the leading term has; nan where the sample covariance is zero and x
    scatters no more than its share, so that no direction is preferred.
    """
    mean_x, mean_y = x.mean(), y.mean()
    u, v = x - mean_x, y - mean_y
    sxx, sxy, syy = u @ u, u @ v, v @ v
    lead = syy - ratio * sxx
    root = float(np.hypot(lead, 2.0 * np.sqrt(ratio) * sxy))
    if sxy == 0.0:
        slope = 0.0 if lead < 0 else np.nan
    elif lead > 0:
        slope = (lead + root) / (2.0 * sxy)
    else:
        slope = 2.0 * ratio * sxy / (root - lead)
    return float(mean_y - slope * mean_x), float(slope)


def jackknife(estimates: Floats) -> Floats:
    """Covariance of estimates from those without each observation, (n, k) -> (k, k) (Tukey 1958)."""
    n = len(estimates)
    d = estimates - estimates.mean(axis=0)
    return (n - 1) / n * d.T @ d


__all__ = ["Line", "deming", "jackknife", "york"]
