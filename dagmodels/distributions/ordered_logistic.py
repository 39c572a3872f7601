"""OrderedLogistic(eta, cutpoints): between which cutpoints eta plus logistic noise falls."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, count, event_batch, log1mexp


def log_density(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    last = f.size(cutpoints)
    below = f.element(cutpoints, f.max(x - 1, 0)) - eta
    above = f.element(cutpoints, f.min(x, last - 1)) - eta
    # expit(b) - expit(a) = (1 - exp(a - b)) expit(b) expit(-a), free of cancellation
    between = log1mexp(f, above - below) - f.softplus(-above) - f.softplus(below)
    inner = f.where(f.equal(x, last), -f.softplus(below), between)
    body = f.where(f.equal(x, 0), -f.softplus(-above), inner)
    return f.where(count(f, x) * (x <= last) * f.increasing(cutpoints), body, NEVER)


def log_cdf(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    cut = f.element(cutpoints, f.floor(x)) - eta
    return f.where(x >= 0, f.where(x < f.size(cutpoints), -f.softplus(-cut), 0.0), NEVER)


def log_survival(f: Any, x: Any, eta: Any, cutpoints: Any) -> Any:
    cut = f.element(cutpoints, f.floor(x)) - eta
    return f.where(x >= 0, f.where(x < f.size(cutpoints), -f.softplus(cut), NEVER), 0.0)


def draw(rng: Any, eta: Any, cutpoints: Any, size: Any = None) -> Any:
    z = np.asarray(rng.logistic(eta, 1.0, event_batch(size, 0, (eta, 0), (cutpoints, 1))))
    return np.sum(z[..., None] > cutpoints, axis=-1)


FAMILY = Family(
    name="OrderedLogistic",
    parameters=(Argument("eta"), Argument("cutpoints", "ordered", shape=1)),
    support=Support("category", lower=0.0, upper=lambda f, eta, cutpoints: f.size(cutpoints)),
    log_density=log_density,
    draw=draw,
    discrete=True,
    log_cdf=log_cdf,
    log_survival=log_survival,
    doc="Level by its code from 0: P(x <= k) = expit(cutpoints[k] - eta), cutpoints increasing.",
)
