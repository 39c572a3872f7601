"""Which update a node gets, as in NIMBLE's and JAGS' tables of conjugate pairs, and posterior means by closed
forms. Means are compared by five standard errors: of right ones, one in a million fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import dagmodels as dm
from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.simulate.check_rules import check_rules
from tests.backends.gibbs.test_rules import ALARM, CHAIN, covariates

Y = np.array([2.1, 1.7, 3.0, -0.4, 2.6, 0.9])
POSITIVE = np.array([0.5, 0.2, 1.1, 0.9, 0.3, 2.0])
COUNTS = np.array([3, 0, 5, 2, 1, 4])
N = 6
SQUARES = float(((Y - 2.0) ** 2).sum())
PLATE = "model m\nplate i\n"
DINTERVAL = """model {
  for (i in 1:6) { c[i] ~ dinterval(y[i], 1)
    y[i] ~ dnorm(m, 1) }
  m ~ dnorm(0, 0.1)
}
"""
CASES = {
    "normal": (
        "mu ~ Normal(0, 2)\nobserved y[i] ~ Normal(3*mu - 1, 1.5)",
        Y, "mu", "normal: 'y' Normal, linear in 'mu'", 3 * (Y + 1).sum() / 2.25 / (9 * N / 2.25 + 0.25),
    ),
    "log normal": (
        "mu ~ Normal(0, 2)\nobserved y[i] ~ LogNormal(mu, 1.5)",
        np.exp(Y), "mu", "normal: 'y' Normal, linear in 'mu'", Y.sum() / 2.25 / (N / 2.25 + 0.25),
    ),
    "gamma, precision": (
        "t ~ Gamma(2, 3)\nobserved y[i] ~ Normal(2, tau=4*t)",
        Y, "t", "Gamma: conjugate prior Gamma", (2 + N / 2) / (3 + 2 * SQUARES),
    ),
    "gamma, sd through a node": (
        "t ~ Exponential(3)\ns = 1/sqrt(t)\nobserved y[i] ~ Normal(2, s)",
        Y, "t", "Gamma: conjugate prior Exponential", (1 + N / 2) / (3 + SQUARES / 2),
    ),
    "gamma, log normal": (
        "t ~ Gamma(2, 3)\nobserved y[i] ~ LogNormal(2, tau=t)",
        np.exp(Y), "t", "Gamma: conjugate prior Gamma", (2 + N / 2) / (3 + SQUARES / 2),
    ),
    "gamma, Poisson": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Poisson(2*r)",
        COUNTS, "r", "Gamma: conjugate prior Gamma", (2 + COUNTS.sum()) / (3 + 2 * N),
    ),
    "gamma, exponential": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Exponential(r)",
        POSITIVE, "r", "Gamma: conjugate prior Gamma", (2 + N) / (3 + POSITIVE.sum()),
    ),
    "gamma, gamma": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Gamma(1.5, r)",
        POSITIVE, "r", "Gamma: conjugate prior Gamma", (2 + 1.5 * N) / (3 + POSITIVE.sum()),
    ),
    "gamma, inverse gamma": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ InverseGamma(3, r)",
        POSITIVE, "r", "Gamma: conjugate prior Gamma", (2 + 3 * N) / (3 + (1 / POSITIVE).sum()),
    ),
    "gamma, Laplace": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Laplace(2, 1/r)",
        Y, "r", "Gamma: conjugate prior Gamma", (2 + N) / (3 + np.abs(Y - 2).sum()),
    ),
    "gamma, Weibull": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Weibull(1.5, (2*r)**(-1/1.5))",
        POSITIVE, "r", "Gamma: conjugate prior Gamma", (2 + N) / (3 + 2 * (POSITIVE**1.5).sum()),
    ),
    "gamma, Pareto": (
        "r ~ Gamma(2, 3)\nobserved y[i] ~ Pareto(r, 1)",
        1 + POSITIVE, "r", "Gamma: conjugate prior Gamma", (2 + N) / (3 + np.log1p(POSITIVE).sum()),
    ),
    "inverse gamma, variance": (
        "v ~ InverseGamma(3, 3)\nobserved y[i] ~ Normal(2, sqrt(2*v))",
        Y, "v", "InverseGamma: conjugate prior InverseGamma", (3 + SQUARES / 4) / (2 + N / 2),
    ),
    "inverse gamma, exponential": (
        "v ~ InverseGamma(3, 3)\nobserved y[i] ~ Exponential(1/v)",
        POSITIVE, "v", "InverseGamma: conjugate prior InverseGamma", (3 + POSITIVE.sum()) / (2 + N),
    ),
    "beta, binomial": (
        "p ~ Beta(2, 3)\nobserved y[i] ~ Binomial(7, 1 - p)",
        COUNTS, "p", "Beta: conjugate prior Beta", (2 + 7 * N - COUNTS.sum()) / (5 + 7 * N),
    ),
    "beta, uniform prior": (
        "p ~ Uniform(0, 1)\nobserved y[i] ~ Binomial(7, p)",
        COUNTS, "p", "Beta: conjugate prior Uniform", (1 + COUNTS.sum()) / (2 + 7 * N),
    ),
    "beta, negative binomial": (
        "p ~ Beta(2, 3)\nobserved y[i] ~ NegativeBinomial(n=4, p=p)",
        COUNTS, "p", "Beta: conjugate prior Beta", (2 + 4 * N) / (5 + 4 * N + COUNTS.sum()),
    ),
}  # fmt: skip


def off(fit: Any, node: str, mean: float) -> float:
    """Standard errors between a node's mean and the right one."""
    values = fit.samples[node]
    error = values.std() / np.sqrt(ess_mean(values[:, :, None])[0])
    return float(abs(values.mean() - mean) / error)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.replace(", ", "-").replace(" ", "_"))
