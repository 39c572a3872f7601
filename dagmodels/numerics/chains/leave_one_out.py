"""Expected log predictive densities from pointwise log likelihoods of draws: by leaving one out, and WAIC."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.pareto import LEAST_TAIL, pareto_fit

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Pointwise:
    """One number an observation.

    elpd : expected log density of the observation when it is predicted from all others.
    p : effective number of parameters: how much more the fit knows of it.
    k : shape of the tail of the weights; nan where no tail was fitted (WAIC).
    """

    elpd: Floats
    p: Floats
    k: Floats


def reliable(draws: int) -> float:
    """Largest tail shape with which means of weighted draws are to be trusted: min(1 - 1/log10 S, 0.7)
    (Vehtari, Simpson, Gelman, Yao and Gabry 2024, J. Mach. Learn. Res. 25(72), section 3)."""
    return min(1.0 - 1.0 / math.log10(draws), 0.7) if draws > 10 else -math.inf


def leave_one_out(log_likelihood: Floats, efficiency: float | Floats = 1.0) -> Pointwise:
    """Pareto smoothed importance sampling with weights 1/p(y_i | draw) (Vehtari, Gelman and Gabry 2017,
    Statistics and Computing 27, 1413-1432, equations 8 to 10).

    Parameters
    ----------
    log_likelihood : (draws of all chains, observations).
    efficiency : effective draws over draws, of all or by observation; below 1 it lengthens the tail.
    """
    draws, count = log_likelihood.shape
    share = np.broadcast_to(np.asarray(efficiency, dtype=np.float64), count)
    elpd, k = np.empty(count), np.empty(count)
    for i in range(count):
        own = np.ascontiguousarray(log_likelihood[:, i])
        if not np.isfinite(own).all():  # 1/p is infinite, and its mean too; or nan
            elpd[i], k[i] = own.min(), math.inf
            continue
        weight, k[i] = smoothed_log(-own, float(share[i]))
        elpd[i] = _log_sum(weight + own)
    lppd = _log_sum(log_likelihood) - math.log(draws)
    return Pointwise(elpd, lppd - elpd, k)


def waic(log_likelihood: Floats) -> Pointwise:
    """The widely applicable information criterion on the log scale: lppd minus the variance of the log
    likelihood over draws (Watanabe 2010, J. Mach. Learn. Res. 11, 3571-3594; Vehtari et al. 2017)."""
    draws, count = log_likelihood.shape
    lppd = _log_sum(log_likelihood) - math.log(draws)
    with np.errstate(invalid="ignore"):
        p = log_likelihood.var(axis=0, ddof=0)
    return Pointwise(lppd - p, p, np.full(count, np.nan))


def smoothed_log(log_weight: Floats, efficiency: float = 1.0) -> tuple[Floats, float]:
    """Log weights that sum to one on the natural scale, their tail smoothed, and its shape k.

    The largest S/5 weights, or floor(3 sqrt(S/efficiency)) of many, become quantiles of a generalised Pareto
    law fitted to them, and none exceeds the largest. k is inf (and nothing is smoothed) where the largest are
    all equal or fewer than five.
    """
    weight = log_weight - np.max(log_weight)
    size = weight.size
    tail = int(3.0 * math.sqrt(size / efficiency)) if size * efficiency > 225 else size // 5
    k = math.inf
    if LEAST_TAIL <= tail < size:
        order = np.argsort(weight, kind="stable")
        upper = order[-tail:]
        largest, cut = weight[upper[-1]], math.exp(weight[order[-tail - 1]])
        if largest - weight[upper[0]] > np.finfo(float).tiny:
            k, sigma = pareto_fit(np.maximum(np.exp(weight[upper]) - cut, 1e-300))
            if math.isfinite(k):
                p = (np.arange(tail) + 0.5) / tail
                rise = -np.log1p(-p) if k == 0 else np.expm1(-k * np.log1p(-p)) / k
                weight[upper] = np.minimum(np.log(cut + sigma * rise), largest)
    return weight - _log_sum(weight), k


def _log_sum(x: Floats) -> Floats:
    """log of the sum of exponentials along the first axis."""
    top = x.max(axis=0)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - safe).sum(axis=0)) + safe
