"""Satterthwaite's and Kenward and Roger's degrees of freedom: lmerTest's and pbkrtest's numbers, dense
brute force from definitions, and designs where F is exact."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.results.mixed import kenward_roger
from dagmodels.results.mixed.ddf import FTest
from tests.mixed.cases import data, reference, refused

SLEEPSTUDY = "Reaction ~ Days + (Days | Subject)"


@cache
def sleepstudy() -> Any:
    return dm.lmer(SLEEPSTUDY, data("sleepstudy"))


@cache
def unbalanced() -> pd.DataFrame:
    """Slopes by group, groups of two to seven rows, crossed with a second factor; weights."""
    rng = np.random.default_rng(20240611)
    g = np.repeat(np.arange(12), [2, 3, 4, 5, 6, 7, 7, 6, 5, 4, 3, 2])
    n = g.size
    x, h, t = rng.normal(size=n), rng.integers(0, 5, n), np.array(["u", "v", "w"])[rng.integers(0, 3, n)]
    shift = {"u": 0.0, "v": 0.7, "w": -0.4}
    y = 2 + 0.5 * x + [shift[k] for k in t] + rng.normal(size=12)[g] + 0.6 * rng.normal(size=12)[g] * x
    y = y + 0.8 * rng.normal(size=5)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "t": t, "g": g, "h": h, "w": rng.uniform(0.5, 2, n)})


@cache
def crossed() -> Any:
    return dm.lmer("y ~ x + t + (x | g) + (1 | h)", unbalanced(), weights="w")


class Dense:
    """The model of `crossed` with n by n matrices: gamma = (var a, cov, var b, var h, var residual)."""

    def __init__(self) -> None:
        d = unbalanced()
        same_g = (d.g.values[:, None] == d.g.values[None, :]).astype(float)
        same_h = (d.h.values[:, None] == d.h.values[None, :]).astype(float)
        x, one = d.x.values, np.ones(len(d))
        self.y = d.y.values
        self.X = np.stack([one, x, d.t == "v", d.t == "w"], axis=1).astype(float)
        self.G = [
            same_g,
            same_g * (np.outer(x, one) + np.outer(one, x)),
            same_g * np.outer(x, x),
            same_h,
            np.diag(1 / d.w.values),
        ]
        fit = crossed()
        v = fit.VarCorr().set_index(["grp", "var1", "var2"])["vcov"]
        one = "(Intercept)"
        nan = np.nan
        self.gamma = np.array(
            [v["g", one, nan], v["g", one, "x"], v["g", "x", nan], v["h", one, nan], fit.sigma**2]
        )

    def V(self, gamma: np.ndarray) -> np.ndarray:
        return sum(c * G for c, G in zip(gamma, self.G, strict=True))

    def phi(self, gamma: np.ndarray) -> np.ndarray:
        return np.linalg.inv(self.X.T @ np.linalg.solve(self.V(gamma), self.X))

    def projection(self) -> np.ndarray:
        inverse = np.linalg.inv(self.V(self.gamma))
        return inverse - inverse @ self.X @ self.phi(self.gamma) @ self.X.T @ inverse

    def deviance(self, gamma: np.ndarray) -> float:
        V = self.V(gamma)
        Vy, VX = np.linalg.solve(V, self.y), np.linalg.solve(V, self.X)
        b = np.linalg.solve(self.X.T @ VX, self.X.T @ Vy)
        r = self.y - self.X @ b
        logs = np.linalg.slogdet(V)[1] + np.linalg.slogdet(self.X.T @ VX)[1]
        return float(logs + r @ np.linalg.solve(V, r))

    def first(self, f: Any, i: int) -> Any:
        """Central difference of fourth order."""
        h = np.zeros(5)
        h[i] = 1e-3 * max(self.gamma[i], 0.1)
        g = self.gamma
        return (8 * (f(g + h) - f(g - h)) - (f(g + 2 * h) - f(g - 2 * h))) / (12 * h[i])

    def second(self, f: Any, i: int, j: int) -> Any:
        h, k = np.zeros(5), np.zeros(5)
        h[i], k[j] = 2e-3 * max(self.gamma[i], 0.1), 2e-3 * max(self.gamma[j], 0.1)
        g = self.gamma
        return (f(g + h + k) - f(g + h - k) - f(g - h + k) + f(g - h - k)) / (4 * h[i] * k[j])


@cache
def dense() -> Dense:
    return Dense()


@pytest.mark.parametrize(("ddf", "stored"), [("Satterthwaite", "satterthwaite"), ("KR", "kenward_roger")])
def test_sleepstudy_against_lmertest_and_pbkrtest(ddf: str, stored: str):
    """lmerTest's gradient and Hessian are numerical and its optimum stops early: 1.6e-5 of the exact 17."""
    want = reference("sleepstudy")["checks"][stored]
    told = sleepstudy().tests(ddf)
    assert told.index.tolist() == want["terms"]
    np.testing.assert_allclose(told["df"], want["df"], rtol=1e-4)
    np.testing.assert_allclose(told["statistic"], want["t"], rtol=1e-4)
    np.testing.assert_allclose(told["p"], want["p"], rtol=2e-3)  # p moves 40 times as fast as df here
    if "se" in want:
        np.testing.assert_allclose(told["se"], want["se"], rtol=1e-4)


