"""Collapsed posteriors against long runs of other programs (JAGS, Stan's gold draws, nutpie).

Outer unknowns come from a wide grid (one or two) or from t laws at the mode (three), weighted by the exact
density; everything else is drawn exactly at each point, with the same weight.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dagmodels.forms.collapsed import Collapsed
from tests.forms.collapses import collapse

REFERENCES = Path(__file__).parents[1] / "references"

EIGHT = """model eight
plate school
covariate sigma[school]
theta[school] ~ Normal(mu, tau)
mu ~ Normal(0, 5)
tau ~ HalfCauchy(5)
observed y[school] ~ Normal(theta, sigma)
"""
RADON = """model radon
plate county
plate house in county
alpha[county] ~ Normal(mu_alpha, sigma_alpha)
mu_alpha ~ Normal(0, 10)
sigma_alpha, sigma_y ~ HalfNormal(1)
observed log_radon[house] ~ Normal(alpha, sigma_y)
"""
KIDIQ = """model kidiq
plate child
covariate mom_hs[child], mom_iq[child]
beta1, beta2, beta3, beta4 ~ Flat()
sigma ~ HalfCauchy(2.5)
observed kid_score[child] ~ Normal(beta1 + beta2*mom_hs + beta3*mom_iq + beta4*mom_hs*mom_iq, sigma)
"""
RATS = """model rats
plate rat
plate week
covariate x[week]
alpha[rat] ~ Normal(alpha_c, tau=tau_alpha)
beta[rat] ~ Normal(beta_c, tau=tau_beta)
alpha_c, beta_c ~ Normal(0, 100)
tau_c, tau_alpha, tau_beta ~ Gamma(0.001, 0.001)
sigma = 1/sqrt(tau_c)
alpha0 = alpha_c - 22*beta_c
mu[rat, week] = alpha + beta*(x - 22)
observed Y[rat, week] ~ Normal(mu, tau=tau_c)
"""
PUMP = """model pump
plate pump
covariate t[pump]
theta[pump] ~ Gamma(alpha, beta)
alpha ~ Exponential(1)
beta ~ Gamma(0.1, 1)
lambda[pump] = theta*t
observed x[pump] ~ Poisson(lambda)
"""
DYES = """model dyes
plate batch
plate sample
mu[batch] ~ Normal(theta, tau=tau_between)
theta ~ Normal(0, 100000)
tau_within, tau_between ~ Gamma(0.001, 0.001)
sigma2_within = 1/tau_within
sigma2_between = 1/tau_between
f_between = sigma2_between/(sigma2_within + sigma2_between)
observed y[batch, sample] ~ Normal(mu, tau=tau_within)
"""
BOXES = {  # of y = log of the outer unknowns, in the order of `names`
    "eight_schools": [(-8.0, 6.0)],
    "radon_mn_partially_pooled": [(-3.0, -0.3), (-0.6, 0.0)],
    "kidiq_interaction": [(2.5, 3.3)],
    "pump": [(-3.5, 2.0), (-5.0, 3.5)],
    "dyes": [(-10.0, -6.0), (-14.0, 7.5)],
}
TEXTS = {"rats": RATS, "pump": PUMP, "dyes": DYES, "eight_schools": EIGHT}
TEXTS |= {"radon_mn_partially_pooled": RADON, "kidiq_interaction": KIDIQ}
POINTS = 40_000
HEAVY = (
    ("dyes", "sigma2.between"),
)  # density like v**-3.5 for large v: estimates of its sd have no variance


def reference(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data and parameters, names as the models here write them."""
    if name == "eight_schools":
        table = np.genfromtxt(REFERENCES / name / "data.csv", delimiter=",", names=True)
        found = json.loads((REFERENCES / name / "posteriordb.json").read_text())
        return {"y": table["y"], "sigma": table["sigma"]}, found["parameters"]
    found = json.loads((REFERENCES / "posteriors" / f"{name}.json").read_text())
    data = {k: np.array(v) for k, v in found["data"].items() if not isinstance(v, int)}
    if "county_idx" in data:
        data["county"] = data.pop("county_idx")
    return data, found["parameters"]


def weighted(c: Collapsed, name: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Points y and their weights."""
    if name in BOXES:
        k = round(POINTS ** (1 / c.dimension))
        axes = [np.linspace(low, high, k) for low, high in BOXES[name]]
        y = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
        log_weight = c.log_densities(y)
    else:
        mode = c.modes().best
        root = np.linalg.cholesky(2 * np.linalg.inv(mode.hessian))
        z = rng.standard_normal((POINTS, c.dimension)) / np.sqrt(rng.chisquare(5, (POINTS, 1)) / 5)
        y = mode.x + z @ root.T
        log_q = -0.5 * (5 + c.dimension) * np.log1p((z**2).sum(axis=1) / 5)
        log_weight = c.log_densities(y) - log_q
    weight = np.exp(log_weight - log_weight.max())
    return y, weight / weight.sum()


def own_name(c: Collapsed, label: str) -> tuple[str, int]:
    """Node and flat place of a reference's label, which counts from 1."""
    node, _, index = label.rstrip("]").partition("[")
    node = node.replace(".", "_")
    if node not in c.drawn and index:
        return f"{node}{index}", 0
    places = [int(k) - 1 for k in re.split(r",\s*", index)] if index else []
    shape = c.problem.shape(node)
    return node, int(np.ravel_multi_index(places, shape)) if shape else 0


@pytest.mark.parametrize("name", TEXTS)
def test_means_and_deviations(name: str):
    """Means within 5 Monte Carlo standard errors of both, about 200 in all: false alarms 1e-4; deviations
    within 10 percent."""
    data, parameters = reference(name)
    c = collapse(TEXTS[name], data)
    rng = np.random.default_rng(4)
    y, weight = weighted(c, name, rng)
    nodes = {own_name(c, label)[0] for label in parameters}
    draws = {k: v.reshape(len(y), -1) for k, v in c.draws(y, rng, nodes).items()}
    assert 1 / (weight**2).sum() > 1000
    for label, stated in parameters.items():
        node, place = own_name(c, label)
        value = draws[node][:, place]
        mean = weight @ value
        sd = np.sqrt(weight @ (value - mean) ** 2)
        se = np.sqrt(weight**2 @ (value - mean) ** 2)
        assert abs(mean - stated["mean"]) < 5 * np.hypot(se, stated["mcse"]), label
        if (name, label) not in HEAVY:
            assert sd == pytest.approx(stated["sd"], rel=0.1), label
