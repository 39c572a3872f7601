"""Is a value where it may be? Arguments of distributions, parameters, and values given for nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import Support, _numeric

TOLERANCE = 1e-6
"""How far probabilities may be from summing to one, and a correlation matrix from ones on its diagonal."""

NEGATIVE = 1e-8
"""Eigenvalues below minus this times the largest make a matrix no covariance; above it is rounding."""

Floats = NDArray[np.float64]


def outside(values: Floats, domain: str, shape: int = 0) -> tuple[NDArray[np.bool_], str]:
    """Which values break the rules of a domain, and the rule in words.

    Parameters
    ----------
    values : first axis the rows, then the axes of one value.
    domain : of `distributions.Argument`, or "interval" rules through `beyond`.
    shape : axes of one value (0, 1 or 2).

    Returns
    -------
    One truth value a row.
    """
    axes = tuple(range(1, values.ndim))
    broken = ~np.all(np.isfinite(values), axis=axes)
    rule = "must be a finite number"
    with np.errstate(invalid="ignore"):
        wrong, words = _rule(values, domain, shape)
    if wrong is not None and not broken.any():
        return (wrong if wrong.ndim == 1 else np.any(wrong, axis=axes)), words
    return broken, rule


def _rule(x: Floats, domain: str, shape: int) -> tuple[NDArray[np.bool_] | None, str]:
    match domain:
        case "scale":
            return x < 0, "must not be negative"
        case "positive":
            return ~(x > 0), "must be greater than 0"
        case "nonnegative":
            return x < 0, "must not be negative"
        case "probability":
            return (x < 0) | (x > 1), "must lie between 0 and 1"
        case "count":
            return (x < 0) | (x != np.floor(x)), "must be one of 0, 1, 2, ..."
        case "simplex" if shape:
            off = np.abs(x.sum(axis=-1) - 1) > TOLERANCE
            return np.any(x < 0, axis=-1) | off, "must hold probabilities that sum to 1"
        case "ordered" if shape:
            return np.any(np.diff(x, axis=-1) <= 0, axis=-1), "must increase"
        case "covariance" if shape == 2:
            return _not_covariance(x), "must be symmetric without negative eigenvalues"
        case "correlation" if shape == 2:
            ones = np.any(np.abs(np.diagonal(x, axis1=-2, axis2=-1) - 1) > TOLERANCE, axis=-1)
            return ones | _not_covariance(x), "must be a correlation matrix"
        case _:
            return None, ""


def _not_covariance(x: Floats) -> NDArray[np.bool_]:
    scale = np.max(np.abs(x), axis=(-2, -1))
    skew = np.max(np.abs(x - np.swapaxes(x, -1, -2)), axis=(-2, -1)) > 1e-8 * scale
    if not skew.any():
        try:
            np.linalg.cholesky(x)
        except np.linalg.LinAlgError:
            pass  # singular or worse: the eigenvalues tell
        else:
            return skew
    finite = np.where(np.isfinite(x), x, 0.0)
    return skew | (np.linalg.eigvalsh(finite)[..., 0] < -NEGATIVE * scale)


def beyond(values: Floats, support: Support, parameters: Any, event: int) -> tuple[NDArray[np.bool_], str]:
    """Which values lie outside a support, and the rule in words.

    parameters : the family's, by row, on which bounds may depend.
    """
    if support.kind in ("simplex", "ordered", "covariance", "correlation"):
        return outside(values, support.kind, event)
    broken, rule = outside(values, "real", event)
    if broken.any():
        return broken, rule
    axes = tuple(range(1, values.ndim))
    if support.kind in ("integer", "category"):
        fraction = np.any(values != np.floor(values), axis=axes)
        if fraction.any():
            return fraction, "must be a whole number"
    low, high = (_bound(b, parameters) for b in (support.lower, support.upper))
    wrong = np.any((values < low) | (values > high), axis=axes)
    return wrong, f"must lie between {_shown(low)} and {_shown(high)}"


def _bound(bound: Any, parameters: Any) -> Any:
    if bound is None:
        return np.nan  # compares as false: no bound
    return _numeric.quietly(bound, *parameters) if callable(bound) else float(bound)


def _shown(bound: Any) -> str:
    if np.size(bound) != 1:
        return "its bound"
    number = float(np.reshape(bound, -1)[0])
    return "infinity" if not np.isfinite(number) else f"{number:g}"
