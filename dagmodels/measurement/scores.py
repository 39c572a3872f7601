"""Estimating equations that hold whatever the distribution of the true values.

moments : (X'X - sum of error covariances) b = X'y - sum of covariances with the error of y (Fuller 1987,
    section 2.2; Stata's eivreg).
corrected score : a function of what was observed whose expectation given the true values is their score
    (Nakamura 1990, Biometrika 77:127); for Poisson outcomes in closed form, for Normal ones it is `moments`.
conditional score : given D = w + y S b, which is sufficient for a true value, the outcome's law is free of it
    (Stefanski and Carroll 1987, Biometrika 74:703).

Where replicates tell the error variance, its own equation is solved with the others, so that standard errors
hold what is not known of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.measurement.regression import mean_of, root, sandwich
from dagmodels.measurement.row_design import RowDesign

Floats = NDArray[np.float64]
Score = Callable[[RowDesign, Floats, Floats], Floats]
MOST_COUNTS = 20_000


def solved(design: RowDesign, score: Score, start: Floats) -> tuple[Floats, Floats]:
    """Coefficients and standard errors, from a score (design, coefficients, error covariances) -> (n, p)."""
    pooled = design.pooled()
    told = np.flatnonzero(np.isfinite(pooled))
    p = start.size

    def equations(theta: Floats) -> Floats:
        variances = np.full(pooled.size, np.nan)
        variances[told] = theta[p:]
        parts = [score(design, theta[:p], design.errors_at(variances))]
        for j, v in zip(told, theta[p:], strict=True):
            inside = design.within[j]
            assert inside is not None
            parts.append((inside[0] - v * inside[1])[:, None])
        return np.concatenate(parts, axis=1)

    error = design.errors_at(pooled)
    beta = root(lambda b: score(design, b, error), start)
    at = np.concatenate([beta, pooled[told]])
    return beta, np.sqrt(sandwich(equations, at).diagonal()[:p])


def moments(design: RowDesign, beta: Floats, error: Floats) -> Floats:
    """The corrected normal equations, (n, p)."""
    x = design.design
    full = _embedded(design, error)
    both = _crossed(design)
    return x * (design.y - design.offset - x @ beta)[:, None] + full @ beta - both


def moments_start(design: RowDesign) -> Floats:
    """The root of `moments` in closed form. Raises `FitError` where the error is too large for one."""
    x = design.design
    error = _embedded(design, design.errors_at(design.pooled())).sum(axis=0)
    whole = x.T @ x
    corrected = whole - error
    scale = np.sqrt(whole.diagonal())
    if np.linalg.eigvalsh(corrected / np.outer(scale, scale))[0] <= 1e-10:
        raise FitError(
            "the error variances are as large as what was observed, given the other columns: the corrected "
            "cross-products are not positive definite"
        )
    return np.linalg.solve(corrected, x.T @ (design.y - design.offset) - _crossed(design).sum(axis=0))


def corrected(design: RowDesign, beta: Floats, error: Floats) -> Floats:
    """The corrected score of a Poisson outcome, (n, p)."""
    x, full = design.design, _embedded(design, error)
    shift = full @ beta
    mean = np.exp(np.minimum(design.offset + x @ beta - 0.5 * shift @ beta, 700.0))
    return design.y[:, None] * x - (x - shift) * mean[:, None]


def conditional(design: RowDesign, beta: Floats, error: Floats) -> Floats:
    """The conditional score of a logistic or Poisson outcome, (n, p)."""
    x, full = design.design, _embedded(design, error)
    shift = full @ beta
    sufficient = x + design.y[:, None] * shift
    eta = design.offset + sufficient @ beta
    square = shift @ beta
    if design.family == "Bernoulli":
        mean = mean_of("Bernoulli", eta - 0.5 * square)
    else:
        mean = _counted(eta, square, int(design.y.max()))
    return (design.y - mean)[:, None] * sufficient


def _counted(eta: Floats, square: Floats, largest: int) -> Floats:
    """The mean of the law proportional to exp(y eta - y^2 square/2)/y! on counts, (n,)."""
    from scipy.special import gammaln

    top = max(float(np.exp(min(float(eta.max()), 9.0))), float(largest))
    limit = min(int(top + 12.0 * np.sqrt(top) + 60.0), MOST_COUNTS)
    y = np.arange(limit + 1.0)
    log = y * eta[:, None] - 0.5 * y**2 * square[:, None] - gammaln(y + 1.0)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    return (weight @ y) / weight.sum(axis=1)


def _crossed(design: RowDesign) -> Floats:
    """Covariances of the columns' errors with that of the outcome, (n, p)."""
    found = np.zeros(design.design.shape)
    found[:, list(design.plain)] = design.cross
    return found


def _embedded(design: RowDesign, error: Floats) -> Floats:
    """Error covariances of the columns of the design, (n, p, p)."""
    p = len(design.names)
    found = np.zeros((error.shape[0], p, p))
    at = np.array(design.plain)
    found[:, at[:, None], at] = error
    return found


__all__ = ["conditional", "corrected", "moments", "moments_start", "solved"]
