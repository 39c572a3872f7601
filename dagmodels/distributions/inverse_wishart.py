"""InverseWishart(nu, Psi): the inverse of a Wishart(nu, Psi**-1); mean Psi/(nu - dimension - 1)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dagmodels.distributions import wishart
from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER


def log_density(f: Any, x: Any, nu: Any, Psi: Any) -> Any:
    d = f.size(Psi)
    body = 0.5 * (nu * f.logdet(Psi) - (nu + d + 1) * f.logdet(x) - f.trace_solve(x, Psi) - nu * d * LOG_2)
    return f.where(f.posdef(x) * f.posdef(Psi) * (nu > d - 1), body - f.mvlgamma(0.5 * nu, d), NEVER)


def draw(rng: Any, nu: Any, Psi: Any, size: Any = None) -> Any:
    inverse = np.linalg.inv(wishart.draw(rng, nu, np.linalg.inv(np.asarray(Psi, dtype=float)), size))
    return 0.5 * (inverse + np.swapaxes(inverse, -1, -2))


def mean(f: Any, nu: Any, Psi: Any) -> Any:
    rest = f.expand(f.expand(nu - f.size(Psi) - 1))
    return f.where(rest > 0, Psi / rest, math.nan)


def variance(f: Any, nu: Any, Psi: Any) -> Any:
    v = f.diagonal(Psi)
    rest = f.expand(f.expand(nu - f.size(Psi) - 1))
    spread = ((rest + 2) * Psi**2 + rest * f.outer(v, v)) / ((rest + 1) * rest**2 * (rest - 2))
    return f.where(rest > 2, spread, math.nan)


FAMILY = Family(
    name="InverseWishart",
    parameters=(Argument("nu", "positive"), Argument("Psi", "covariance", shape=2)),
    support=Support("covariance"),
    log_density=log_density,
    draw=draw,
    event=2,
    mean=mean,
    variance=variance,
    doc="Positive definite matrices whose inverse is Wishart(nu, inverse of Psi).",
)
