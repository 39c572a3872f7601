"""The fits of specs/ against numbers of other programs, published values and independent densities.

lme4 references: tests/references/<name>/reference.json, lme4 1.1-31 with tight tolerances. Criterion to
1e-6; coefficients, their standard errors, variance components, conditional modes and their standard
deviations to 1e-4 relative. lme4 works without derivatives and stops where its criterion is d above the
optimum (2e-8 for the slopes of radon, nothing elsewhere); a component may then lie sqrt(d) standard errors
from the optimum, and a mode sqrt(d) of its standard deviation, which is allowed for.
lavaan references: tests/gallery/references/*.json. Log likelihood to 1e-6, estimates to 1e-4 relative.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.results.fit import Fit

from .cases import SPECS

TESTS = Path(__file__).parents[1]
REFERENCES = TESTS / "references"
EXAMPLES = SPECS.parent / "examples"


@cache
def fitted(name: str) -> Fit:
    graph = dm.read(SPECS / f"{name}.dag")
    found = graph.fit_quietly(graph.data_or_file(), method="laplace")
    assert found.converged, found.message
    assert found.exact
    assert found.diagnostics["gradient_norm"] < 1e-5
    return found


def column(fit: Fit, name: str) -> dict[str, float]:
    return dict(zip(fit.estimates["name"], fit.estimates[name], strict=True))


def close(got: float, want: float) -> None:
    assert got == pytest.approx(want, rel=1e-4)


# -- mixed models: lme4
# spec, data set, fit, criterion, coefficients, (element, lme4's component and its scale), modes by group

MIXED: list[tuple[str, str, str, str, list[str], dict[str, tuple[int, str]], dict[str, str]]] = [
    (
        "radon",
        "radon_minnesota",
        "REML_intercept",
        "REML",
        ["g0", "beta", "g1"],
        {"tau": (0, "sdcor"), "sigma": (1, "sdcor")},
        {"county": "alpha[{}]"},
    ),
    (
        "radon_slopes",
        "radon_minnesota",
        "REML",
        "REML",
        ["g0", "beta", "g1"],
        {
            "Sigma[level, level]": (0, "vcov"),
            "Sigma[floor, floor]": (1, "vcov"),
            "Sigma[level, floor]": (2, "vcov"),
            "sigma": (3, "sdcor"),
        },
        {"county": "dev[{}, level] dev[{}, floor]"},
    ),
    (
        "radon_slopes_ml",
        "radon_minnesota",
        "ML",
        "deviance",
        ["g0", "beta", "g1"],
        {"s_a": (0, "sdcor"), "s_b": (1, "sdcor"), "rho": (2, "sdcor"), "sigma": (3, "sdcor")},
        {"county": "a[{}] b[{}]"},
    ),
    (
        "sleepstudy",
        "sleepstudy",
        "REML",
        "REML",
        ["b0", "b1"],
        {
            "Sigma[start, start]": (0, "vcov"),
            "Sigma[trend, trend]": (1, "vcov"),
            "Sigma[start, trend]": (2, "vcov"),
            "sigma": (3, "sdcor"),
        },
        {"Subject": "dev[{}, start] dev[{}, trend]"},
    ),
    (
        "pastes",
        "pastes",
        "REML",
        "REML",
        ["mu"],
        {"s_cask": (0, "sdcor"), "s_batch": (1, "sdcor"), "sigma": (2, "sdcor")},
        {"cask:batch": "c[{}]", "batch": "b[{}]"},
    ),
    (
        "penicillin",
        "penicillin",
        "REML",
        "REML",
        ["mu"],
        {"s_dish": (0, "sdcor"), "s_sample": (1, "sdcor"), "sigma": (2, "sdcor")},
        {"plate": "d[{}]", "sample": "s[{}]"},
    ),
]


@pytest.mark.parametrize(
    ("spec", "data", "which", "criterion", "fixed", "components", "modes"), MIXED, ids=lambda v: str(v)[:16]
)
def test_mixed_models(
    spec: str,
    data: str,
    which: str,
    criterion: str,
    fixed: list[str],
    components: dict[str, tuple[int, str]],
    modes: dict[str, str],
) -> None:
    fit = fitted(spec)
    text = (REFERENCES / data / "reference.json").read_text()
    reference = json.loads(text)["fits"][which]["reference"]
    assert fit.measures[criterion] == pytest.approx(reference["minus2logLik"], abs=1e-6)
    assert fit.log_likelihood == pytest.approx(reference["logLik"], abs=1e-6)
    assert fit.measures["aic"] == pytest.approx(reference["AIC"], abs=1e-5)
    assert fit.n_observations == reference["nobs"]
    errors = column(fit, "se")
    estimates, standard = np.atleast_1d(reference["fixed"]["est"]), np.atleast_1d(reference["fixed"]["se"])
    for name, estimate, se in zip(fixed, estimates, standard, strict=True):
        close(fit[name], estimate)
        close(errors[name], se)
    assert len(components) == len(reference["varcomp"])
    reach = math.sqrt(max(reference["minus2logLik"] - fit.measures[criterion], 0.0))
    for name, (row, scale) in components.items():
        slack = 1.01 * reach * errors[name]
        assert fit[name] == pytest.approx(reference["varcomp"][row][scale], rel=1e-4, abs=slack), name
    for group, pattern in modes.items():
        _modes(fit, reference["ranef"][group], pattern, reach)


def _modes(fit: Fit, published: dict[str, Any], pattern: str, reach: float) -> None:
    """Departures of latents from their own mean, which is what lme4 calls conditional modes."""
    table = fit.latents.set_index("name")
    names = list(pattern.replace("] ", "]|").split("|"))
    levels = published["level"]
    values = np.array(published["value"]).reshape(len(levels), len(names))
    sds = np.array(published["cond_sd"]).reshape(len(levels), len(names))
    for i, level in enumerate(levels):
        for j, name in enumerate(names):
            row = table.loc[name.format(level)]
            slack = 1e-8 + reach * sds[i, j]
            assert row["deviation"] == pytest.approx(values[i, j], rel=1e-4, abs=slack), name.format(level)
            close(row["deviation_sd"], sds[i, j])


def test_radon_data_are_those_of_the_reference():
    ours, theirs = EXAMPLES / "radon.csv", REFERENCES / "radon_minnesota" / "data.csv"
    assert ours.read_bytes() == theirs.read_bytes()
    assert (EXAMPLES / "sleepstudy.csv").read_bytes() == (REFERENCES / "sleepstudy" / "data.csv").read_bytes()


def test_flat_and_parameter_are_reml_and_ml():
    """The change that radon_slopes.dag describes: `parameter` coefficients give ML, the same optimum as
    the other way to write the model."""
    text = (SPECS / "radon_slopes.dag").read_text(encoding="utf-8")
    flat = "g0, g1, beta ~ Flat()"
    assert flat in text
    graph = dm.read(text.replace(flat, "parameter g0, g1, beta"))
    fit = graph.fit_quietly(EXAMPLES / "radon.csv")
    other = fitted("radon_slopes_ml")
    assert fit.measures["deviance"] == pytest.approx(2042.83227022513, abs=1e-6)
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-7)
    close(fit["Sigma[level, level]"], other["s_a"] ** 2)
    close(fit["Sigma[level, floor]"], other["rho"] * other["s_a"] * other["s_b"])


def test_radon_constants_of_the_issue():
    assert fitted("radon").measures["REML"] == pytest.approx(2059.644609, abs=1e-6)
    assert fitted("radon_slopes").measures["REML"] == pytest.approx(2054.133450, abs=1e-6)
    assert fitted("radon_slopes_ml").measures["deviance"] == pytest.approx(2042.832270, abs=1e-6)


# -- analysis of variance: exact rational arithmetic on the certified data


def test_anova_equals_the_exact_answer():
    text = (REFERENCES / "nist_sirstv" / "reference.json").read_text()
    exact = json.loads(text)["exact_rational_on_binary64_data"]
    fit = fitted("anova")
    tau2, sigma2 = fit["tau"] ** 2, fit["sigma"] ** 2
    assert fit["mu"] == pytest.approx(exact["grand_mean"], rel=1e-12)
    assert tau2 == pytest.approx(exact["reml_var_between"], rel=1e-8)
    assert sigma2 == pytest.approx(exact["reml_var_within"], rel=1e-8)
    assert fit["icc"] == pytest.approx(exact["icc_anova"], rel=1e-8)
    per_group = exact["N"] / exact["k"]
    assert (sigma2 + per_group * tau2) / sigma2 == pytest.approx(exact["F"], rel=1e-9)


# -- structural models: lavaan


@pytest.mark.parametrize("name", ["growth", "replicates", "abilities"])
def test_structural_models(name: str):
    reference = json.loads((Path(__file__).parent / "references" / f"{name}.json").read_text())
    fit = fitted(name)
    want = reference["log_likelihood"]
    if name == "replicates":  # lavaan counts the covariate z as a normal variable as well
        z = pd.read_csv(EXAMPLES / "replicates.csv")["z"]
        want += 0.5 * len(z) * (math.log(2 * math.pi * z.var(ddof=0)) + 1)
    assert fit.log_likelihood == pytest.approx(want, abs=1e-6)
    for row in reference["parameters"]:
        base, _, power = row["name"].partition("**")
        close(fit[base] ** (int(power) if power else 1), row["est"])


def test_growth_standard_errors():
    """Coefficients of the growth curve: uncorrelated with the variances in the expected information, so
    that errors given the variances are the joint ones."""
    reference = json.loads((Path(__file__).parent / "references" / "growth.json").read_text())
    errors = column(fitted("growth"), "se")
    compared = [row for row in reference["parameters"] if row["name"] in errors and row["name"] != "psi_is"]
    assert len(compared) == 10
    for row in compared:
        close(errors[row["name"]], row["se"])


def test_joint_standard_errors_of_errors_in_variables():
    """The regression's intercept and slopes trade off with one another, so that the joint errors are the
    default; conditional ones of the intercept are a third too small."""
    reference = json.loads((Path(__file__).parent / "references" / "replicates.json").read_text())
    graph = dm.read(SPECS / "replicates.dag")
    joint = column(graph.fit_quietly(graph.data_or_file()), "se")
    compared = [row for row in reference["parameters"] if row["name"] in ("b0", "b1", "b2", "b3")]
    assert len(compared) == 4
    for row in compared:
        close(joint[row["name"]], row["se"])
    given = column(graph.fit_quietly(graph.data_or_file(), se="conditional"), "se")
    assert given["b0"] < 0.7 * joint["b0"]


# -- priors: modes of the exact marginal posterior


def test_eight_schools():
    """Mode by one-dimensional search on the closed form: tau = 0, mu and its sd as for known tau."""
    fit = fitted("eight_schools")
    assert fit["tau"] == 0.0
    assert fit["mu"] == pytest.approx(4.6209232616, rel=1e-9)
    assert column(fit, "se")["mu"] == pytest.approx(3.1573604456, rel=1e-9)
    assert fit.boundary == ("tau",)
    assert any("not posterior means" in sentence for sentence in fit.warnings)
    data = pd.read_csv(EXAMPLES / "eight_schools.csv")

    def log_posterior(tau: float) -> float:
        variance = np.diag(data["sigma"] ** 2 + tau**2) + 25.0  # mu ~ N(0, 5) integrated out
        return _normal(data["y"].to_numpy(), np.zeros(8), variance) + _half_cauchy(tau, 5.0)

    assert fit.measures["log_posterior"] == pytest.approx(log_posterior(0.0), abs=1e-9)
    assert max(map(log_posterior, np.linspace(0.01, 20, 200))) < log_posterior(0.0)


def test_rats():
    """The marginal posterior written out densely: same value, and no slope at the mode."""
    fit = fitted("rats")
    data = json.loads((EXAMPLES / "rats.json").read_text())
    y = np.array(data["y"], dtype=float)
    z = np.column_stack([np.ones(5), np.array(data["x"]) - 22.0])

    def log_posterior(precisions: np.ndarray) -> float:
        a, b, e = precisions
        between = z @ np.diag([1 / a, 1 / b]) @ z.T + np.eye(5) / e
        shared = z @ np.diag([1e4, 1e4]) @ z.T  # the prior of alpha_c and beta_c
        variance = np.kron(np.eye(30), between) + np.kron(np.ones((30, 30)), shared)
        prior = sum(_gamma(t, 0.001, 0.001) for t in precisions)
        return _normal(y.reshape(-1), np.zeros(150), variance) + prior

    mode = np.array([fit[name] for name in ("alpha_tau", "beta_tau", "tau_c")])
    top = log_posterior(mode)
    assert fit.measures["log_posterior"] == pytest.approx(top, abs=1e-7)
    assert np.abs(newton_step(log_posterior, mode) / mode).max() < 1e-5
    close(fit["sigma"], fit["tau_c"] ** -0.5)
    close(fit["alpha0"], fit["alpha_c"] - 22 * fit["beta_c"])


def test_radon_with_priors():
    """The marginal posterior written out densely: same value, and no slope at the mode."""
    fit = fitted("radon_bayes")
    data = pd.read_csv(EXAMPLES / "radon.csv")
    y = data["log_radon"].to_numpy()
    x = np.column_stack([np.ones(len(y)), data["u"], data["floor"]])
    same = np.equal.outer(data["county"].to_numpy(), data["county"].to_numpy()).astype(float)

    def log_posterior(scales: np.ndarray) -> float:
        tau, sigma = scales
        variance = 100 * x @ x.T + tau**2 * same + sigma**2 * np.eye(len(y))
        return _normal(y, np.zeros(len(y)), variance) + _half_normal(tau, 5) + _half_normal(sigma, 5)

    mode = np.array([fit["tau"], fit["sigma"]])
    top = log_posterior(mode)
    assert fit.measures["log_posterior"] == pytest.approx(top, abs=1e-6)
    assert np.abs(newton_step(log_posterior, mode) / mode).max() < 1e-5


# -- a series: published values


def test_local_level_of_the_nile():
    """Durbin and Koopman (2001), section 2.10: variance 15099 and signal-to-noise ratio 0.0973, to the
    digits printed; the likelihood against a Kalman filter that starts from the first year."""
    fit = fitted("local_level")
    noise, drift = fit["s_flow"] ** 2, fit["s_level"] ** 2
    assert noise == pytest.approx(15099, abs=0.6)
    assert drift / noise == pytest.approx(0.0973, abs=5e-5)
    flow = pd.read_csv(EXAMPLES / "nile.csv")["flow"]
    assert len(flow) == 100
    assert flow.mean() == pytest.approx(919.35)
    level, variance, total = flow[0], noise, 0.0  # after the first year, of which nothing is known before
    for y in flow[1:]:
        ahead = variance + drift + noise
        total -= 0.5 * (math.log(2 * math.pi * ahead) + (y - level) ** 2 / ahead)
        gain = (variance + drift) / ahead
        level, variance = level + gain * (y - level), gain * noise
    assert fit.log_likelihood == pytest.approx(total, abs=1e-8)


# -- densities, written out


def newton_step(density: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """How far a maximum lies from a point, one coordinate at a time, by central differences.

    Steps of 1e-3 of the coordinate: the cubic term leaves some 1e-6 of it, rounding less.
    """
    found = np.empty(at.size)
    for j, size in enumerate(1e-3 * at):
        step = np.eye(at.size)[j] * size
        up, down, top = density(at + step), density(at - step), density(at)
        assert 2 * top > up + down, "a maximum is concave"
        found[j] = size * (up - down) / (2 * (2 * top - up - down))
    return found


def _normal(y: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    root = np.linalg.cholesky(variance)
    z = np.linalg.solve(root, y - mean)
    return float(-0.5 * z @ z - np.log(np.diag(root)).sum() - 0.5 * len(y) * math.log(2 * math.pi))


def _half_normal(x: float, s: float) -> float:
    return 0.5 * math.log(2 / math.pi) - math.log(s) - 0.5 * (x / s) ** 2


def _half_cauchy(x: float, s: float) -> float:
    return math.log(2 / (math.pi * s)) - math.log1p((x / s) ** 2)


def _gamma(x: float, a: float, b: float) -> float:
    return a * math.log(b) - math.lgamma(a) + (a - 1) * math.log(x) - b * x


# -- networks: expectation and maximisation of another program


def test_latent_class():
    """Log likelihood of the stored optimum of lca3_latent, which is this model from other starting values."""
    stored = json.loads((REFERENCES / "bn" / "em_lca3_latent.json").read_text())["ml"]
    graph = dm.read(SPECS / "latent_class.dag")
    fit = graph.fit()
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(stored["loglik"], abs=1e-6)
    classes = sorted(fit.estimates.query("node == 'klass'").estimate)
    assert classes == pytest.approx(sorted(stored["cpt"]["klass"]["table"]), abs=1e-5)