def test_conjugate_pairs(case: str):
    text, y, node, told, mean = CASES[case]
    model = dm.read(PLATE + text)
    assert told in str(model.plan({"y": y}, method="gibbs", route="conditionals"))
    assert off(model.fit({"y": y}, method="gibbs", route="conditionals"), node, mean) < 5


@pytest.mark.parametrize("text", [
    "t ~ Weibull(2, 1)\nobserved y[i] ~ Weibull(t, (2*t)**(-1/t))",
    "s ~ Uniform(-1, 1)\nobserved y[i] ~ Normal(2, abs(s))",
], ids=["power that is unknown", "may be negative"])  # fmt: skip
def test_what_is_no_pair_gets_slices(text: str):
    y = POSITIVE
    plan = str(dm.read(PLATE + text).plan({"y": y}, method="gibbs", route="conditionals"))
    assert "slice: a number on a line" in plan


def test_censored_by_dinterval(tmp_path: Path):
    """Four of six values are seen, two lie above one: the mean by a lattice."""
    (tmp_path / "m.bug").write_text(DINTERVAL)
    y = [0.5, 0.2, 0.9, -0.3, None, None]
    (tmp_path / "m.json").write_text(json.dumps({"y": y, "c": [0, 0, 0, 0, 1, 1]}))
    model = dm.read(tmp_path / "m.bug", tmp_path / "m.json")
    plan = str(model.plan(method="gibbs", route="conditionals"))
    assert "normal: its prior is Normal; between limits that are known by 'c'" in plan
    m = np.linspace(-6, 8, 40_001)
    seen = np.array([v for v in y if v is not None])
    log = -0.05 * m**2 - 0.5 * ((seen - m[:, None]) ** 2).sum(axis=1) + 2 * norm.logsf(1 - m)
    share = np.exp(log - log.max())
    fit = model.fit(method="gibbs", route="conditionals", draws=2000)
    assert off(fit, "m", float((share * m).sum() / share.sum())) < 5
    assert (fit.samples["y"][..., 4:] > 1).all()


CENSORED = """model censored
plate i
covariate low[i], high[i]
t[i] ~ Normal(0, 1)
observed c[i] ~ Bernoulli(t > low)
observed d[i] ~ Bernoulli(2*t - 1 <= high)
observed e[i] ~ Bernoulli(0.7 < t)
"""


