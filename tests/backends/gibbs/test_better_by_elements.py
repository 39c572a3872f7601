"""Which graphs go element by element of themselves, and that chains then mix."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_bulk

WALK = """model walk
plate t ordered
s ~ HalfNormal(1)
x[t first] ~ Normal(0, 3)
x[t] ~ Normal(x[t-1], s)
observed y[t] ~ Poisson(exp(x))
"""
CROSSED = """model crossed
plate p
plate q
plate i in p, q
covariate x[i]
m, k ~ Normal(0, 3)
su, sv ~ HalfNormal(1)
u[p] ~ Normal(0, su)
v[q] ~ Normal(0, sv)
observed y[i] ~ Bernoulli(expit(m + k*x + u[p] + v[q]))
"""


SLOPES = """model slopes
plate g
plate r in g
covariate x[r]
b0, b1 ~ Normal(0, 5)
s, t ~ HalfNormal(2)
u[g] ~ Normal(0, s)
v[g] ~ Normal(0, t)
observed y[r] ~ Poisson(exp(b0 + u + (b1 + v)*x))
"""
RARE = """model rare
plate g
plate r in g
covariate x1[r], x2[r], x3[r], x4[r], x5[r], x6[r]
b0, b1, b2, b3, b4, b5, b6 ~ Normal(0, 5)
s ~ HalfCauchy(2)
u[g] ~ Normal(0, s)
observed y[r] ~ Bernoulli(expit(b0 + u + b1*x1 + b2*x2 + b3*x3 + b4*x4 + b5*x5 + b6*x6))
"""


def counts(steps=80):
    rng = np.random.default_rng(3)
    return {"t": range(steps), "y": rng.poisson(np.exp(1.0 + np.cumsum(0.15 * rng.normal(size=steps))))}


def answers(n=300):
    rng = np.random.default_rng(4)
    p, q, x = rng.integers(20, size=n), rng.integers(8, size=n), rng.normal(size=n)
    eta = 0.4 * x + 0.6 * rng.normal(size=20)[p] + 0.4 * rng.normal(size=8)[q]
    return {"p": p, "q": q, "x": x, "y": rng.binomial(1, 1 / (1 + np.exp(-eta)))}


BLOCKS = [(WALK, counts(), "'s'"), (CROSSED, answers(), "'su'")]


@pytest.mark.parametrize(("text", "data", "scale"), BLOCKS, ids=["walk", "crossed"])
def test_blocks_with_unknown_scales(text, data, scale):
    model = dm.read(text)
    plan = str(model.plan(data, method="gibbs"))
    assert "element by element" in plan
    assert f"{scale}: drawn with" in plan.replace("'sv', 'su'", "'su'")
    fit = model.fit(data, method="gibbs")
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    assert fit.diagnostics["ess_bulk"] > 400


@pytest.mark.parametrize(
    "text",
    [
        # no closed law of the effects
        WALK.replace("Normal(x[t-1], s)", "Logistic(x[t-1], s)"),
        # a walk with a known scale: trajectories have no neck to go through
        WALK.replace("s ~ HalfNormal(1)\n", "").replace("x[t-1], s", "x[t-1], 0.2"),
        # a shape that enters by more than a power, of each row
        WALK.replace("s ~ HalfNormal(1)", "s ~ HalfNormal(1)\nw[t] ~ Gamma(2, 2)").replace(
            "observed y[t] ~ Poisson(exp(x))", "observed y[t] ~ NegativeBinomial(exp(x), w)"
        ),
    ],
    ids=["law", "scale", "shapes"],
)
def test_others_go_by_trajectories(text):
    assert "element by element" not in str(dm.read(text).plan(counts(12), method="gibbs"))


def test_wide_units_go_element_by_element_to_the_same_posterior():
    """Against quadrature, four numbers at |z| < 5: a false alarm of 3e-6."""
    rng = np.random.default_rng(5)
    g, x, u, v = np.arange(40) % 8, rng.normal(size=40), 0.7 * rng.normal(size=8), 0.4 * rng.normal(size=8)
    data = {"g": g, "x": x, "y": rng.poisson(np.exp(0.3 + u[g] + (0.4 + v[g]) * x))}
    model = dm.read(SLOPES)
    told = "not by quadrature: units of dimension 2 would be integrated anew"
    assert told in str(model.plan(data, method="gibbs"))
    fit = model.fit(data, method="gibbs", draws=2000)
    assert told in str(fit.plan)
    other = model.fit(data, method="gibbs", route="collapsed", draws=2000)
    assert "quadrature" in str(other.plan)
    assert "element by element" not in other.method
    for name in ("b0", "b1", "s", "t"):
        a, b = (f.samples.values[name] for f in (fit, other))
        error = np.hypot(a.std() / np.sqrt(ess_bulk(a)), b.std() / np.sqrt(ess_bulk(b)))
        assert abs(a.mean() - b.mean()) < 5 * error, name


@pytest.mark.parametrize("rare", [True, False])
def test_where_proposals_are_wasted(rare):
    """By quadrature while its proposals count; few rare answers make most of them worthless."""
    rng = np.random.default_rng(0)
    g, x = np.arange(200) % 40, rng.normal(size=(6, 200))
    eta = (-2.5 if rare else 0.0) + 0.7 * rng.normal(size=40)[g] + 0.5 * x[0] - 0.5 * x[1]
    data = {f"x{j + 1}": x[j] for j in range(6)} | {"g": g, "y": rng.binomial(1, 1 / (1 + np.exp(-eta)))}
    fit = dm.read(RARE).fit_quietly(data, method="gibbs", draws=50, warmup=50, chains=2)
    assert ("element by element" in fit.method) == rare, fit.plan
    if rare:
        assert "'s': drawn with" in str(fit.plan)
        assert "not by quadrature: 'b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 's': " in str(fit.plan)
