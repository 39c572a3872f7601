"""Draws from a piece of a univariate law, exact to the last digit, by inverting its tail functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Family
from dagmodels.distributions._numeric import quietly

_DOUBLINGS = 1100  # from the smallest step to the largest double
_HALVINGS = 1100  # ends sooner, when the bracket is two neighbouring doubles


def draw_between(rng: Any, inner: Family, parameters: tuple[Any, ...], lower: Any, upper: Any) -> Any:
    """One draw for each element from the law of `inner` between its limits (closed).

    Parameters
    ----------
    parameters, lower, upper : arrays of one shape; limits may be infinite.

    The tail on whose side the interval lies is inverted in logarithms, so that an interval far out
    keeps its digits; bisection goes on until the bracket cannot be split.
    """
    below = np.ceil(lower) - 1.0 if inner.discrete else lower  # P(X > below) = P(X >= lower)
    right = quietly(inner.log_cdf, below, *parameters) > quietly(inner.log_survival, below, *parameters)
    share = rng.random(lower.shape)
    with np.errstate(all="ignore"):
        out = np.empty(lower.shape)
        for tail, where in ((inner.log_survival, right), (inner.log_cdf, ~right)):
            if np.any(where):
                own = tuple(p[where] for p in parameters)
                out[where] = _invert(
                    tail, inner, own, below[where], lower[where], upper[where], share[where],
                    decreasing=tail is inner.log_survival,
                )  # fmt: skip
    return out


def _invert(
    tail: Any,
    inner: Family,
    parameters: Any,
    below: Any,
    lower: Any,
    upper: Any,
    share: Any,
    *,
    decreasing: bool,
) -> Any:
    at_lower, at_upper = quietly(tail, below, *parameters), quietly(tail, upper, *parameters)
    target = np.logaddexp(np.log(share) + at_lower, np.log1p(-share) + at_upper)
    low, high = _bracket(tail, parameters, lower, upper, target, decreasing)
    return _bisect(tail, inner.discrete, parameters, low, high, target, decreasing)


def _beyond(tail: Any, x: Any, parameters: Any, target: Any, decreasing: bool) -> Any:
    """Whether x lies at or to the right of the quantile."""
    t = quietly(tail, x, *parameters)
    return t <= target if decreasing else t >= target


def _bracket(
    tail: Any, parameters: Any, lower: Any, upper: Any, target: Any, decreasing: bool
) -> tuple[Any, Any]:
    """Finite ends on either side of the quantile, by steps that double."""
    start = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
    low, high = (
        np.where(np.isfinite(lower), lower, start - 1.0),
        np.where(np.isfinite(upper), upper, start + 1.0),
    )
    step = np.ones_like(low)
    for _ in range(_DOUBLINGS):
        short = ~np.isfinite(upper) & ~_beyond(tail, high, parameters, target, decreasing)
        long = ~np.isfinite(lower) & _beyond(tail, low, parameters, target, decreasing)
        if not np.any(short | long):
            break
        step = 2 * step
        high = np.where(short, high + step, high)
        low = np.where(long, low - step, low)
    return low, high


def _bisect(
    tail: Any, discrete: bool, parameters: Any, low: Any, high: Any, target: Any, decreasing: bool
) -> Any:
    """The smallest x (integer if discrete) at or to the right of the quantile."""
    if discrete:
        low, high = np.ceil(low) - 1.0, np.floor(high)
    for _ in range(_HALVINGS):
        middle = np.floor(0.5 * low + 0.5 * high) if discrete else 0.5 * low + 0.5 * high
        open_ = (middle > low) & (middle < high)
        if not np.any(open_):
            break
        beyond = _beyond(tail, middle, parameters, target, decreasing)
        high = np.where(open_ & beyond, middle, high)
        low = np.where(open_ & ~beyond, middle, low)
    return high
