"""NoncentralChiSquared(nu, lam): the sum of nu squared normal variables whose squared means sum to lam."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER, batch, xlogy


def log_density(f: Any, x: Any, nu: Any, lam: Any) -> Any:
    """Johnson, Kotz and Balakrishnan (1995, Continuous Univariate Distributions 2), equation 29.4.

    The Bessel function there is written as a 0F1, which is smooth at lam = 0.
    """
    half = 0.5 * nu
    central = xlogy(f, half - 1, 0.5 * x) - LOG_2 - f.lgamma(half)
    body = central - 0.5 * (x + lam) + f.log_0f1(half, 0.25 * lam * x)
    return f.where((x >= 0) * (x < math.inf) * (nu > 0) * (lam >= 0) * (lam < math.inf), body, NEVER)


def draw(rng: Any, nu: Any, lam: Any, size: Any = None) -> Any:
    return rng.noncentral_chisquare(nu, lam, batch(size, nu, lam))


FAMILY = Family(
    name="NoncentralChiSquared",
    parameters=(Argument("nu", "positive"), Argument("lam", "nonnegative")),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    mean=lambda f, nu, lam: nu + lam,
    variance=lambda f, nu, lam: 2 * (nu + 2 * lam),
    doc="Noncentral chi-squared with nu degrees of freedom and noncentrality lam.",
)
