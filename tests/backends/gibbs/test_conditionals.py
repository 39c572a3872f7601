"""Draws element by element: references, calibration of every rule, words of plans and errors."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.errors import FitError, FitWarning
from dagmodels.simulate.calibration import calibration
from tests.backends.gibbs.compared import assert_agrees, bugs, by_bugs_name
from tests.backends.gibbs.runs import same
from tests.backends.gibbs.test_rules import CUTS, LOGITS, MIXED, SLOPES, TRIALS

ALARM = 1e-4
BY_ELEMENTS = {"method": "gibbs", "route": "conditionals"}


@pytest.mark.parametrize(
    ("name", "draws"), [("line", 8000), ("pump", 4000), ("rats", 4000), ("dyes", 20_000)]
)
def test_classic_examples(name, draws):
    model, reference = bugs(name)
    fit = model.fit(draws=draws, **BY_ELEMENTS)
    assert fit.converged, fit.message
    assert_agrees(by_bugs_name(model, fit), reference)


def groups(count, each):
    return {
        "g": np.repeat([f"g{k}" for k in range(count)], each),
        "x": np.random.default_rng(5).normal(size=count * each).round(3),
    }


LEVELS = """model ordered_levels
plate g
plate i in g
plate level = "low", "mid", "high"
plate cut = 1..2
covariate x[i]
a ~ Normal(0, 1)
b[g] ~ Normal(0, 1)
constant c[cut] = [-0.5, 0.7]
observed y[i] in level ~ OrderedProbit(a*x + b[g], c)
"""

long = pytest.mark.long


@pytest.mark.parametrize(
    ("text", "replicates"),
    [
        (LOGITS, 40),
        (LEVELS, 40),
        *(pytest.param(t, 400, marks=long) for t in (SLOPES, MIXED, TRIALS, LOGITS, LEVELS)),
    ],
    ids=lambda x: str(x).split()[:2][-1],
)
def test_ranks_are_uniform(text, replicates):
    """One right sampler in 10,000 fails."""
    options = {"draws": 19, "thin": 15, "warmup": 200, "route": "conditionals"}
    found = calibration(dm.read(text), groups(4, 3), replicates=replicates, **options)
    assert found.p_value > ALARM, str(found)


def test_the_plan_says_how_each_node_is_drawn():
    told = str(dm.read(SLOPES).plan({**groups(4, 3), "y": np.zeros(12)}, **BY_ELEMENTS))
    told += str(bugs("rats")[0].plan(**BY_ELEMENTS))
    for line in (
        "b, a, nu, mu: jointly normal: 'b', 'a', 'nu', 'mu' together, 'y' linear in all of them at once",
        "alpha: normal: 'Y' Normal, linear in 'alpha', precision does not depend on it",
        "p: Gamma: conjugate prior Gamma, 'a' is Normal with sigma 1/sqrt(p)",
        "v: InverseGamma: conjugate prior InverseGamma",
        "sd_b: gamma of 'sd_b'**-2 between limits: prior Uniform, 'b' is Normal with sigma sd_b",
    ):
        assert line in told, told


def test_diagnostics_say_how_updates_went():
    """Slices by evaluations, trajectories by their acceptance, and the verdict names what mixes badly."""
    data = {**groups(4, 3), "y": np.linspace(-2, 2, 12)}
    fit = run(CUTS, data, draws=200)
    updates = fit.diagnostics["updates"]
    statistics = fit.samples.statistics
    told = rf"trajectories, acceptance {statistics['acceptance_rate'].mean():.2f}"
    assert updates["c"] == updates["w"] == told
    assert updates["s"] == f"slice, {statistics['evaluations_s'].mean():.1f} evaluations a draw"
    assert 0.5 < statistics["acceptance_rate"].mean() < 1.0
    assert statistics["evaluations_s"].min() >= 2.0
    assert statistics["lp"].shape == (4, 200)
    assert fit.diagnostics["divergences"] == int(statistics["diverging"].sum())
    few = run(CUTS, data, draws=20)
    assert "by trajectories, acceptance 0." in few.message, few.message


def test_discrete_unknowns_are_drawn_without_being_asked_for():
    plan = dm.read(TRIALS).plan({**groups(4, 3), "y": np.zeros(12)}, method="gibbs")
    assert "n: slice: counts" in str(plan)


def run(text, data, seed=1, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return dm.read(text).fit(data, seed=seed, warmup=50, **BY_ELEMENTS, **options)


def test_draws_do_not_hang_on_threads_or_on_rounds():
    data = {**groups(4, 3), "y": np.linspace(-2, 2, 12)}
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(4) as four:
        first = run(MIXED, data, draws=600, executor=one)
        assert same(first, run(MIXED, data, draws=600, executor=four))
    assert same(first, run(MIXED, data, draws=200).extend(400))


def test_impossible_data_are_named_before_anything_is_drawn():
    text = """model sure
plate i
covariate x[i]
observed y[i] ~ Bernoulli(x)
a ~ Normal(0, 1)
observed z[i] ~ Normal(a, 1)
"""
    data = {"i": ["u", "v", "w"], "x": [0.5, 0.2, 0.0], "y": [1, 0, 1], "z": [0.0, 0.0, 0.0]}
    with pytest.raises(FitError, match=r"y\[w\] has probability zero under its parents: p = 0 but y = 1"):
        dm.read(text).fit(data, **BY_ELEMENTS)


def test_impossible_initial_values_are_named():
    with pytest.raises(FitError, match=r"inits of chain 1: 'p' is -1, which is not inside its bound"):
        dm.read(SLOPES).fit({**groups(4, 3), "y": np.zeros(12)}, inits={"p": -1.0}, **BY_ELEMENTS)
