"""Scales with hyperpriors of every kind, against draws from the prior weighted by the exact likelihood."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind
from dagmodels.forms.collapsed import collapsed
from dagmodels.forms.standard_units import units_of
from tests.backends.gibbs.compared import compared

N = 200_000  # draws from the prior
Y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
S = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
X = np.array([-1.0, 0, 1])
FACTORS = np.array([1.0, 0.3, 1.5])  # of the outcomes of three groups
ONE = """model one
plate j
covariate s[j]
theta[j] ~ Normal(mu, tau)
mu ~ Normal(0, 5)
observed y[j] ~ Normal(theta, s)
"""
GROUPS = """model groups
plate k
plate j in k
covariate s[j]
covariate x[k]
theta[j] ~ Normal(mu[k], tau[k])
mu[k] ~ Normal(0, 5)
observed y[j] ~ Normal(theta, s)
"""


def log_likelihood(tau, y=Y):
    """Of tau, theta and mu integrated, for each of many values; y may go with them."""
    w = 1 / (np.asarray(tau)[:, None] ** 2 + S**2)
    precision = w.sum(axis=1) + 0.04
    mean = (w * y).sum(axis=1) / precision
    return 0.5 * (np.log(w).sum(axis=1) - np.log(precision) + precision * mean**2 - (w * y**2).sum(axis=1))


# -- each case: the priors' text, and draws of them: tau (or tau by group) first ----------------------------


def deep(rng):
    c = rng.exponential(size=N)
    b = c * np.abs(rng.normal(size=N))
    a = 5 * b * np.abs(rng.normal(size=N))
    return {"tau": a * np.abs(rng.normal(size=N)), "A": a, "B": b, "C": c}


def end(rng):
    a = rng.exponential(10, N)
    return {"tau": a * rng.uniform(size=N), "A": a}


def log_scale(rng):
    m, v = rng.normal(1, 1, N), 0.5 * np.abs(rng.normal(size=N))
    t = m + v * rng.normal(size=N)
    return {"tau": np.exp(t), "t": t, "m": m, "v": v}


def precision(rng):
    a, b = rng.exponential(2, N), rng.gamma(2, 5, N)
    prec = np.maximum(rng.gamma(a) / b, 1e-200)
    return {"tau": prec**-0.5, "a": a, "b": b}


def between(rng):
    return {k: v for k, v in log_scale(rng).items() if k != "t"}


def heavy(rng):
    m, v = rng.normal(1, 1, N), 0.5 * np.abs(rng.normal(size=N))
    return {"tau": np.exp(m + v * rng.standard_t(4, N)), "m": m, "v": v}


def logistic(rng):
    m, v = rng.normal(1, 1, N), 0.3 * np.abs(rng.normal(size=N))
    return {"tau": np.exp(m + v * rng.logistic(size=N)), "m": m, "v": v}


def cauchy(rng):
    m, v = rng.normal(1, 1, N), 0.1 * rng.exponential(size=N)
    return {"tau": np.exp(np.clip(m + v * rng.standard_cauchy(N), -300, 300)), "m": m}


def freedom(rng):
    nu, a = 1 + rng.gamma(2, 5, N), 5 * np.abs(rng.normal(size=N))
    return {"tau": a * np.abs(rng.standard_t(nu)), "A": a}


ONES = {
    "levels": ("tau ~ HalfNormal(A)\nA ~ HalfNormal(5*B)\nB ~ HalfNormal(C)\nC ~ Exponential(1)", deep),
    "end": ("tau ~ Uniform(0, A)\nA ~ Exponential(0.1)", end),
    "log scale": ("tau = exp(t)\nt ~ Normal(m, v)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.5)", log_scale),
    "precision": ("tau = prec**-0.5\nprec ~ Gamma(a, b)\na ~ Exponential(0.5)\nb ~ Gamma(2, 0.2)", precision),
    "LogNormal": ("tau ~ LogNormal(m, v)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.5)", between),
    "by tau": ("tau ~ LogNormal(m, tau=v**-2)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.5)", between),
    "StudentT": ("tau = exp(t)\nt ~ StudentT(4, m, v)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.5)", heavy),
    "Logistic": ("tau = exp(t)\nt ~ Logistic(m, v)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.3)", logistic),
    "Cauchy": ("tau = exp(t)\nt ~ Cauchy(m, v)\nm ~ Normal(1, 1)\nv ~ Exponential(10)", cauchy),
    "freedom": (
        "tau ~ HalfStudentT(1 + nu, A)\nnu ~ Gamma(2, 0.2)\nA ~ HalfNormal(5)",
        freedom,
    ),
}


def shared(rng):
    a = 10 * np.abs(rng.normal(size=N))
    return {"tau": a[:, None] * np.abs(rng.normal(size=(N, 3))), "A": a}


def shared_precision(rng):
    a, b = rng.exponential(size=N), rng.gamma(2, 5, N)
    prec = np.maximum(rng.gamma(a[:, None], size=(N, 3)) / b[:, None], 1e-200)
    return {"tau": prec**-0.5, "a": a, "b": b}


def covariate(rng):
    m, b = rng.normal(1, 1, N), rng.normal(size=N)
    return {"tau": np.exp(m[:, None] + b[:, None] * X) * np.abs(rng.normal(size=(N, 3))), "m": m, "b": b}


def spread_about(rng):
    m, b, v = rng.normal(1, 1, N), rng.normal(size=N), 0.3 * np.abs(rng.normal(size=N))
    return {"tau": np.exp(m[:, None] + b[:, None] * X + v[:, None] * rng.normal(size=(N, 3))), "m": m, "v": v}


SEVERAL = {
    "shared": ("tau[k] ~ HalfNormal(A)\nA ~ HalfNormal(10)", shared),
    "precisions": (
        "tau[k] = prec**-0.5\nprec[k] ~ Gamma(a, b)\na ~ Exponential(1)\nb ~ Gamma(2, 0.2)",
        shared_precision,
    ),
    "covariate": ("tau[k] ~ HalfNormal(exp(m + b*x))\nm ~ Normal(1, 1)\nb ~ Normal(0, 1)", covariate),
    "about a line": (
        "tau[k] ~ LogNormal(m + b*x, v)\nm ~ Normal(1, 1)\nb ~ Normal(0, 1)\nv ~ HalfNormal(0.3)",
        spread_about,
    ),
}


@pytest.mark.parametrize("kind", ONES)
def test_one_scale(kind):
    """Some 90 comparisons at 5 standard errors fail one time in 10,000."""
    priors, simulated = ONES[kind]
    fit = dm.read(f"{ONE}{priors}\n").fit({"j": range(8), "s": S, "y": Y}, method="gibbs", seed=2)
    values = simulated(np.random.default_rng(5))
    logs = log_likelihood(values["tau"])
    assert "tau" in fit.samples
    assert "theta" not in fit.method
    assert not any("standard units" in name for name in fit.samples)
    compared(fit, values, np.exp(logs - logs.max()))


@pytest.mark.parametrize("kind", SEVERAL)
def test_scales_that_share_unknowns(kind):
    """Some 60 comparisons at 5 standard errors fail one time in 10,000."""
    priors, simulated = SEVERAL[kind]
    g = np.repeat(np.arange(3), 8)
    y = (FACTORS[:, None] * Y).reshape(-1)
    data = {"k": g, "j": range(24), "s": np.tile(S, 3), "y": y, "x": X[g]}
    fit = dm.read(f"{GROUPS}{priors}\n").fit(data, method="gibbs", draws=600, warmup=600, seed=2)
    assert "theta" not in fit.method
    values = simulated(np.random.default_rng(5))
    logs = sum(log_likelihood(values["tau"][:, k], FACTORS[k] * Y) for k in range(3))
    compared(fit, values, np.exp(logs - logs.max()))


def test_a_discrete_unknown_in_the_prior():
    text = f"{ONE}tau ~ HalfNormal(A * if_else(z == 1, 10, 1))\nz ~ Bernoulli(0.3)\nA ~ Uniform(0.5, 1)\n"
    fit = dm.read(text).fit({"j": range(8), "s": S, "y": Y}, method="gibbs", seed=2)
    assert fit.method.startswith("states of z by their evidence")
    rng = np.random.default_rng(5)
    z, a = (rng.uniform(size=N) < 0.3).astype(float), rng.uniform(0.5, 1, N)
    tau = a * np.where(z == 1, 10, 1) * np.abs(rng.normal(size=N))
    logs = log_likelihood(tau)
    compared(fit, {"tau": tau, "A": a}, np.exp(logs - logs.max()))
    w = np.exp(logs - logs.max())
    share = (w * z).sum() / w.sum()
    assert abs(np.mean(fit.samples["z"]) - share) < 5 * np.sqrt(share * (1 - share) / 3000)


def test_an_observed_node_that_depends_on_it_too():
    text = f"{ONE}tau ~ HalfNormal(A)\nA ~ HalfNormal(5)\nobserved w ~ Normal(A, 1)\n"
    fit = dm.read(text).fit({"j": range(8), "s": S, "y": Y, "w": 6.0}, method="gibbs", seed=2)
    assert fit.method.startswith("independent draws from a grid over tau, A")
    rng = np.random.default_rng(5)
    a = 5 * np.abs(rng.normal(size=N))
    tau = a * np.abs(rng.normal(size=N))
    logs = log_likelihood(tau) - 0.5 * (6.0 - a) ** 2
    compared(fit, {"tau": tau, "A": a}, np.exp(logs - logs.max()))


def test_a_hyperparameter_that_is_a_mean_too():
    """It is sampled, though it enters means linearly."""
    text = ONE.replace("Normal(theta, s)", "Normal(theta + m, s)")
    model = dm.read(f"{text}tau ~ LogNormal(m, v)\nm ~ Normal(1, 1)\nv ~ HalfNormal(0.5)\n")
    data = {"j": range(8), "s": S, "y": Y}
    told = model.plan(data, method="gibbs")
    assert "'m' sampled: it stands in the prior of 'tau', which is sampled" in str(told)
    values = between(np.random.default_rng(5))
    logs = log_likelihood(values["tau"], Y - values["m"][:, None])
    compared(model.fit(data, method="gibbs", seed=2), values, np.exp(logs - logs.max()))


def test_what_is_not_collapsed_is_drawn_element_by_element():
    """Not by trajectories of everything, which miss small scales; the plan says so."""
    model = dm.read(f"{ONE}tau ~ Truncated(Normal(m, 2), lower=0)\nm ~ Normal(1, 2)\n")
    data = {"j": range(8), "s": S, "y": Y}
    why = "'tau': priors have unknowns, and trajectories would miss small values"
    assert why in str(model.plan(data, method="gibbs"))
    fit = model.fit(data, method="gibbs", draws=2000, seed=2)
    assert fit.method.startswith("element by element")
    rng = np.random.default_rng(5)
    m = rng.normal(1, 2, 4 * N)
    tau = rng.normal(m, 2)
    from scipy.stats import norm

    kept = tau > 0
    tau, m = tau[kept], m[kept]
    logs = log_likelihood(tau) - norm.logcdf(m / 2)  # the truncated law's constant
    compared(fit, {"tau": tau, "m": m}, np.exp(logs - logs.max()))


def test_trajectories_can_be_asked_for():
    model = dm.read(f"{ONE}tau ~ Truncated(Normal(m, 2), lower=0)\nm ~ Normal(1, 2)\n")
    told = str(model.plan({"j": range(8), "s": S, "y": Y}, method="gibbs", collapse=False))
    assert "trajectories (NUTS) of all unknowns together" in told


@pytest.mark.parametrize("kind", ["LogNormal", "end", "StudentT"])
def test_standard_units_leave_the_evidence(kind):
    """The density of z and of what stands in the prior integrates to the evidence: by the prior's draws."""
    priors, simulated = ONES[kind]
    found = collapsed(bind(dm.read(f"{ONE}{priors}\n").dag, {"j": range(8), "s": S, "y": Y}))
    assert any(units_of(n) in found.places for n in ("tau", "t"))
    modes = found.modes()
    from dagmodels.numerics.sampling import independence

    proposal = independence.Proposal.at_mode(modes.best.x, 0.5 * modes.best.hessian, 4.0)
    rng = np.random.default_rng(3)
    y = proposal.drawn(rng, 20_000)
    weight = np.exp(found.log_densities(y) - proposal.log_density(y))
    likelihood = np.exp(log_likelihood(simulated(rng)["tau"]) - 4 * np.log(2 * np.pi) - 0.5 * np.log(25.0))
    error = np.hypot(weight.std() / y.shape[0] ** 0.5, likelihood.std() / N**0.5)
    assert abs(weight.mean() - likelihood.mean()) < 5 * error
