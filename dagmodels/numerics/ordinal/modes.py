"""Modes of latent variables given ordered and plain responses: empirical Bayes, row by row.

The log density of the latent variables given a row is concave (Pratt 1981, J. Am. Stat. Assoc. 76:103), so
that Newton's steps end at its only maximum; its curvature there gives standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.ordinal.bivariate import normal_density

Floats = NDArray[np.float64]
STEPS = 100


@dataclass(frozen=True, eq=False, slots=True)
class Responses:
    """Rows of p responses, each Normal about its mean given k standard normal latent variables.

    values : (n, p) numbers or categories from 0, nan where missing. thresholds : of each response, None
        where it is a number itself. level : (n, p) means where the latent variables are zero.
    loading : (p, k). variance : (p,) of residuals, which are taken as independent.
    """

    values: Floats
    thresholds: tuple[Floats | None, ...]
    level: Floats
    loading: Floats
    variance: Floats

    def parts(self, v: Floats) -> tuple[Floats, Floats, Floats]:
        """Log densities of the rows (n,), derivatives in the means and minus second ones, (n, p)."""
        mean = self.level + v @ self.loading.T
        there = ~np.isnan(self.values)
        value, slope, bend = (np.zeros(mean.shape) for _ in range(3))
        for j, cuts in enumerate(self.thresholds):
            sd, rows = np.sqrt(self.variance[j]), np.flatnonzero(there[:, j])
            if cuts is None:
                e = (self.values[rows, j] - mean[rows, j]) / sd
                value[rows, j], slope[rows, j], bend[rows, j] = -0.5 * e * e, e / sd, 1.0 / sd**2
                continue
            found = _cell(cuts, self.values[rows, j].astype(np.int64), mean[rows, j], sd)
            value[rows, j], slope[rows, j], bend[rows, j] = found
        return value.sum(axis=1), slope, bend


def _cell(
    cuts: Floats, category: NDArray[np.int64], mean: Floats, sd: float
) -> tuple[Floats, Floats, Floats]:
    from scipy.special import log_ndtr

    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    upper, lower = (ends[category + 1] - mean) / sd, (ends[category] - mean) / sd
    flip = lower + upper > 0  # from the nearer tail
    a, b = np.where(flip, -lower, upper), np.where(flip, -upper, lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_p = log_ndtr(a) + np.log1p(-np.exp(np.where(np.isfinite(b), log_ndtr(b) - log_ndtr(a), -np.inf)))
    p = np.exp(log_p)
    with np.errstate(divide="ignore", invalid="ignore"):
        f, g = normal_density(upper) / p, normal_density(lower) / p
        u = np.where(np.isfinite(upper), upper * f, 0.0)
        w = np.where(np.isfinite(lower), lower * g, 0.0)
    far = ~(p > 1e-300)  # beyond the reach of densities: the tail of the normal takes over
    edge = np.where(flip, lower, upper)
    slope = np.where(far, -edge, g - f)
    bend = np.where(far, 1.0, (g - f) ** 2 + u - w)
    return log_p, slope / sd, bend / sd**2


def modes(rows: Responses) -> tuple[Floats, Floats]:
    """Modes (n, k) of the latent variables, and the inverse curvatures there (n, k, k)."""
    n, k = len(rows.values), rows.loading.shape[1]
    v = np.zeros((n, k))
    value, slope, bend = rows.parts(v)
    at = value - 0.5 * np.sum(v * v, axis=1)
    products = rows.loading[:, :, None] * rows.loading[:, None, :]
    live = np.ones(n, dtype=bool)
    for _ in range(STEPS):
        gradient = slope @ rows.loading - v
        curvature = np.tensordot(bend, products, axes=1) + np.eye(k)
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        live = np.abs(step).max(axis=1, initial=0.0) > 1e-12
        if not live.any():
            break
        fraction = np.ones(n)
        for _ in range(40):
            new = v + fraction[:, None] * step
            value, slope, bend = rows.parts(new)
            there = value - 0.5 * np.sum(new * new, axis=1)
            worse = there < at - 1e-12 * np.maximum(np.abs(at), 1.0)
            if not worse.any():
                break
            fraction[worse] *= 0.5
        v, at = new, there
    curvature = np.tensordot(bend, products, axes=1) + np.eye(k)
    return v, np.linalg.inv(curvature)
