"""OrderedCloglog(eta, cutpoints): levels with P(x <= k) = 1 - exp(-exp(cutpoints[k] - eta))."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, count, event_batch, log1mexp


def log_density(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    last = f.size(cutpoints)
    below = f.element(cutpoints, f.max(x - 1, 0)) - eta
    above = f.element(cutpoints, f.min(x, last - 1)) - eta
    hazard = f.exp(below)
    # exp(-exp(a)) - exp(-exp(b)) = exp(-exp(a)) (1 - exp(-exp(a) (exp(b - a) - 1)))
    between = log1mexp(f, hazard * f.expm1(above - below)) - hazard
    inner = f.where(f.equal(x, last), -hazard, between)
    body = f.where(f.equal(x, 0), log1mexp(f, f.exp(above)), inner)
    return f.where(count(f, x) * (x <= last) * f.increasing(cutpoints), body, NEVER)


def log_cdf(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    cut = f.element(cutpoints, f.floor(x)) - eta
    return f.where(x >= 0, f.where(x < f.size(cutpoints), log1mexp(f, f.exp(cut)), 0.0), NEVER)


def log_survival(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    cut = f.element(cutpoints, f.floor(x)) - eta
    return f.where(x >= 0, f.where(x < f.size(cutpoints), -f.exp(cut), NEVER), 0.0)


def draw(rng: Any, eta: Any, cutpoints: Any, size: Any = None) -> Any:
    # the noise has P(e <= z) = 1 - exp(-exp(z)): the logarithm of a standard exponential
    e = np.log(rng.standard_exponential(event_batch(size, 0, (eta, 0), (cutpoints, 1))))
    return np.sum(np.asarray(eta + e)[..., None] > cutpoints, axis=-1)


FAMILY = Family(
    name="OrderedCloglog",
    parameters=(Argument("eta"), Argument("cutpoints", "ordered", shape=1)),
    support=Support("category", lower=0.0, upper=lambda f, eta, cutpoints: f.size(cutpoints)),
    log_density=log_density,
    draw=draw,
    discrete=True,
    log_cdf=log_cdf,
    log_survival=log_survival,
    doc="Level by its code from 0, with proportional hazards of stopping there; cutpoints increasing.",
)
