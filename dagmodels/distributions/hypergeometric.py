"""Hypergeometric(n1, n2, m, psi): how many of m drawn from two groups are of the first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dagmodels.distributions import _hypergeometric
from dagmodels.distributions._family import Argument, Family, Support
from dagmodels.distributions._shared import NEVER, batch, count, log_choose


def log_density(f: Any, x: Any, n1: Any, n2: Any, m: Any, psi: Any) -> Any:
    """Fisher's noncentral law (McCullagh and Nelder 1989, equation 7.9)."""
    log_odds = f.log(psi)
    chosen = log_choose(f, n1, x) + log_choose(f, n2, m - x)
    body = chosen + x * log_odds - f.fisher_cumulant(0, n1, n2, m, log_odds)
    whole = count(f, x) * count(f, n1) * count(f, n2) * count(f, m)
    inside = (x <= n1) * (x <= m) * (m - x <= n2) * (psi > 0) * (psi < math.inf)
    return f.where(whole * inside, body, NEVER)


def draw(rng: Any, n1: Any, n2: Any, m: Any, psi: Any, size: Any = None) -> Any:
    return _hypergeometric.draw(rng, n1, n2, m, np.log(psi), batch(size, n1, n2, m, psi))


FAMILY = Family(
    name="Hypergeometric",
    parameters=(
        Argument("n1", "count"),
        Argument("n2", "count"),
        Argument("m", "count"),
        Argument("psi", "positive", default=1.0),
    ),
    support=Support(
        "integer",
        lower=lambda f, n1, n2, m, psi: f.max(m - n2, 0.0),
        upper=lambda f, n1, n2, m, psi: f.min(n1, m),
    ),
    log_density=log_density,
    draw=draw,
    discrete=True,
    mean=lambda f, n1, n2, m, psi: f.fisher_cumulant(1, n1, n2, m, f.log(psi)),
    variance=lambda f, n1, n2, m, psi: f.fisher_cumulant(2, n1, n2, m, f.log(psi)),
    doc="Members of a group of n1 among m drawn from it and n2 others; psi the odds ratio (Fisher's law).",
)
