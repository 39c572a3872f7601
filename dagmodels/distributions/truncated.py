"""Truncated(D, lower=, upper=): the law of D given that it lies between closed limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._quantile import draw_between
from dagmodels.distributions._shared import NEVER, log_diff_exp
from dagmodels.errors import ModelError

_ROUNDS = 20


def truncated(inner: Family) -> Family:
    """The truncated family: parameters of `inner`, then `lower` and `upper` (infinite when left out).

    Its log density is that of `inner` minus the log probability of the interval, taken from the tail
    on whose side the interval lies.  Draws are exact: rejection, and where that has failed twenty
    times, inversion of the tail.

    Raises `ModelError` for a family without distribution function or of vectors.
    """
    if inner.log_cdf is None or inner.log_survival is None or inner.event:
        raise ModelError(
            f"Truncated({inner.name}(...)) is not available: its distribution function is not known",
            hint="truncate a univariate family with a closed distribution function",
        )

    def log_density(f: Any, x: Any, *arguments: Any) -> Any:
        *parameters, lower, upper = arguments
        inside = (x >= lower) * (x <= upper)
        body = inner.log_density(f, x, *parameters) - log_probability(f, inner, parameters, lower, upper)
        return f.where(inside, body, NEVER)

    def log_cdf(f: Any, x: Any, *arguments: Any) -> Any:
        *parameters, lower, upper = arguments
        part = log_probability(f, inner, parameters, lower, f.min(x, upper))
        whole = log_probability(f, inner, parameters, lower, upper)
        return f.where(x < lower, NEVER, f.where(x < upper, part - whole, 0.0))

    def log_survival(f: Any, x: Any, *arguments: Any) -> Any:
        *parameters, lower, upper = arguments
        after = f.floor(x) + 1 if inner.discrete else x
        part = log_probability(f, inner, parameters, f.max(after, lower), upper)
        whole = log_probability(f, inner, parameters, lower, upper)
        return f.where(x < lower, 0.0, f.where(x < upper, part - whole, NEVER))

    def draw(rng: Any, *arguments: Any, size: Any = None) -> Any:
        *parameters, lower, upper = arguments
        return _draw(rng, inner, parameters, lower, upper, size)

    return replace(
        inner,
        name=f"Truncated({inner.name})",
        parameters=(
            *inner.parameters,
            Argument("lower", default=-math.inf),
            Argument("upper", default=math.inf),
        ),
        support=_support(inner),
        log_density=log_density,
        draw=draw,
        signatures={},
        direct={},
        alternatives=inner.alternatives,
        log_cdf=log_cdf,
        log_survival=log_survival,
        mean=None,
        variance=None,
        doc=f"{inner.name} between lower and upper.",
    )


def log_probability(f: Any, inner: Family, parameters: Any, lower: Any, upper: Any) -> Any:
    """log P(lower <= X <= upper) of a univariate family.

    Infinite limits have cases of their own: there the general ones have the right value, but
    derivatives of the form 0 times infinity.
    """
    below = -f.floor(-lower) - 1 if inner.discrete else lower  # the integer before the limit
    left, right = inner.log_cdf(f, below, *parameters), inner.log_survival(f, below, *parameters)
    to_upper = inner.log_cdf(f, upper, *parameters)
    from_right = log_diff_exp(f, right, inner.log_survival(f, upper, *parameters))
    inner_part = f.where(left > right, from_right, log_diff_exp(f, to_upper, left))
    bounded_above = f.where(f.equal(lower, -math.inf), to_upper, inner_part)
    bounded_below = f.where(f.equal(lower, -math.inf), 0.0, right)
    return f.where(f.equal(upper, math.inf), bounded_below, bounded_above)


def _support(inner: Family) -> Support:
    """The inner support cut by the limits; each bound a formula of (f, *parameters)."""

    def end(side: str, own: Any) -> Any:
        def bound(f: Any, *arguments: Any) -> Any:
            *parameters, lower, upper = arguments
            value = own(f, *parameters) if callable(own) else own
            limit = lower if side == "lower" else upper
            if value is None or (isinstance(value, float) and math.isinf(value)):
                return limit
            return f.max(limit, value) if side == "lower" else f.min(limit, value)

        return bound

    kind = "interval" if inner.support.kind == "real" else inner.support.kind
    return Support(kind, end("lower", inner.support.lower), end("upper", inner.support.upper))


def _draw(rng: Any, inner: Family, parameters: Any, lower: Any, upper: Any, size: Any) -> Any:
    vectors = tuple(a.shape for a in inner.parameters)
    if any(vectors):
        raise ModelError(f"Truncated({inner.name}(...)) cannot be drawn: its parameters are vectors")
    arrays = (*parameters, lower, upper)
    shape = (
        np.broadcast_shapes(*(np.shape(a) for a in arrays)) if size is None else tuple(np.atleast_1d(size))
    )
    *parameters, lower, upper = (np.broadcast_to(np.asarray(a, dtype=float), shape).ravel() for a in arrays)
    out = np.full(lower.shape, np.nan)
    waiting = np.arange(out.size)
    for _ in range(_ROUNDS):
        if not waiting.size:
            break
        proposal = inner.draw(rng, *(p[waiting] for p in parameters), size=waiting.shape)
        accepted = (proposal >= lower[waiting]) & (proposal <= upper[waiting])
        out[waiting[accepted]] = proposal[accepted]
        waiting = waiting[~accepted]
    if waiting.size:
        own = tuple(p[waiting] for p in parameters)
        out[waiting] = draw_between(rng, inner, own, lower[waiting], upper[waiting])
    out = out.astype(np.int64) if inner.discrete else out
    return out.reshape(shape)
