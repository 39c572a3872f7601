"""Linear Gaussian graphs by EM on the field: state space, mixed models, dynamic factors.

Against Durbin and Koopman's Nile (2012, Time Series Analysis by State Space Methods, section 2.10.3:
variances 15099 and 1469.1), lme4's sleepstudy, a Kalman filter written out here, and laplace, whose search
shares the field but no step. Every path of every search is looked at: the criterion never rises.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.analysis.roles import roles
from dagmodels.backends.em.field import loop
from dagmodels.backends.em.field.loop import run
from dagmodels.forms.build_field import build_field
from tests.oracle.cases import problem_of

ROOT = Path(__file__).parents[3]
SLEEPSTUDY = """model sleepstudy
plate Subject
plate obs in Subject
plate coef = "(Intercept)", "Days"
plate coef2 as coef
covariate Days[obs]
parameter Sigma[coef, coef2] covariance
parameter sigma > 0
parameter mu[coef]
b[Subject, coef] ~ MvNormal(mu, Sigma)
observed Reaction[obs] ~ Normal(b[Subject, "(Intercept)"] + b[Subject, "Days"]*Days, sigma)
"""
AUTOREGRESSION = """model ar
plate t ordered
parameter phi in (-1, 1)
parameter s, e > 0
parameter m
x[t first] ~ Normal(0, s/sqrt(1 - phi**2))
x[t] ~ Normal(phi*x[t-1], s)
observed y[t] ~ Normal(m + x, e)
"""
FACTOR = """model factor
plate t ordered
plate item
parameter phi
parameter l[item], m[item]
parameter e[item] > 0
f[t first] ~ Normal(0, 1)
f[t] ~ Normal(phi*f[t-1], 1)
observed y[t, item] ~ Normal(m + l*f, e)
"""
TREND = """model trend
plate t ordered
parameter s_level, s_slope, e > 0
level[t first] ~ Flat()
slope[t first] ~ Flat()
level[t] ~ Normal(level[t-1] + slope[t-1], s_level)
slope[t] ~ Normal(slope[t-1], s_slope)
observed y[t] ~ Normal(level, e)
"""


def nile() -> pd.DataFrame:
    return pd.read_csv(ROOT / "examples" / "nile.csv")


def series(n: int = 200, phi: float = 0.8, seed: int = 3) -> np.ndarray:
    """An autoregression of unit shocks."""
    rng = np.random.default_rng(seed)
    x = np.empty(n)
    x[0] = rng.normal() / math.sqrt(1 - phi**2)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + rng.normal()
    return x


def gappy() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    y = 2 + series() + 0.7 * rng.normal(size=200)
    y[rng.random(200) < 0.2] = np.nan
    return pd.DataFrame({"t": np.arange(200), "y": y})


def items() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    loadings, noise = np.array([1.0, 0.8, -0.5, 1.2]), np.array([0.5, 0.6, 0.7, 0.4])
    y = series(seed=6)[:, None] * loadings + noise * rng.normal(size=(200, 4)) + np.arange(4)
    y[rng.random(y.shape) < 0.1] = np.nan
    t, item = np.indices(y.shape)
    return pd.DataFrame({"t": t.ravel(), "item": item.ravel(), "y": y.ravel()})


def trending() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    slope = np.cumsum(0.1 * rng.normal(size=120))
    level = np.cumsum(slope + 0.5 * rng.normal(size=120))
    return pd.DataFrame({"t": np.arange(120), "y": level + rng.normal(size=120)})


def sleepstudy() -> pd.DataFrame:
    return pd.read_csv(ROOT / "tests" / "references" / "sleepstudy" / "data.csv")


CASES = {
    "sleepstudy": (SLEEPSTUDY, sleepstudy),
    "autoregression with gaps": (AUTOREGRESSION, gappy),
    "dynamic factor with gaps": (FACTOR, items),
    "local linear trend": (TREND, trending),
    "local level": ((ROOT / "specs" / "local_level.dag").read_text(), nile),
}


def climbed(text: str, data: pd.DataFrame) -> tuple[loop.EmSolution, float]:
    """The search, each of whose paths never rises, and twice the gain that Newton's last steps added."""
    problem = problem_of(text, data)
    found = run(build_field(problem, roles(problem.graph, problem)))
    for path in found.paths:
        assert (np.diff(path) <= 1e-10 * np.abs(path[:-1])).all()
    return found, found.paths[-1][-1] - found.solution.optimum.value


