"""MvNormal(mu, cov), or tau = cov**-1, or chol, the lower Cholesky factor of cov."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import LOG_2PI, NEVER, event_batch


def log_density(f: Any, x: Any, mu: Any, cov: Any) -> Any:
    d = x - mu
    body = -0.5 * (f.total(d * f.solve(cov, d)) + f.logdet(cov) + f.size(d) * LOG_2PI)
    return f.where(f.posdef(cov), body, NEVER)


def log_density_tau(f: Any, x: Any, mu: Any, tau: Any) -> Any:
    d = x - mu
    body = -0.5 * (f.total(d * f.matvec(tau, d)) - f.logdet(tau) + f.size(d) * LOG_2PI)
    return f.where(f.posdef(tau), body, NEVER)


def log_density_chol(f: Any, x: Any, mu: Any, chol: Any) -> Any:
    z = f.solve(chol, x - mu)
    scales = f.diagonal(chol)
    body = -0.5 * f.total(z * z) - f.total(f.log(scales)) - 0.5 * LOG_2PI * f.size(z)
    return f.where(f.equal(f.total(scales > 0), f.size(scales)), body, NEVER)


def root(cov: Any) -> Any:
    """A matrix R with R R' = cov; cov may be singular."""
    try:
        return np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(cov)
        return vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]


def draw(rng: Any, mu: Any, cov: Any, size: Any = None) -> Any:
    cov = np.asarray(cov, dtype=float)
    z = rng.standard_normal((*event_batch(size, 1, (np.atleast_1d(mu), 1), (cov, 2)), cov.shape[-1]))
    return mu + np.einsum("...ij,...j->...i", root(cov), z)


FAMILY = Family(
    name="MvNormal",
    parameters=(Argument("mu", shape=1), Argument("cov", "covariance", shape=2)),
    support=Support("real"),
    log_density=log_density,
    draw=draw,
    event=1,
    alternatives={
        "tau": ("cov", lambda f, tau: f.inverse(tau)),
        "chol": ("cov", lambda f, chol: f.matmul(chol, f.transpose(chol))),
    },
    direct={("mu", "tau"): log_density_tau, ("mu", "chol"): log_density_chol},
    mean=lambda f, mu, cov: mu + 0 * f.diagonal(cov),
    variance=lambda f, mu, cov: f.diagonal(cov) + 0 * mu,
    doc="Multivariate Gaussian with mean mu and covariance cov; `variance` is the diagonal.",
)
