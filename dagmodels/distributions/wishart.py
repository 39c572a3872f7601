"""Wishart(nu, V): mean nu V. BUGS' dwish(R, k) is Wishart(k, V) with V the inverse of R."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2, NEVER, event_batch


def log_density(f: Any, x: Any, nu: Any, V: Any) -> Any:
    d = f.size(V)
    body = 0.5 * ((nu - d - 1) * f.logdet(x) - f.trace_solve(V, x) - nu * f.logdet(V) - nu * d * LOG_2)
    return f.where(f.posdef(x) * f.posdef(V) * (nu > d - 1), body - f.mvlgamma(0.5 * nu, d), NEVER)


def draw(rng: Any, nu: Any, V: Any, size: Any = None) -> Any:
    """Bartlett's decomposition: V = L L', A lower triangular with chi and normal entries, L A A' L'."""
    V = np.asarray(V, dtype=float)
    d = V.shape[-1]
    shape = event_batch(size, 2, (nu, 0), (V, 2))
    A = np.tril(rng.standard_normal((*shape, d, d)), -1)
    i = np.arange(d)
    A[..., i, i] = np.sqrt(rng.chisquare(np.asarray(nu)[..., None] - i, (*shape, d)))
    LA = np.linalg.cholesky(V) @ A
    return LA @ np.swapaxes(LA, -1, -2)


def variance(f: Any, nu: Any, V: Any) -> Any:
    v = f.diagonal(V)
    return f.expand(f.expand(nu)) * (V * V + f.outer(v, v))


FAMILY = Family(
    name="Wishart",
    parameters=(Argument("nu", "positive"), Argument("V", "covariance", shape=2)),
    support=Support("covariance"),
    log_density=log_density,
    draw=draw,
    event=2,
    mean=lambda f, nu, V: f.expand(f.expand(nu)) * V,
    variance=variance,
    doc="Positive definite matrices with mean nu V, nu > dimension - 1; density on the lower triangle.",
)