def test_balanced_slopes_have_exactly_seventeen_degrees_of_freedom():
    for ddf in ("Satterthwaite", "Kenward-Roger"):
        np.testing.assert_allclose(sleepstudy().tests(ddf)["df"], 17, rtol=1e-6)


def test_satterthwaite_against_its_definition():
    """2 v^2 / g'A g in variances, A twice the inverse of a Hessian by differences of a dense deviance."""
    d = dense()
    hessian = np.array([[d.second(d.deviance, i, j) for j in range(5)] for i in range(5)])
    A = 2 * np.linalg.inv(hessian)
    v = np.diag(d.phi(d.gamma))
    g = np.array([np.diag(d.first(d.phi, i)) for i in range(5)])
    want = 2 * v**2 / np.einsum("ik,ij,jk->k", g, A, g)
    told = crossed().tests()
    np.testing.assert_allclose(told["se"] ** 2, v, rtol=1e-6)
    np.testing.assert_allclose(told["df"], want, rtol=1e-3)  # the differences' own error


@pytest.mark.parametrize("places", [[2, 3], [1, 2, 3], [0, 1, 2, 3]])
def test_satterthwaite_f_has_the_mean_that_its_t_values_have(places: list[int]):
    """Fai and Cornelius (1996), from their definition and dense differences: q F is a sum of squares of
    uncorrelated t values with df nu_m, E(qF) = sum nu_m/(nu_m - 2), and the df of F is the root of
    q nu/(nu - 2) = E(qF)."""
    from scipy import optimize, stats

    d = dense()
    L = np.eye(4)[places]
    hessian = np.array([[d.second(d.deviance, i, j) for j in range(5)] for i in range(5)])
    A = 2 * np.linalg.inv(hessian)
    C = d.phi(d.gamma)
    beta = C @ d.X.T @ np.linalg.solve(d.V(d.gamma), d.y)
    values, vectors = np.linalg.eigh(L @ C @ L.T)
    slopes = np.array([np.diag(vectors.T @ L @ d.first(d.phi, i) @ L.T @ vectors) for i in range(5)])
    nu = 2 * values**2 / np.einsum("im,ij,jm->m", slopes, A, slopes)
    t2 = (vectors.T @ L @ beta) ** 2 / values
    q = len(places)
    mean = sum(stats.t.expect(lambda t: t**2, args=(v,)) for v in nu)
    df = optimize.brentq(lambda v: q * v / (v - 2) - mean, 2.001, 1e4)
    assert nu.min() > 2
    found = crossed().judge("Satterthwaite").f(L)
    assert (found.df1, found.value) == (q, pytest.approx(t2.mean(), rel=1e-6))
    assert found.df2 == pytest.approx(df, rel=1e-3)  # the differences' own error
    if places == [2, 3]:
        row = crossed().anova().loc["t"]
        assert row[["F value", "NumDF"]].tolist() == pytest.approx([t2.mean(), 2], rel=1e-6)
        assert row["DenDF"] == pytest.approx(df, rel=1e-3)
        assert row["Pr(>F)"] == pytest.approx(stats.f.sf(t2.mean(), 2, df), rel=1e-3)


