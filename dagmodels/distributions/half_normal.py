"""HalfNormal(sigma): the absolute value of a Normal(0, sigma)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import LOG_2, LOG_2PI, NEVER


def log_density(f: Any, x: Any, sigma: Any) -> Any:
    body = LOG_2 - 0.5 * LOG_2PI - f.log(sigma) - 0.5 * (x / sigma) ** 2
    return f.where((x >= 0) * (sigma > 0), body, NEVER)


def log_survival(f: Any, x: Any, sigma: Any) -> Any:
    return f.where(x > 0, LOG_2 + f.log_Phi(-x / sigma), 0.0)


def log_cdf(f: Any, x: Any, sigma: Any) -> Any:
    # P(|Z| < z) = P(chi2_1 < z**2), which keeps its digits near zero
    return f.where(x > 0, f.log_gammainc(0.5, 0.5 * (x / sigma) ** 2), NEVER)


def draw(rng: Any, sigma: Any, size: Any = None) -> Any:
    return abs(rng.normal(0.0, sigma, size))


def precision_terms(f: Any, x: Any) -> Any:
    return 0.5, 0.5 * x**2, f.where(x >= 0, 0.5 * math.log(2 / math.pi), NEVER)


FAMILY = Family(
    name="HalfNormal",
    parameters=(Argument("sigma", "positive"),),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    alternatives={"tau": ("sigma", lambda f, tau: 1 / f.sqrt(tau))},
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, sigma: sigma * math.sqrt(2 / math.pi),
    variance=lambda f, sigma: sigma**2 * (1 - 2 / math.pi),
    conjugacies=(Conjugacy("sigma", "gamma", precision_terms, power=-2.0),),
    doc="Normal(0, sigma) folded at zero.",
)
