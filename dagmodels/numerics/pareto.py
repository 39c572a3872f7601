"""How far importance weights can be trusted: the shape of their upper tail, and weights smoothed by it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_TAIL = 5
RELIABLE = 0.7  # above it means of weighted draws are not to be trusted, whatever their number


class Smoothed(NamedTuple):
    """Weights that sum to one, the shape k of their tail, and how many equal weights they are worth.

    k is -inf where all weights of the tail are equal, and nan where there are too few.
    """

    weight: Floats
    k: float
    effective: float


def smoothed(log_weight: Floats) -> Smoothed:
    """Pareto smoothed importance weights (Vehtari, Simpson, Gelman, Yao and Gabry 2024, J. Mach. Learn. Res.
    25(72)): the largest min(S/5, 3 sqrt(S)) become quantiles of a generalised Pareto law fitted to them."""
    size = log_weight.size
    weight = np.exp(log_weight - log_weight.max())
    tail = int(min(0.2 * size, 3.0 * math.sqrt(size)))
    k = math.nan
    if tail >= LEAST_TAIL:
        order = np.argsort(weight, kind="stable")
        upper = order[-tail:]
        threshold = weight[order[-tail - 1]]
        excess = weight[upper] - threshold
        if excess[-1] <= 1e-12:
            k = -math.inf
        else:
            k, sigma = pareto_fit(np.maximum(excess, 1e-300))
            p = (np.arange(tail) + 0.5) / tail
            rise = -np.log1p(-p) if abs(k) < 1e-12 else np.expm1(-k * np.log1p(-p)) / k
            weight[upper] = np.minimum(threshold + sigma * rise, 1.0)
    weight = weight / weight.sum()
    return Smoothed(weight, k, float(1.0 / (weight @ weight)))


def pareto_fit(x: Floats) -> tuple[float, float]:
    """Shape k and scale sigma of a generalised Pareto law for sorted excesses x > 0.

    The quasi-Bayesian estimate of Zhang and Stephens (2009, Technometrics 51, 316-325), with k of the other
    sign than theirs, drawn towards 0.5 as by 10 more observations (Vehtari et al. 2024, appendix).
    """
    n = x.size
    m = 30 + int(math.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(m) + 0.5))) / (3.0 * quartile)
    shape = np.log1p(-b[:, None] * x).mean(axis=1)
    likelihood = n * (np.log(-b / shape) - shape - 1.0)
    share = np.exp(likelihood - likelihood.max())
    best = float(share @ b / share.sum())
    k = float(np.log1p(-best * x).mean())
    sigma = -k / best
    return (n * k + 5.0) / (n + 10.0), sigma
