"""InverseGamma(alpha, beta): the reciprocal of a Gamma(alpha, beta)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, ConjugatePrior, Family, Support
from dagmodels.distributions._shared import NEVER, batch


def log_density(f: Any, x: Any, alpha: Any, beta: Any) -> Any:
    y = beta / x
    body = (alpha + 1) * f.log(y) - y - f.lgamma(alpha) - f.log(beta)
    return f.where((x > 0) * (x < math.inf) * (alpha > 0) * (beta > 0), body, NEVER)


def draw(rng: Any, alpha: Any, beta: Any, size: Any = None) -> Any:
    return beta / rng.standard_gamma(alpha, batch(size, alpha, beta))


def variance(f: Any, alpha: Any, beta: Any) -> Any:
    return f.where(alpha > 2, beta**2 / ((alpha - 1) ** 2 * (alpha - 2)), math.inf)


def rate_terms(f: Any, x: Any, alpha: Any) -> Any:
    c = -(alpha + 1) * f.log(x) - f.lgamma(alpha)
    return alpha, 1 / x, f.where((x > 0) * (x < math.inf) * (alpha > 0), c, NEVER)


FAMILY = Family(
    name="InverseGamma",
    parameters=(Argument("alpha", "positive"), Argument("beta", "positive")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    log_cdf=lambda f, x, alpha, beta: f.where(x > 0, f.log_gammaincc(alpha, beta / x), NEVER),
    log_survival=lambda f, x, alpha, beta: f.where(x > 0, f.log_gammainc(alpha, beta / x), 0.0),
    mean=lambda f, alpha, beta: f.where(alpha > 1, beta / (alpha - 1), math.inf),
    variance=variance,
    conjugacies=(Conjugacy("beta", "gamma", rate_terms),),
    conjugate_prior=ConjugatePrior("gamma", lambda f, alpha, beta: (alpha, beta), "InverseGamma", power=-1.0),
    doc="Reciprocal of a Gamma with shape alpha and rate beta.",
)
