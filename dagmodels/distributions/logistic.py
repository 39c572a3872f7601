"""Logistic(mu, s)."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER


def log_density(f: Any, x: Any, mu: Any, s: Any) -> Any:
    z = (x - mu) / s
    return f.where(s > 0, -f.softplus(z) - f.softplus(-z) - f.log(s), NEVER)


def draw(rng: Any, mu: Any, s: Any, size: Any = None) -> Any:
    return rng.logistic(mu, s, size)


FAMILY = Family(
    name="Logistic",
    parameters=(Argument("mu"), Argument("s", "positive")),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    log_cdf=lambda f, x, mu, s: -f.softplus((mu - x) / s),
    log_survival=lambda f, x, mu, s: -f.softplus((x - mu) / s),
    mean=lambda f, mu, s: mu + 0 * s,
    variance=lambda f, mu, s: s**2 * (math.pi**2 / 3) + 0 * mu,
    doc="Logistic with mean mu and scale s.",
)
