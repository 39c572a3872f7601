"""Weibull(alpha, beta): shape and scale."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, batch, log1mexp, xlogy


def log_density(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    z = x / beta
    body = f.log(alpha) - f.log(beta) + xlogy(f, alpha - 1, z) - z**alpha
    return f.where((x >= 0) * (x < math.inf) * (alpha > 0) * (beta > 0), body, NEVER)


def draw(rng: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    return beta * rng.standard_exponential(batch(size, alpha, beta)) ** (1 / alpha)


def mean(f: Any, alpha: Any, beta: Any) -> Any:
    return beta * f.exp(f.lgamma(1 + 1 / alpha))


def variance(f: Any, alpha: Any, beta: Any) -> Any:
    return beta**2 * f.exp(f.lgamma(1 + 2 / alpha)) - mean(f, alpha, beta) ** 2


def rate_terms(f: Any, x: Any, alpha: Any) -> Any:
    return 1.0, x**alpha, f.where(x >= 0, f.log(alpha) + xlogy(f, alpha - 1, x), NEVER)


FAMILY = Family(
    name="Weibull",
    parameters=(Argument("alpha", "positive"), Argument("beta", "positive")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    log_cdf=lambda f, x, alpha, beta: f.where(x > 0, log1mexp(f, (x / beta) ** alpha), NEVER),
    log_survival=lambda f, x, alpha, beta: f.where(x > 0, -((x / beta) ** alpha), 0.0),
    mean=mean,
    variance=variance,
    conjugacies=(Conjugacy("beta", "gamma", rate_terms, power=-1.0, times="alpha"),),
    doc="Weibull with shape alpha and scale beta.",
)
