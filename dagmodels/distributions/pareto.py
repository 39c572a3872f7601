"""Pareto(alpha, m): density alpha m**alpha / x**(alpha + 1) from m on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, batch, log1mexp


def log_ratio(f: Any, x: Any, m: Any) -> Any:
    """log(x/m), to full digits near m."""
    return f.log1p((x - m) / m)


def log_density(f: Any, x: Any, alpha: Any, m: Any) -> Any:
    body = f.log(alpha) - f.log(x) - alpha * log_ratio(f, x, m)
    return f.where((x >= m) * (alpha > 0) * (m > 0), body, NEVER)


def draw(rng: Any, alpha: Any, m: Any, size: Any = None) -> Any:
    return m * np.exp(rng.standard_exponential(batch(size, alpha, m)) / alpha)


def mean(f: Any, alpha: Any, m: Any) -> Any:
    return f.where(alpha > 1, alpha * m / (alpha - 1), math.inf)


def variance(f: Any, alpha: Any, m: Any) -> Any:
    return f.where(alpha > 2, m**2 * alpha / ((alpha - 1) ** 2 * (alpha - 2)), math.inf)


def index_terms(f: Any, x: Any, m: Any) -> Any:
    return 1.0, log_ratio(f, x, m), f.where((x >= m) * (m > 0), -f.log(x), NEVER)


FAMILY = Family(
    name="Pareto",
    parameters=(Argument("alpha", "positive"), Argument("m", "positive")),
    support=Support("interval", lower=lambda f, alpha, m: m),
    log_density=log_density,
    draw=draw,
    log_cdf=lambda f, x, alpha, m: f.where(x > m, log1mexp(f, alpha * log_ratio(f, x, m)), NEVER),
    log_survival=lambda f, x, alpha, m: f.where(x > m, -alpha * log_ratio(f, x, m), 0.0),
    mean=mean,
    variance=variance,
    conjugacies=(Conjugacy("alpha", "gamma", index_terms),),
    doc="Pareto with tail index alpha and smallest value m.",
)
