"""ZeroInflatedNegativeBinomial(psi, mu, alpha): NegativeBinomial(mu, alpha) with probability psi, else 0."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions import negative_binomial
from dagmodels.distributions._inflated import inflated_density, zero_inflated


def log_density(f: Any, x: Any, psi: Any, mu: Any, alpha: Any) -> Any:
    return inflated_density(negative_binomial.log_density, f, x, psi, mu, alpha)


FAMILY = zero_inflated(negative_binomial.FAMILY, name="ZeroInflatedNegativeBinomial", log_density=log_density)
