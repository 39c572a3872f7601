"""Analysis of variance: exact F of balanced designs, and hypotheses of the three types from definitions."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from tests.mixed.cases import data, refused


@cache
def split_plot() -> pd.DataFrame:
    """Six blocks, a whole-plot factor of 3 levels, a sub-plot factor of 4, one row a cell."""
    rng = np.random.default_rng(7)
    cells = pd.DataFrame(list(product(range(6), "xyz", "pqrs")), columns=["block", "a", "b"])
    plot = rng.normal(size=(6, 3)) * 2
    at = cells.a.map({"x": 0, "y": 1, "z": 2}).to_numpy()
    cells["y"] = 50 + 3 * rng.normal(size=6)[cells.block] + plot[cells.block, at] + 1.5 * at
    cells["y"] += cells.b.map({"p": 0.0, "q": 1, "r": 0.5, "s": 2}) + rng.normal(size=len(cells))
    return cells


def means_over(d: pd.DataFrame, *factors: str) -> np.ndarray:
    return d.groupby(list(factors))["y"].transform("mean").to_numpy()


def classical(d: pd.DataFrame) -> dict[str, tuple[float, int, int]]:
    """F, df1, df2 of the split plot by sums of squares (Cochran and Cox, Experimental Designs, 7.1)."""
    m = d.y.mean()
    a, b, block = means_over(d, "a"), means_over(d, "b"), means_over(d, "block")
    whole, ab = means_over(d, "block", "a"), means_over(d, "a", "b")
    ss = {
        "a": ((a - m) ** 2).sum() / 2,
        "plots": ((whole - a - block + m) ** 2).sum() / 10,
        "b": ((b - m) ** 2).sum() / 3,
        "a:b": ((ab - a - b + m) ** 2).sum() / 6,
        "rest": ((d.y - whole - ab + a) ** 2).sum() / 45,
    }
    return {
        "a": (ss["a"] / ss["plots"], 2, 10),
        "b": (ss["b"] / ss["rest"], 3, 45),
        "a:b": (ss["a:b"] / ss["rest"], 6, 45),
    }


@pytest.mark.parametrize("kind", ["I", "II", "III"])
@pytest.mark.parametrize("ddf", ["Satterthwaite", "Kenward-Roger"])
def test_a_split_plot_has_its_exact_f(kind: str, ddf: str):
    fit = dm.lmer("y ~ a*b + (1 | block/a)", split_plot())
    assert not fit.singular
    told = fit.anova(kind, ddf)
    assert told.attrs["heading"] == f"Type {kind} Analysis of Variance Table with {ddf}'s method"
    for name, (F, df1, df2) in classical(split_plot()).items():
        row = told.loc[name]
        np.testing.assert_allclose(row[["F value", "NumDF", "DenDF"]], (F, df1, df2), rtol=1e-5)
        assert row["Pr(>F)"] == pytest.approx(stats.f.sf(F, df1, df2), rel=1e-4)
        assert row["Mean Sq"] == pytest.approx(F * fit.sigma**2, rel=1e-6)
        assert row["Sum Sq"] == pytest.approx(df1 * row["Mean Sq"])


@pytest.mark.parametrize("ddf", ["Satterthwaite", "Kenward-Roger"])
def test_randomised_blocks_are_a_two_way_analysis(ddf: str):
    d = split_plot().query("a == 'y'")
    fit = dm.lmer("y ~ b + (1 | block)", d)
    m, b, block = d.y.mean(), means_over(d, "b"), means_over(d, "block")
    rest = ((d.y - b - block + m) ** 2).sum() / 15
    F = ((b - m) ** 2).sum() / 3 / rest
    np.testing.assert_allclose(
        fit.anova(ddf=ddf).loc["b"], [3 * F * rest, F * rest, 3, 15, F, stats.f.sf(F, 3, 15)], rtol=1e-5
    )
    plain = fit.anova(ddf=None)
    assert plain.columns.tolist() == ["Sum Sq", "Mean Sq", "NumDF", "F value"]


@cache
def ragged() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 150
    d = pd.DataFrame({"a": rng.choice(list("xyz"), n, p=[0.5, 0.3, 0.2]), "b": rng.choice(list("pq"), n)})
    d["x"], d["g"] = rng.normal(3, 1, n), np.arange(n) % 10
    d["y"] = rng.normal(size=n) + rng.normal(size=10)[d.g] + (d.a == "y") + 0.4 * d.x * (d.b == "q")
    return d


FULL = "y ~ a*b + x + b:x + (1 | g)"


def wald(fit: Any, L: np.ndarray) -> float:
    L = np.atleast_2d(L)
    b = L @ fit.beta
    return float(b @ np.linalg.solve(L @ fit.judge(None).covariance @ L.T, b)) / L.shape[0]


@pytest.mark.parametrize("codes", [{}, {"a": "contr.helmert", "b": "contr.SAS"}, {"a": "contr.poly"}])
def test_type_three_is_the_test_of_coefficients_with_sum_contrasts(codes: dict[str, str]):
    sums = dm.lmer(FULL, ragged(), contrasts={"a": "contr.sum", "b": "contr.sum"})
    names = sums.fixef().index.tolist()
    own = {"a": ["a1", "a2"], "b": ["b1"], "x": ["x"], "a:b": ["a1:b1", "a2:b1"], "b:x": ["b1:x"]}
    told = dm.lmer(FULL, ragged(), contrasts=codes).anova()
    for term, columns in own.items():
        L = np.eye(len(names))[[names.index(c) for c in columns]]
        assert told.loc[term, "F value"] == pytest.approx(wald(sums, L), rel=1e-6)
        assert told.loc[term, "NumDF"] == len(columns)


def adjusted_for(X: np.ndarray, own: list[int], others: list[int]) -> np.ndarray:
    """Contrasts of least squares: X_own less its projection on X_others, times X."""
    left = X[:, own]
    if others:
        left = left - X[:, others] @ np.linalg.lstsq(X[:, others], X[:, own], rcond=None)[0]
    return left.T @ X


def test_types_one_and_two_are_those_of_least_squares():
    fit = dm.lmer(FULL, ragged())
    names = fit.fixef().index.tolist()
    assert names == ["(Intercept)", "ay", "az", "bq", "x", "ay:bq", "az:bq", "bq:x"]
    X = np.stack([np.ones(150) if c is None else c for c in fit.rows.fixed], axis=1)
    own = {"a": [1, 2], "b": [3], "x": [4], "a:b": [5, 6], "b:x": [7]}
    one, two = fit.anova("I"), fit.anova(2)
    before = [0]
    for term, columns in own.items():
        assert one.loc[term, "F value"] == pytest.approx(
            wald(fit, adjusted_for(X, columns, before)), rel=1e-7
        )
        before += columns
    outside = {"a": [0, 3, 4, 7], "b": [0, 1, 2, 4, 7], "x": [0, 1, 2, 3, 5, 6], "a:b": [0, 1, 2, 3, 4, 7]}
    for term, columns in outside.items():
        want = wald(fit, adjusted_for(X, own[term], columns))
        assert two.loc[term, "F value"] == pytest.approx(want, rel=1e-7)


def test_types_agree_where_no_term_contains_another():
    fit = dm.lmer("y ~ a + b + x + (1 | g)", ragged())
    np.testing.assert_allclose(fit.anova("III", "KR"), fit.anova("II", "KR"), rtol=1e-6)
    last = dm.lmer("y ~ b + x + a + (1 | g)", ragged())
    np.testing.assert_allclose(last.anova("I", "KR").loc["a"], fit.anova("III", "KR").loc["a"], rtol=1e-6)


def test_one_degree_of_freedom_is_the_t_test_of_the_coefficient():
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))
    for kind, ddf in product(("I", "II", "III"), ("Satterthwaite", "KR")):
        row, t = fit.anova(kind, ddf).loc["Days"], fit.tests(ddf).loc["Days"]
        np.testing.assert_allclose(
            row[["F value", "DenDF", "Pr(>F)"]], [t.statistic**2, t.df, t.p], rtol=1e-8
        )


@pytest.mark.parametrize("codes", [{}, {"a": "contr.sum", "b": "contr.sum"}, {"a": "contr.SAS"}])
def test_an_empty_cell_leaves_what_can_be_told(codes: dict[str, str]):
    """Hypotheses are combinations of cell means, whatever the coding drops: F is the same for each coding."""
    d = ragged().query("not (a == 'z' and b == 'q')")
    with pytest.warns(dm.FitWarning, match="rank deficient"):
        want, fit = [dm.lmer("y ~ a*b + (1 | g)", d, contrasts=c) for c in ({}, codes)]
    told = fit.anova()
    assert told["NumDF"].tolist() == [2, 1, 1]
    np.testing.assert_allclose(told["F value"], want.anova()["F value"], rtol=1e-6)
    # the interaction is that of the two by two cells that are complete
    cells = {"x": {}, "y": {}}
    means = want.emmeans(["a", "b"])
    for cell, row in zip(means.cells, means.fixed, strict=True):
        if cell[0] in cells:
            cells[cell[0]][cell[1]] = row
    L = cells["x"]["p"] - cells["x"]["q"] - cells["y"]["p"] + cells["y"]["q"]
    assert told.loc["a:b", "F value"] == pytest.approx(wald(want, L), rel=1e-6)


def test_without_an_intercept_and_without_terms():
    fit = dm.lmer("y ~ 0 + a + (1 | g)", ragged())
    assert fit.anova().loc["a", "F value"] == pytest.approx(wald(fit, np.eye(3)), rel=1e-7)
    assert fit.anova()["NumDF"].tolist() == [3]
    assert dm.lmer("y ~ 1 + (1 | g)", ragged()).anova().empty


def test_polynomials_are_one_term():
    fit = dm.lmer("y ~ poly(x, 3)*b + (1 | g)", ragged())
    assert fit.anova()["NumDF"].tolist() == [3, 1, 3]


@cache
def counts() -> Any:
    d = ragged()
    rng = np.random.default_rng(5)
    d["n"] = rng.poisson(np.exp(0.3 * d.y.clip(-3, 4)))
    return dm.glmer("n ~ a*b + x + (1 | g)", d, "poisson")


def test_glmer_has_walds_chi_square():
    """car: type II is what is left of the joint chi-square of a term and those that contain it."""
    fit = counts()
    names = fit.fixef().index.tolist()
    assert names == ["(Intercept)", "ay", "az", "bq", "x", "ay:bq", "az:bq"]
    V, one = fit.judge(None).covariance, np.eye(7)
    np.testing.assert_allclose(V, fit.sampling_covariance[:7, :7])
    two = fit.anova("II")
    assert two.columns.tolist() == ["Chisq", "Df", "Pr(>Chisq)"]
    joint = {"a": ([1, 2, 5, 6], 2), "b": ([3, 5, 6], 1)}
    for term, (places, df) in joint.items():
        want = wald(fit, one[places]) * len(places) - 2 * wald(fit, one[[5, 6]])
        assert two.loc[term, "Chisq"] == pytest.approx(want, rel=1e-7)
        assert two.loc[term, "Pr(>Chisq)"] == pytest.approx(stats.chi2.sf(want, df), rel=1e-7)
    assert two.loc["x", "Chisq"] == pytest.approx(fit.tests().loc["x", "statistic"] ** 2, rel=1e-8)
    three = fit.anova("III")
    np.testing.assert_allclose(three.loc["a:b"], two.loc["a:b"], rtol=1e-8)
    assert three["Df"].tolist() == [2, 1, 1, 2]


def test_expected_mean_squares_of_a_split_plot():
    """Cochran and Cox's table; equating mean squares to them gives REML's variances of a balanced design."""
    fit = dm.lmer("y ~ a*b + (1 | block/a)", split_plot())
    told = fit.mean_squares()
    assert told.columns.tolist() == ["Df", "Sum Sq", "Mean Sq", "fixed", "block", "a:block", "Residual"]
    want = {
        "a": (2, "Q(a)", 0, 4, 1),
        "b": (3, "Q(b)", 0, 0, 1),
        "a:b": (6, "Q(a:b)", 0, 0, 1),
        "block": (5, "", 12, 4, 1),
        "a:block": (10, "", 0, 4, 1),
        "Residual": (45, "", 0, 0, 1),
    }
    assert told.index.tolist() == list(want)
    for name, row in want.items():
        assert tuple(told.loc[name, ["Df", "fixed", "block", "a:block", "Residual"]]) == row
    assert told["Sum Sq"].sum() == pytest.approx(((split_plot().y - split_plot().y.mean()) ** 2).sum())
    for name, by in (("a", "a:block"), ("b", "Residual"), ("a:b", "Residual")):
        F = told.loc[name, "Mean Sq"] / told.loc[by, "Mean Sq"]
        assert fit.anova().loc[name, "F value"] == pytest.approx(F, rel=1e-5)
    parts = ["block", "a:block", "Residual"]
    solved = np.linalg.solve(told.loc[parts, parts].to_numpy(), told.loc[parts, "Mean Sq"].to_numpy())
    v = fit.VarCorr().set_index("grp")["vcov"]
    np.testing.assert_allclose(solved, v[parts], rtol=1e-5)


def test_expected_mean_squares_of_a_ragged_one_way_layout():
    """The coefficient between groups is (n - sum n_i^2 / n) / (a - 1) (Searle et al., section 3.6)."""
    sizes = np.array([1, 2, 3, 4, 10])
    g = np.repeat(np.arange(5), sizes)
    fit = dm.lmer("y ~ 1 + (1 | g)", {"y": np.sin(np.arange(20.0)) + np.array([0.0, 2, -1, 3, 1])[g], "g": g})
    assert fit.mean_squares().loc["g", "g"] == pytest.approx((20 - (sizes**2).sum() / 20) / 4)


def test_mean_squares_are_refused_where_they_have_no_expectation_here():
    with refused("'(Intercept), Days' varies by 'Subject'"):
        dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy")).mean_squares()
    with refused("mean squares are for fits of lmer"):
        counts().mean_squares()
    weighted = dm.lmer("Reaction ~ Days + (1 | Subject)", data("sleepstudy"), weights=np.arange(1.0, 181))
    with refused("mean squares are for rows of equal weight"):
        weighted.mean_squares()


def test_what_is_refused():
    fit = dm.lmer("Reaction ~ Days + (1 | Subject)", data("sleepstudy"))
    with refused("type='IV' is unknown"):
        fit.anova("IV")
    with refused("ddf='exact' is unknown"):
        fit.anova(ddf="exact")
    with refused("type I is for fits of lmer"):
        counts().anova("I")
    with refused("Satterthwaite's method is for fits of lmer"):
        counts().judge("Satterthwaite")
