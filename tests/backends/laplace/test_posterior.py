"""Posterior means, quantiles and densities against closed forms, brute-force integrals and long chains (over
500 lines: all kinds of answers about the same few posteriors)."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate, optimize, special, stats

import dagmodels as dm

ROOT = Path(__file__).parents[3]
REFERENCES = ROOT / "tests" / "references"


def posterior(text: str, data: Any, **options: Any) -> Any:
    return dm.read(text).fit_quietly(data, method="laplace", **{"posterior": True, **options})


def by_name(fit: Any) -> pd.DataFrame:
    return fit.estimates.set_index("name")


# -- closed forms

NORMAL_GAMMA = """model ng
plate row
tau ~ Gamma(3, 2)
mu ~ Normal(1, tau=0.5*tau)
observed y[row] ~ Normal(mu, tau=tau)
sigma = 1/sqrt(tau)
"""


@cache
def normal_gamma():
    y = np.array([0.3, 2.1, -0.7, 1.9, 0.4, 3.3, 1.2])
    n, k0, m0, a0, b0 = y.size, 0.5, 1.0, 3.0, 2.0
    kn = k0 + n
    mn, an = (k0 * m0 + n * y.mean()) / kn, a0 + n / 2
    bn = b0 + 0.5 * ((y - y.mean()) ** 2).sum() + 0.5 * k0 * n * (y.mean() - m0) ** 2 / kn
    evidence = special.gammaln(an) - special.gammaln(a0) + a0 * np.log(b0) - an * np.log(bn)
    evidence += 0.5 * np.log(k0 / kn) - 0.5 * n * np.log(2 * np.pi)
    mu = stats.t(2 * an, mn, np.sqrt(bn / (an * kn)))
    return posterior(NORMAL_GAMMA, {"y": y}), evidence, mu, stats.gamma(an, scale=1 / bn)


def test_normal_with_unknown_mean_and_variance():
    fit, evidence, mu, tau = normal_gamma()
    assert fit.measures["log_evidence"] == pytest.approx(evidence, abs=1e-8)
    table = by_name(fit)
    latents = fit.latents.set_index("name").rename(columns={"sd": "se"})  # mu's own prior has an unknown
    for name, law in (("mu", mu), ("tau", tau)):
        row = table.loc[name] if name == "tau" else latents.loc[name]
        assert row.estimate == pytest.approx(law.mean(), abs=1e-6 * law.std())
        assert row.se == pytest.approx(law.std(), rel=1e-6)
        assert row.lower == pytest.approx(law.ppf(0.025), abs=1e-4 * law.std())
        assert row.upper == pytest.approx(law.ppf(0.975), abs=1e-4 * law.std())
        x, density = fit.marginal(name)
        assert density == pytest.approx(law.pdf(x), abs=1e-4 * law.pdf(x).max())
    sigma = stats.invgamma(tau.args[0], scale=1 / tau.kwds["scale"])  # of the variance
    assert table.loc["sigma", "upper"] == pytest.approx(np.sqrt(sigma.ppf(0.975)), rel=1e-4)
    assert table.loc["sigma", "lower"] == pytest.approx(np.sqrt(sigma.ppf(0.025)), rel=1e-4)
    assert set(table["what"]) == {"posterior mean"}
    assert fit.exact
    assert fit.converged


PRECISION = """model precision
plate row
observed y[row] ~ Normal(0, tau=tau)
tau ~ Gamma({a}, {b})
"""


@pytest.mark.parametrize(("a", "b"), [(0.001, 0.001), (0.1, 0.1), (0.5, 2.0), (0.001, 10.0)])
@pytest.mark.parametrize("y", [[0.001], [1.3], [0.0], [40.0]])
def test_a_precision_with_one_observation(a: float, b: float, y: list[float]):
    """On the declared scale it has its mode at zero, where the density in its logarithm is all but flat."""
    fit = posterior(PRECISION.format(a=a, b=b), {"y": y})
    an, bn = a + 0.5, b + 0.5 * y[0] ** 2
    evidence = special.gammaln(an) - special.gammaln(a) + a * np.log(b) - an * np.log(bn)
    assert fit.measures["log_evidence"] == pytest.approx(evidence - 0.5 * np.log(2 * np.pi), abs=1e-6)
    law, row = stats.gamma(an, scale=1 / bn), by_name(fit).loc["tau"]
    assert row.estimate == pytest.approx(law.mean(), rel=1e-4)
    assert row.se == pytest.approx(law.std(), rel=1e-4)
    assert row.lower == pytest.approx(law.ppf(0.025), rel=1e-2)
    assert row.upper == pytest.approx(law.ppf(0.975), rel=1e-3)
    assert fit.converged


def test_a_precision_beside_an_unknown_mean_with_one_observation():
    """The mean integrated: Normal with variance 100 + 1/tau, by quadrature over the logarithm of tau."""
    fit = posterior(
        PRECISION.format(a=0.001, b=0.001).replace("Normal(0,", "Normal(mu,") + "mu ~ Normal(0, 10)\n",
        {"y": [0.001]},
    )
    t = np.linspace(-60.0, 15.0, 400_001)
    tau = np.exp(t)
    log_density = stats.norm.logpdf(0.001, 0, np.sqrt(100 + 1 / tau)) + t
    log_density += stats.gamma.logpdf(tau, 0.001, scale=1000)
    p = np.exp(log_density)
    evidence = p.sum() * (t[1] - t[0])
    assert fit.measures["log_evidence"] == pytest.approx(np.log(evidence), abs=1e-5)
    assert by_name(fit).loc["tau", "estimate"] == pytest.approx(p @ tau / p.sum(), rel=1e-4)
    assert fit.converged


def test_nothing_outer_is_closed_form():
    fit = posterior(
        "model m\nplate r\nb ~ Normal(0, 2)\nobserved y[r] ~ Normal(b, 1)", {"y": [1.0, 2.0, 4.0]}
    )
    b = by_name(fit).loc["b"]
    assert (b.estimate, b.se) == pytest.approx((7 / 3.25, 3.25**-0.5))
    law = stats.multivariate_normal(np.zeros(3), np.eye(3) + 4.0)
    assert fit.measures["log_evidence"] == pytest.approx(law.logpdf([1.0, 2.0, 4.0]))
    assert fit.diagnostics["points"] == 1


def test_covariance_matrix_with_its_conjugate_prior():
    """The evidence is a ratio of multivariate gamma functions; posterior mean and variances are known."""
    rng = np.random.default_rng(8)
    y = rng.normal(size=(12, 2)) @ np.array([[1.0, 0.7], [0.0, 0.8]])
    text = """model w