def test_satterthwaite_with_scales_by_stratum_and_autocorrelation():
    """The same delta method in residual scales and phi: dense differences in (tau, sigma_f, sigma_m, phi)."""
    rng = np.random.default_rng(8)
    g, step = np.repeat(np.arange(10), 6), np.tile(np.arange(6), 10)
    sex = np.where(g % 2, "f", "m")
    same = (g[:, None] == g).astype(float)
    x = rng.normal(size=60)
    V = (np.where(sex == "f", 0.8, 1.5)[:, None] * np.where(sex == "f", 0.8, 1.5)) * same
    V = V * 0.5 ** np.abs(step[:, None] - step) + 0.7 * same
    y = x + np.linalg.cholesky(V) @ rng.normal(size=60)
    frame = pd.DataFrame({"y": y, "x": x, "sex": sex, "g": g, "step": step})
    fit = dm.lmer("y ~ x + sex + (1 | g)", frame, variance="~ sex", correlation="ar1(step | g)")
    X = np.stack([np.ones(60), x, sex == "m"], axis=1).astype(float)

    def covariance(p: np.ndarray) -> np.ndarray:
        s = np.where(sex == "f", p[1], p[2])
        return same * (p[0] ** 2 + s[:, None] * s * p[3] ** np.abs(step[:, None] - step))

    def phi(p: np.ndarray) -> np.ndarray:
        return np.linalg.inv(X.T @ np.linalg.solve(covariance(p), X))

    def deviance(p: np.ndarray) -> float:
        W, C = np.linalg.inv(covariance(p)), phi(p)
        P = W - W @ X @ C @ X.T @ W
        return float(-np.linalg.slogdet(W)[1] - np.linalg.slogdet(C)[1] + y @ P @ y)

    at = np.array([fit["sd_(Intercept)|g"], fit["sigma[f]"], fit["sigma[m]"], fit["phi"]])
    h = 1e-3 * np.eye(4)
    hessian = np.array(
        [
            [
                sum(i * j * deviance(at + i * a + j * b) for i in (1, -1) for j in (1, -1)) / 4e-6
                for a in h
            ]
            for b in h
        ]
    )  # fmt: skip
    A = 2 * np.linalg.inv(hessian)
    slopes = np.array([np.diag(phi(at + a) - phi(at - a)) / 2e-3 for a in h])
    want = 2 * np.diag(phi(at)) ** 2 / np.einsum("ik,ij,jk->k", slopes, A, slopes)
    np.testing.assert_allclose(fit.tests()["df"], want, rtol=1e-3)  # the differences' own error


@pytest.mark.parametrize("reml", [True, False])
def test_slopes_of_the_covariance_are_those_of_differences(reml: bool):
    fit = crossed() if reml else dm.lmer("y ~ x + t + (x | g) + (1 | h)", unbalanced(), REML=False)
    solution = fit.inner.spread.args[0]
    evaluator, x = solution.evaluator, solution.optimum.x
    from dagmodels.fits.field.report import coefficient_rows

    rows = coefficient_rows(solution)
    spread = fit.inner.spread()
    for k in range(x.size):
        h = np.zeros(x.size)
        h[k] = 1e-5
        ends = []
        for at in (x + h, x - h):
            evaluator.criterion(at)
            ends.append(evaluator.covariance(rows))
        want = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(spread.slopes[k], want, rtol=1e-5, atol=1e-8)


def test_kenward_roger_against_derivatives_of_the_covariance():
    """Phi_A = Phi - sum W_ij d2 Phi, df = 2 v^2 / sum W_ij dv dv, W from the projection matrix."""
    d = dense()
    P = d.projection()
    information = np.array([[0.5 * np.trace(P @ a @ P @ b) for a in d.G] for b in d.G])
    W = np.linalg.inv(information)
    second = np.array([[d.second(d.phi, i, j) for j in range(5)] for i in range(5)])
    adjusted = d.phi(d.gamma) - np.einsum("ij,ijpq->pq", W, second)
    first = np.array([d.first(d.phi, i) for i in range(5)])
    judge = crossed().judge("Kenward-Roger")
    np.testing.assert_allclose(judge.covariance, adjusted, rtol=1e-5, atol=1e-6)
    told = crossed().tests("Kenward-Roger")
    v = np.diag(d.phi(d.gamma))
    g = np.einsum("ipp->ip", first)
    np.testing.assert_allclose(told["df"], 2 * v**2 / np.einsum("ip,ij,jp->p", g, W, g), rtol=1e-5)
    np.testing.assert_allclose(told["se"], np.sqrt(np.diag(adjusted)), rtol=1e-5)


