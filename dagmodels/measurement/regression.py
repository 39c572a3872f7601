"""Linear, logistic and Poisson regression of rows with weights, and roots of estimating equations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
Equations = Callable[[Floats], Floats]
STEPS = 60
FAR = 30.0  # a predictor beyond this on all rows of one kind: separation


def mean_of(family: str, eta: Floats) -> Floats:
    """The mean of the canonical link."""
    if family == "Normal":
        return eta
    if family == "Poisson":
        return np.exp(np.minimum(eta, 700.0))
    return 1.0 / (1.0 + np.exp(-np.clip(eta, -700.0, 700.0)))


def weight_of(family: str, mean: Floats) -> Floats:
    """Derivative of the mean in the predictor."""
    if family == "Normal":
        return np.ones_like(mean)
    return mean if family == "Poisson" else mean * (1.0 - mean)


def regress(
    family: str,
    x: Floats,
    y: Floats,
    offset: Floats,
    weight: Floats | None = None,
    start: Floats | None = None,
) -> Floats:
    """Maximum likelihood by Newton's steps with halving. Raises `FitError` where columns are collinear, or
    where there is no maximum (separation)."""
    weight = np.ones(y.size) if weight is None else weight
    if family == "Normal":
        return _solved((x * weight[:, None]).T @ x, x.T @ (weight * (y - offset)))
    beta = np.zeros(x.shape[1]) if start is None else start.copy()
    if start is None and (first := np.ptp(x, axis=0) == 0).any():
        level = max(float(np.average(y, weights=weight)), 1e-3)
        j = int(np.flatnonzero(first)[0])
        link = np.log(level) if family == "Poisson" else np.log(level / max(1.0 - level, 1e-3))
        beta[j] = (link - np.average(offset, weights=weight)) / x[0, j]
    value = _deviance(family, x @ beta + offset, y, weight)
    for _ in range(STEPS):
        mean = mean_of(family, x @ beta + offset)
        slope = x.T @ (weight * (y - mean))
        step = _solved((x * (weight * weight_of(family, mean))[:, None]).T @ x, slope)
        if float(slope @ step) < 1e-12:
            return beta + step
        for _ in range(40):
            new = _deviance(family, x @ (beta + step) + offset, y, weight)
            if new <= value + 1e-9 * (1.0 + abs(value)):
                break
            step = 0.5 * step
        beta, value = beta + step, new
        if family == "Bernoulli" and value < 1e-6 * weight.sum():
            break
    raise FitError("the outcome is separated by the columns: there is no maximum of the likelihood")


def _deviance(family: str, eta: Floats, y: Floats, weight: Floats) -> float:
    if family == "Poisson":
        return float(-weight @ (y * eta - mean_of(family, eta)))
    return float(weight @ (np.logaddexp(0.0, eta) - y * eta))


def _solved(matrix: Floats, right: Floats) -> Floats:
    scale = np.sqrt(np.maximum(matrix.diagonal(), 1e-300))
    scaled = matrix / np.outer(scale, scale)
    if not np.isfinite(scaled).all() or np.linalg.cond(scaled) > 1e13:
        raise FitError("columns are collinear, or the outcome is separated by them")
    return np.linalg.solve(scaled, right / scale) / scale


def robust_covariance(family: str, x: Floats, y: Floats, offset: Floats, beta: Floats) -> Floats:
    """Sandwich covariance of a regression (White 1980), without correction of degrees."""
    mean = mean_of(family, x @ beta + offset)
    bread = np.linalg.inv((x * weight_of(family, mean)[:, None]).T @ x)
    score = x * (y - mean)[:, None]
    return bread @ (score.T @ score) @ bread


def root(equations: Equations, start: Floats) -> Floats:
    """Where the column sums of estimating equations (n, p) vanish. Raises `FitError` where none is near."""
    from scipy.optimize import root as find

    found = find(lambda t: equations(t).mean(axis=0), start, method="hybr", options={"xtol": 1e-12})
    left = equations(found.x)
    noise = np.sqrt((left**2).mean(axis=0)) + 1e-300
    if not np.isfinite(found.x).all() or (np.abs(left.mean(axis=0)) > 1e-7 * noise).any():
        raise FitError("its equations have no root near the calibrated one: the error is too large for it")
    return found.x


def sandwich(equations: Equations, at: Floats) -> Floats:
    """Covariance of a root of estimating equations (Huber 1967), the Jacobian by central differences."""
    step = 1e-5 * np.maximum(np.abs(at), 1e-2)
    jacobian = np.empty((at.size, at.size))
    for i in range(at.size):
        up, down = at.copy(), at.copy()
        up[i] += step[i]
        down[i] -= step[i]
        jacobian[:, i] = (equations(up).sum(axis=0) - equations(down).sum(axis=0)) / (2 * step[i])
    each = equations(at)
    bread = np.linalg.inv(jacobian)
    return bread @ (each.T @ each) @ bread.T


__all__ = ["mean_of", "regress", "robust_covariance", "root", "sandwich", "weight_of"]
