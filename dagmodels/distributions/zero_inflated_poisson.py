"""ZeroInflatedPoisson(psi, mu): Poisson(mu) with probability psi, else zero."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions import poisson
from dagmodels.distributions._inflated import inflated_density, zero_inflated


def log_density(f: Any, x: Any, psi: Any, mu: Any) -> Any:
    return inflated_density(poisson.log_density, f, x, psi, mu)


FAMILY = zero_inflated(poisson.FAMILY, name="ZeroInflatedPoisson", log_density=log_density)
