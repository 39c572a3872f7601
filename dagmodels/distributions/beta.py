"""Beta(alpha, beta); or mean mu with nu = alpha + beta, or with standard deviation sigma."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, ConjugatePrior, Family, Support
from dagmodels.distributions._shared import NEVER, xlog1py, xlogy


def log_density(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    body = xlogy(f, alpha - 1, x) + xlog1py(f, beta - 1, -x) - f.lbeta(alpha, beta)
    return f.where((x >= 0) * (x <= 1) * (alpha > 0) * (beta > 0), body, NEVER)


def log_cdf(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    return f.where(x > 0, f.where(x < 1, f.log_betainc(alpha, beta, x), 0.0), NEVER)


def draw(rng: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    return rng.beta(alpha, beta, size)


def from_mean_and_sd(f: Any, mu: Any, sigma: Any) -> Any:
    nu = mu * (1 - mu) / sigma**2 - 1
    return mu * nu, (1 - mu) * nu


FAMILY = Family(
    name="Beta",
    parameters=(Argument("alpha", "positive"), Argument("beta", "positive")),
    support=Support("interval", lower=0.0, upper=1.0),
    log_density=log_density,
    draw=draw,
    signatures={
        ("mu", "nu"): lambda f, mu, nu: (mu * nu, (1 - mu) * nu),
        ("mu", "sigma"): from_mean_and_sd,
    },
    log_cdf=log_cdf,
    log_survival=lambda f, x, alpha, beta: log_cdf(f, 1 - x, beta, alpha),
    mean=lambda f, alpha, beta: alpha / (alpha + beta),
    variance=lambda f, alpha, beta: alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1)),
    conjugate_prior=ConjugatePrior("beta", lambda f, alpha, beta: (alpha, beta), "Beta"),
    doc="Beta with shapes alpha and beta.",
)
