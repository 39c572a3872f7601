"""StudentT(nu, mu, sigma): location mu, scale sigma, nu degrees of freedom."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER, UNDEFINED


def log_density(f: Any, x: Any, nu: Any, mu: Any, sigma: Any) -> Any:
    z = (x - mu) / sigma
    # the beta function keeps its digits where nu is large and two log gammas would cancel
    constant = -f.lbeta(0.5 * nu, 0.5) - 0.5 * f.log(nu) - f.log(sigma)
    return f.where((nu > 0) * (sigma > 0), constant - 0.5 * (nu + 1) * f.log1p(z**2 / nu), NEVER)


def log_tail(f: Any, z: Any, nu: Any) -> Any:
    """log P(T > z) of the standard law: incomplete beta functions, each on its accurate side."""
    far = f.log_betainc(0.5 * nu, 0.5, nu / (nu + z**2)) - LOG_2  # log P(T > |z|)
    middle = 0.5 * f.exp(f.log_betainc(0.5, 0.5 * nu, z**2 / (nu + z**2)))  # P(0 < T < |z|)
    near = f.log(f.where(z > 0, 0.5 - middle, 0.5 + middle))
    return f.where(z**2 < nu, near, f.where(z > 0, far, f.log1p(-f.exp(far))))


def log_cdf(f: Any, x: Any, nu: Any, mu: Any, sigma: Any) -> Any:
    return log_tail(f, (mu - x) / sigma, nu)


def log_survival(f: Any, x: Any, nu: Any, mu: Any, sigma: Any) -> Any:
    return log_tail(f, (x - mu) / sigma, nu)


def draw(rng: Any, nu: Any, mu: Any, sigma: Any, size: Any = None) -> Any:
    return mu + sigma * rng.standard_t(nu, size)


def variance(f: Any, nu: Any, mu: Any, sigma: Any) -> Any:
    finite = f.where(nu > 2, sigma**2 * nu / (nu - 2), float("inf"))
    return f.where(nu > 1, finite, UNDEFINED) + 0 * mu


FAMILY = Family(
    name="StudentT",
    parameters=(
        Argument("nu", "positive"),
        Argument("mu", default=0.0),
        Argument("sigma", "positive", default=1.0),
    ),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, nu, mu, sigma: f.where(nu > 1, mu + 0 * sigma, UNDEFINED),
    variance=variance,
    doc="Student's t with nu degrees of freedom, location mu and scale sigma (not the standard deviation).",
)
