"""ZeroInflatedBinomial(psi, n, p): Binomial(n, p) with probability psi, else zero."""

from __future__ import annotations

from typing import Any

from dagmodels.distributions import binomial
from dagmodels.distributions._inflated import inflated_density, zero_inflated


def log_density(f: Any, x: Any, psi: Any, n: Any, p: Any) -> Any:
    return inflated_density(binomial.log_density, f, x, psi, n, p)


FAMILY = zero_inflated(binomial.FAMILY, name="ZeroInflatedBinomial", log_density=log_density)
