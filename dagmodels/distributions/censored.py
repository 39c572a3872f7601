"""Censored(D, lower=, upper=): a value at or beyond a limit says only that D lies there or beyond."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family
from dagmodels.errors import ModelError


def censored(inner: Family) -> Family:
    """The censored family: parameters of `inner`, then `lower` and `upper` (infinite when left out).

    Its log density is a tail probability at or beyond a limit, a density between; a draw beyond a
    limit is recorded as the limit.

    Raises `ModelError` for a family without distribution function or of vectors.
    """
    if inner.log_cdf is None or inner.log_survival is None or inner.event:
        raise ModelError(
            f"Censored({inner.name}(...)) is not available: its distribution function is not known",
            hint="censor a univariate family with a closed distribution function",
        )

    def log_density(f: Any, x: Any, *arguments: Any) -> Any:
        *parameters, lower, upper = arguments
        # P(X >= upper): for counts the survival function of the integer before
        before = -f.floor(-upper) - 1 if inner.discrete else upper
        above = inner.log_survival(f, before, *parameters)
        below = inner.log_cdf(f, lower, *parameters)
        between = inner.log_density(f, x, *parameters)
        return f.where(x >= upper, above, f.where(x <= lower, below, between))

    def draw(rng: Any, *arguments: Any, size: Any = None) -> Any:
        *parameters, lower, upper = arguments
        if size is None:
            vectors = [
                np.shape(p)[: np.ndim(p) - a.shape] for p, a in zip(parameters, inner.parameters, strict=True)
            ]
            size = np.broadcast_shapes(*vectors, np.shape(lower), np.shape(upper))
        return np.clip(inner.draw(rng, *parameters, size=size), lower, upper)

    return replace(
        inner,
        name=f"Censored({inner.name})",
        parameters=(
            *inner.parameters,
            Argument("lower", default=-math.inf),
            Argument("upper", default=math.inf),
        ),
        log_density=log_density,
        draw=draw,
        signatures={},
        direct={},
        log_cdf=None,
        log_survival=None,
        mean=None,
        variance=None,
        doc=f"{inner.name} observed between lower and upper, beyond which only the side is known.",
    )
