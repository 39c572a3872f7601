"""Bernoulli(p), or logit_p = log(p/(1 - p))."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Conjugacy, Family, Support
from dagmodels.distributions._shared import NEVER, batch


def log_density(f: Any, x: Any, p: Any) -> Any:
    failure = f.where(f.equal(x, 0), f.log1p(-p), NEVER)
    return f.where((p >= 0) * (p <= 1), f.where(f.equal(x, 1), f.log(p), failure), NEVER)


def log_density_logit(f: Any, x: Any, logit_p: Any) -> Any:
    towards = f.where(f.equal(x, 1), logit_p, -logit_p)  # log odds of what was seen
    return f.where(f.equal(x, 1) + f.equal(x, 0), -f.softplus(-towards), NEVER)


def draw(rng: Any, p: Any, size: Any = None) -> Any:
    return (rng.random(batch(size, p)) < p).astype(np.int64)


def success_terms(f: Any, x: Any) -> Any:
    return x, 1 - x, f.where(f.equal(x, 0) + f.equal(x, 1), 0.0, NEVER)


FAMILY = Family(
    name="Bernoulli",
    parameters=(Argument("p", "probability"),),
    support=Support("integer", lower=0.0, upper=1.0),
    log_density=log_density,
    draw=draw,
    discrete=True,
    alternatives={"logit_p": ("p", lambda f, logit_p: f.expit(logit_p))},
    direct={("logit_p",): log_density_logit},
    log_cdf=lambda f, x, p: f.where(x >= 1, 0.0, f.where(x >= 0, f.log1p(-p), NEVER)),
    log_survival=lambda f, x, p: f.where(x >= 1, NEVER, f.where(x >= 0, f.log(p), 0.0)),
    mean=lambda f, p: p + 0.0,
    variance=lambda f, p: p * (1 - p),
    conjugacies=(Conjugacy("p", "beta", success_terms),),
    doc="One with probability p, else zero.",
)
