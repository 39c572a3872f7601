"""Residuals of a mixed model: response, Pearson, deviance, scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.expected import Law

Floats = NDArray[np.float64]
TYPES = ("response", "pearson", "deviance", "scaled", "normalized")


def unit_variance(family: str, mean: Floats, spread: Any) -> Any:
    """The family's variance function, without its dispersion (McCullagh and Nelder 1989, table 2.1).

    None for families that are no exponential dispersion models.
    """
    match family:
        case "binomial":
            return mean * (1 - mean)
        case "poisson":
            return mean
        case "negative.binomial":
            return mean + mean**2 / spread
        case "Gamma":
            return mean**2
        case "inverse.gaussian":
            return mean**3
        case "gaussian":
            return 1.0
        case _:
            return None


def unit_deviance(family: str, y: Floats, mean: Floats, spread: Any) -> Floats:
    """Twice the log likelihood ratio of a saturated mean, for weight and dispersion one."""
    from scipy.special import xlogy

    match family:
        case "binomial":
            return 2 * (xlogy(y, y / mean) + xlogy(1 - y, (1 - y) / (1 - mean)))
        case "poisson":
            return 2 * (xlogy(y, y / mean) - (y - mean))
        case "negative.binomial" if np.any(np.isinf(spread)):
            return unit_deviance("poisson", y, mean, 1.0)
        case "negative.binomial":
            return 2 * (xlogy(y, y / mean) - (y + spread) * np.log((y + spread) / (mean + spread)))
        case "Gamma":
            return 2 * ((y - mean) / mean - np.log(y / mean))
        case "inverse.gaussian":
            return (y - mean) ** 2 / (y * mean**2)
        case "gaussian":
            return (y - mean) ** 2
    hint = "'pearson' and 'scaled' divide by the standard deviation of the family's law"
    raise_all([ModelError(f"the {family} family has no deviance residuals", hint=hint)], "residuals")
    raise AssertionError("unreachable")


def residual(kind: str, law: Law, y: Floats) -> Floats:
    """One of `TYPES`; NaN where y is."""
    left = y - law.expected()
    family, mean, spread = law.family, law.mean, law.spread
    inflated = law.truncated or np.any(np.asarray(law.positive) < 1)
    # missing responses stay nan; rows predicted without error have no scaled residual
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        match kind:
            case "pearson":
                unit = None if inflated else unit_variance(family, mean, spread)
                squared = law.variance() if unit is None else unit / law.weights
                return left / np.sqrt(squared)
            case "deviance":
                known = f"zero-inflated {family}" if inflated and not law.truncated else family
                squared = law.weights * unit_deviance(known, y, mean, spread)
                return np.sign(left) * np.sqrt(np.maximum(squared, 0.0))
            case "scaled":
                return left / np.sqrt(law.variance())
            case _:
                return left
