"""OrderedProbit(eta, cutpoints, sigma): between which cutpoints eta plus normal noise falls."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, count, event_batch, log_diff_exp


def log_density(f: Any, x: Any, eta: Any, cutpoints: Any, sigma: Any) -> Any:
    last = f.size(cutpoints)
    below = (f.element(cutpoints, f.max(x - 1, 0)) - eta) / sigma
    above = (f.element(cutpoints, f.min(x, last - 1)) - eta) / sigma
    # the difference of two lower tails or of two upper ones, whichever are the smaller
    upper = below + above > 0
    high = f.log_Phi(f.where(upper, -below, above))
    low = f.log_Phi(f.where(upper, -above, below))
    inner = f.where(f.equal(x, last), f.log_Phi(-below), log_diff_exp(f, high, low))
    body = f.where(f.equal(x, 0), f.log_Phi(above), inner)
    valid = count(f, x) * (x <= last) * f.increasing(cutpoints) * (sigma > 0)
    return f.where(valid, body, NEVER)


def log_cdf(f: Any, x: Any, eta: Any, cutpoints: Any, sigma: Any) -> Any:
    cut = (f.element(cutpoints, f.floor(x)) - eta) / sigma
    return f.where(x >= 0, f.where(x < f.size(cutpoints), f.log_Phi(cut), 0.0), NEVER)


def log_survival(f: Any, x: Any, eta: Any, cutpoints: Any, sigma: Any) -> Any:
    cut = (f.element(cutpoints, f.floor(x)) - eta) / sigma
    return f.where(x >= 0, f.where(x < f.size(cutpoints), f.log_Phi(-cut), NEVER), 0.0)


def draw(rng: Any, eta: Any, cutpoints: Any, sigma: Any, size: Any = None) -> Any:
    z = np.asarray(rng.normal(eta, sigma, event_batch(size, 0, (eta, 0), (cutpoints, 1), (sigma, 0))))
    return np.sum(z[..., None] > cutpoints, axis=-1)


FAMILY = Family(
    name="OrderedProbit",
    parameters=(
        Argument("eta"),
        Argument("cutpoints", "ordered", shape=1),
        Argument("sigma", "positive", default=1.0),
    ),
    support=Support("category", lower=0.0, upper=lambda f, eta, cutpoints, sigma: f.size(cutpoints)),
    log_density=log_density,
    draw=draw,
    discrete=True,
    log_cdf=log_cdf,
    log_survival=log_survival,
    doc="Level by its code from 0: P(x <= k) = Phi((cutpoints[k] - eta)/sigma), cutpoints increasing.",
)
