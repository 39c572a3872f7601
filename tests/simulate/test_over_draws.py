"""Predictions and log densities over many draws: against formulas, and against the same draws one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.results.draws.draws import Draws
from dagmodels.simulate import simulate
from dagmodels.simulate.over_draws import OverDraws
from tests.results.draws import made
from tests.simulate.model_cases import CASES, model

FIXED = """model fixed
plate arm
plate patient in arm
covariate x[patient]
constant m = 2
parameter beta[arm]
beta["control"] = 0
level[arm] = softmax(exp(beta))
total = sum(beta for arm)
s ~ HalfNormal(1)
observed y[patient] ~ Normal(beta[arm] + level[arm]*x + total/m, s)
observed n[patient] ~ Poisson(exp(y[patient]/5))
"""
CHAIN = """model chain
plate t ordered
observed y[t first] ~ Normal(0, s)
observed y[t] ~ Normal(rho*y[t-1], s)
rho ~ Uniform(-1, 1)
s ~ HalfNormal(2)
"""
MIXTURE = """model two
plate k = 1..2
plate i
mu[k] ~ Normal(0, 5)
z[i] in k ~ Categorical(0.5)
observed y[i] ~ Normal(mu[z], 1)
"""


def fixed():
    rng = np.random.default_rng(1)
    arms = ["control"] * 3 + ["drug"] * 2
    frame = pd.DataFrame({"arm": arms, "x": range(1, 6), "y": [0.1, 0.2, 0.3, 1, 2], "n": [1, 0, 2, 3, 1]})
    problem = bind(dm.read(FIXED).dag, frame)
    beta = np.stack([np.zeros((2, 30)), rng.standard_normal((2, 30))], axis=-1)
    draws = Draws.of(problem, {"beta": beta, "s": rng.random((2, 30)) + 0.5})
    return problem, draws


def means(problem, draws):
    """The mean of y by numpy, (chains, draws, patient)."""
    beta, x = draws["beta"], problem.values["x"]
    arm = problem.plates["patient"].parents["arm"]
    e = np.exp(np.exp(beta))
    level = e / e.sum(axis=-1, keepdims=True)
    return beta[..., arm] + level[..., arm] * x + beta.sum(axis=-1)[..., None] / 2


def test_log_densities_are_the_formulas():
    problem, draws = fixed()
    before = draws["beta"].copy()
    found = OverDraws(problem).log_likelihood(draws)
    want = stats.norm.logpdf(problem.values["y"], means(problem, draws), draws["s"][..., None])
    np.testing.assert_allclose(found["y"], want, rtol=1e-12)
    rate = np.exp(problem.values["y"] / 5)
    counts = stats.poisson.logpmf(problem.values["n"], rate)
    np.testing.assert_allclose(found["n"], np.broadcast_to(counts, want.shape), rtol=1e-12)
    np.testing.assert_array_equal(draws["beta"], before)


def test_predictions_follow_the_law_of_each_draw():
    """Standardised residuals of 60 draws x 5 patients are Normal: a Kolmogorov-Smirnov test at 1e-4; counts
    follow the y that was predicted with them, not the one observed."""
    problem, draws = fixed()
    found = OverDraws(problem).posterior_predictive(draws, 3)
    z = (found["y"] - means(problem, draws)) / draws["s"][..., None]
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-4
    uniform = stats.poisson.cdf(found["n"] - 1, r := np.exp(found["y"] / 5))
    uniform = uniform + np.random.default_rng(1).random(r.shape) * stats.poisson.pmf(found["n"], r)
    assert stats.kstest(uniform.reshape(-1), "uniform").pvalue > 1e-4
    again = OverDraws(problem).posterior_predictive(draws, 3)
    np.testing.assert_array_equal(again["y"], found["y"])
    assert not np.array_equal(OverDraws(problem).posterior_predictive(draws, 4)["y"], found["y"])


def test_an_index_that_is_drawn_picks_its_own_draw():
    problem = bind(dm.read(MIXTURE).dag, {"i": ["a", "b", "c"], "y": [0.0, 1.0, np.nan]})
    rng = np.random.default_rng(2)
    z = rng.integers(0, 2, (2, 20, 3)).astype(float)
    mu = 5 * rng.standard_normal((2, 20, 2))
    draws = Draws.of(problem, {"mu": mu, "z": z})
    found = OverDraws(problem).log_likelihood(draws)["y"]
    own = np.take_along_axis(mu, z.astype(int), axis=2)
    np.testing.assert_allclose(found[..., :2], stats.norm.logpdf([0.0, 1.0], own[..., :2]), rtol=1e-12)
    assert np.isnan(found[..., 2]).all()
    drawn = OverDraws(problem).posterior_predictive(draws, 1)["y"]
    assert stats.kstest((drawn - own).reshape(-1), "norm").pvalue > 1e-4


def test_chains_are_predicted_step_by_step():
    """y_t - rho y_{t-1} is Normal(0, s) in every draw."""
    problem = bind(dm.read(CHAIN).dag, {"t": [1, 2, 3, 4], "y": [0.3, -0.2, 0.8, 0.1]})
    rng = np.random.default_rng(2)
    draws = Draws.of(problem, {"rho": rng.uniform(-1, 1, (2, 50)), "s": rng.random((2, 50)) + 0.1})
    y = OverDraws(problem).posterior_predictive(draws, 1)["y"]
    z = (y[..., 1:] - draws["rho"][..., None] * y[..., :-1]) / draws["s"][..., None]
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-4
    found = OverDraws(problem).log_likelihood(draws)["y"]
    data = problem.values["y"]
    want = stats.norm.logpdf(data[1:], draws["rho"][..., None] * data[:-1], draws["s"][..., None])
    np.testing.assert_allclose(found[..., 1:], want, rtol=1e-12)


def test_the_prior_predictive_has_the_priors_moments():
    """tau ~ HalfCauchy(5) has median 5: of 400 draws half are below, with se 0.025; four of them."""
    problem = made.eight_schools()
    prior, predictive = OverDraws(problem).prior_predictive(400, 1)
    assert set(prior) == {"theta", "mu", "tau"}
    assert prior["theta"].shape == predictive["y"].shape == (1, 400, 8)
    assert abs((prior["tau"] < 5).mean() - 0.5) < 0.1
    z = (predictive["y"] - prior["theta"]) / problem.values["sigma"]
    assert stats.kstest(z.reshape(-1), "norm").pvalue > 1e-4


def test_what_was_not_monitored_is_named():
    problem, draws = fixed()
    with pytest.raises(dm.ModelErrors) as caught:
        OverDraws(problem).posterior_predictive(draws.monitored("beta"), 1)
    assert "no draws of 's'" in str(caught.value)


CLASSICAL = ("rats", "seeds", "salm", "pump", "lsat", "local_level", "radon", "epil", "dugongs")


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_models_draw_by_draw_and_all_at_once(name):
    """Six draws near the truth behind simulated data: the same log densities, and finite predictions."""
    case, dag = CASES[name], model(name)
    data = simulate(dag, data=case.data, values=case.values, sizes=case.sizes, seed=2)
    problem = bind(dag, data)
    rng = np.random.default_rng(3)
    values = {
        n: np.asarray(v, dtype=float) * (1 + 0.01 * rng.random((2, 3, *(1,) * np.ndim(v))))
        for n, v in data.truth.items()
        if dag.nodes[n].kind in ("stochastic", "parameter")
    }
    draws = Draws.of(problem, values)
    found = OverDraws(problem).log_likelihood(draws)
    for c in range(2):
        for d in range(3):
            one = Draws.of(problem, {n: v[c : c + 1, d : d + 1] for n, v in values.items()})
            for n, each in OverDraws(problem).log_likelihood(one).items():
                np.testing.assert_allclose(found[n][c, d], each[0, 0], rtol=1e-12)
    drawn = OverDraws(problem).posterior_predictive(draws, 1)
    for n, v in drawn.items():
        assert v.shape == (2, 3, *problem.shape(n))
        assert np.isfinite(v).all()
