"""Geometric(p): the trial of the first success, 1, 2, 3, ..."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, count, log1mexp, xlog1py


def log_density(f: Any, x: Any, p: Any) -> Any:
    valid = count(f, x) * (x >= 1) * (p > 0) * (p <= 1)
    return f.where(valid, f.log(p) + xlog1py(f, x - 1, -p), NEVER)


def log_survival(f: Any, x: Any, p: Any) -> Any:
    return f.where(x >= 1, xlog1py(f, f.floor(x), -p), 0.0)


def draw(rng: Any, p: Any, size: Any = None) -> Any:
    return rng.geometric(p, size)


def success_terms(f: Any, x: Any) -> Any:
    return 1.0, x - 1, f.where(count(f, x) * (x >= 1), 0.0, NEVER)


FAMILY = Family(
    name="Geometric",
    parameters=(Argument("p", "probability"),),
    support=Support("integer", lower=1.0),
    log_density=log_density,
    draw=draw,
    discrete=True,
    log_cdf=lambda f, x, p: f.where(x >= 1, log1mexp(f, -log_survival(f, x, p)), NEVER),
    log_survival=log_survival,
    mean=lambda f, p: f.where(p > 0, 1 / p, math.inf),
    variance=lambda f, p: f.where(p > 0, (1 - p) / p**2, math.inf),
    conjugacies=(Conjugacy("p", "beta", success_terms),),
    doc="Number of the first success in independent trials of probability p, counted from 1.",
)
