"""Laws of single numbers, and their log densities (up to constants) in a few operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats as _stats

stats: Any = _stats


def inside(x: Any, lower: float, upper: float, value: Any) -> Any:
    """The value at x, which must be defined, within bounds; minus infinity elsewhere."""
    found = np.full(x.shape, -np.inf)
    within = (x > lower) & (x < upper)
    found[within] = value(x[within])
    return found


def table(law: Any) -> Any:
    """Log probabilities of integers by look-up."""
    values = np.append(law.logpmf(np.arange(float(law.ppf(1 - 1e-15)) + 200)), -np.inf)
    return lambda x: np.where(x < 0, -np.inf, values[np.clip(x, 0, values.size - 1).astype(int)])


REAL: dict[str, Any] = {
    "normal": (stats.norm(3, 0.01), lambda x: -0.5 * ((x - 3) / 0.01) ** 2),
    "t5": (stats.t(5, 1, 2), lambda x: -3 * np.log1p(((x - 1) / 2) ** 2 / 5)),
    "gamma": (
        stats.gamma(0.5, scale=10),
        lambda x: inside(x, 0, np.inf, lambda v: -0.5 * np.log(v) - v / 10),
    ),
    "beta": (stats.beta(0.7, 3), lambda x: inside(x, 0, 1, lambda v: -0.3 * np.log(v) + 2 * np.log1p(-v))),
    "exponential": (stats.expon(-2, 100), lambda x: inside(x, -2, np.inf, lambda v: -v / 100)),
}
INTEGER: dict[str, Any] = {
    "poisson": stats.poisson(4.3),
    "poisson of large mean": stats.poisson(4000),
    "geometric": stats.geom(0.2),
    "binomial": stats.binom(5, 0.3),
    "beta-binomial": stats.betabinom(12, 0.4, 1.2),
}
LAWS: dict[str, tuple[Any, bool]] = {
    **{name: (law, False) for name, (law, _) in REAL.items()},
    **{name: (law, True) for name, law in INTEGER.items()},
}
DENSITIES: dict[str, Any] = {
    **{name: density for name, (_, density) in REAL.items()},
    **{name: table(law) for name, law in INTEGER.items()},
}


def log_density(name: str) -> Any:
    """Of an array of values, one for each element."""
    return DENSITIES[name]
