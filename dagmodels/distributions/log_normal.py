"""LogNormal(mu, sigma), or tau = 1/sigma**2: the exponential of a Normal(mu, sigma)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import LOG_2PI, NEVER


def log_density(f: Any, x: Any, mu: Any, sigma: Any) -> Any:
    z = (f.log(x) - mu) / sigma
    body = -0.5 * z**2 - f.log(sigma) - f.log(x) - 0.5 * LOG_2PI
    return f.where((x > 0) * (x < math.inf) * (sigma > 0), body, NEVER)


def draw(rng: Any, mu: Any, sigma: Any, size: Any = None) -> Any:
    return rng.lognormal(mu, sigma, size)


def precision_terms(f: Any, x: Any, mu: Any) -> Any:
    y = f.log(x)
    return 0.5, 0.5 * (y - mu) ** 2, f.where(x > 0, -y - 0.5 * LOG_2PI, NEVER)


FAMILY = Family(
    name="LogNormal",
    parameters=(Argument("mu"), Argument("sigma", "positive")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    alternatives={"tau": ("sigma", lambda f, tau: 1 / f.sqrt(tau))},
    log_cdf=lambda f, x, mu, sigma: f.where(x > 0, f.log_Phi((f.log(x) - mu) / sigma), NEVER),
    log_survival=lambda f, x, mu, sigma: f.where(x > 0, f.log_Phi((mu - f.log(x)) / sigma), 0.0),
    mean=lambda f, mu, sigma: f.exp(mu + 0.5 * sigma**2),
    variance=lambda f, mu, sigma: f.expm1(sigma**2) * f.exp(2 * mu + sigma**2),
    conjugacies=(Conjugacy("sigma", "gamma", precision_terms, power=-2.0),),
    doc="Exponential of a Normal with mean mu and standard deviation sigma.",
)
