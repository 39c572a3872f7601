"""What single variables say: thresholds and slopes of ordered ones, means, slopes and variances of others.

The first stage of Muthen (1984, Psychometrika 49:115): each variable is regressed on the covariates alone,
an ordered one by ordered probit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.ordinal.bivariate import normal_density

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1.5e-8  # probability below which a cell counts as that, so that scores stay finite


@dataclass(frozen=True, eq=False, slots=True)
class Margin:
    """One variable by itself; rows are n.

    ordered : whether it has thresholds. level : (k,) thresholds, or the mean. slopes : (x,). variance : of
    the residual; one where ordered.
    upper, lower : (n,) the thresholds around each row's response less what covariates predict, where
        ordered; else the standardised residual in both.
    category : (n,) of each row, from 0; empty where not ordered.
    scores : (n, k + x [+ 1]) derivatives of each row's log density in level, slopes (and variance).
    """

    ordered: bool
    level: Floats
    slopes: Floats
    variance: float
    upper: Floats
    lower: Floats
    category: Ints
    scores: Floats

    def chain(self, by_upper: Floats, by_lower: Floats, x: Floats) -> Floats:
        """Derivatives in level and slopes (and variance) from those in the bounds (or the residual), (n, m).

        by_upper : where not ordered, of the log density in the standardised residual; the density's own
            factor 1/sd is not in it.
        """
        if self.ordered:
            n, k = by_upper.size, self.level.size
            found = np.zeros((n, k + x.shape[1]))
            rows = np.arange(n)
            below, above = self.category < k, self.category > 0
            found[rows[below], self.category[below]] += by_upper[below]
            found[rows[above], self.category[above] - 1] += by_lower[above]
            found[:, k:] = -(by_upper + by_lower)[:, None] * x
            return found
        sd = np.sqrt(self.variance)
        along = -by_upper / sd
        last = -0.5 * (by_upper * self.upper + 1.0) / self.variance
        return np.concatenate([along[:, None], along[:, None] * x, last[:, None]], axis=1)


def ordered_margin(category: Ints, levels: int, x: Floats, weights: Floats) -> Margin:
    """Thresholds, and slopes by maximum likelihood where there are covariates.

    category : (n,) from 0 to levels - 1, each of them seen. x : (n, c), c may be zero. weights : (n,).
    """
    from scipy.special import ndtri

    count = np.bincount(category, weights=weights, minlength=levels)
    level = ndtri(np.cumsum(count)[:-1] / count.sum())
    slopes = np.zeros(x.shape[1])
    if x.shape[1]:
        level, slopes = _ordered_probit(category, level, x, weights)
    upper, lower = _bounds(category, level, x @ slopes)
    p = _chance(upper, lower)
    bare = Margin(True, level, slopes, 1.0, upper, lower, category, np.zeros((0, 0)))
    scores = bare.chain(normal_density(upper) / p, -normal_density(lower) / p, x)
    return Margin(True, level, slopes, 1.0, upper, lower, category, scores)


def numeric_margin(y: Floats, x: Floats, weights: Floats) -> Margin:
    """Mean (or intercept), slopes and residual variance by maximum likelihood."""
    design = np.concatenate([np.ones((y.size, 1)), x], axis=1)
    weighted = design * weights[:, None]
    beta = np.linalg.solve(weighted.T @ design, weighted.T @ y)
    away = y - design @ beta
    variance = float(weights @ away**2 / weights.sum())
    e = away / np.sqrt(variance)
    none = np.zeros(0, dtype=np.int64)
    bare = Margin(False, beta[:1], beta[1:], variance, e, e, none, np.zeros((0, 0)))
    return Margin(False, beta[:1], beta[1:], variance, e, e, none, bare.chain(-e, e, x))


def _bounds(category: Ints, level: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    ends = np.concatenate([[-np.inf], level, [np.inf]])
    return ends[category + 1] - predicted, ends[category] - predicted


def _chance(upper: Floats, lower: Floats) -> Floats:
    """P(lower < Z <= upper), from the nearer tail."""
    from scipy.special import ndtr

    flip = lower > 0
    a, b = np.where(flip, -lower, upper), np.where(flip, -upper, lower)
    return np.maximum(ndtr(a) - ndtr(b), LEAST)


def _ordered_probit(category: Ints, level: Floats, x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Newton's steps on a concave log likelihood."""
    n, k = category.size, level.size
    theta = np.concatenate([level, np.zeros(x.shape[1])])
    top, bottom = np.zeros((n, theta.size)), np.zeros((n, theta.size))
    top[:, k:] = bottom[:, k:] = -x
    rows = np.arange(n)
    top[rows[category < k], category[category < k]] = 1.0
    bottom[rows[category > 0], category[category > 0] - 1] = 1.0

    def value(theta: Floats) -> float:
        if (np.diff(theta[:k]) <= 0).any():
            return -np.inf
        return float(weights @ np.log(_chance(*_bounds(category, theta[:k], x @ theta[k:]))))

    here = value(theta)
    for _ in range(100):
        upper, lower = _bounds(category, theta[:k], x @ theta[k:])
        p = _chance(upper, lower)
        a, b = normal_density(upper) / p, normal_density(lower) / p
        u, v = np.where(np.isfinite(upper), upper, 0.0), np.where(np.isfinite(lower), lower, 0.0)
        slope = top.T @ (weights * a) - bottom.T @ (weights * b)
        bend = (top * (weights * (-u * a - a * a))[:, None]).T @ top
        bend += (bottom * (weights * (v * b - b * b))[:, None]).T @ bottom
        cross = (top * (weights * a * b)[:, None]).T @ bottom
        step = np.linalg.solve(-(bend + cross + cross.T), slope)
        if float(slope @ step) < 1e-18 * weights.sum():
            break
        fraction = 1.0
        while (there := value(theta + fraction * step)) < here and fraction > 1e-8:
            fraction *= 0.5
        theta, here = theta + fraction * step, there
    return theta[:k], theta[k:]
