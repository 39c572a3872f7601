"""LKJCorr(eta): correlation matrices with density proportional to det(R)**(eta - 1).

Lewandowski, Kurowicka and Joe (2009), "Generating random correlation matrices based on vines and
extended onion method", J. Multivariate Analysis 100, 1989-2001.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_PI, NEVER
from dagmodels.errors import ModelError


def log_normaliser(f: Any, eta: Any, d: Any) -> Any:
    """Logarithm of the integral of det(R)**(eta - 1): their product of gamma functions, k = 1..d-1.

    The product of Gamma(eta + (d - 1 - k)/2) is a multivariate gamma function of order d - 1.
    """
    top = f.mvlgamma(eta + 0.5 * (d - 2), d - 1) + 0.5 * (d - 1) * LOG_PI
    return top - (d - 1) * f.lgamma(eta + 0.5 * (d - 1))


def log_density(f: Any, x: Any, eta: Any) -> Any:
    body = (eta - 1) * f.logdet(x) - log_normaliser(f, eta, f.size(x))
    ones = f.total(f.abs(f.diagonal(x) - 1)) <= 1e-8
    return f.where(f.posdef(x) * ones * (eta > 0), body, NEVER)


def draw(rng: Any, eta: Any, size: Any = None) -> Any:
    """The C-vine method: partial correlations are symmetric betas; rows of the Cholesky factor follow."""
    if size is None:
        raise ModelError("LKJCorr needs the size of its matrix to be drawn", hint="give size=(..., d, d)")
    *shape, d, _ = size
    eta = np.asarray(eta, dtype=float)
    L = np.zeros((*shape, d, d))
    L[..., 0, 0] = 1.0
    for i in range(1, d):
        left = np.ones(tuple(shape))  # what remains of the row's unit length, squared
        for j in range(i):
            b = eta + 0.5 * (d - 2 - j)
            partial = 2 * rng.beta(b, b, tuple(shape)) - 1
            L[..., i, j] = partial * np.sqrt(left)
            left = left * (1 - partial) * (1 + partial)
        L[..., i, i] = np.sqrt(left)
    R = L @ np.swapaxes(L, -1, -2)
    k = np.arange(d)
    R[..., k, k] = 1.0
    return R


FAMILY = Family(
    name="LKJCorr",
    parameters=(Argument("eta", "positive"),),
    support=Support("correlation"),
    log_density=log_density,
    draw=draw,
    event=2,
    doc="Correlation matrices, uniform at eta = 1, nearer the identity above; density on the lower triangle.",
)