@pytest.mark.parametrize("name", CASES)
def test_equal_to_laplace(name: str):
    text, data = CASES[name]
    graph = dm.read(text)
    newton, em = graph.fit_quietly(data(), method="laplace"), graph.fit_quietly(data(), method="em")
    assert em.converged, em.message
    assert em.exact
    assert em.log_likelihood == pytest.approx(newton.log_likelihood, abs=1e-6)
    sign = np.where(np.char.startswith(em.estimates["name"].to_numpy(str), "l["), -1.0, 1.0)
    ours, theirs = em.estimates["estimate"].to_numpy(), newton.estimates["estimate"].to_numpy()
    if np.abs(ours - theirs).max() > 0.1:  # loadings and their negatives are one model
        theirs = sign * theirs
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(em.estimates["se"], newton.estimates["se"], rtol=1e-4)
    assert em.backend == "em"
    assert em.method == f"{newton.method}, by EM"


@pytest.mark.parametrize("name", CASES)
def test_every_path_rises_to_the_optimum_by_itself(name: str):
    text, data = CASES[name]
    found, left = climbed(text, data())
    assert len(found.paths) == 1
    assert len(found.paths[0]) > 3
    assert 0 <= left < 2e-5  # nothing is left for Newton's steps but digits


def test_nile_is_durbins_and_koopmans():
    fit = dm.read(ROOT / "specs" / "local_level.dag").fit(method="em")
    assert fit["s_flow"] ** 2 == pytest.approx(15099, abs=1)
    assert fit["s_level"] ** 2 == pytest.approx(1469.1, abs=0.1)


def test_sleepstudy_is_lme4s():
    folder = ROOT / "tests" / "references" / "sleepstudy"
    want = json.loads((folder / "reference.json").read_text())["fits"]["ML"]["reference"]
    fit = dm.read(SLEEPSTUDY).fit(sleepstudy(), method="em")
    assert fit.log_likelihood == pytest.approx(want["logLik"], abs=1e-6)


def kalman(y: np.ndarray, phi: float, s: float, e: float, m: float) -> float:
    """Log likelihood of an autoregression with noise and gaps (Durbin and Koopman 2012, equation 7.2)."""
    a, p, total = 0.0, s**2 / (1 - phi**2), 0.0
    for value in y:
        if not np.isnan(value):
            f, v = p + e**2, value - m - a
            total -= 0.5 * (math.log(2 * math.pi * f) + v**2 / f)
            a, p = a + p / f * v, p - p**2 / f
        a, p = phi * a, phi**2 * p + s**2
    return total


def test_gaps_as_a_kalman_filter_has_them():
    data = gappy()
    fit = dm.read(AUTOREGRESSION).fit(data, method="em")
    best = [fit[n] for n in ("phi", "s", "e", "m")]
    y = data["y"].to_numpy()
    assert fit.log_likelihood == pytest.approx(kalman(y, *best), abs=1e-8)
    for k in range(4):
        for step in (-1e-3, 1e-3):
            moved = list(best)
            moved[k] += step
            assert kalman(y, *moved) < fit.log_likelihood


