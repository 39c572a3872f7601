"""Refits on the kept field against fits from the beginning, and draws against the model's own moments."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.errors import DagmodelsError

SLOPES = """model slopes
plate g
plate r in g
plate e = "a", "b"
plate e2 as e
covariate x[r], w[r]
parameter beta[e]
parameter Sigma[e, e2] covariance
parameter s > 0
u[g, e] ~ MvNormal(0, Sigma)
icc = Sigma["a", "a"]/(Sigma["a", "a"] + s**2)
observed y[r] ~ Normal(beta["a"] + beta["b"]*x + u[g, "a"] + u[g, "b"]*x, s/sqrt(w))
"""
TWO = """model two
plate r
covariate x[r]
beta1 ~ Flat()
beta2 ~ Flat()
parameter s1, s2 > 0
parameter rho in (-1, 1)
observed y1[r] ~ Normal(beta1 + beta2*x, s1)
observed y2[r] ~ Normal(beta2 - x, s2)
y1[r] ~~ y2[r] = rho*s1*s2
"""
CHAIN = """model chain
plate t ordered
parameter q, s > 0
level[t first] ~ Flat()
level[t] ~ Normal(level[t-1], q)
observed y[t] ~ Normal(level[t], s)
"""
AUTO = """model auto
plate t ordered
parameter m
parameter a in (-1, 1)
parameter s > 0
observed y[t first] ~ Normal(m, s)
observed y[t] ~ Normal(m + a*(y[t-1] - m), s)
"""
COUNTS = """model counts
plate g
plate r in g
covariate x[r]
parameter b0, b1
parameter tau > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Poisson(exp(b0 + b1*x + u))
"""


def slopes_data(seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(14), 9)
    x, w = rng.normal(size=g.size), rng.uniform(0.5, 2, g.size)
    u = rng.normal(size=(14, 2)) * [3.0, 1.5]
    y = 50 + 2 * x + u[g, 0] + u[g, 1] * x + rng.normal(size=g.size) * 2 / np.sqrt(w)
    y[[4, 77]] = np.nan
    return {"g": g, "x": x, "w": w, "y": y}


def two_data(seed=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=60)
    e = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 2]], 60)
    y1, y2 = 3 + x + e[:, 0], 1 - x + e[:, 1]
    y1[5], y2[[7, 8]] = np.nan, np.nan
    return {"x": x, "y1": y1, "y2": y2}


def chain_data(seed=5):
    rng = np.random.default_rng(seed)
    return {"t": np.arange(80), "y": np.cumsum(rng.normal(size=80)) + 2 * rng.normal(size=80)}


def auto_data(seed=6):
    rng = np.random.default_rng(seed)
    y = [1.0]
    for _ in range(79):
        y.append(1 + 0.6 * (y[-1] - 1) + rng.normal())
    return {"t": np.arange(80), "y": np.array(y)}


def counts_data(seed=7):
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(15), 8), rng.normal(size=120)
    return {"g": g, "x": x, "y": rng.poisson(np.exp(0.5 + 0.3 * x + 0.6 * rng.normal(size=15)[g]))}


CASES = {
    "slopes": (SLOPES, slopes_data), "two": (TWO, two_data), "chain": (CHAIN, chain_data),
    "auto": (AUTO, auto_data), "counts": (COUNTS, counts_data),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_refit_is_the_fit_of_the_new_response(name):
    text, make = CASES[name]
    g, data = dm.read(text), make()
    fit = g.fit_quietly(data)
    refitter = fit.refitter()
    assert refitter.names == tuple(fit.estimate_columns["name"])
    for y in refitter.simulate([np.random.SeedSequence(k) for k in range(3)]):
        new = dict(data)
        for node, values in y.items():
            new[node] = np.where(np.isnan(np.asarray(data[node], float)), np.nan, values.reshape(-1))
        wanted = g.fit_quietly(new)
        lean, whole = refitter.refit(y), fit.refit(y)
        assert lean.converged == wanted.converged == whole.converged
        assert wanted.converged
        total = -2 * wanted.log_likelihood
        assert lean.criterion == pytest.approx(total, abs=1e-7)
        estimates = np.asarray(wanted.estimate_columns["estimate"], dtype=float)
        se = np.nan_to_num(np.asarray(wanted.estimate_columns["se"], dtype=float), nan=1.0)
        assert np.abs(lean.estimates - estimates).max() < 1e-4 * se.max()
        np.testing.assert_array_less(np.abs(lean.estimates - estimates), 1e-4 * se + 1e-5)
        found = np.asarray(whole.estimate_columns["estimate"], dtype=float)
        np.testing.assert_array_less(np.abs(found - estimates), 1e-4 * se + 1e-5)


def test_a_refit_to_its_own_response_is_the_fit():
    fit = dm.read(SLOPES).fit_quietly(slopes_data())
    found = fit.refitter().refit(slopes_data()["y"])
    np.testing.assert_allclose(found.estimates, fit.estimate_columns["estimate"], rtol=1e-6)
    assert found.criterion == pytest.approx(-2 * fit.log_likelihood, abs=1e-8)
    assert found.evaluations < 15


def test_refits_do_not_hang_on_one_another():
    fit = dm.read(SLOPES).fit_quietly(slopes_data())
    one, other = fit.refitter(), fit.refitter()
    first, second = one.simulate([np.random.SeedSequence(1), np.random.SeedSequence(2)])
    one.refit(first)
    np.testing.assert_array_equal(one.refit(second).estimates, other.refit(second).estimates)


@pytest.mark.parametrize("name", ["slopes", "two"])
def test_draws_have_the_moments_of_the_model(name):
    """4000 draws; means and variances within 5 standard errors at some 120 cells: false alarms 1e-4."""
    text, make = CASES[name]
    fit = dm.read(text).fit_quietly(make())
    drawn = fit.refitter().simulate([np.random.SeedSequence(1, spawn_key=(k,)) for k in range(4000)])
    data = make()
    if name == "slopes":
        y = np.array([d["y"] for d in drawn])[:, ~np.isnan(data["y"])]
        x, w = (data[k][~np.isnan(data["y"])] for k in "xw")
        mean = fit["beta[a]"] + fit["beta[b]"] * x
        variance = (
            fit["Sigma[a, a]"] + 2 * x * fit["Sigma[a, b]"] + x**2 * fit["Sigma[b, b]"] + fit["s"] ** 2 / w
        )
    else:
        both = ~np.isnan(data["y1"]) & ~np.isnan(data["y2"])
        y1, y2 = (np.array([d[k] for d in drawn])[:, both] for k in ("y1", "y2"))
        y = y1 + y2
        mean = fit["beta1"] + fit["beta2"] * data["x"][both] + fit["beta2"] - data["x"][both]
        variance = fit["s1"] ** 2 + fit["s2"] ** 2 + 2 * fit["rho"] * fit["s1"] * fit["s2"]
        variance = np.full(y.shape[1], variance)
    assert np.abs((y.mean(axis=0) - mean) / np.sqrt(variance / 4000)).max() < 5
    assert np.abs((y.var(axis=0) / variance - 1) / np.sqrt(2 / 4000)).max() < 5


def test_latents_are_those_of_the_fit_whatever_was_done_since():
    fit = dm.read(SLOPES).fit_quietly(slopes_data())
    fit.confint("profile", which="s")
    fit.bootstrap(3)
    fit.leverage()
    fit.refit(slopes_data(9)["y"] if np.isnan(slopes_data(9)["y"]).sum() == 2 else slopes_data()["y"])
    wanted = dm.read(SLOPES).fit_quietly(slopes_data()).latents
    np.testing.assert_array_equal(fit.latents["estimate"], wanted["estimate"])
    np.testing.assert_array_equal(fit.latents["sd"], wanted["sd"])


def test_a_refit_by_quadrature_is_a_fit_by_quadrature():
    data = counts_data()
    g = dm.read(COUNTS)
    fit = g.fit(data, quadrature=7)
    new = counts_data(8)["y"]
    wanted = g.fit({**data, "y": new}, quadrature=7)
    assert fit.refitter().refit(new).criterion == pytest.approx(-2 * wanted.log_likelihood, abs=1e-7)
    assert fit.refit(new).bootstrap(3).failures == ()


SEPARATE = """model separate
plate g
plate r in g
covariate x[r], w[r]
parameter b0, b1
parameter s, s0, s1 > 0
parameter rho in (-1, 1)
u[g] ~ Normal(0, s0)
v[g] ~ Normal(0, s1)
u[g] ~~ v[g] = rho*s0*s1
observed y[r] ~ Normal(b0 + b1*x + u[g] + v[g]*x, s/sqrt(w))
"""


def test_profiles_do_not_depend_on_how_a_covariance_is_written():
    """Deviations and a correlation as parameters, and their squares as entries of a matrix."""
    data = slopes_data()
    one, other = dm.read(SEPARATE).fit(data), dm.read(SLOPES).fit(data)
    found = one.confint("profile").set_index("name")
    wanted = other.confint("profile").set_index("name")
    for name, entry in (("s0", "Sigma[a, a]"), ("s1", "Sigma[b, b]")):
        ends = found.loc[name, ["lower", "upper"]].astype(float) ** 2
        np.testing.assert_allclose(ends, wanted.loc[entry, ["lower", "upper"]].astype(float), rtol=1e-4)
    for name, entry in (("b1", "beta[b]"), ("s", "s")):
        for end in ("lower", "upper"):
            assert found.loc[name, end] == pytest.approx(wanted.loc[entry, end], rel=1e-4)


def test_responses_that_do_not_fit_are_told():
    fit = dm.read(TWO).fit_quietly(two_data())
    with pytest.raises(dm.ModelErrors) as caught:
        fit.refit({"y1": np.zeros(59), "z": np.zeros(60)})
    told = "; ".join(str(e) for e in caught.value.exceptions)
    assert all(part in told for part in ("'y1' has 59 numbers", "'z' is no observed node", "'y2' has none"))
    with pytest.raises(dm.ModelErrors) as caught:
        fit.refit(np.zeros(60))
    assert "dict by node" in str(caught.value.exceptions[0])
    y = two_data()
    y["y1"][3] = np.nan
    with pytest.raises(DagmodelsError, match="missing where the fit had one"):
        fit.refitter().refit({"y1": y["y1"], "y2": y["y2"]})
