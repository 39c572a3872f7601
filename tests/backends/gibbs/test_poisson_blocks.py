"""Poisson predictors drawn in blocks, by mixtures that acceptance corrects: the law is left, chains mix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

import dagmodels as dm
from dagmodels.forms.conditionals.log_gamma import NODES, errors, fitted, mixtures, places
from dagmodels.numerics import mixture_steps
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.numerics.sweep_codes import CODES, CURVES, EXACT, RATIO
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.compared import assert_agrees, bugs, by_bugs_name
from tests.backends.gibbs.test_rules import ALARM, covariates

RATES = """model rates
plate g
plate i in g
covariate x[i]
a ~ Normal(0, 0.5)
b ~ Normal(0, 0.5)
u[g] ~ Normal(0, s)
s ~ HalfNormal(0.5)
observed y[i] ~ Poisson(1.5*exp(a + b*x + u[g]))
observed z[i] ~ Poisson(exp(a)/exp(b + 1))
"""
CROSSED = """model crossed
plate p
plate q
plate i in p, q
covariate x[i], t[i]
a ~ Normal(0, 10)
b ~ Normal(0, 10)
u[p] ~ Normal(0, su)
v[q] ~ Normal(0, sv)
su, sv ~ HalfNormal(1)
observed y[i] ~ Poisson(t*exp(a + b*x + u[p] + v[q]))
"""


@pytest.mark.parametrize("sweeps", [4000, pytest.param(60_000, marks=pytest.mark.long)])
def test_the_joint_law_is_left(sweeps):
    """One right schedule in 10,000 fails."""
    found = check_rules(dm.read(RATES), covariates(), simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps)
    assert "Normal given curves of mixtures, which acceptance corrects" in str(found)
    assert found.p_value > ALARM, str(found)


def crossed(base, n=300, seed=3):
    rng = np.random.default_rng(seed)
    p, q, x, t = rng.integers(10, size=n), rng.integers(6, size=n), rng.normal(size=n), rng.uniform(0.5, 3, n)
    eta = base + 0.3 * x + 0.5 * rng.normal(size=10)[p] + 0.35 * rng.normal(size=6)[q]
    return {"p": p, "q": q, "x": x, "t": t, "y": rng.poisson(t * np.exp(eta))}


def agree(one, other, nodes):
    """Means within five standard errors of both: of a right pair of fits, one quantity in a million fails."""
    for node in nodes:
        a, b = one.samples[node], other.samples[node]
        first, second = (v.var() / ess_mean(v[:, :, None])[0] for v in (a, b))
        assert abs(a.mean() - b.mean()) < 5 * np.sqrt(first + second), node


@pytest.mark.parametrize("base", [-1.0, 1.0, 12.0])
def test_one_group_as_by_quadrature(base):
    """Rare events, small counts and counts about a million, against draws whose effects are integrated."""
    text = CROSSED.replace("plate q\n", "").replace("p, q", "p").replace(" + v[q]", "")
    text = text.replace("v[q] ~ Normal(0, sv)\n", "").replace("su, sv", "su")
    data = crossed(base)
    del data["q"]
    model = dm.read(text)
    fit = model.fit(data, method="gibbs", route="conditionals")
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    assert fit.samples.statistics["acceptance_rate_a"].mean() > 0.5
    agree(fit, model.fit(data, method="gibbs"), ("a", "b", "su"))


@pytest.mark.long
@pytest.mark.parametrize("base", [-1.0, 3.0])
def test_crossed_effects_as_by_trajectories(base):
    model, data = dm.read(CROSSED), crossed(base)
    fit = model.fit(data, method="gibbs", route="conditionals", draws=4000)
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    other = model.fit(data, method="gibbs", collapse=False, draws=2000, target_accept=0.95)
    agree(fit, other, ("a", "b", "su", "sv"))


def test_all_zero():
    """The intercept against its posterior by a lattice."""
    model = dm.read(
        "model none\nplate i\ncovariate x[i]\na ~ Normal(0, 3)\nb ~ Normal(0, 0.5)\n"
        "observed y[i] ~ Poisson(exp(a + b*x))\n"
    )
    x = np.linspace(-1.0, 1.0, 40)
    data = {"x": x, "y": np.zeros(40)}
    assert "curves of mixtures" in str(model.plan(data, method="gibbs", route="conditionals"))
    fit = model.fit(data, method="gibbs", route="conditionals", draws=2000)
    a, b = np.meshgrid(np.linspace(-20, 3, 500), np.linspace(-3, 3, 120), indexing="ij")
    log = -0.5 * (a / 3) ** 2 - 2 * b**2 - np.exp(a[..., None] + b[..., None] * x).sum(axis=-1)
    share = np.exp(log - log.max())
    share /= share.sum()
    table = fit.samples["a"], fit.samples["b"]
    for values, lattice in zip(table, (a, b), strict=True):
        mean = float((share * lattice).sum())
        sd = float(np.sqrt((share * (lattice - mean) ** 2).sum()))
        n = fit.diagnostics["ess_bulk"]
        assert abs(values.mean() - mean) < 5 * sd / np.sqrt(n)
        assert abs(values.std() / sd - 1) < 5 / np.sqrt(n)


def test_salm():
    """Without blocks the default number of draws left R-hat between 1.005 and 1.015."""
    model, reference = bugs("salm")
    fit = model.fit(method="gibbs", route="conditionals")
    assert fit.diagnostics["rhat"] < 1.01, fit.message
    assert fit.samples.statistics["acceptance_rate_beta"].mean() > 0.9
    assert "acceptance" in fit.diagnostics["updates"]["beta"]
    assert_agrees(by_bugs_name(model, fit), reference)


def test_one_effect_alone_is_drawn_by_slices():
    """No other stands in its rows: slices need no acceptance."""
    model = dm.read(
        "model alone\nplate g\na[g] ~ Normal(m, s)\nm ~ Normal(0, 2)\ns ~ HalfNormal(1)\n"
        "observed y[g] ~ Poisson(exp(a[g]))\n"
    )
    plan = str(model.plan({"y": [0, 2, 5]}, method="gibbs", route="conditionals"))
    assert "slice: a number on a line" in plan
    assert "curves" not in plan


def test_each_count_has_the_nearest_node():
    """In the logarithm, beyond those that have their own; the compiled code chooses the same."""
    counts = np.unique(np.r_[np.arange(400), 0.2, 0.5, 0.8, np.geomspace(400, 1e5, 500).round()]).astype(
        float
    )
    nodes, chosen = np.array(NODES), places(counts)
    own = counts <= EXACT
    between = {0.2: 0.5, 0.8: 1.0}
    np.testing.assert_array_equal(nodes[chosen[own]], [between.get(y, y) for y in counts[own]])
    steps = np.abs(np.log(nodes[chosen[~own]] / counts[~own])) / np.log(RATIO)
    assert steps.max() < 0.51  # nodes of the table are rounded to a tenth
    assert [mixture_steps._node(y, len(NODES)) for y in counts] == chosen.tolist()
    assert places(np.array([1e9]))[0] == mixture_steps._node(1e9, len(NODES)) == len(NODES) - 2
    assert NODES[places(np.array([0.5]))[0]] == NODES[mixture_steps._node(0.5, len(NODES))] == 0.5


def test_so_many_rows_that_few_blocks_would_be_accepted():
    """Zeros, whose mixture is farthest: beyond an sd of 1.5 of all log ratios there are no curves."""
    text = "model none\nplate i\ncovariate x[i]\na ~ Normal(0, 3)\nb ~ Normal(0, 1)\n"
    model = dm.read(text + "observed y[i] ~ Poisson(exp(a + b*x))\n")
    error = mixtures().error[0]
    few, many = int(1.5**2 / error**2 * 0.9), int(1.5**2 / error**2 * 1.1)
    for n, curves in ((few, True), (many, False)):
        data = {"x": np.linspace(-1, 1, n), "y": np.zeros(n)}
        plan = str(model.plan(data, method="gibbs", route="conditionals"))
        assert ("curves of mixtures" in plan) == curves


def test_mixtures_are_near():
    """The file has what `fitted` finds, and it is near: the sd of the log ratio is 0.6 % beyond counts of
    one, 2.5 % at zero and one, 1 % at a half."""
    found = mixtures()
    assert len(found.numbers) == len(NODES)
    assert (found.error[2:-1] < 0.006).all()
    assert (found.error[:2] < 0.025).all()
    assert found.error[-1] < 0.01
    between = np.array([0.6, 1.4, 2.5, 7.5, 19.9])
    assert (errors(between) < 0.1).all()
    assert (errors(between[2:]) < 0.04).all()
    for place in (1, 12, 40, len(NODES) - 1):
        curves, error = fitted(float(NODES[place]))
        np.testing.assert_allclose(error, found.error[place], rtol=0.05)
        assert np.isfinite(found.numbers[place][:, 0]).sum() == len(curves)


@pytest.mark.parametrize("y", [0, 0.5, 1, 3, 5.5, 17, 23, 50, 640, 120_000, 1_000_000])
def test_the_kernels_follow_the_likelihood(y):
    """In the compiled code, for counts between nodes too: the log ratio is level where the likelihood is."""
    table = mixtures().numbers.reshape(-1)
    known = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    numbers = np.concatenate([table, known, [0.0], [1.0]])
    eta = np.log(max(y, 0.3)) + np.linspace(-2.0, 1.0, 41) / np.sqrt(max(y, 1))
    logs = np.array(
        [mixture_steps.log_ratio(np.array([x, y]), numbers, table.size, 1, 0, 1, 1, 1) for x in eta]
    )
    likelihood = np.exp(y * eta - np.exp(eta) - gammaln(y + 1))
    share = likelihood / likelihood.sum()
    assert np.sqrt(share @ (logs - share @ logs) ** 2) < (0.03 if y < 2 else 0.012)


def test_a_curve_is_drawn_as_often_as_it_should():
    """Frequencies of curves at one eta, of 20,000: one in 100,000 right ones fails."""
    table = mixtures().numbers.reshape(-1)
    rng = np.random.default_rng(1)
    n, y, x = 20_000, 3.0, 0.4
    numbers = np.concatenate([table, [1.0, 1e9, 1.0, 0.0, 0.0], np.zeros(n), np.ones(n)])
    w = np.concatenate([[x, y], np.zeros(2 * n + 1)])
    at = 2 + np.arange(2 * n + 1)
    while True:  # one curve a row is taken in 2 % of sweeps
        mixture_steps.draw_curves(rng, w, at, numbers, table.size, n, 0, 0, 1, 0, 0, 0.0)
        if numbers[table.size + 3] == 0.0:
            break
    from scipy.special import digamma, polygamma
    from scipy.stats import chi2

    own = mixtures().numbers[int(places(np.array([y]))[0])]
    own = own[np.isfinite(own[:, 0])]
    middle, scale = digamma(y), np.sqrt(polygamma(1, y))
    mean, sd = middle + scale * own[:, 1], scale * np.exp(own[:, 2])
    logs = own[:, 0] - own[:, 2] - 0.5 * ((x - mean) / sd) ** 2
    share = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    seen = np.abs(w[2 : 2 + n, None] - mean).argmin(axis=1)
    np.testing.assert_allclose(w[2 + n : 2 + 2 * n], 1 / sd[seen] ** 2, rtol=1e-10)
    often = share * n > 5
    counts = np.bincount(seen, minlength=len(own))
    statistic = ((counts[often] - n * share[often]) ** 2 / (n * share[often])).sum()
    assert statistic < chi2.isf(1e-5, often.sum() - 1)
    assert len(own) <= CURVES
    assert "accept" in CODES
