"""Laplace(mu, b): double exponential."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER


def log_density(f: Any, x: Any, mu: Any, b: Any) -> Any:
    return f.where(b > 0, -f.abs(x - mu) / b - f.log(b) - LOG_2, NEVER)


def log_cdf(f: Any, x: Any, mu: Any, b: Any) -> Any:
    z = (x - mu) / b
    return f.where(z <= 0, z - LOG_2, f.log1p(-0.5 * f.exp(-z)))


def log_survival(f: Any, x: Any, mu: Any, b: Any) -> Any:
    return log_cdf(f, mu, x, b)


def draw(rng: Any, mu: Any, b: Any, size: Any = None) -> Any:
    return rng.laplace(mu, b, size)


def rate_terms(f: Any, x: Any, mu: Any) -> Any:
    return 1.0, f.abs(x - mu), -LOG_2


FAMILY = Family(
    name="Laplace",
    parameters=(Argument("mu"), Argument("b", "positive")),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, mu, b: mu + 0 * b,
    variance=lambda f, mu, b: 2 * b**2 + 0 * mu,
    conjugacies=(Conjugacy("b", "gamma", rate_terms, power=-1.0),),
    doc="Double exponential with mean mu and scale b.",
)
