"""Residuals by their definitions; leverage and Cook's distance against leaving rows out by brute force."""

from __future__ import annotations

import numpy as np
import pytest

import dagmodels as dm
from tests.mixed.cases import stored


def marginal(fit, frame, design):
    """X, y and V of a fitted linear mixed model, written out. design : of the random effects by term."""
    sd = fit.VarCorr()
    n = len(frame)
    V = np.eye(n) * fit.sigma**2
    for group, Z in design.items():
        part = sd[sd["grp"] == group]
        effects = part[part["var2"].isna()]["var1"].tolist()
        G = np.zeros((len(effects), len(effects)))
        for row in part.itertuples():
            i = effects.index(row.var1)
            j = i if row.var2 is None or row.var2 != row.var2 else effects.index(row.var2)
            G[i, j] = G[j, i] = row.vcov
        codes = frame[group].astype("category").cat.codes.to_numpy()
        V += (Z @ G @ Z.T) * (codes[:, None] == codes[None, :])
    return V


def gls(X, y, V):
    inverse = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ inverse @ X)
    return cov @ X.T @ inverse @ y, cov


def distances(X, y, V, sets):
    beta, cov = gls(X, y, V)
    found = []
    for rows in sets:
        keep = np.setdiff1d(np.arange(y.size), rows)
        without, _ = gls(X[keep], y[keep], V[np.ix_(keep, keep)])
        found.append((beta - without) @ np.linalg.solve(cov, beta - without) / beta.size)
    return np.array(found)


def nested():
    frame = stored("sleepstudy")
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", frame)
    ones = np.ones(len(frame))
    X = np.column_stack([ones, frame["Days"]])
    return fit, frame, X, frame["Reaction"].to_numpy(float), marginal(fit, frame, {"Subject": X}), "Subject"


def crossed():
    frame = stored("penicillin")
    fit = dm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", frame, REML=False)
    X = np.ones((len(frame), 1))
    V = marginal(fit, frame, {"plate": X, "sample": X})
    return fit, frame, X, frame["diameter"].to_numpy(float), V, "plate"


def test_crossed_by_either_factor():
    fit, frame, X, y, V, _ = crossed()
    for by in ("plate", "sample"):
        found = fit.cooks_distance(by)
        sets = [np.flatnonzero(frame[by].astype(str) == level) for level in found.index]
        np.testing.assert_allclose(found, distances(X, y, V, sets), rtol=1e-6)


@pytest.mark.parametrize("case", [nested, crossed])
def test_cooks_distance_is_that_of_leaving_rows_out(case):
    fit, frame, X, y, V, by = case()
    single = distances(X, y, V, [[i] for i in range(y.size)])
    np.testing.assert_allclose(fit.cooks_distance(), single, rtol=1e-6)
    found = fit.cooks_distance(by)
    sets = [np.flatnonzero(frame[by].astype(str) == level) for level in found.index]
    np.testing.assert_allclose(found, distances(X, y, V, sets), rtol=1e-6)


@pytest.mark.parametrize("case", [nested, crossed])
def test_leverage_is_the_slope_of_expected_values(case):
    """Expected values are X b + (V - s^2 I) V^-1 (y - X b)."""
    fit, _, X, y, V, _ = case()
    inverse = np.linalg.inv(V)
    gain = np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    hat = X @ gain + (V - fit.sigma**2 * np.eye(y.size)) @ inverse @ (np.eye(y.size) - X @ gain)
    np.testing.assert_allclose(hat @ y, fit.fitted(), rtol=1e-8)
    np.testing.assert_allclose(fit.leverage(), np.diag(hat), rtol=1e-6)


def test_a_regression_with_weights_and_a_missing_row():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=30), rng.uniform(0.5, 3, 30)
    y = 1 + x + rng.normal(size=30) / np.sqrt(w)
    y[4] = np.nan
    text = "model line\nplate r\ncovariate x[r], w[r]\nparameter a, b\nparameter s > 0\n"
    fit = dm.read(text + "observed y[r] ~ Normal(a + b*x, s/sqrt(w))").fit({"x": x, "w": w, "y": y})
    keep = ~np.isnan(y)
    X, root = np.column_stack([np.ones(30), x]), np.sqrt(w)
    Q = (root[:, None] * X)[keep]
    hat = np.full(30, np.nan)
    hat[keep] = np.diag(Q @ np.linalg.solve(Q.T @ Q, Q.T))
    np.testing.assert_allclose(fit.leverage(), hat, rtol=1e-8)
    V = np.diag(fit["s"] ** 2 / w[keep])
    wanted = distances(X[keep], y[keep], V, [[i] for i in range(29)])
    found = fit.cooks_distance()
    assert np.isnan(found[4])
    np.testing.assert_allclose(found[keep], wanted, rtol=1e-7)


