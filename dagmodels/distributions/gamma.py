"""Gamma(alpha, beta): shape and rate; or mu and sigma, its mean and standard deviation."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, ConjugatePrior, Family, Support
from dagmodels.distributions._shared import NEVER, batch, xlogy


def log_density(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    y = beta * x
    body = xlogy(f, alpha - 1, y) - y - f.lgamma(alpha) + f.log(beta)
    return f.where((x >= 0) * (x < math.inf) * (alpha > 0) * (beta > 0), body, NEVER)


def draw(rng: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    return rng.standard_gamma(alpha, batch(size, alpha, beta)) / beta


def rate_terms(f: Any, x: Any, alpha: Any) -> Any:
    c = xlogy(f, alpha - 1, x) - f.lgamma(alpha)
    return alpha, x, f.where((x >= 0) * (x < math.inf) * (alpha > 0), c, NEVER)


FAMILY = Family(
    name="Gamma",
    parameters=(Argument("alpha", "positive"), Argument("beta", "positive")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    signatures={("mu", "sigma"): lambda f, mu, sigma: ((mu / sigma) ** 2, mu / sigma**2)},
    log_cdf=lambda f, x, alpha, beta: f.where(x > 0, f.log_gammainc(alpha, beta * x), NEVER),
    log_survival=lambda f, x, alpha, beta: f.where(x > 0, f.log_gammaincc(alpha, beta * x), 0.0),
    mean=lambda f, alpha, beta: alpha / beta,
    variance=lambda f, alpha, beta: alpha / beta**2,
    conjugacies=(Conjugacy("beta", "gamma", rate_terms),),
    conjugate_prior=ConjugatePrior("gamma", lambda f, alpha, beta: (alpha, beta), "Gamma"),
    doc="Gamma with shape alpha and rate beta.",
)