def test_sides_of_several_children():
    """Each element between the limits that its three children give: means of truncated normal laws."""
    low, high = np.array([-0.5, 0.2, 1.0, -3.0]), np.array([2.0, 3.0, -1.5, 5.0])
    data = {"low": low, "high": high, "c": [1, 1, 0, 1], "d": [1, 0, 1, 1], "e": [0, 1, 0, 1]}
    model = dm.read(CENSORED)
    plan = str(model.plan(data, method="gibbs", route="conditionals"))
    assert "between limits that are known by 'c', 'd', 'e'" in plan
    begin = np.array([-0.5, 2.0, -np.inf, 0.7])
    end = np.array([0.7, np.inf, -0.25, 3.0])
    mean = (norm.pdf(begin) - norm.pdf(end)) / (norm.cdf(end) - norm.cdf(begin))
    fit = model.fit(data, method="gibbs", route="conditionals", draws=2000)
    values = fit.samples["t"]
    assert (values > begin).all()
    assert (values <= end).all()
    error = values.std(axis=(0, 1)) / np.sqrt(ess_mean(values))
    assert (np.abs(values.mean(axis=(0, 1)) - mean) < 5 * error).all()


def test_sides_of_elements_that_fall_or_are_read_twice():
    """A falling side and several rows of one element have the law of the same limits, by slices."""
    text = """model falls
plate i
plate j in i
covariate low[j]
t[i] ~ Normal(0, 1)
{}
"""
    limits = {"low": [-0.5, 0.2, 0.4, -1.0, 0.3, 0.6], "i": list("aabbcc"), "c": [1, 0, 1, 1, 0, 0]}
    begin, end = np.array([-0.5, 0.4, -np.inf]), np.array([0.2, np.inf, 0.3])
    cases = [
        ("observed c[j] ~ Bernoulli(t > low)", begin, end),
        ("observed c[j] ~ Bernoulli(-t > low)", -end, -begin),
        ("observed c[j] ~ Bernoulli(low < 0.5 - 2*t)", (0.5 - end) / 2, (0.5 - begin) / 2),
    ]
    for child, low, high in cases:
        fit = dm.read(text.format(child)).fit(limits, method="gibbs", route="conditionals", draws=2000)
        mean = (norm.pdf(low) - norm.pdf(high)) / (norm.cdf(high) - norm.cdf(low))
        values = fit.samples["t"]
        assert (values >= low).all(), child
        assert (values <= high).all(), child
        error = values.std(axis=(0, 1)) / np.sqrt(ess_mean(values))
        assert (np.abs(values.mean(axis=(0, 1)) - mean) < 5 * error).all(), child


LOGS = """model logs
plate g
plate i in g
covariate x[i]
a[g] ~ Normal(mu, 1)
mu ~ Normal(0, 1)
b ~ Normal(0, 1)
r ~ Gamma(3, 2)
p ~ Uniform(0, 1)
observed y[i] ~ LogNormal(a[g] + b*x, tau=r)
observed z[i] ~ Laplace(0, 1/r)
observed w[i] ~ Weibull(1.5, r**(-1/1.5))
observed c[i] ~ Bernoulli(p)
"""


@pytest.mark.parametrize("sweeps", [2500, pytest.param(60_000, marks=pytest.mark.long)])
def test_the_joint_law_is_left(sweeps: int):
    """One right schedule in 10,000 fails."""
    found = check_rules(dm.read(LOGS), covariates(), simulated=800 if sweeps < 5000 else 5000, sweeps=sweeps)
    assert "slice: a number" not in str(found)
    assert found.p_value > ALARM, str(found)


def test_what_follows_itself_is_drawn_at_once():
    """Element by element a walk of 200 steps had R-hat 1.07."""
    data = {"t": range(8), "y": np.arange(8.0)}
    plan = str(dm.read(CHAIN).plan(data, method="gibbs", route="conditionals"))
    assert "jointly normal: 'h' together" in plan


HIDDEN = """model hidden
plate t ordered
plate k = "low", "high"
plate j as k
p[k, j] ~ Dirichlet(2)
z[t first] in k ~ Categorical([0.5, 0.5])
z[t] in k ~ Categorical(p[z[t-1], j])
observed y[t] ~ Normal(if_else(z == "low", -1, 1), 1)
"""


