"""Posterior means and standard deviations of the classic examples and of posteriordb."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dagmodels as dm
from tests.backends.gibbs.compared import REFERENCES, assert_agrees, bugs, by_bugs_name


@pytest.mark.parametrize(
    ("name", "variant"), [("pump", ""), ("line", ""), ("dyes", ""), ("rats", ""), ("rats", "missing")]
)
def test_classic_examples_collapsed(name, variant):
    model, reference = bugs(name, variant)
    fit = model.fit(method="gibbs", draws=4000)
    assert fit.converged
    assert_agrees(by_bugs_name(model, fit), reference)


@pytest.mark.parametrize(("name", "draws"), [("line", 3000), ("rats", 1000)])
def test_classic_examples_by_trajectories(name, draws):
    model, reference = bugs(name)
    fit = model.fit(method="gibbs", draws=draws, collapse=False)
    assert fit.converged
    assert_agrees(by_bugs_name(model, fit), reference)


SCHOOLS = """model schools
plate school
covariate sigma[school]
theta[school] ~ Normal(mu, tau)
observed y[school] ~ Normal(theta, sigma)
mu ~ Normal(0, 5)
tau ~ HalfCauchy(5)
"""
SCHOOLS_STANDARD = SCHOOLS.replace(
    "theta[school] ~ Normal(mu, tau)\n", "z[school] ~ Normal(0, 1)\ntheta[school] = mu + tau * z\n"
)


def posteriordb(name):
    folder = REFERENCES / "posteriordb" / name
    return (
        json.loads((folder / "data.json").read_text()),
        json.loads((folder / "reference.json").read_text())["parameters"],
    )


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (SCHOOLS, {"draws": 5000}),
        (SCHOOLS_STANDARD, {"draws": 2500, "collapse": False, "target_accept": 0.95}),
    ],
)
def test_eight_schools(text, options):
    data, reference = posteriordb("eight_schools_noncentered")
    frame = {"y": data["y"], "sigma": data["sigma"], "school": [f"s{k}" for k in range(1, 9)]}
    fit = dm.read(text).fit(frame, method="gibbs", **options)
    assert fit.converged, fit.message
    draws = {n: fit.samples[n] for n in ("mu", "tau")}
    draws |= {f"theta[{k + 1}]": fit.samples["theta"][:, :, k] for k in range(8)}
    assert_agrees(draws, {q: r for q, r in reference.items() if q in draws})


INTERACTION = "b1 + b2*mom_hs + b3*mom_iq + b4*mom_hs*mom_iq"


@pytest.mark.parametrize(
    ("name", "mean", "collapse"),
    [
        ("kidiq_momiq", "b1 + b2*mom_iq", True),
        ("kidiq_momiq", "b1 + b2*mom_iq", False),
        ("kidiq_interaction", INTERACTION, True),
        pytest.param("kidiq_interaction", INTERACTION, False, marks=pytest.mark.long),
    ],
)
def test_children(name, mean, collapse):
    data, reference = posteriordb(name)
    used = [c for c in ("mom_iq", "mom_hs") if c in mean]
    coefficients = [b for b in ("b1", "b2", "b3", "b4") if b in mean]
    text = "\n".join(
        ["model children", "plate child", *(f"covariate {c}[child]" for c in used)]
        + [f"observed kid_score[child] ~ Normal({mean}, sigma)", "sigma ~ HalfCauchy(2.5)"]
        + [f"{b} ~ Flat()" for b in coefficients]
    )
    frame = {c: data[c] for c in ("kid_score", *used)}
    fit = dm.read(text).fit(frame, method="gibbs", draws=2500, collapse=collapse)
    assert fit.converged, fit.message
    draws = {"sigma": fit.samples["sigma"]}
    draws |= {f"beta[{k + 1}]": fit.samples[b] for k, b in enumerate(coefficients)}
    assert_agrees(draws, reference)


@pytest.mark.parametrize("collapse", [True, False])
def test_radon(collapse):
    data, reference = posteriordb("radon_mn_partially_pooled")
    text = """model radon
plate county
plate house in county
alpha[county] ~ Normal(mu_alpha, sigma_alpha)
observed log_radon[house] ~ Normal(alpha[county], sigma_y)
mu_alpha ~ Normal(0, 10)
sigma_alpha, sigma_y ~ HalfNormal(1)
"""
    frame = {"log_radon": data["log_radon"], "county": [f"c{k:02d}" for k in data["county_idx"]]}
    fit = dm.read(text).fit(frame, method="gibbs", draws=2000, collapse=collapse)
    assert fit.converged, fit.message
    draws = {n: fit.samples[n] for n in ("mu_alpha", "sigma_alpha", "sigma_y")}
    labels = [int(str(v)[1:]) for v in fit.samples.labels["county"]]
    draws |= {f"alpha[{k}]": fit.samples["alpha"][:, :, i] for i, k in enumerate(labels)}
    assert_agrees(draws, reference)


def test_schools_to_three_digits():
    """The mean of tau by the exact quadrature of `laplace`: 3.598."""
    data, _ = posteriordb("eight_schools_noncentered")
    frame = {"y": data["y"], "sigma": data["sigma"], "school": [f"s{k}" for k in range(1, 9)]}
    model = dm.read(SCHOOLS)
    exact = model.fit(frame, method="laplace", posterior=True)
    fit = model.fit(frame, method="gibbs", draws=50_000, monitor=["tau", "mu"])
    for name in ("tau", "mu"):
        x = fit.samples[name]
        assert abs(x.mean() - exact[name]) < 4.5 * x.std() / np.sqrt(x.size)  # independent draws: 7e-6
