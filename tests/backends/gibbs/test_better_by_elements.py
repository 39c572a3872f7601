"""Which graphs go element by element of themselves, and that chains then mix."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm

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