def test_hidden_chains_have_two_colours():
    """A state chooses from its own row's probabilities alone: 60 states are no more classes than 6."""
    from dagmodels.forms.conditionals.schedule import schedule_of

    model = dm.read(HIDDEN)
    problem = model._facts({"t": range(60), "y": np.sin(np.arange(60.0))}).problem
    assert len([t for t in schedule_of(problem).targets if t.node == "z"]) == 3
    found = check_rules(model, sizes={"t": 6}, simulated=800, sweeps=2500)
    assert found.p_value > ALARM, str(found)


ENDS = """model ends
plate i
m ~ Normal(0, 1)
f ~ StudentT(4, m, 1)
n ~ Poisson(exp(0.1*m))
g ~ Normal(f, exp(0.2*m))
observed y[i] ~ Normal(m, 1)
"""


def test_what_nothing_observed_depends_on_is_drawn_from_its_law():
    """It takes no part in the draws of its parents, which are then independent: m keeps its normal law."""
    model = dm.read(ENDS)
    plan = str(model.plan({"y": Y}, method="gibbs", route="conditionals"))
    assert "m: normal: 'y' Normal, linear in 'm'" in plan
    assert "f, n, g: its own law, given its parents, after all else" in plan
    fit = model.fit({"y": Y}, method="gibbs", route="conditionals", draws=2000)
    mean, variance = Y.sum() / (N + 1), 1 / (N + 1)
    assert off(fit, "m", mean) < 5
    assert off(fit, "f", mean) < 5
    assert off(fit, "g", mean) < 5
    assert off(fit, "n", float(np.exp(0.1 * mean + 0.005 * variance))) < 5
    assert np.corrcoef(fit.samples["f"].ravel(), fit.samples["g"].ravel())[0, 1] > 0.4
    assert set(model.fit({"y": Y}, method="gibbs", route="conditionals", monitor=["f"]).samples) == {"f"}


MATRICES = {  # prior, and argument of MvNormal, that has these multiples of precision
    "tau=2*w": ("Wishart", 2.0),
    "tau=w/c": ("Wishart", 1 / np.arange(1.0, 7.0)),
    "cov=3*inverse(2*w)": ("Wishart", 2 / 3),
    "cov=c*inverse(w)": ("Wishart", 1 / np.arange(1.0, 7.0)),
    "cov=3*w": ("InverseWishart", 1 / 3),
    "tau=inverse(c*w)": ("InverseWishart", 1 / np.arange(1.0, 7.0)),
}


@pytest.mark.parametrize("given", MATRICES)
def test_multiples_of_matrices(given: str):
    """Means of Wishart and inverse Wishart laws (Gelman and others 2013, appendix A)."""
    prior, times = MATRICES[given]
    model = dm.read(
        f"{PLATE}plate k = 1..2\nplate l as k\nconstant v[k, l] = [[1, 0.3], [0.3, 2]]\ncovariate c[i]\n"
        f"w[k, l] ~ {prior}(5, v)\nobserved y[i, k] ~ MvNormal(0, {given})"
    )
    y = np.random.default_rng(3).normal(size=(N, 2)) + [0.5, 0]
    data = {"y": y, "c": np.arange(1.0, 7.0)}
    assert f"w: {prior}: conjugate prior" in str(model.plan(data, method="gibbs", route="conditionals"))
    scatter = np.einsum("i,ij,ik->jk", np.broadcast_to(times, N), y, y)
    v = np.array([[1, 0.3], [0.3, 2]])
    mean = (5 + N) * np.linalg.inv(np.linalg.inv(v) + scatter)
    if prior == "InverseWishart":
        mean = (v + scatter) / (5 + N - 3)
    w = model.fit(data, method="gibbs", route="conditionals").samples["w"].reshape(4, 1000, 4)
    error = w.std(axis=(0, 1)) / np.sqrt(ess_mean(w))
    assert (np.abs(w.mean(axis=(0, 1)) - mean.ravel()) < 5 * error).all()
