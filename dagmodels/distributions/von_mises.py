"""VonMises(mu, kappa): an angle in [-pi, pi]."""

from __future__ import annotations

import math
from typing import Any

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2PI, NEVER


def log_density(f: Any, x: Any, mu: Any, kappa: Any) -> Any:
    # cos t - 1 = -2 sin(t/2)**2 keeps the digits of concentrated angles; sine and cosine come as one
    body = -2 * kappa * f.sin(0.5 * (x - mu)) ** 2 - f.log_i0e(kappa) - LOG_2PI
    return f.where((f.abs(x) <= math.pi) * (kappa >= 0), body, NEVER)


def draw(rng: Any, mu: Any, kappa: Any, size: Any = None) -> Any:
    return rng.vonmises(mu, kappa, size)


FAMILY = Family(
    name="VonMises",
    parameters=(Argument("mu"), Argument("kappa", "nonnegative")),
    support=Support("interval", lower=-math.pi, upper=math.pi),
    log_density=log_density,
    draw=draw,
    doc="Angle with mean direction mu and concentration kappa; kappa = 0 is uniform.",
)
