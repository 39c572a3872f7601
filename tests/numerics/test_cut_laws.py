"""Gamma and beta numbers between limits, against their densities summed on a lattice; one run in 10,000
fails by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.numerics import cut_laws
from dagmodels.numerics.sampling.streams import stream

stats: Any = _stats
DRAWS = 4000
LEVEL = 2e-6  # of each Kolmogorov-Smirnov test, of fewer than 50
GAMMAS = [  # shape, rate, power, low, high
    (2.0, 3.0, 1.0, 0.0, np.inf),
    (2.0, 3.0, 1.0, 0.2, 1.0),
    (0.01, 3.0, 1.0, 1e-12, 2.0),
    (1e6, 2e6, 1.0, 0.4, 0.7),
    (5.0, 1.0, 1.0, 60.0, np.inf),  # probability 1e-21
    (5.0, 1.0, 1.0, 2000.0, 2000.5),  # underflows
    (50.0, 1.0, 1.0, 0.0, 1e-9),  # underflows
    (50.0, 1.0, 1.0, 0.3, 0.3001),
    (0.0, 2.0, 1.0, 0.1, 5.0),
    (-3.0, 0.5, 1.0, 0.1, np.inf),
    (3.0, 0.0, 1.0, 0.0, 2.0),
    (4.5, 7.0, -2.0, 0.0, 10.0),  # a standard deviation, flat between limits
    (4.5, 7.0, -2.0, 3.0, 10.0),
    (4.5, 7.0, -2.0, 0.0, 0.2),
    (-0.5, 0.0, -2.0, 0.0, 3.0),
    (0.0, 1.3, -2.0, 0.0, 3.0),
    (3.0, 2.0, -1.0, 0.5, np.inf),
]
BETAS = [  # a, b, low, high
    (2.0, 3.0, 0.0, 1.0),
    (0.1, 0.3, 1e-10, 0.999),
    (1.0, 1.0, 0.2, 0.3),
    (300.0, 20.0, 0.0, 0.01),  # underflows
    (20.0, 3000.0, 0.9, 1.0),
    (2.0, 5.0, 0.5, 0.50001),
    (1e5, 2e5, 0.3, 0.334),
    (4.0, 0.5, -1.0, 2.0),
]


def distance(x: np.ndarray, low: float, high: float, log_density: Any) -> float:
    """p value of the draws' distance from a law that is given by its log density in the logarithm, or logit,
    of the number: trapezes on 400,000 places.
    """
    log = np.linspace(low, high, 400_001)
    density = log_density(log)
    density = np.exp(density - density.max())
    sums = np.append(0.0, np.cumsum(density[1:] + density[:-1]))
    return float(stats.kstest(np.interp(x, log, sums / sums[-1]), "uniform").pvalue)


@pytest.mark.parametrize(("shape", "rate", "power", "low", "high"), GAMMAS)
def test_cut_gamma(shape: float, rate: float, power: float, low: float, high: float):
    rng = stream(1, 0)
    x = np.array([cut_laws.cut_gamma(rng, shape, rate, power, low, high) for _ in range(DRAWS)])
    assert ((x >= low) & (x <= high)).all()
    at = np.log(x)
    begin = np.log(low) if low > 0 else at.min() - 3 * np.ptp(at)
    end = np.log(high) if high < np.inf else at.max() + 3 * np.ptp(at)

    def log_density(v: Any) -> Any:
        return power * shape * v - rate * np.exp(power * v)

    assert distance(at, begin, end, log_density) > LEVEL


@pytest.mark.parametrize(("a", "b", "low", "high"), BETAS)
def test_cut_beta(a: float, b: float, low: float, high: float):
    rng = stream(2, 0)
    x = np.array([cut_laws.cut_beta(rng, a, b, low, high) for _ in range(DRAWS)])
    assert ((x >= max(low, 0.0)) & (x <= min(high, 1.0))).all()
    at = np.log(x) - np.log1p(-x)
    begin = np.log(low) - np.log1p(-low) if low > 0 else at.min() - 3 * np.ptp(at)
    end = np.log(high) - np.log1p(-high) if high < 1 else at.max() + 3 * np.ptp(at)

    def log_density(v: Any) -> Any:
        return a * v - (a + b) * np.logaddexp(0.0, v)

    assert distance(at, begin, end, log_density) > LEVEL


def test_one_point_and_no_law():
    """Limits that meet, and tops that no proper law has."""
    rng = stream(3, 0)
    assert cut_laws.cut_gamma(rng, 2.0, 3.0, 1.0, 0.5, 0.5) == 0.5
    assert cut_laws.cut_beta(rng, 2.0, 3.0, 0.5, 0.5) == 0.5
    assert cut_laws.cut_gamma(rng, 2.0, 0.0, -2.0, 0.0, 3.0) == 0.0