def test_rows_without_which_a_coefficient_is_lost_have_no_distance():
    x = np.zeros(12)
    x[3] = 1.0
    frame = {"x": x, "g": np.repeat(list("abc"), 4), "y": np.arange(12) % 5 + np.repeat([0.0, 3, 1], 4)}
    fit = dm.lmer("y ~ x + (1 | g)", frame, check=True)
    found = fit.cooks_distance()
    assert np.isnan(found[3])
    assert np.isfinite(np.delete(found, 3)).all()
    assert np.isnan(fit.cooks_distance("g")["a"])


def test_residuals_of_a_linear_model():
    frame = stored("pastes")
    fit = dm.lmer("strength ~ 1 + (1 | batch/cask)", frame)
    y = frame["strength"].to_numpy()
    np.testing.assert_allclose(fit.residuals(), y - fit.predict())
    np.testing.assert_allclose(fit.residuals(level=0), y - fit.fixef().iloc[0])
    np.testing.assert_allclose(fit.residuals(level=1), y - fit.predict(re_form="~ (1 | batch)"))
    np.testing.assert_allclose(fit.residuals("scaled", level=2), (y - fit.predict()) / fit.sigma)
    np.testing.assert_allclose(fit.residuals("pearson"), fit.residuals("deviance"))


@pytest.mark.parametrize(
    ("formula", "family", "make"),
    [
        ("y ~ x + (1 | g)", "poisson", lambda rng, eta: rng.poisson(np.exp(eta))),
        ("y ~ x + (1 | g)", "Gamma(log)", lambda rng, eta: rng.gamma(4, np.exp(eta) / 4)),
        (
            "y ~ x + (1 | g)",
            "negative.binomial",
            lambda rng, eta: rng.negative_binomial(3, 3 / (3 + np.exp(eta))),
        ),
        ("y ~ x + (1 | g)", "binomial", lambda rng, eta: rng.binomial(1, 1 / (1 + np.exp(-eta)))),
    ],
)
def test_deviance_residuals_are_log_likelihood_ratios(formula, family, make):
    """Squared, they are twice the log density at the response itself less that at the mean."""
    from scipy import stats

    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(12), 10), rng.normal(size=120)
    y = make(rng, 0.5 + 0.4 * x + 0.7 * rng.normal(size=12)[g]).astype(float)
    fit = dm.glmer(formula, {"y": y, "x": x, "g": g}, family=family)
    mu, k = fit.predict(), fit.sigma
    floor = np.maximum(y, 1e-300)
    match family:
        case "poisson":
            ratio = stats.poisson.logpmf(y, floor) - stats.poisson.logpmf(y, mu)
        case "binomial":
            ratio = -stats.bernoulli.logpmf(y, mu)
        case "Gamma(log)":
            ratio = (stats.gamma.logpdf(y, k, scale=y / k) - stats.gamma.logpdf(y, k, scale=mu / k)) / k
        case _:
            ratio = stats.nbinom.logpmf(y, k, k / (k + floor)) - stats.nbinom.logpmf(y, k, k / (k + mu))
    np.testing.assert_allclose(fit.residuals("deviance") ** 2, 2 * ratio, rtol=1e-6, atol=1e-9)
    assert (np.sign(fit.residuals("deviance")) == np.sign(y - mu)).all()


def test_what_has_no_closed_form_says_so():
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", stored("cbpp"))
    with pytest.raises(dm.errors.FitError, match="closed forms where observed nodes are Normal"):
        fit.leverage()
    with pytest.raises(dm.ModelErrors) as caught:
        fit.residuals("working", level=3)
    assert [str(e).count("unknown") for e in caught.value.exceptions] == [1, 0]
    with pytest.raises(dm.ModelErrors):
        nested()[0].cooks_distance("Subjects")
