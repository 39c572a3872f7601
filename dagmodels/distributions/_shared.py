"""Pieces of formulas that several families share, and the sizes of draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NEVER = -math.inf
"""Log density outside the support and for invalid parameters."""

LOG_2 = math.log(2)
LOG_PI = math.log(math.pi)
LOG_2PI = math.log(2 * math.pi)
UNDEFINED = math.nan
"""A moment that does not exist."""


def xlogy(f: Any, a: Any, x: Any) -> Any:
    """a log x, with 0 log 0 = 0."""
    return f.where(f.equal(a, 0) * f.equal(x, 0), 0.0, a * f.log(x))


def xlog1py(f: Any, a: Any, x: Any) -> Any:
    """a log(1 + x), with 0 log 0 = 0."""
    return f.where(f.equal(a, 0) * f.equal(x, -1), 0.0, a * f.log1p(x))


def count(f: Any, x: Any) -> Any:
    """Whether x is one of 0, 1, 2, ..."""
    return (x >= 0) * (x < math.inf) * f.equal(x, f.floor(x))


def log1mexp(f: Any, d: Any) -> Any:
    """log(1 - exp(-d)) for d >= 0, minus infinity at 0.

    Two forms, each accurate on its side of log 2 (Maechler 2012, "Accurately computing log(1 - exp(-|a|))").
    """
    return f.where(d < LOG_2, f.log(-f.expm1(-d)), f.log1p(-f.exp(-d)))


def log_diff_exp(f: Any, a: Any, b: Any) -> Any:
    """log(exp(a) - exp(b)) for a >= b; b may be minus infinity."""
    return f.where(f.equal(b, NEVER), a, f.where(a > b, a + log1mexp(f, a - b), NEVER))


def log_add_exp(f: Any, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)); either or both may be minus infinity."""
    total = f.where(a > b, a + f.softplus(b - a), b + f.softplus(a - b))  # smooth where they are equal
    return f.where(f.equal(f.max(a, b), NEVER), NEVER, total)


def log_choose(f: Any, n: Any, k: Any) -> Any:
    """Logarithm of the binomial coefficient, without the cancellation of three log gammas."""
    return -f.log(n + 1) - f.lbeta(n - k + 1, k + 1)


def batch(size: tuple[int, ...] | int | None, *parameters: Any) -> tuple[int, ...]:
    """Shape of a draw of scalars: `size`, or what the parameters broadcast to."""
    if size is None:
        return np.broadcast_shapes(*(np.shape(p) for p in parameters))
    return (size,) if isinstance(size, int) else tuple(size)


def event_batch(
    size: tuple[int, ...] | int | None, event: int, *parameters: tuple[Any, int]
) -> tuple[int, ...]:
    """Shape of a draw of vectors (event 1) or matrices (event 2) without the axes of one event.

    parameters : each with the number of its own trailing axes.
    """
    if size is None:
        shapes = (np.shape(p)[: np.ndim(p) - own] for p, own in parameters)
        return np.broadcast_shapes(*shapes)
    full = (size,) if isinstance(size, int) else tuple(size)
    return full[: len(full) - event]