def test_shared_fixed_and_penalised_unknowns():
    """One loading fixed, one scale for two items, priors on others: the mode of laplace."""
    text = FACTOR.replace(
        "parameter e[item] > 0", 'parameter shared > 0\ne[item] = if_else(item == "2", 2, 1)*shared'
    )
    text = text.replace("parameter l[item], m[item]", 'l["0"] = 1\nl[item] ~ Normal(0, 2)\nparameter m[item]')
    text = text.replace("f[t first] ~ Normal(0, 1)\nf[t] ~ Normal(phi*f[t-1], 1)", "q ~ HalfNormal(0.5)\n"
                        "f[t first] ~ Normal(0, 1)\nf[t] ~ Normal(phi*f[t-1], q)")  # fmt: skip
    data = items()
    data["item"] = data["item"].astype(str)
    graph = dm.read(text)
    newton, em = graph.fit_quietly(data, method="laplace"), graph.fit_quietly(data, method="em")
    assert em.converged
    assert em.measures["log_posterior"] == pytest.approx(newton.measures["log_posterior"], abs=1e-6)
    np.testing.assert_allclose(em.estimates["estimate"], newton.estimates["estimate"], rtol=1e-5, atol=1e-5)
    climbed(text, data)


def test_what_moves_determined_latents_is_maximised_beside():
    """x begins at c z exactly: c moves a latent that has no variance of its own."""
    text = AUTOREGRESSION.replace(
        "x[t first] ~ Normal(0, s/sqrt(1 - phi**2))", "parameter c > 0\nz ~ Normal(1, 1)\nx[t first] = c*z"
    )
    text = text.replace("phi in (-1, 1)", "phi")
    data = gappy()
    graph = dm.read(text)
    newton, em = graph.fit_quietly(data, method="laplace"), graph.fit_quietly(data, method="em")
    assert em.log_likelihood == pytest.approx(newton.log_likelihood, abs=1e-6)
    _, left = climbed(text, data)
    assert left < 2e-5


def test_a_variance_of_zero_is_found():
    """Groups that do not differ: the criterion's end is that of laplace, and the scale is named."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=(12, 6))
    y -= y.mean(axis=1, keepdims=True)
    data = pd.DataFrame({"group": np.repeat(np.arange(12), 6), "y": y.ravel()})
    text = "model flat\nplate group\nplate row in group\nparameter s, e > 0\nparameter m\n"
    text += "u[group] ~ Normal(0, s)\n"
    text += "observed y[row] ~ Normal(m + u, e)\n"
    fit = dm.read(text).fit_quietly(data, method="em")
    assert fit.converged
    assert fit["s"] == 0.0
    assert fit.boundary == ("s",)
    climbed(text, data)


def test_refits_and_predictions():
    graph = dm.read(ROOT / "specs" / "local_level.dag")
    em, newton = graph.fit(method="em"), graph.fit(method="laplace")
    drawn = [fit.bootstrap(3, seed=1).intervals() for fit in (em, newton)]
    for column in ("lower", "upper"):
        np.testing.assert_allclose(drawn[0][column], drawn[1][column], rtol=1e-5)
    np.testing.assert_allclose(em.predict(), newton.predict(), rtol=1e-7)


def test_laplace_is_still_preferred_and_refusals_name_nodes():
    plan = dm.read(ROOT / "specs" / "local_level.dag").plan()
    assert plan.backend == "laplace"
    assert "'em' could fit it exactly by exact restricted maximum likelihood (REML), by EM" in str(plan)
    regression = "model r\nplate i\nparameter a, b\nparameter s > 0\ncovariate x[i]\n"
    regression += "observed y[i] ~ Normal(a + b*x, s)\n"
    data = {"x": [1.0, 2.0, 4.0, 3.0], "y": [1.0, 2.0, 2.5, 0.0]}
    with pytest.raises(dm.FitError, match="nothing is latent"):
        dm.read(regression).fit(data, method="em")
    with pytest.raises(dm.FitError, match="no option 'starts' for linear Gaussian graphs"):
        dm.read(ROOT / "specs" / "local_level.dag").fit(method="em", starts=3)