plate row
plate c = "a", "b"
plate c2 as c
Sigma[c, c2] ~ InverseWishart(6, [[2, 0.5], [0.5, 1]])
observed y[row, c] ~ MvNormal([0, 0], Sigma)
"""
    frame = pd.DataFrame({"row": np.repeat(np.arange(12), 2), "c": ["a", "b"] * 12, "y": y.ravel()})
    fit = posterior(text, frame)
    psi, nu, n = np.array([[2, 0.5], [0.5, 1]]), 6.0, 12
    after = psi + y.T @ y
    evidence = special.multigammaln((nu + n) / 2, 2) - special.multigammaln(nu / 2, 2) - n * np.log(np.pi)
    evidence += nu / 2 * np.linalg.slogdet(psi)[1] - (nu + n) / 2 * np.linalg.slogdet(after)[1]
    assert fit.measures["log_evidence"] == pytest.approx(evidence, abs=2e-5)
    mean = after / (nu + n - 3)
    table = by_name(fit)
    for i, a in enumerate("ab"):
        law = stats.invgamma((nu + n - 1) / 2, scale=after[i, i] / 2)
        row = table.loc[f"Sigma[{a}, {a}]"]
        assert row.estimate == pytest.approx(law.mean(), rel=1e-4)
        assert row.se == pytest.approx(law.std(), rel=1e-3)
        assert [row.lower, row.upper] == pytest.approx(law.ppf([0.025, 0.975]), abs=0.01 * law.std())
    assert table.loc["Sigma[a, b]", "estimate"] == pytest.approx(mean[1, 0], rel=1e-4)


# -- brute force


def quantiles(t: Any, density: Any) -> Any:
    """2.5 and 97.5 % points of exp(t), from values of the density of t on an even grid."""
    cdf = interpolate.CubicSpline(t, density).antiderivative()
    found = [optimize.brentq(lambda a, p=p: cdf(a) - p * cdf(t[-1]), t[0], t[-1]) for p in (0.025, 0.975)]
    return np.exp(found)


EIGHT = (ROOT / "specs" / "eight_schools.dag").read_text().replace('data "../examples/eight_schools.csv"', "")
Y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SIGMA = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


@cache
def eight_schools():
    return posterior(EIGHT, {"y": Y, "sigma": SIGMA})


def test_eight_schools_against_a_two_dimensional_integral():
    """mu by a fine grid of its own, log tau by another: nothing is integrated in closed form but theta."""
    t, mu = np.linspace(-30, 9, 781)[:, None, None], np.linspace(-25, 35, 241)[None, :, None]
    tau = np.exp(t)
    value = stats.norm.logpdf(Y, mu, np.hypot(SIGMA, tau)).sum(axis=2)
    value += stats.norm.logpdf(mu, 0, 5)[..., 0] + (stats.halfcauchy.logpdf(tau, scale=5) + t)[..., 0]
    top = value.max()
    weight = np.exp(value - top)
    step = (t[1] - t[0]).item() * (mu[0, 1] - mu[0, 0]).item()
    fit = eight_schools()
    assert fit.measures["log_evidence"] == pytest.approx(top + np.log(weight.sum() * step), abs=1e-7)
    weight /= weight.sum()
    table = by_name(fit)
    mean = (weight.sum(1) @ tau[:, 0, 0], weight.sum(0) @ mu[0, :, 0])
    assert table.loc["tau", "estimate"] == pytest.approx(mean[0], abs=1e-6)
    assert table.loc["mu", "estimate"] == pytest.approx(mean[1], abs=1e-6)
    assert table.loc["tau", "se"] == pytest.approx(
        np.sqrt(weight.sum(1) @ (tau[:, 0, 0] - mean[0]) ** 2), abs=1e-4
    )
    given = (Y[0] * tau**2 + mu * SIGMA[0] ** 2)[..., 0] / (tau**2 + SIGMA[0] ** 2)[..., 0]
    theta = fit.latents.set_index("name").loc["theta[0]"]
    assert theta.estimate == pytest.approx((weight * given).sum(), abs=1e-6)
    limits = quantiles(t[:, 0, 0], weight.sum(1))
    assert table.loc["tau", ["lower", "upper"]].tolist() == pytest.approx(limits, rel=1e-4)


def test_eight_schools_against_long_chains():
    """The gold draws of posteriordb: within five Monte Carlo errors, of which 20 comparisons pass but once in
    100,000 runs."""
    gold = json.loads((REFERENCES / "eight_schools" / "posteriordb.json").read_text())["parameters"]
    fit = eight_schools()
    table, latents = by_name(fit), fit.latents.set_index("name")
    for name, known in gold.items():
        row = table.loc[name] if name in table.index else latents.iloc[int(name[6:-1]) - 1]
        sd = row.se if name in table.index else row.sd
        assert row.estimate == pytest.approx(known["mean"], abs=5 * known["mcse"])
        assert sd == pytest.approx(known["sd"], rel=0.06)  # tau's has a heavy tail
        assert row.upper == pytest.approx(known["q97.5"], abs=0.1 * known["sd"])


TWO = """model two
plate g
plate r in g
a[g] ~ Normal(mu, tau)
mu ~ Normal(0, 3)
tau ~ HalfNormal(2)
sigma ~ Gamma(2, 1.5)
observed y[r] ~ Normal(a, sigma)
icc = tau**2/(tau**2 + sigma**2)
"""


@cache
def two_scales():
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(6), 4)
    y = 1.0 + 0.8 * rng.normal(size=6)[g] + 0.6 * rng.normal(size=24)
    return {"g": [f"g{i}" for i in g], "y": y}, g, y


@cache
def two_scales_by_force():
    """Sums over a fine grid of (log tau, log sigma), of a dense normal density of all data."""
    _, _, y = two_scales()
    lt, ls = np.linspace(-14, 3.5, 211), np.linspace(-1.6, 0.9, 101)
    tau2, sigma2 = np.exp(2 * lt)[:, None], np.exp(2 * ls)[None, :]
    # the design is balanced: three eigenspaces, within groups, between them, and the mean's
    means = y.reshape(6, 4).mean(1)
    within, between, total = (
        ((y.reshape(6, 4).T - means) ** 2).sum(),
        4 * ((means - y.mean()) ** 2).sum(),
        y.sum(),
    )
    e1, e2 = sigma2 + 0 * tau2, sigma2 + 4 * tau2
    e3 = e2 + 24 * 9.0
    value = -0.5 * (18 * np.log(e1) + 5 * np.log(e2) + np.log(e3) + 24 * np.log(2 * np.pi))
    value -= 0.5 * (within / e1 + between / e2 + total**2 / 24 / e3)
    value += stats.halfnorm.logpdf(np.exp(lt), scale=2)[:, None] + lt[:, None]
    value += stats.gamma.logpdf(np.exp(ls), 2, scale=1 / 1.5)[None, :] + ls[None, :]
    top = value.max()
    weight = np.exp(value - top)
    evidence = top + np.log(weight.sum() * (lt[1] - lt[0]) * (ls[1] - ls[0]))
    weight /= weight.sum()
    precision = 24 / e2 + 1 / 9.0
    return evidence, weight, np.exp(lt)[:, None], np.exp(ls)[None, :], total / e2 / precision, 1 / precision


def test_two_scales_against_brute_force():
    data, _, _ = two_scales()
    evidence, weight, tau, sigma, mu, variance = two_scales_by_force()
    fit = posterior(TWO, data)
    table = by_name(fit)
    assert fit.measures["log_evidence"] == pytest.approx(evidence, abs=1e-5)
    icc = tau**2 / (tau**2 + sigma**2)
    for name, value in (("tau", tau), ("sigma", sigma), ("icc", icc), ("mu", mu)):
        mean = (weight * value).sum()
        spread = (weight * ((value - mean) ** 2 + (variance if name == "mu" else 0))).sum()
        assert table.loc[name, "estimate"] == pytest.approx(mean, abs=1e-5)
        assert table.loc[name, "se"] == pytest.approx(np.sqrt(spread), abs=1e-5)
    order = np.argsort(icc.ravel())
    cdf = np.cumsum(weight.ravel()[order])
    by_force = icc.ravel()[order][np.searchsorted(cdf, [0.025, 0.975])]
    assert table.loc["icc", ["lower", "upper"]].tolist() == pytest.approx(by_force, abs=3e-3)
    for value, name in ((tau, "tau"), (sigma, "sigma")):
        limits = quantiles(np.log(np.ravel(value)), weight.sum(axis=1 if name == "tau" else 0))
        assert table.loc[name, ["lower", "upper"]].tolist() == pytest.approx(limits, rel=1e-4)


def test_the_order_of_rows_and_groups_means_nothing():
    data, g, y = two_scales()
    order = np.random.default_rng(3).permutation(24)
    one, two = posterior(TWO, data), posterior(TWO, {"g": [f"z{9 - g[i]}" for i in order], "y": y[order]})
    assert by_name(two)["estimate"].tolist() == pytest.approx(by_name(one)["estimate"].tolist(), abs=1e-6)
    assert two.latents["estimate"].tolist()[::-1] == pytest.approx(one.latents["estimate"].tolist(), abs=1e-6)


def test_densities_integrate_to_one_and_have_the_moments_of_the_table():
    data, _, _ = two_scales()
    for fit in (posterior(TWO, data), posterior(TWO, data, posterior="ccd")):
        table, latents = by_name(fit), fit.latents.set_index("name")
        for name in ("mu", "tau", "sigma", "icc", "a[g0]"):
            x, density = fit.marginal(name)
            row = table.loc[name] if name in table.index else latents.loc[name]
            mean = np.trapezoid(x * density, x)
            sd = row.se if name in table.index else row.sd
            assert np.trapezoid(density, x) == pytest.approx(1, abs=3e-4)
            assert mean == pytest.approx(row.estimate, abs=3e-3 * sd)
            assert np.trapezoid((x - mean) ** 2 * density, x) == pytest.approx(sd**2, rel=1e-2)
            cdf = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
            assert np.interp([row.lower, row.upper], x, cdf) == pytest.approx([0.025, 0.975], abs=1e-3)
        wide = fit.confint("posterior", level=0.99).set_index("name")
        assert (wide["lower"] < table["lower"]).all()
        assert (wide["upper"] > table["upper"]).all()


def test_a_design_is_near_the_lattice():
    """Two dimensions, where neither has an edge: means to 0.15 sd, deviations to 20 %, evidence to 0.1."""
    data, _, _ = two_scales()
    lattice, design = posterior(TWO, data), posterior(TWO, data, posterior="ccd")
    a, b = by_name(lattice), by_name(design)
    assert (np.abs(a["estimate"] - b["estimate"]) < 0.15 * a["se"]).all()
    assert np.abs(b["se"] / a["se"] - 1).max() < 0.2
    assert design.measures["log_evidence"] == pytest.approx(lattice.measures["log_evidence"], abs=0.1)
    assert design.diagnostics["log_evidence_by_draws"] == pytest.approx(
        lattice.measures["log_evidence"], abs=0.1
    )
    assert design.diagnostics["points"] == 9
    assert not design.exact
    assert any("design of few points" in w for w in design.warnings)


# -- classical examples

RADON = """model radon
plate county
plate house in county
alpha[county] ~ Normal(mu_alpha, sigma_alpha)
observed log_radon[house] ~ Normal(alpha, sigma_y)
mu_alpha ~ Normal(0, 10)
sigma_alpha, sigma_y ~ HalfNormal(1)
"""


def test_radon_against_a_long_chain():
    """Five Monte Carlo errors of the chain, and 3 % for deviations (its own error is below 1 %)."""
    gold = json.loads((REFERENCES / "radon_minnesota" / "posterior.json").read_text())["parameters"]
    frame = pd.read_csv(REFERENCES / "radon_minnesota" / "data.csv")[["county", "log_radon"]]
    table = by_name(posterior(RADON, frame))
    for name in ("mu_alpha", "sigma_alpha", "sigma_y"):
        known = gold[name]
        assert table.loc[name, "estimate"] == pytest.approx(known["mean"], abs=5 * known["mcse"])
        assert table.loc[name, "se"] == pytest.approx(known["sd"], rel=0.03)
        assert table.loc[name, "lower"] == pytest.approx(known["q2.5"], abs=0.1 * known["sd"])
        assert table.loc[name, "upper"] == pytest.approx(known["q97.5"], abs=0.1 * known["sd"])


SEEDS = """model seeds
plate plant
covariate n[plant], x1[plant], x2[plant]
alpha0, alpha1, alpha2, alpha12 ~ Normal(0, 1000)
tau ~ Gamma(0.001, 0.001)
b[plant] ~ Normal(0, tau=tau)
observed r[plant] ~ Binomial(n, expit(alpha0 + alpha1*x1 + alpha2*x2 + alpha12*x1*x2 + b))
sigma = 1/sqrt(tau)
"""
SALM = """model salm
plate p
covariate x[p], lx[p]
star, beta ~ Normal(0, 100)
gamma ~ Normal(0, 1e5)
tau ~ Gamma(0.001, 0.001)
b[p] ~ Normal(0, tau=tau)
observed y[p] ~ Poisson(exp(star + beta*lx + gamma*x + b))
sigma = 1/sqrt(tau)
"""


@cache
def counts(name: str):
    frame = pd.read_csv(REFERENCES / name / "data.csv")
    if name == "salm":
        frame["lx"] = np.log(frame["x"] + 10)
        frame[["x", "lx"]] -= frame[["x", "lx"]].mean()
    return posterior(SEEDS if name == "seeds" else SALM, frame)


@pytest.mark.parametrize("name", ["seeds", "salm"])
def test_counts_against_nested_quadrature(name: str):
    """The error that Laplace's approximation leaves: 0.03 posterior sd in means, 1.5 % in deviations, 0.05 in
    the log evidence, of which the weighted draws take away all but their own error (0.005; eight of it)."""
    known = json.loads((REFERENCES / name / "reference.json").read_text())
    fit = counts(name)
    table = by_name(fit)
    beta = ["alpha0", "alpha1", "alpha2", "alpha12"] if name == "seeds" else ["star", "beta", "gamma"]
    rows = zip([*beta, "sigma"], [*known["beta"]["mean"], known["sigma"]["mean"]],
               [*known["beta"]["sd"], known["sigma"]["sd"]], strict=True)  # fmt: skip
    for which, mean, sd in rows:
        assert table.loc[which, "estimate"] == pytest.approx(mean, abs=0.03 * sd)
        assert table.loc[which, "se"] == pytest.approx(sd, rel=0.015)
    assert fit.measures["log_evidence"] == pytest.approx(known["log_evidence"], abs=0.05)
    assert fit.diagnostics["log_evidence_by_draws"] == pytest.approx(known["log_evidence"], abs=0.04)
    assert fit.diagnostics["pareto_k"] < 0.7
    assert fit.diagnostics["effective_draws"] > 900
    assert not fit.exact
    assert not fit.warnings


def test_latents_integrated_in_closed_form():
    """Pump: rates theta given alpha and beta are gamma; both integrated over a fine grid here."""
    fit = dm.read(ROOT / "specs" / "pump.dag").fit_quietly(method="laplace", posterior=True)
    frame = pd.read_csv(ROOT / "examples" / "pump.csv")
    time, count = frame["t"].to_numpy(), frame["x"].to_numpy()
    la, lb = np.linspace(-4.5, 3, 151)[:, None], np.linspace(-9, 3.5, 151)[None, :]
    a, b = np.exp(la), np.exp(lb)
    value = -a + la + stats.gamma.logpdf(b, 0.1) + lb
    for t, x in zip(time, count, strict=True):
        value = value + stats.nbinom.logpmf(x, a, b / (b + t))
    top = value.max()
    weight = np.exp(value - top)
    evidence = top + np.log(weight.sum() * (la[1, 0] - la[0, 0]) * (lb[0, 1] - lb[0, 0]))
    weight /= weight.sum()
    assert fit.measures["log_evidence"] == pytest.approx(evidence, abs=1e-5)
    table = by_name(fit)
    for name, value in (("alpha", a), ("beta", b)):
        mean = (weight * value).sum()
        assert table.loc[name, "estimate"] == pytest.approx(mean, abs=1e-5)
        assert table.loc[name, "se"] == pytest.approx(np.sqrt((weight * (value - mean) ** 2).sum()), abs=1e-4)
    for k in (0, 6, 9):
        shape, rate = a + count[k], b + time[k]
        row = fit.latents.iloc[k]
        mean = (weight * shape / rate).sum()
        square = (weight * shape * (shape + 1) / rate**2).sum()
        assert (row.estimate, row.sd) == pytest.approx((mean, np.sqrt(square - mean**2)), rel=1e-5)
        below = [(weight * special.gammainc(shape, rate * limit)).sum() for limit in (row.lower, row.upper)]
        assert below == pytest.approx([0.025, 0.975], abs=1e-6)
        x, density = fit.marginal(row["name"])
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("law", ["Gamma(3, b)", "StudentT(4, b, 1)", "Beta(2, b)"])
def test_latents_of_other_laws(law: str):
    """One unknown b and four latents, which are one-dimensional integrals given b. Laplace leaves 0.1 sd in
    means, 15 % in latents' deviations (they are not corrected), 0.5 sd in their quantiles and 0.35 in the
    evidence; weighted draws 0.05 of that (four of their errors)."""
    y = np.array([0.9, 0.3, 0.55, 0.7, 0.2, 0.6, 0.35, 0.45])
    text = f"""model other
