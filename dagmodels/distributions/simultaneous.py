"""Simultaneous(mu, B, cov): the linear system y = mu + B y + e with e ~ MvNormal(0, cov)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions import mv_normal
from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import event_batch


def log_density(f: Any, x: Any, mu: Any, B: Any, cov: Any) -> Any:
    # the residual's density times the Jacobian |det(I - B)|
    residual = x - f.matvec(B, x)
    return mv_normal.log_density(f, residual, mu, cov) + f.logdet(f.identity_minus(B))


def draw(rng: Any, mu: Any, B: Any, cov: Any, size: Any = None) -> Any:
    B = np.asarray(B, dtype=float)
    d = B.shape[-1]
    batch = event_batch(size, 1, (np.atleast_1d(mu), 1), (B, 2), (cov, 2))
    shocks = mv_normal.draw(rng, mu, cov, (*batch, d))
    return np.linalg.solve(np.eye(d) - B, shocks[..., None])[..., 0]


def mean(f: Any, mu: Any, B: Any, cov: Any) -> Any:
    return f.solve(f.identity_minus(B), mu + 0 * f.diagonal(cov))


def variance(f: Any, mu: Any, B: Any, cov: Any) -> Any:
    inverse = f.inverse(f.identity_minus(B))
    return f.diagonal(f.matmul(f.matmul(inverse, cov), f.transpose(inverse))) + 0 * mu


FAMILY = Family(
    name="Simultaneous",
    parameters=(Argument("mu", shape=1), Argument("B", shape=2), Argument("cov", "covariance", shape=2)),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    event=1,
    mean=mean,
    variance=variance,
    doc="Joint law of nodes that depend on one another linearly, I - B invertible.",
)
