"""HalfCauchy(beta): the absolute value of a Cauchy(0, beta)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, LOG_PI, NEVER
from dagmodels.distributions.cauchy import log_tail


def log_density(f: Any, x: Any, beta: Any) -> Any:
    body = LOG_2 - LOG_PI - f.log(beta) - f.log1p((x / beta) ** 2)
    return f.where((x >= 0) * (beta > 0), body, NEVER)


def log_survival(f: Any, x: Any, beta: Any) -> Any:
    return f.where(x > 0, LOG_2 + log_tail(f, x / beta), 0.0)


def log_cdf(f: Any, x: Any, beta: Any) -> Any:
    # 2/pi arctan(z) = 1 - 2/pi arctan(1/z): the tail of the reciprocal
    return f.where(x > 0, LOG_2 + log_tail(f, beta / x), NEVER)


def draw(rng: Any, beta: Any, size: Any = None) -> Any:
    from dagmodels.distributions._shared import batch

    return abs(beta * rng.standard_cauchy(batch(size, beta)))


FAMILY = Family(
    name="HalfCauchy",
    parameters=(Argument("beta", "positive"),),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, beta: beta * math.inf,
    doc="Cauchy(0, beta) folded at zero; its mean is infinite.",
)