plate g
plate r in g
b ~ Gamma(4, 2)
theta[g] ~ {law}
observed y[r] ~ Normal(theta, 0.3)
"""
    fit = posterior(text, {"g": list("aabbccdd"), "y": y})
    t, b = np.linspace(-6, 8, 5601), np.exp(np.linspace(-4, 3, 181))[:, None]
    if law.startswith("Beta"):
        t = np.linspace(0, 1, 4001)[1:-1]
    prior = {
        "Gamma(3, b)": lambda: np.where(t > 0, stats.gamma.pdf(t, 3, scale=1 / b), 0),
        "StudentT(4, b, 1)": lambda: stats.t.pdf(t, 4, b, 1),
        "Beta(2, b)": lambda: stats.beta.pdf(t, 2, b),
    }[law]()
    step = t[1] - t[0]
    parts = [prior * np.prod(stats.norm.pdf(pair[:, None], t, 0.3), axis=0) for pair in y.reshape(4, 2)]
    totals = [part.sum(axis=1) * step for part in parts]
    weight = np.prod(totals, axis=0) * stats.gamma.pdf(b[:, 0], 4, scale=0.5) * b[:, 0]
    evidence = np.log(weight.sum() * 7 / 180)
    weight /= weight.sum()
    assert fit.measures["log_evidence"] == pytest.approx(evidence, abs=0.35)
    assert fit.diagnostics["log_evidence_by_draws"] == pytest.approx(evidence, abs=0.05)
    mean = weight @ b[:, 0]
    sd = np.sqrt(weight @ (b[:, 0] - mean) ** 2)
    assert fit["b"] == pytest.approx(mean, abs=0.1 * sd)
    assert by_name(fit).loc["b", "se"] == pytest.approx(sd, rel=0.05)
    for k, part in enumerate(parts):
        density = weight @ (part / part.sum(axis=1, keepdims=True))
        mean = density @ t
        sd = np.sqrt(density @ (t - mean) ** 2)
        row = fit.latents.iloc[k]
        assert row.estimate == pytest.approx(mean, abs=0.1 * sd)
        assert row.sd == pytest.approx(sd, rel=0.15)
        limits = np.interp([0.025, 0.975], np.cumsum(density), t)
        assert [row.lower, row.upper] == pytest.approx(limits, abs=0.5 * sd)
        x, values = fit.marginal(row["name"])
        assert np.trapezoid(values, x) == pytest.approx(1, abs=1e-3)
    assert fit.predict() == pytest.approx(np.repeat(fit.latents["estimate"].to_numpy(), 2))


# -- bad input, and what is said


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("parameter tau > 0\nmu ~ Normal(0, 1)", "'tau' has none"),
        ("tau ~ HalfFlat()\nmu ~ Flat()", "'mu', 'tau' have none|'tau', 'mu' have none"),
    ],
)
def test_improper_priors_are_refused_by_name(lines: str, named: str):
    text = f"model m\nplate g\nplate r in g\n{lines}\na[g] ~ Normal(mu, tau)\nobserved y[r] ~ Normal(a, 1)"
    data = {"g": list("aabbccdd"), "y": np.arange(8.0)}
    with pytest.raises(dm.FitError, match=named):
        posterior(text, data)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"posterior": "inla"}, "none of False, True"),
        ({"posterior_draws": 50}, "from 100"),
        ({"posterior_draws": True}, "from 100"),
        ({"quadrature": 3}, "do not go together"),
        ({"posterior": False, "posterior_draws": 500}, "say posterior=True"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], told: str):
    with pytest.raises(dm.FitError, match=told):
        posterior(EIGHT, {"y": Y, "sigma": SIGMA}, **options)


def test_a_point_fit_has_no_densities():
    fit = posterior(EIGHT, {"y": Y, "sigma": SIGMA}, posterior=False)
    with pytest.raises(dm.FitError, match="posterior=True"):
        fit.marginal("tau")
    with pytest.raises(dm.FitError, match="posterior=True"):
        fit.confint("posterior")


def test_names_that_nothing_has_are_told_apart():
    with pytest.raises(KeyError, match="tau"):
        eight_schools().marginal("taus")


def test_the_seed_rules_the_check_and_nothing_else():
    data = {"y": Y, "sigma": SIGMA}
    one, again, other = (posterior(EIGHT, data, seed=s) for s in (1, 1, 2))
    assert one.diagnostics["log_evidence_by_draws"] == again.diagnostics["log_evidence_by_draws"]
    assert one.diagnostics["log_evidence_by_draws"] != other.diagnostics["log_evidence_by_draws"]
    assert by_name(one)["estimate"].equals(by_name(other)["estimate"])
    none = posterior(EIGHT, data, posterior_draws=0)
    assert "pareto_k" not in none.diagnostics


def test_words_say_what_the_numbers_are():
    graph = dm.read(EIGHT)
    data = {"y": Y, "sigma": SIGMA}
    plan = str(graph.plan(data, posterior=True))
    assert "posterior means and quantiles by quadrature over a lattice of tau" in plan
    assert "integrated over a lattice: tau" in plan
    assert "marginal mode, not a posterior" not in plan
    assert "mode of the exact marginal posterior" in str(graph.plan(data))
    fit = eight_schools()
    assert fit.method.startswith("posterior means and quantiles")
    assert by_name(fit).loc["tau", "mode"] == 0.0
    assert "posterior mean and sd" in fit.summary()
    assert "Pareto k" in fit.summary()


def test_a_posterior_travels_and_predicts():
    fit = pickle.loads(pickle.dumps(eight_schools()))
    assert fit.marginal("theta[0]").density == pytest.approx(eight_schools().marginal("theta[0]").density)
    assert fit.predict() == pytest.approx(fit.latents["estimate"].to_numpy())
    covariance = fit.covariance
    assert covariance is not None
    assert np.sqrt(np.diag(covariance)) == pytest.approx(fit.estimates["se"].to_numpy(), rel=1e-6)