def test_kenward_roger_f_of_two_contrasts_has_the_moments_of_the_paper():
    d = dense()
    L = np.eye(4)[2:]
    first = np.array([d.first(d.phi, i) for i in range(5)])
    P = d.projection()
    W = np.linalg.inv([[0.5 * np.trace(P @ a @ P @ b) for a in d.G] for b in d.G])
    inverse = np.linalg.inv(L @ d.phi(d.gamma) @ L.T)
    M = [inverse @ L @ f @ L.T for f in first]
    A1 = sum(W[i, j] * np.trace(M[i]) * np.trace(M[j]) for i in range(5) for j in range(5))
    A2 = sum(W[i, j] * np.trace(M[i] @ M[j]) for i in range(5) for j in range(5))
    B = (A1 + 6 * A2) / 4
    g = (3 * A1 - 6 * A2) / (4 * A2)
    c1, c2, c3 = (v / (6 + 2 * (1 - g)) for v in (g, 2 - g, 4 - g))
    mean, variance = 1 / (1 - A2 / 2), (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    m = 4 + 4 / (2 * variance / (2 * mean**2) - 1)
    test = crossed().judge("KR").f(L)
    assert (test.df1, test.df2) == (2, pytest.approx(m, rel=1e-5))
    assert test.value / test.wald == pytest.approx(m / (mean * (m - 2)), rel=1e-6)


def test_f_does_not_depend_on_how_a_hypothesis_is_written():
    """Satterthwaite's degrees of freedom of several contrasts do, a little: they pool single ones."""
    L = np.eye(4)[2:]
    turn = np.array([[2.0, 1.0], [-1.0, 3.0], [1.0, 4.0]])
    for ddf in ("Satterthwaite", "KR", None):
        judge = crossed().judge(ddf)
        one, other = judge.f(L), judge.f(turn @ L)
        assert (one.df1, other.df1) == (2, 2)
        assert one.value == pytest.approx(other.value, rel=1e-8)
        assert one.df2 == pytest.approx(other.df2, rel=2e-3 if ddf == "Satterthwaite" else 1e-8)


def test_one_contrast_is_a_squared_t_test():
    for ddf in ("Satterthwaite", "KR"):
        told, f = crossed().tests(ddf).loc["x"], crossed().judge(ddf).f(np.eye(4)[1:2])
        np.testing.assert_allclose([f.value, f.df2, f.p], [told.statistic**2, told.df, told.p], rtol=1e-9)


def test_the_law_of_large_samples():
    told = crossed().tests(None)
    assert np.isinf(told["df"]).all()
    assert told.loc["x", "se"] == pytest.approx(crossed().tests().loc["x", "se"], rel=1e-10)
    assert FTest(2.0, 3, np.inf, 2.0).p == pytest.approx(0.11161022509471268)  # chi-square of 6 on 3 df


def test_a_variance_of_zero_does_not_spoil_the_degrees_of_freedom():
    """With no variance between groups all rows are independent: the residual degrees of freedom."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 5)
    y = rng.normal(size=30)
    y -= np.array([y[g == k].mean() for k in range(6)])[g]
    x = np.tile(np.arange(5.0), 6)
    with pytest.warns(dm.FitWarning, match="singular"):
        fit = dm.lmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": g})
    np.testing.assert_allclose(fit.tests()["df"], 28, rtol=1e-6)
    assert np.isfinite(fit.tests("KR")["df"]).all()


def test_columns_far_from_zero():
    moved = unbalanced().assign(x=unbalanced().x + 1e5)
    fit = dm.lmer("y ~ x + t + (1 | g)", moved)
    want = dm.lmer("y ~ x + t + (1 | g)", unbalanced())
    np.testing.assert_allclose(fit.tests()["df"][1:], want.tests()["df"][1:], rtol=1e-6)
    np.testing.assert_allclose(fit.tests("KR")["df"][1:], want.tests("KR")["df"][1:], rtol=1e-5)


def test_missing_responses_do_not_count():
    d = unbalanced()
    holes = d.assign(y=d.y.where(d.index % 7 != 3))
    one = dm.lmer("y ~ x + t + (1 | g)", holes)
    other = dm.lmer("y ~ x + t + (1 | g)", holes.dropna())
    for ddf in ("Satterthwaite", "KR"):
        np.testing.assert_allclose(one.tests(ddf), other.tests(ddf), rtol=1e-6)


def test_contrasts_of_ones_own():
    told = crossed().tests("KR", [[0, 0, 1, -1], [1, 0.5, 0, 0]], ["v - w", "at a half"])
    assert told.index.tolist() == ["v - w", "at a half"]
    b = crossed().fixef()
    np.testing.assert_allclose(told["estimate"], [b["tv"] - b["tw"], b["(Intercept)"] + 0.5 * b["x"]])
    with refused("the contrasts have shape (1, 3), but there are 4 coefficients"):
        crossed().tests(contrasts=[1, 2, 3])
    with refused("1 names for 2 contrasts"):
        crossed().tests(contrasts=np.eye(4)[:2], names=["a"])


def test_estimates_and_summary_when_asked():
    assert "df" not in sleepstudy().estimates
    fit = sleepstudy().with_ddf("satterthwaite")
    told = fit.estimates
    np.testing.assert_allclose(told["df"][:2], 17, rtol=1e-6)
    assert told["pvalue"][2:].isna().all()
    text = fit.summary()
    assert text == sleepstudy().summary("Satterthwaite")
    assert fit.with_ddf(None).estimates.equals(sleepstudy().estimates)
    assert pickle.loads(pickle.dumps(fit)).tests("KR").equals(fit.tests("KR"))


def test_the_summary_has_lmertests_lines():
    """Its printed summary of this fit, as the package's documentation shows it."""
    text = sleepstudy().summary("Satterthwaite")
    for line in (
        "Linear mixed model fit by REML. t-tests use Satterthwaite's method ['lmerModLmerTest']",
        "            Estimate Std. Error      df t value Pr(>|t|)",
        "(Intercept)  251.405      6.825  17.000  36.838  < 2e-16 ***",
        "Days          10.467      1.546  17.000   6.771 3.26e-06 ***",
    ):
        assert line in text.splitlines()
    assert "t-tests use Kenward-Roger's method" in sleepstudy().summary("KR")


def test_what_the_methods_are_not_for(monkeypatch: pytest.MonkeyPatch):
    with refused("ddf='Wald' is unknown"):
        sleepstudy().tests("Wald")
    ml = dm.lmer(SLEEPSTUDY, data("sleepstudy"), REML=False)
    with refused("Kenward and Roger's method is for REML fits"):
        ml.summary("KR")
    poisson = dm.glmer("count ~ 1 + (1 | g)", {"count": [1, 0, 22, 26, 9, 3], "g": list("aabbcc")}, "poisson")
    with refused("Satterthwaite's method is for fits of lmer"):
        poisson.tests("Satterthwaite")
    d = data("sleepstudy").assign(Day=lambda d: (d.Days // 2).astype(str))
    with refused("the covariance ar1() by 'Subject' is not linear in its parameters"):
        dm.lmer("Reaction ~ Days + ar1(0 + Day | Subject)", d).tests("KR")
    monkeypatch.setattr(kenward_roger, "LIMIT", 1000)
    with refused("10 rows hang together by their levels"):
        dm.lmer("Reaction ~ Days + (1 | Subject)", data("sleepstudy")).tests("KR")


def test_compound_symmetry_is_linear():
    """`cs` with equal variances is a random intercept and independent deviations: KR is that of both."""
    d = data("sleepstudy").query("Days < 5").assign(Day=lambda d: d.Days.astype(str))
    twice = pd.concat([d, d.assign(Reaction=d.Reaction + 20 * np.sin(np.arange(len(d))))])
    one = dm.lmer("Reaction ~ Days + cs(0 + Day | Subject, hom = TRUE)", twice)
    other = dm.lmer("Reaction ~ Days + (1 | Subject) + (1 | Day:Subject)", twice)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(one.tests("KR"), other.tests("KR"), rtol=1e-4)
