"""HurdlePoisson(psi, mu): a Poisson count given that it is positive, with probability psi, else zero."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions import poisson
from dagmodels.distributions._inflated import hurdle, hurdle_density


def log_density(f: Any, x: Any, psi: Any, mu: Any) -> Any:
    return hurdle_density(poisson.log_density, -mu, f, x, psi, mu)


FAMILY = hurdle(poisson.FAMILY, name="HurdlePoisson", log_density=log_density, log_zero=lambda f, mu: -mu)
