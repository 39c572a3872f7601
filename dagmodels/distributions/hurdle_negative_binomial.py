"""HurdleNegativeBinomial(psi, mu, alpha): a positive negative binomial count with probability psi, else 0."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions import negative_binomial
from dagmodels.distributions._inflated import hurdle, hurdle_density

NEAR = 1e-4  # the series' first missing term is the fourth power of this


def log_density(f: Any, x: Any, psi: Any, mu: Any, alpha: Any) -> Any:
    return hurdle_density(negative_binomial.log_density, log_zero(f, mu, alpha), f, x, psi, mu, alpha)


def by_dispersion(f: Any, x: Any, psi: Any, mu: Any, dispersion: Any) -> Any:
    """The log density at alpha = 1/dispersion; at zero it is the Poisson's."""
    t = mu * dispersion
    series = mu * (1 - t * (0.5 - t * (1 / 3 - 0.25 * t)))
    none = -f.where(t < NEAR, series, f.log1p(t) / dispersion)
    return hurdle_density(negative_binomial.by_dispersion, none, f, x, psi, mu, dispersion)


def log_zero(f: Any, mu: Any, alpha: Any) -> Any:
    return -alpha * f.log1p(mu / alpha)


FAMILY = hurdle(
    negative_binomial.FAMILY,
    name="HurdleNegativeBinomial",
    log_density=log_density,
    log_zero=log_zero,
    direct={("psi", "mu", "dispersion"): by_dispersion},
)
