"""Multinomial(n, p): counts of n independent categorical draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, count, event_batch, xlogy
from dagmodels.distributions.dirichlet import on_simplex


def log_density(f: Any, x: Any, n: Any, p: Any) -> Any:
    body = f.lgamma(n + 1) + f.total(xlogy(f, x, p) - f.lgamma(x + 1))
    counts = f.equal(f.total(count(f, x)), f.size(x)) * f.equal(f.total(x), n)
    return f.where(counts * count(f, n) * on_simplex(f, p), body, NEVER)


def draw(rng: Any, n: Any, p: Any, size: Any = None) -> Any:
    p = np.asarray(p, dtype=float)
    shape = event_batch(size, 1, (n, 0), (p, 1))
    # numpy refuses probabilities that sum to more than 1 by a rounding error
    return rng.multinomial(np.asarray(n).astype(np.int64), p / p.sum(axis=-1, keepdims=True), shape)


FAMILY = Family(
    name="Multinomial",
    parameters=(Argument("n", "count"), Argument("p", "simplex", shape=1)),
    support=Support("integer", lower=0.0, upper=lambda f, n, p: f.expand(n)),
    log_density=log_density,
    draw=draw,
    event=1,
    discrete=True,
    mean=lambda f, n, p: f.expand(n) * p,
    variance=lambda f, n, p: f.expand(n) * p * (1 - p),
    doc="Counts by category among n independent draws with probabilities p.",
)
