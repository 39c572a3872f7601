"""Dirichlet(a): probabilities that sum to one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, xlogy

TOLERANCE = 1e-6
"""How far a vector of probabilities may be from summing to one: decimals in data are rounded."""


def on_simplex(f: Any, p: Any) -> Any:
    """Whether p has no negative entry and sums to one."""
    return f.equal(f.total(p < 0), 0) * (f.abs(f.total(p) - 1) <= TOLERANCE)


def log_density(f: Any, x: Any, a: Any) -> Any:
    a = a + 0 * x  # a scalar is repeated
    body = f.lgamma(f.total(a)) + f.total(xlogy(f, a - 1, x) - f.lgamma(a))
    return f.where(on_simplex(f, x) * f.equal(f.total(a > 0), f.size(a)), body, NEVER)


def log_gammas(rng: Any, a: Any, shape: tuple[int, ...]) -> Any:
    """Logarithms of standard gamma draws.

    Small shapes would underflow; G(a) = G(a + 1) U**(1/a) in logarithms does not.
    """
    return np.log(rng.standard_gamma(np.asarray(a) + 1.0, shape)) - rng.standard_exponential(shape) / a


def draw(rng: Any, a: Any, size: Any = None) -> Any:
    shape = np.shape(a) if size is None else tuple(np.atleast_1d(size))
    logs = log_gammas(rng, a, shape)
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def variance(f: Any, a: Any) -> Any:
    m = mean(f, a)
    return m * (1 - m) / (f.expand(f.total(a)) + 1)


def mean(f: Any, a: Any) -> Any:
    return a / f.expand(f.total(a))


FAMILY = Family(
    name="Dirichlet",
    parameters=(Argument("a", "positive", shape=1),),
    support=Support("simplex"),
    log_density=log_density,
    draw=draw,
    event=1,
    mean=mean,
    variance=variance,
    doc="Probabilities on the simplex with concentrations a; a scalar a is repeated.",
)
