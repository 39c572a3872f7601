"""Exponential(lam), or scale = 1/lam."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions._family import Argument, Conjugacy, ConjugatePrior, Family, Support
from dagmodels.distributions._shared import NEVER, batch, log1mexp


def log_density(f: Any, x: Any, lam: Any) -> Any:
    return f.where((x >= 0) * (lam > 0), f.log(lam) - lam * x, NEVER)


def draw(rng: Any, lam: Any, size: Any = None) -> Any:
    return rng.standard_exponential(batch(size, lam)) / lam


FAMILY = Family(
    name="Exponential",
    parameters=(Argument("lam", "positive"),),
    support=Support("interval", lower=0.0),
    log_density=log_density,
    draw=draw,
    alternatives={"scale": ("lam", lambda f, scale: 1 / scale)},
    log_cdf=lambda f, x, lam: f.where(x > 0, log1mexp(f, lam * x), NEVER),
    log_survival=lambda f, x, lam: f.where(x > 0, -lam * x, 0.0),
    mean=lambda f, lam: 1 / lam,
    variance=lambda f, lam: 1 / lam**2,
    conjugacies=(Conjugacy("lam", "gamma", lambda f, x: (1.0, x, f.where(x >= 0, 0.0, NEVER))),),
    conjugate_prior=ConjugatePrior("gamma", lambda f, lam: (1.0, lam), "Gamma"),
    doc="Exponential with rate lam.",
)
