"""Joint modes by independent algebra, and the report around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import cauchy, expon, gamma, norm, poisson

import dagmodels as dm
from dagmodels.errors import FitError
from dagmodels.results.modes.report import ModeReport

SPECS = Path(__file__).parents[3] / "specs"


@pytest.fixture(scope="module")
def schools() -> ModeReport:
    return dm.mode_report(dm.read(SPECS / "eight_schools.dag"), draws=5000)


@pytest.fixture(scope="module")
def rats() -> ModeReport:
    return dm.mode_report(dm.read(SPECS / "rats.dag"), draws=500)


def columns(name: str) -> dict[str, np.ndarray]:
    import pandas as pd

    frame = pd.read_csv(SPECS.parent / "examples" / f"{name}.csv")
    return {c: frame[c].to_numpy() for c in frame}


def highest_given(tau: float, y: np.ndarray, sigma: np.ndarray) -> float:
    """Log joint density of eight schools, maximised over theta and mu at this tau: a linear system."""
    j = y.size
    precision = np.zeros((j + 1, j + 1))
    precision[:j, :j] = np.diag(1 / sigma**2 + 1 / tau**2)
    precision[:j, j] = precision[j, :j] = -1 / tau**2
    precision[j, j] = j / tau**2 + 1 / 25
    top = np.linalg.solve(precision, np.append(y / sigma**2, 0.0))
    theta, mu = top[:j], top[j]
    parts = norm.logpdf(y, theta, sigma).sum() + norm.logpdf(theta, mu, tau).sum() + norm.logpdf(mu, 0, 5)
    return float(parts + cauchy.logpdf(tau, 0, 5) + np.log(2))


def test_the_walk_along_tau_is_that_of_linear_algebra(schools: ModeReport):
    data = columns("eight_schools")
    (walk,) = schools.walks
    own = [highest_given(t, data["y"], data["sigma"]) for t in walk.value if t > 1e-4]
    np.testing.assert_allclose(walk.log_density[walk.value > 1e-4], own, atol=1e-4)


def test_eight_schools_have_no_joint_mode(schools: ModeReport):
    (walk,) = schools.degenerate
    assert walk.growth == pytest.approx(8, abs=1e-3)  # one for each school
    assert (np.diff(walk.log_density) < 0).all()
    data = columns("eight_schools")
    weight = 1 / data["sigma"] ** 2
    pooled = (weight @ data["y"]) / (weight.sum() + 1 / 25)
    table = schools.table
    assert table.loc["tau", "joint mode"] == 0.0
    np.testing.assert_allclose(table.loc[["mu", "theta[A]", "theta[H]"], "joint mode"], pooled, rtol=1e-6)
    text = str(schools)
    assert "There is no joint mode" in text
    assert "8 elements of theta" in text


def test_marginal_mode_and_mean_beside_it(schools: ModeReport):
    """The mean of tau is 3.598 by quadrature; 20,000 independent draws: 5 standard errors, 6e-7."""
    table = schools.table
    assert table.loc["tau", "marginal mode"] == 0.0
    assert abs(table.loc["tau", "posterior mean"] - 3.5977) < 5 * 3.22 / np.sqrt(20_000)
    assert table.loc["tau", "posterior sd"] > 3


def test_gamma_priors_of_precisions_end_the_growth(rats: ModeReport):
    """With 30 equal elements the density of a precision is that of Gamma(15.001, 0.001): mode 14001."""
    assert not rats.degenerate
    table = rats.table
    np.testing.assert_allclose(table.loc[["alpha_tau", "beta_tau"], "joint mode"], 14_001, rtol=1e-2)
    assert table.loc["alpha_tau", "marginal mode"] < 0.01
    spread = [n for n in table.index if n.startswith("alpha[")]
    assert np.ptp(table.loc[spread, "joint mode"]) < 0.1 < np.ptp(table.loc[spread, "posterior mean"])


def test_the_joint_mode_of_pumps_is_that_of_another_optimiser():
    report = dm.mode_report(dm.read(SPECS / "pump.dag"), draws=500)
    data = columns("pump")
    x, t = data["x"], data["t"]

    def minus(z: np.ndarray) -> float:
        alpha, beta, theta = np.exp(z[0]), np.exp(z[1]), np.exp(z[2:])
        parts = poisson.logpmf(x, theta * t).sum() + gamma.logpdf(theta, alpha, scale=1 / beta).sum()
        return -float(parts + expon.logpdf(alpha) + gamma.logpdf(beta, 0.1))

    start = np.log(np.append([0.7, 0.9], (x + 0.5) / (t + 0.5)))
    best = minimize(minus, start, method="BFGS", options={"gtol": 1e-7})
    names = ["alpha", "beta", *(f"theta[{k}]" for k in range(1, 11))]
    np.testing.assert_allclose(report.table.loc[names, "joint mode"], np.exp(best.x), rtol=1e-4)
    assert "a local maximum" in str(report)  # the prior of beta is infinite at zero


def test_a_model_without_scales_of_latents_has_an_ordinary_mode():
    """Normal(0, 2) prior, unit errors: the joint mode of m is its posterior mean, exactly."""
    graph = dm.read("model one\nplate r\nm ~ Normal(0, 2)\nobserved y[r] ~ Normal(m, 1)")
    y = [1.0, 2.0, 4.0]
    report = dm.mode_report(graph, {"y": y}, draws=50)
    assert report.table.loc["m", "joint mode"] == pytest.approx(sum(y) / 3.25, abs=1e-6)
    assert report.table.loc["m", "marginal mode"] == pytest.approx(sum(y) / 3.25, abs=1e-6)
    assert not report.walks


def test_a_picture_that_is_the_same_each_time(schools: ModeReport, tmp_path):
    first, second = (schools.plot(tmp_path / f"{k}.svg").read_bytes() for k in "ab")
    assert first == second


def test_who_cannot_answer_is_named():
    graph = dm.read("model d\nplate r\nplate k = 1..2\nz[r] in k ~ Categorical(p)\np[k] ~ Dirichlet(1)\n"
                    "observed y[r] ~ Normal(m[z], 1)\nm[k] ~ Normal(0, 9)")  # fmt: skip
    with pytest.raises(FitError, match=r"has no marginal mode to show: .*'z'"):
        dm.mode_report(graph, {"y": [1.0, 2.0, 5.0]})
