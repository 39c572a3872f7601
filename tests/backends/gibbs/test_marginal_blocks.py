"""Numbers drawn with a jointly normal block integrated out: the law is left, and chains mix."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.forms.conditionals import segments
from dagmodels.forms.conditionals.schedule import schedule
from dagmodels.forms.conditionals.sweeper import Sweeper
from dagmodels.numerics import fill, sweep_steps
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.numerics.sweep_codes import PARAMETERS, PATTERN
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.test_rules import ALARM, covariates

INTEGRATED = "integrated out, drawn right after"
WALK = """model walk
plate t ordered
s ~ HalfNormal(1)
r ~ HalfNormal(1)
x[t first] ~ Normal(0, 3)
x[t] ~ Normal(x[t-1], s)
observed y[t] ~ Normal(x, r)
"""
VOLATILITY = """model volatility
plate t ordered
mu ~ Normal(0, 1)
phi ~ Uniform(-1, 1)
s ~ HalfNormal(0.5)
h[t first] ~ Normal(mu, s/sqrt(1 - phi**2))
h[t] ~ Normal(mu + phi*(h[t-1] - mu), s)
observed y[t] ~ Normal(0, exp(h/2))
"""
COUNTS = """model counts
plate t ordered
s ~ HalfNormal(0.5)
x[t first] ~ Normal(1, 0.5)
x[t] ~ Normal(x[t-1], s)
observed y[t] ~ Poisson(exp(x))
"""
CROSSED = """model crossed
plate g
plate i in g
plate k = 1..2
covariate x[i]
s[k] ~ Uniform(0, 2)
a[g, k] ~ Normal(0, s[k])
observed y[i] ~ Bernoulli(expit(a[g, 1] + a[g, 2]*x))
"""
TIMES = """model times
plate g
plate i in g
covariate x[i]
s ~ HalfNormal(0.5)
a[g] ~ Normal(0, s)
b ~ Normal(0, 0.5)
observed y[i] ~ Exponential(exp(a[g] + b*x))
observed z[i] ~ Weibull(2, exp(a[g]))
"""
SCALES = """model scales
plate g
plate i in g
covariate x[i]
m ~ Normal(0, 1)
s ~ HalfNormal(0.5)
a[g] ~ Normal(0, s)
b ~ Normal(0, 0.5)
observed y[i] ~ Normal(m, tau=1/exp(a[g] + b*x))
"""
LEVEL = """model level
plate t ordered
sl, st ~ HalfNormal(0.5)
k ~ Gamma(4, 2)
slope[t first] ~ Normal(0, 0.5)
slope[t] ~ Normal(slope[t-1], st)
level[t first] ~ Normal(0, 1)
level[t] ~ Normal(level[t-1] + slope[t-1], sl)
observed y[t] ~ Gamma(k, k*exp(-level))
"""


@pytest.mark.parametrize("sweeps", [4000, pytest.param(60_000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "text", [WALK, VOLATILITY, COUNTS, CROSSED, TIMES, SCALES, LEVEL], ids=lambda t: t.split()[1]
)
def test_the_joint_law_is_left(text, sweeps):
    """One right schedule in 10,000 fails."""
    data = {"t": range(5)} if "ordered" in text else covariates()
    found = check_rules(dm.read(text), data, simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps)
    assert INTEGRATED in str(found)
    assert found.p_value > ALARM, str(found)


def test_elimination_in_another_order_leaves_the_law(monkeypatch):
    """By minimum degree, however small the block: one right schedule in 10,000 fails."""
    monkeypatch.setattr(segments, "DEAR", 0.0)
    monkeypatch.setattr(fill, "GAIN", np.inf)
    found = check_rules(dm.read(LEVEL), {"t": range(5)}, simulated=800, sweeps=4000)
    assert found.p_value > ALARM, str(found)


def test_two_chains_are_eliminated_along_the_plate():
    """And not chain by chain, which would fill half of the matrix: 120 elements of each once took 0.3 ms."""
    data = {"t": range(120), "y": np.linspace(0.5, 2.0, 120)}
    walk = schedule(dm.read(LEVEL)._facts(data).problem).walk
    n, _, _, size = walk.blocks.table[0, :4]
    assert n == 241
    assert size < 10 * n


def test_the_integral():
    """log of the integral against dense matrices, and that it is the same wherever the block is."""
    model, data = dm.read(VOLATILITY), {"t": range(7), "y": np.linspace(-1.0, 2.2, 7)}
    found = schedule(model._facts(data).problem)
    walk, drawn = found.walk, found.drawn
    assert len([u for u in drawn if u.draw == "marginal slice"]) == 6  # s and phi there and back, twice
    at = next(k for k, u in enumerate(drawn) if u.draw == "marginal slice")
    row, block = walk.table[at], walk.blocks.table[walk.table[at, PATTERN]]
    parts = [walk.blocks.places, walk.blocks.near, walk.blocks.wide, walk.blocks.kinds]
    parts = [p[block[j] : block[j + 1]] for p, j in zip(parts, (6, 8, 10, 12), strict=True)]
    i, j = drawn[at].pattern
    rng = np.random.default_rng(4)
    sums = []
    state = rng.uniform(0.2, 0.8, walk.size)
    for _ in range(3):
        for node in ("h", "mu"):
            slots = found.board.builder.holdings[node].slots
            state[slots] = rng.normal(size=slots.size)
        s, phi = (state[found.board.builder.holdings[n].slots[0]] for n in ("s", "phi"))
        state[drawn[at].slots] = np.log(s) if drawn[at].node == "s" else phi
        sweeper = Sweeper(walk, state)
        value = sweep_steps.integral(sweeper.w, row[PARAMETERS + 2], block, *parts)
        numbers = sweeper.w[row[PARAMETERS + 2] :][: i.size]
        q = np.zeros((j.max() + 1, j.max() + 1))
        np.add.at(q, (i, j), numbers)
        q = q + np.triu(q, 1).T
        q, linear = q[:-1, :-1], q[-1, :-1]
        exact = 0.5 * linear @ np.linalg.solve(q, linear) - 0.5 * np.linalg.slogdet(q)[1]
        np.testing.assert_allclose(value, exact, rtol=1e-11)
        # with the log density at this place of the block it is one number, wherever that is
        h, mu = found.values(state[None])["h"][0], found.values(state[None])["mu"][0]
        scale = np.r_[s / np.sqrt(1 - phi**2), np.full(6, s)]
        gap = h - np.r_[mu, mu + phi * (h[:-1] - mu)]
        curves = next(u for u in drawn if u.draw == "log gamma curves")
        mean, precision = sweeper.w[curves.slots[:7]], sweeper.w[curves.slots[7:14]]
        eta = np.log(0.5 * data["y"] ** 2) - h
        density = -0.5 * (gap**2 / scale**2).sum() - 0.5 * mu[0] ** 2
        sums.append(value + density - 0.5 * (precision * (eta - mean) ** 2).sum())
    np.testing.assert_allclose(sums, sums[0], rtol=1e-9)


def agree(one, other, nodes):
    """Means within five standard errors of both: of a right pair of fits, one quantity in a million fails."""
    for node in nodes:
        a, b = one.samples[node], other.samples[node]
        first, second = (v.var() / ess_mean(v[:, :, None])[0] for v in (a, b))
        assert abs(a.mean() - b.mean()) < 5 * np.sqrt(first + second), node


def test_a_random_walk_as_collapsed():
    """The scale had 34 effective draws of 8,000 and an R-hat of 1.10 where it was drawn given the walk."""
    rng = np.random.default_rng(2)
    model, data = dm.read(WALK), {"t": range(40)}
    data["y"] = np.cumsum(0.5 * rng.normal(size=40)) + rng.normal(size=40)
    fit = model.fit(data, method="gibbs", route="conditionals", draws=2000)
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    assert fit.diagnostics["ess_bulk"] > 2000
    agree(fit, model.fit(data, method="gibbs", draws=2000), ("s", "r"))


def filtered(y, mu, phi, s):
    """Log likelihood of the volatility model, h on a lattice of 161 values (forward filter)."""
    sd = s / np.sqrt(1 - phi**2)
    h = np.linspace(mu - 6 * sd, mu + 6 * sd, 161)
    step = np.exp(-0.5 * ((h[None, :] - mu - phi * (h[:, None] - mu)) / s) ** 2)
    step /= np.maximum(step.sum(axis=1, keepdims=True), 1e-300)
    share = np.exp(-0.5 * ((h - mu) / sd) ** 2)
    share /= share.sum()
    total = 0.0
    for value in y:
        weighted = share * np.exp(-0.5 * h - 0.5 * value**2 * np.exp(-h))
        total += np.log(weighted.sum())
        share = weighted / weighted.sum() @ step
    return total


def test_stochastic_volatility_as_by_filtering():
    """Coefficient and scale of log variances against a lattice of their likelihoods, with one zero among the
    data; means and sd within five standard errors."""
    rng = np.random.default_rng(5)
    n, h = 60, 0.0
    y = np.empty(n)
    for t in range(n):
        h = 0.8 * h + 0.5 * rng.normal()
        y[t] = np.exp(h / 2) * rng.normal()
    y[20] = 0.0
    model = dm.read(VOLATILITY.replace("mu ~ Normal(0, 1)\n", "").replace("mu", "0"))
    fit = model.fit({"t": range(n), "y": y}, method="gibbs", route="conditionals", draws=3000)
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    assert fit.samples.statistics["acceptance_rate_h"].mean() > 0.5
    # s > 0.04, because a lattice of h would have to be finer below
    width = 0.04
    phi, s = np.linspace(-0.985, 0.985, 41), width * (1.5 + np.arange(50))
    log = np.array([[filtered(y, 0.0, p, v) - 0.5 * (v / 0.5) ** 2 for v in s] for p in phi])
    share = np.exp(log - log.max())
    share /= share.sum()
    kept = fit.samples["s"] > width
    for node, lattice in (("phi", phi[:, None]), ("s", s[None, :])):
        draws = fit.samples[node]
        mean = float((share * lattice).sum())
        sd = float(np.sqrt((share * (lattice - mean) ** 2).sum()))
        effective = ess_mean(draws[:, :, None])[0]
        assert abs(draws[kept].mean() - mean) < 5 * sd / np.sqrt(effective) + 0.01 * sd, node
        assert abs(draws[kept].std() / sd - 1) < 5 / np.sqrt(effective) + 0.02, node


def test_many_numbers_stay_outside():
    """Each asks for an elimination at every trial; more than six are not worth it."""
    text = CROSSED.replace("1..2", "1..7").replace("a[g, 2]*x", "a[g, 7]*x")
    data = {**covariates(), "y": [0, 1, 1, 1, 0, 0]}
    assert INTEGRATED not in str(dm.read(text).plan(data, method="gibbs", route="conditionals"))
    few = str(dm.read(CROSSED).plan(data, method="gibbs", route="conditionals"))
    assert "s: slice: a number on a line, with no closed full conditional; then by a slice with 'a' " in few


@pytest.mark.parametrize(
    "text",
    [
        "a[g] ~ Normal(0, s)\nb ~ Normal(0, 1)\nobserved y[i] ~ Poisson(exp(a[g] + b*x))\n",
        "a[g] ~ Normal(m, s)\nm ~ Normal(0, 1)\nb[g] ~ Normal(a[g], 1)\n"
        "observed y[i] ~ Normal(a[g] + b[g], 1)\n",
    ],
    ids=["curves", "blocks"],
)
def test_the_plan_says_so(text):
    head = "model told\nplate g\nplate i in g\ncovariate x[i]\ns ~ HalfNormal(1)\n"
    data = {**covariates(), "y": [0, 1, 1, 1, 0, 0]}
    plan = str(dm.read(head + text).plan(data, method="gibbs", route="conditionals"))
    assert f"{INTEGRATED}" in plan
