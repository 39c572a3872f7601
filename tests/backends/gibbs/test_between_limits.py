"""Conjugate laws between limits, by exact draws: against lattices of the posterior, and Geweke's test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.test_rules import ALARM, covariates

NUMBERS = np.array([1.4, 2.9, 2.2, 0.7, 3.1, 2.5, 1.8])
COUNTS = np.array([2.0, 0.0, 3.0, 1.0, 1.0, 4.0, 2.0])
N, SQUARES, TOTAL = NUMBERS.size, ((NUMBERS - 2) ** 2).sum(), COUNTS.sum()
Case = tuple[str, Any, float, float, Callable[[Any], Any]]
# the unknown u: its prior and child, data, limits, and the log posterior but for a constant
CASES: dict[str, Case] = {
    "sd": ("u ~ Uniform(0.1, 1)\nobserved y[i] ~ Normal(2, u)\n", NUMBERS, 0.1, 1.0,
           lambda u: -N * np.log(u) - SQUARES / 2 / u**2),
    "variance": ("u ~ Uniform(0, 0.6)\nobserved y[i] ~ Normal(2, sqrt(u))\n", NUMBERS, 1e-3, 0.6,
                 lambda u: -N / 2 * np.log(u) - SQUARES / 2 / u),
    "precision": ("u ~ Truncated(Gamma(2, 3), lower=0.2, upper=1)\nobserved y[i] ~ Normal(2, tau=u)\n",
                  NUMBERS, 0.2, 1.0, lambda u: (1 + N / 2) * np.log(u) - (3 + SQUARES / 2) * u),
    "inverse gamma": ("u ~ Truncated(InverseGamma(3, 2), upper=0.7)\nobserved y[i] ~ Normal(2, sqrt(u))\n",
                      NUMBERS, 1e-3, 0.7, lambda u: -(4 + N / 2) * np.log(u) - (2 + SQUARES / 2) / u),
    "rate": ("u ~ Uniform(2.2, 9)\nobserved y[i] ~ Poisson(0.7*u)\n", COUNTS, 2.2, 9.0,
             lambda u: TOTAL * np.log(u) - 0.7 * N * u),
    "exponential": ("u ~ Truncated(Exponential(2), lower=2.5)\nobserved y[i] ~ Poisson(u)\n",
                    COUNTS, 2.5, 9.0, lambda u: TOTAL * np.log(u) - (2 + N) * u),
    "share": ("u ~ Uniform(0.2, 0.3)\nobserved y[i] ~ Binomial(6, 1 - u)\n", COUNTS, 0.2, 0.3,
              lambda u: TOTAL * np.log1p(-u) + (6 * N - TOTAL) * np.log(u)),
    "beta": ("u ~ Truncated(Beta(2, 3), upper=0.25)\nobserved y[i] ~ Geometric(u)\n", COUNTS + 1, 0.0, 0.25,
             lambda u: (1 + N) * np.log(np.maximum(u, 1e-300)) + (2 + TOTAL) * np.log1p(-u)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_number_as_by_a_lattice(case: str):
    """Mean and variance within five standard errors: one right case in 800,000 fails."""
    text, y, low, high, log = CASES[case]
    model = dm.read(f"model limited\nplate i\n{text}")
    assert " between limits: prior " in str(model.plan({"y": y}, method="gibbs", route="conditionals"))
    fit = model.fit({"y": y}, method="gibbs", route="conditionals", draws=4000)
    draws = fit.samples["u"]
    assert draws.min() >= low * (case != "variance" and case != "inverse gamma")
    assert draws.max() <= high or case == "exponential"
    u = low + (high - low) * (np.arange(40_000) + 0.5) / 40_000
    share = np.exp(log(u) - log(u).max())
    share /= share.sum()
    mean = (share * u).sum()
    for values, right in ((draws, mean), ((draws - mean) ** 2, (share * (u - mean) ** 2).sum())):
        error = values.std() / np.sqrt(ess_mean(values[:, :, None])[0])
        assert abs(values.mean() - right) < 5 * error + 1e-6


GROUPS = """model groups
plate g
plate i in g
covariate x[i]
s ~ Uniform(0.2, 2)
t ~ Truncated(Gamma(2, 2), lower=0.5, upper=c)
c ~ Uniform(1, 2)
p[g] ~ Uniform(0.1, 0.8)
v[g] ~ Truncated(InverseGamma(4, 3), upper=1.5)
m[g] ~ Normal(0, s)
observed y[i] ~ Normal(m[g] + x, sqrt(v[g]))
observed z[i] ~ Exponential(2*t)
observed k[i] ~ Binomial(3, p[g])
"""


@pytest.mark.parametrize("sweeps", [4000, pytest.param(60_000, marks=pytest.mark.long)])
def test_the_joint_law_is_left(sweeps: int):
    """One right schedule in 10,000 fails."""
    found = check_rules(
        dm.read(GROUPS), covariates(), simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps
    )
    assert str(found).count("between limits: prior") == 4
    assert found.p_value > ALARM, str(found)
