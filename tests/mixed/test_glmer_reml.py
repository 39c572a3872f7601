"""`glmer(REML=True)`: coefficients integrated with the random effects, against a dense Laplace integral."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import dagmodels as dm
from tests.mixed.cases import data, refused

FORMULA = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


class Dense:
    """-2 log of the Laplace integral over beta (flat) and b, and its mode, with everything written out."""

    def __init__(self, X: np.ndarray, Z: np.ndarray, y: np.ndarray, trials: np.ndarray | None) -> None:
        self.A, self.p, self.y, self.trials = np.hstack([X, Z]), X.shape[1], y, trials
        self.q = Z.shape[1]

    def _law(self, eta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Log density, score and weights."""
        if self.trials is None:
            m = np.exp(eta)
            return float(stats.poisson.logpmf(self.y, m).sum()), self.y - m, m
        p = special.expit(eta)
        n = self.trials
        return float(stats.binom.logpmf(self.y, n, p).sum()), self.y - n * p, n * p * (1 - p)

    def __call__(self, tau: float) -> tuple[float, np.ndarray, np.ndarray]:
        u = np.zeros(self.p + self.q)
        precision = np.r_[np.zeros(self.p), np.full(self.q, tau**-2)]
        for _ in range(60):
            log_density, score, weight = self._law(self.A @ u)
            H = self.A.T @ (weight[:, None] * self.A) + np.diag(precision)
            u = u + np.linalg.solve(H, self.A.T @ score - precision * u)
        log_density, _, weight = self._law(self.A @ u)
        H = self.A.T @ (weight[:, None] * self.A) + np.diag(precision)
        prior = stats.norm.logpdf(u[self.p :], 0, tau).sum()
        value = -2 * (log_density + prior) + np.linalg.slogdet(H)[1] - u.size * np.log(2 * np.pi)
        return float(value), u, np.linalg.inv(H)


def cases():
    df = data("cbpp")
    X = np.column_stack([np.ones(56), pd.get_dummies(df["period"], drop_first=True).to_numpy(float)])
    Z = pd.get_dummies(df["herd"]).to_numpy(float)
    yield "cbpp", FORMULA, "binomial", df, Dense(X, Z, df["incidence"].to_numpy(), df["size"].to_numpy())
    rng = np.random.default_rng(8)
    df = pd.DataFrame({"g": np.repeat(np.arange(6), 8), "x": rng.normal(size=48)})
    df["y"] = rng.poisson(np.exp(0.5 + 0.4 * df["x"] + 0.7 * rng.normal(size=6)[df["g"]]))
    X = np.column_stack([np.ones(48), df["x"]])
    Z = pd.get_dummies(df["g"]).to_numpy(float)
    yield "counts", "y ~ x + (1 | g)", "poisson", df, Dense(X, Z, df["y"].to_numpy(), None)


CASES = [pytest.param(*c[1:], id=c[0]) for c in cases()]


@pytest.mark.parametrize(("formula", "family", "df", "dense"), CASES)
def test_against_a_dense_laplace_integral(formula: str, family: str, df: pd.DataFrame, dense: Dense):
    fit = dm.glmer(formula, df, family=family, REML=True)
    assert fit.converged
    best = optimize.minimize_scalar(lambda t: dense(t)[0], bounds=(0.05, 3), options={"xatol": 1e-10})
    assert fit.measures["REML"] == pytest.approx(best.fun, rel=1e-9)
    assert fit.VarCorr()["sdcor"][0] == pytest.approx(best.x, rel=1e-6)
    _, mode, covariance = dense(fit.VarCorr()["sdcor"][0])
    np.testing.assert_allclose(fit.fixef(), mode[: dense.p], rtol=1e-7, atol=1e-9)
    fixed = fit.estimates[fit.estimates["kind"] == "fixed"]
    np.testing.assert_allclose(fixed["se"] ** 2, np.diag(covariance)[: dense.p], rtol=1e-7)
    se = fit.predict(type="link", se_fit=True)["se_fit"]
    np.testing.assert_allclose(se**2, np.diag(dense.A @ covariance @ dense.A.T), rtol=1e-7)
    ml = dm.glmer(formula, df, family=family)
    assert fit.VarCorr()["sdcor"][0] > ml.VarCorr()["sdcor"][0]


def test_it_says_what_it_is():
    fit = dm.glmer(FORMULA, data("cbpp"), REML=True)
    assert fit.naming.reml
    assert fit.method == "restricted maximum likelihood (REML) by Laplace's approximation"
    told = fit.summary()
    assert told.startswith(
        "Generalized linear mixed model fit by REML (Laplace\n  Approximation) ['glmerMod']"
    )
    assert f"REML criterion at convergence: {fit.measures['REML']:.1f}" in told
    g = dm.read(FORMULA, format="formula", data=data("cbpp"), family="binomial", REML=True)
    assert "beta[coef] ~ Flat()" in str(g)
    with pytest.warns(dm.FitWarning, match=r"refitting model\(s\) with ML"):
        table = dm.anova(fit, dm.glmer(FORMULA.replace("period", "1"), data("cbpp"), REML=True))
    ml = dm.glmer(FORMULA, data("cbpp"))
    assert table["logLik"].iloc[1] == pytest.approx(ml.log_likelihood, abs=1e-7)


def test_beside_structural_zeros_it_is_restricted_in_part():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"g": np.repeat(np.arange(20), 15), "x": rng.normal(size=300)})
    rate = np.exp(0.8 + 0.5 * df["x"] + 0.5 * rng.normal(size=20)[df["g"]])
    df["y"] = rng.poisson(rate) * (rng.random(300) < 0.7)
    fit = dm.glmer("y ~ x + (1 | g)", df, family="poisson", ziformula="~ 1", REML=True)
    assert fit.converged
    assert "REML criterion at convergence (over the coefficients of the mean alone)" in fit.summary()
    assert fit.measures["partly_restricted"] == pytest.approx(-2 * fit.log_likelihood)


def test_what_has_no_restricted_likelihood_is_refused():
    with refused("REML= integrates coefficients by Laplace's approximation, and nAGQ= asks for quadrature"):
        dm.glmer(FORMULA, data("cbpp"), nAGQ=5, REML=True)
    df = data("cbpp").assign(grade=np.arange(56) % 3)
    with refused("'cumulative' has no restricted likelihood"):
        dm.glmer("grade ~ size + (1 | herd)", df, family="cumulative", REML=True)
