"""Scales of counts' and answers' effects with hyperpriors: draws from the prior weighted by the likelihood.

The likelihood of a level and a scale is by Gauss-Hermite quadrature in numpy, group by group. Some twelve
numbers a case at 5 standard errors of both: all pass but for 1e-5 by chance.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, gammaln

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.quadrature_collapsed import quadrature_collapsed
from dagmodels.forms.units import Units, units
from tests.backends.gibbs.compared import compared

N = 40_000  # draws from the prior
COUNTS, ANSWERS = np.array([3.0, 9, 0, 4, 14, 6, 2, 5]), np.array([3.0, 4, 0, 2, 4, 3, 1, 3])
ROWS = 4  # of a group
MODEL = """model groups
plate g
b[g] ~ Normal(0, {scale})
a ~ Normal(0, 1)
observed y[g] ~ {leaf}
"""
LEAVES = {"Poisson": ("Poisson(4*exp(a + b))", COUNTS), "Binomial": ("Binomial(4, expit(a + b))", ANSWERS)}


def log_likelihood(leaf, a, s):
    """Of many levels and scales; effects integrated by 41 nodes about each group's mode."""
    y = LEAVES[leaf][1][None, :]
    a, s = a[:, None], np.maximum(s, 1e-8)[:, None]
    u = np.zeros((a.size, y.size))  # b = s u

    def parts(u):
        eta = a + s * u
        p = np.exp(np.minimum(eta, 600)) if leaf == "Poisson" else expit(eta)
        bend = ROWS * (p if leaf == "Poisson" else p * (1 - p))
        total = ROWS * (p if leaf == "Poisson" else np.logaddexp(0, eta))
        return y * eta - total - 0.5 * u**2, s * (y - ROWS * p) - u, s**2 * bend + 1

    for _ in range(60):
        _, slope, bend = parts(u)
        u = u + np.clip(slope / bend, -1, 1) / np.maximum(1, s)
    for _ in range(10):
        _, slope, bend = parts(u)
        u = u + np.clip(slope / bend, -1, 1)
    width = parts(u)[2] ** -0.5
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    logs = [np.log(w) + 0.5 * t**2 + parts(u + width * t)[0] for t, w in zip(nodes, weights, strict=True)]
    return (np.logaddexp.reduce(logs, axis=0) + np.log(width) - 0.5 * np.log(2 * np.pi)).sum(axis=1)


def half_normal(rng):
    top = rng.uniform(0.1, 3, N)
    return {"s": top * np.abs(rng.normal(size=N)), "top": top}


def uniform(rng):
    top = rng.uniform(0.1, 3, N)
    return {"s": top * rng.uniform(size=N), "top": top}


def log_normal(rng):
    m, v = rng.uniform(-2, 1, N), 0.5 * np.abs(rng.normal(size=N))
    return {"s": np.exp(m + v * rng.normal(size=N)), "m": m, "v": v}


def precision(rng):
    c, r = 1 + rng.exponential(size=N), rng.gamma(2, 0.5, N)
    prec = rng.gamma(c) / r
    return {"prec": prec, "r": r, "c": c, "s": prec**-0.5}


CASES = {
    "HalfNormal": ("s", "s ~ HalfNormal(top)\ntop ~ Uniform(0.1, 3)\n", half_normal),
    "Uniform": ("s", "s ~ Uniform(0, top)\ntop ~ Uniform(0.1, 3)\n", uniform),
    "LogNormal": ("s", "s ~ LogNormal(m, v)\nm ~ Uniform(-2, 1)\nv ~ HalfNormal(0.5)\n", log_normal),
    "Gamma": (
        "s",
        "prec ~ Gamma(c, r)\nr ~ Gamma(2, 2)\nc = 1 + d\nd ~ Exponential(1)\ns = 1/sqrt(prec)\n",
        precision,
    ),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("leaf", LEAVES)
def test_effects_of_counts_are_integrated_whatever_the_scale_s_prior(leaf, kind):
    scale, priors, simulated = CASES[kind]
    law, y = LEAVES[leaf]
    model, data = dm.read(MODEL.format(scale=scale, leaf=law) + priors), {"y": y}
    assert "'b' integrated by adaptive quadrature" in str(model.plan(data, method="gibbs"))
    fit = model.fit_quietly(data, method="gibbs", draws=2000, seed=3, collapse=True)
    rng = np.random.default_rng(7)
    a, found = rng.normal(size=N), simulated(rng)
    logs = log_likelihood(leaf, a, found["s"])
    compared(fit, {"a": a, **found}, np.exp(logs - logs.max()))
    assert "element by element" not in fit.method


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_density_in_standard_units_integrates_to_the_evidence(leaf):
    """By proposals at its mode, against the prior's draws; both with their standard errors."""
    law, y = LEAVES[leaf]
    scale, priors, simulated = CASES["LogNormal"]
    problem = bind(dm.read(MODEL.format(scale=scale, leaf=law) + priors).dag, {"y": y})
    found = units(problem)
    assert isinstance(found, Units)
    assert found.standard == ("s",)
    density = quadrature_collapsed(problem)
    assert "s" in density.drawn
    assert not any("standard units" in n for n in density.drawn)
    from dagmodels.numerics.sampling import independence

    best, rng = density.modes().best, np.random.default_rng(3)
    proposal = independence.Proposal.at_mode(best.x, 0.5 * best.hessian, 4.0)
    at = proposal.drawn(rng, N)
    weight = np.exp(density.log_densities(at) - proposal.log_density(at))
    logs = log_likelihood(leaf, rng.normal(size=N), simulated(rng)["s"])
    constant = (
        (y * np.log(ROWS) - gammaln(y + 1)).sum()
        if leaf == "Poisson"
        else (gammaln(ROWS + 1) - gammaln(y + 1) - gammaln(ROWS - y + 1)).sum()
    )
    likelihood = np.exp(logs + constant)
    error = np.hypot(weight.std(), likelihood.std()) / N**0.5
    assert abs(weight.mean() - likelihood.mean()) < 5 * error
