"""Uniform(lower, upper), continuous."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER


def log_density(f: Any, x: Any, lower: Any, upper: Any) -> Any:
    return f.where((x >= lower) * (x <= upper) * (lower < upper), -f.log(upper - lower), NEVER)


def log_cdf(f: Any, x: Any, lower: Any, upper: Any) -> Any:
    inside = f.log((x - lower) / (upper - lower))
    return f.where(x > lower, f.where(x < upper, inside, 0.0), NEVER)


def log_survival(f: Any, x: Any, lower: Any, upper: Any) -> Any:
    inside = f.log((upper - x) / (upper - lower))
    return f.where(x > lower, f.where(x < upper, inside, NEVER), 0.0)


def draw(rng: Any, lower: Any, upper: Any, size: Any = None) -> Any:
    return rng.uniform(lower, upper, size)


FAMILY = Family(
    name="Uniform",
    parameters=(Argument("lower", default=0.0), Argument("upper", default=1.0)),
    support=Support("interval", lower=lambda f, lower, upper: lower, upper=lambda f, lower, upper: upper),
    log_density=log_density,
    draw=draw,
    log_cdf=log_cdf,
    log_survival=log_survival,
    mean=lambda f, lower, upper: 0.5 * (lower + upper),
    variance=lambda f, lower, upper: (upper - lower) ** 2 / 12,
    doc="Constant density between lower and upper.",
)
