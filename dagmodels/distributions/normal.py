"""Normal(mu, sigma), or tau = 1/sigma**2."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import LOG_2PI, NEVER


def log_density(f: Any, x: Any, mu: Any, sigma: Any) -> Any:
    z = (x - mu) / sigma
    return f.where(sigma > 0, -0.5 * z**2 - f.log(sigma) - 0.5 * LOG_2PI, NEVER)


def log_density_tau(f: Any, x: Any, mu: Any, tau: Any) -> Any:
    return f.where(tau > 0, -0.5 * tau * (x - mu) ** 2 + 0.5 * f.log(tau) - 0.5 * LOG_2PI, NEVER)


def draw(rng: Any, mu: Any, sigma: Any, size: Any = None) -> Any:
    return rng.normal(mu, sigma, size)


def precision_terms(f: Any, x: Any, mu: Any) -> Any:
    return 0.5, 0.5 * (x - mu) ** 2, -0.5 * LOG_2PI


FAMILY = Family(
    name="Normal",
    parameters=(Argument("mu"), Argument("sigma", "positive")),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    alternatives={"tau": ("sigma", lambda f, tau: 1 / f.sqrt(tau))},
    direct={("mu", "tau"): log_density_tau},
    log_cdf=lambda f, x, mu, sigma: f.log_Phi((x - mu) / sigma),
    log_survival=lambda f, x, mu, sigma: f.log_Phi((mu - x) / sigma),
    mean=lambda f, mu, sigma: mu + 0 * sigma,
    variance=lambda f, mu, sigma: sigma**2 + 0 * mu,
    conjugacies=(Conjugacy("sigma", "gamma", precision_terms, power=-2.0),),
    doc="Gaussian with mean mu and standard deviation sigma.",
)
