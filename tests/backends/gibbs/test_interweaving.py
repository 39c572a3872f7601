"""Scales and locations drawn twice a sweep: the law is left, and scales near zero mix."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.errors import FitWarning
from dagmodels.forms.conditionals import interweaving, marginal_scales
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.compared import assert_agrees, bugs, by_bugs_name
from tests.backends.gibbs.test_rules import ALARM, covariates

NESTED = """model nested
plate g
plate i in g
covariate x[i]
v[g] ~ InverseGamma(4, 3)
a[i] ~ StudentT(5, m[g], sqrt(v[g]))
m[g] ~ Normal(mu, 1)
mu ~ Normal(0, 1)
observed y[i] ~ Normal(a[i] + x, 0.8)
"""
TIED = """model tied
plate g
plate i in g
plate k = 1..2
covariate x[i]
s[k] ~ Uniform(0, 2)
a[g, k] ~ Normal(0, s[k])
observed y[i] ~ Normal(exp(0.3*a[g, 1]) + exp(0.3*a[g, 2])*x, 0.8)
"""
SHARED = """model shared
plate g
plate i in g
covariate x[i]
a[g] ~ StudentT(5, mu, exp(l))
b[i] ~ Laplace(nu, 2*exp(l))
l ~ Normal(-0.5, 0.5)
mu ~ Normal(0, 1)
nu ~ Gamma(3, 3)
observed y[i] ~ Poisson(exp(0.5*a[g] + 0.2*b*x))
"""
BETWEEN = """model between
plate g = "u", "v", "w"
plate i in g
covariate x[i]
a[g] ~ Normal(mu + slope*x_mean[g], tau=t)
constant x_mean[g] = [-0.5, 0.2, 1.1]
mu ~ Truncated(Normal(0, 1), lower=-1, upper=2)
slope ~ Normal(0, 1)
t ~ Gamma(2, 1)
observed y[i] ~ Binomial(3, expit(a[g]))
observed z[g] ~ Normal(a, sigma)
sigma ~ HalfNormal(1)
"""


@pytest.mark.parametrize("sweeps", [8000, pytest.param(60_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("text", [NESTED, TIED, SHARED, BETWEEN], ids=lambda t: t.split()[1])
def test_the_joint_law_is_left(text, sweeps):
    """One right schedule in 10,000 fails."""
    found = check_rules(dm.read(text), covariates(), simulated=sweeps // 20, sweeps=sweeps)
    assert "interweaving" in str(found)
    assert found.p_value > ALARM, str(found)


NEAR_ZERO = """model near_zero
plate g
plate i in g
a[g] ~ Normal(mu, s)
observed y[i] ~ LAW
mu ~ Normal(0, 5)
s ~ HalfNormal(1)
"""


def near_zero(law):
    """Effective sizes of the scale and of the mean, with the scale's posterior next to zero."""
    rng = np.random.default_rng(3)
    y = rng.normal(1, 1, 200).round(2) if "Normal" in law else rng.poisson(1.6, 200)
    table = {"g": np.repeat([f"g{k}" for k in range(40)], 5), "y": y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = dm.read(NEAR_ZERO.replace("LAW", law)).fit(table, method="gibbs", route="conditionals")
    rows = fit.estimates.set_index("name").ess_bulk
    return rows["s"], rows["mu"]


@pytest.mark.parametrize("law", ["Normal(a[g], 1)", "Poisson(exp(0.5*a[g]))"])
def test_scales_near_zero_mix(law, monkeypatch):
    """16 and 30 effective draws of 4,000 without a second update; 2,400 with the effects integrated out, and
    900 in standard units.
    """
    twice = near_zero(law)
    monkeypatch.setattr(interweaving, "interwoven", lambda *_: [])
    monkeypatch.setattr(marginal_scales, "marginal", lambda *_: {})
    once = near_zero(law)
    assert min(twice) > 500
    assert once[0] < 100
    assert twice[1] > 5 * once[1]


def test_seeds_with_the_default_number_of_draws():
    model, reference = bugs("seeds")
    fit = model.fit(method="gibbs", route="conditionals")
    assert fit.converged, fit.message
    assert_agrees(by_bugs_name(model, fit), reference)
