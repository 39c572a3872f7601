"""Residuals of a mixed model: response, Pearson, deviance, scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TYPES = ("response", "pearson", "deviance", "scaled", "normalized")


def variance(family: str, mean: Floats, spread: Any) -> Any:
    """Variance of a response of weight one; `spread` is the family's parameter."""
    match family:
        case "Gamma":
            return mean**2 / spread
        case "gaussian":
            return spread**2
        case _:
            return unit_variance(family, mean, spread)


def unit_variance(family: str, mean: Floats, spread: float) -> Any:
    """The family's variance function, without its dispersion (McCullagh and Nelder 1989, table 2.1)."""
    match family:
        case "binomial":
            return mean * (1 - mean)
        case "poisson":
            return mean
        case "negative.binomial":
            return mean + mean**2 / spread
        case "Gamma":
            return mean**2
        case _:
            return 1.0


def unit_deviance(family: str, y: Floats, mean: Floats, spread: float) -> Floats:
    """Twice the log likelihood ratio of a saturated mean, for weight and dispersion one."""
    from scipy.special import xlogy

    match family:
        case "binomial":
            return 2 * (xlogy(y, y / mean) + xlogy(1 - y, (1 - y) / (1 - mean)))
        case "poisson":
            return 2 * (xlogy(y, y / mean) - (y - mean))
        case "negative.binomial":
            return 2 * (xlogy(y, y / mean) - (y + spread) * np.log((y + spread) / (mean + spread)))
        case "Gamma":
            return 2 * ((y - mean) / mean - np.log(y / mean))
        case _:
            return (y - mean) ** 2


def residual(kind: str, family: str, y: Floats, mean: Floats, weights: Any, spread: Any) -> Floats:
    """One of `TYPES`; NaN where y is."""
    left = y - mean
    # missing responses stay nan; rows predicted without error have no scaled residual
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        match kind:
            case "pearson":
                return left * np.sqrt(weights / unit_variance(family, mean, spread))
            case "deviance":
                squared = weights * unit_deviance(family, y, mean, spread)
                return np.sign(left) * np.sqrt(np.maximum(squared, 0.0))
            case "scaled":
                return left / np.sqrt(variance(family, mean, spread) / weights)
            case _:
                return left
