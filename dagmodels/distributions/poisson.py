"""Poisson(mu)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, count, xlogy


def log_density(f: Any, x: Any, mu: Any) -> Any:
    return f.where(count(f, x) * (mu >= 0), xlogy(f, x, mu) - mu - f.lgamma(x + 1), NEVER)


def log_cdf(f: Any, x: Any, mu: Any) -> Any:
    inside = f.log_gammaincc(f.floor(x) + 1, mu)
    return f.where(x >= 0, f.where(x < math.inf, inside, 0.0), NEVER)


def log_survival(f: Any, x: Any, mu: Any) -> Any:
    inside = f.log_gammainc(f.floor(x) + 1, mu)
    return f.where(x >= 0, f.where(x < math.inf, inside, NEVER), 0.0)


def draw(rng: Any, mu: Any, size: Any = None) -> Any:
    return rng.poisson(mu, size)


def mean_terms(f: Any, x: Any) -> Any:
    return x, 1.0, f.where(count(f, x), -f.lgamma(x + 1), NEVER)


FAMILY = Family(
    name="Poisson",
    parameters=(Argument("mu", "nonnegative"),),
    support=Support("integer", lower=0.0),
    log_density=log_density,
    draw=draw,
    discrete=True,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, mu: mu + 0.0,
    variance=lambda f, mu: mu + 0.0,
    conjugacies=(Conjugacy("mu", "gamma", mean_terms),),
    doc="Counts with mean mu.",
)
