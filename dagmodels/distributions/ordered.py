"""Ordered(D): independent values of D given that they increase along the last plate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dagmodels.distributions._family import Family, Support
from dagmodels.distributions._shared import NEVER
from dagmodels.errors import ModelError

_ROUNDS = 10_000


def ordered(inner: Family) -> Family:
    """The family of increasing vectors, with the parameters of `inner` (scalars or vectors of length k).

    Identically distributed entries are order statistics: the density is k! times the product on the
    cone.  Where parameters differ along the vector, k! is kept as the constant; the probability of
    being increasing has no closed form, and it is a constant only while those parameters are known.

    Raises `ModelError` for discrete families and families of vectors.
    """
    if inner.event or inner.discrete:
        raise ModelError(
            f"Ordered({inner.name}(...)) is not available", hint="order a univariate continuous family"
        )

    def log_density(f: Any, x: Any, *parameters: Any) -> Any:
        body = f.total(inner.log_density(f, x, *parameters)) + f.lgamma(f.size(x) + 1)
        return f.where(f.increasing(x), body, NEVER)

    def draw(rng: Any, *parameters: Any, size: Any = None) -> Any:
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters)) if size is None else tuple(size)
        if not shape:
            raise ModelError(f"Ordered({inner.name}(...)) needs the length of its vector to be drawn")
        return _draw(rng, inner, parameters, shape)

    return replace(
        inner,
        name=f"Ordered({inner.name})",
        support=Support("ordered"),
        log_density=log_density,
        draw=draw,
        event=1,
        signatures={},
        direct={},
        log_cdf=None,
        log_survival=None,
        mean=None,
        variance=None,
        doc=f"{inner.name} values, increasing.",
    )


def _draw(rng: Any, inner: Family, parameters: Any, shape: tuple[int, ...]) -> Any:
    """Sorting where the entries are exchangeable, else rejection of vectors that do not increase."""
    full = [np.broadcast_to(np.asarray(p, dtype=float), shape) for p in parameters]
    if all(np.array_equal(p, np.broadcast_to(p[..., :1], shape)) for p in full):
        return np.sort(inner.draw(rng, *parameters, size=shape), axis=-1)
    flat = [p.reshape(-1, shape[-1]) for p in full]
    out = np.full((int(np.prod(shape[:-1], dtype=int)), shape[-1]), np.nan)
    waiting = np.arange(out.shape[0])
    for _ in range(_ROUNDS):
        proposal = inner.draw(rng, *(p[waiting] for p in flat), size=(waiting.size, shape[-1]))
        kept = np.all(np.diff(proposal, axis=-1) > 0, axis=-1)
        out[waiting[kept]] = proposal[kept]
        waiting = waiting[~kept]
        if not waiting.size:
            return out.reshape(shape)
    raise ModelError(
        f"Ordered({inner.name}(...)): no increasing vector in {_ROUNDS} draws",
        hint="its parameters contradict the order",
    )
