"""HalfStudentT(nu, sigma): the absolute value of a StudentT(nu, 0, sigma)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions import student_t
from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER, UNDEFINED


def log_density(f: Any, x: Any, nu: Any, sigma: Any) -> Any:
    return f.where(x >= 0, LOG_2 + student_t.log_density(f, x, nu, 0.0, sigma), NEVER)


def log_survival(f: Any, x: Any, nu: Any, sigma: Any) -> Any:
    return f.where(x > 0, LOG_2 + student_t.log_tail(f, x / sigma, nu), 0.0)


def log_cdf(f: Any, x: Any, nu: Any, sigma: Any) -> Any:
    z = (x / sigma) ** 2
    near = f.log_betainc(0.5, 0.5 * nu, z / (nu + z))
    far = f.log1p(-f.exp(f.log_betainc(0.5 * nu, 0.5, nu / (nu + z))))
    return f.where(x > 0, f.where(z < nu, near, far), NEVER)


def draw(rng: Any, nu: Any, sigma: Any, size: Any = None) -> Any:
    return abs(sigma * rng.standard_t(nu, size))


def mean(f: Any, nu: Any, sigma: Any) -> Any:
    finite = 2 * sigma * f.sqrt(nu) * f.exp(-f.lbeta(0.5 * nu, 0.5)) / (nu - 1)
    return f.where(nu > 1, finite, math.inf)


def variance(f: Any, nu: Any, sigma: Any) -> Any:
    finite = f.where(nu > 2, sigma**2 * nu / (nu - 2) - mean(f, nu, sigma) ** 2, math.inf)
    return f.where(nu > 1, finite, UNDEFINED)


FAMILY = Family(
    name="HalfStudentT",
    parameters=(Argument("nu", "positive"), Argument("sigma", "positive", default=1.0)),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=mean,
    variance=variance,
    doc="StudentT(nu, 0, sigma) folded at zero.",
)
