"""Estimated marginal means and contrasts: closed forms of balanced designs, and definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import dagmodels as dm
from tests.mixed.cases import data, refused
from tests.mixed.test_anova import counts, ragged, split_plot


def test_means_of_randomised_blocks_are_the_averages():
    d = split_plot().query("a == 'y'")
    fit = dm.lmer("y ~ b + (1 | block)", d)
    means = fit.emmeans("b")
    told = means.table
    assert told.columns.tolist() == ["b", "emmean", "se", "df", "lower", "upper"]
    np.testing.assert_allclose(told["emmean"], d.groupby("b")["y"].mean(), rtol=1e-9)
    v = fit.VarCorr()["vcov"]
    np.testing.assert_allclose(told["se"], math.sqrt((v[0] + v[1]) / 6), rtol=1e-8)
    np.testing.assert_allclose(
        told["upper"] - told["emmean"], told["se"] * stats.t.ppf(0.975, told["df"]), rtol=1e-9
    )
    pairs = means.contrasts()
    assert pairs["contrast"].tolist() == ["p - q", "p - r", "p - s", "q - r", "q - s", "r - s"]
    np.testing.assert_allclose(pairs["se"], math.sqrt(2 * v[1] / 6), rtol=1e-8)
    np.testing.assert_allclose(pairs["df"], 15, rtol=1e-5)
    tukey = stats.studentized_range.sf(math.sqrt(2) * pairs["statistic"].abs(), 4, 15)
    np.testing.assert_allclose(pairs["p"], tukey, rtol=1e-4)
    half = stats.studentized_range.ppf(0.95, 4, 15) * math.sqrt(v[1] / 6)
    np.testing.assert_allclose(pairs["upper"] - pairs["estimate"], half, rtol=1e-5)


def test_a_split_plots_means_and_their_two_kinds_of_differences():
    """Searle, Casella and McCulloch: differences of whole-plot means carry the plots' variance."""
    fit = dm.lmer("y ~ a*b + (1 | block/a)", split_plot())
    v = fit.VarCorr().set_index("grp")["vcov"]
    plots = v[next(g for g in v.index if ":" in g)]
    a = fit.emmeans("a").contrasts(adjust="none")
    np.testing.assert_allclose(a["se"], math.sqrt(2 * (plots / 6 + v["Residual"] / 24)), rtol=1e-6)
    np.testing.assert_allclose(a["df"], 10, rtol=1e-5)
    b = fit.emmeans("b").contrasts(adjust="none")
    np.testing.assert_allclose(b["se"], math.sqrt(2 * v["Residual"] / 18), rtol=1e-6)
    np.testing.assert_allclose(b["df"], 45, rtol=1e-5)
    np.testing.assert_allclose(
        fit.emmeans("b").table["emmean"], split_plot().groupby("b")["y"].mean(), rtol=1e-9
    )


def test_factors_that_are_not_asked_for_count_equally():
    fit = dm.lmer("y ~ a*b + x + b:x + (1 | g)", ragged())
    x = ragged().x.mean()
    cells = ragged().drop(columns="x").assign(x=x)
    told = fit.emmeans("a").table.set_index("a")["emmean"]
    for level in "xyz":
        at = [cells.query(f"a == '{level}' and b == '{b}'").iloc[[0]] for b in "pq"]
        want = np.mean([fit.predict(row, re_form="NA")[0] for row in at])
        assert told[level] == pytest.approx(want, rel=1e-10)
    only = fit.emmeans("a", at={"b": "q", "x": [1, 2]}).table["emmean"]
    at = [cells.query("a == 'x' and b == 'q'").iloc[[0]].assign(x=v) for v in (1, 2)]
    assert only[0] == pytest.approx(np.mean([fit.predict(row, re_form="NA")[0] for row in at]), rel=1e-10)


@pytest.mark.parametrize("ddf", ["Satterthwaite", "KR", None])
def test_within_levels_of_another(ddf: str | None):
    fit = dm.lmer("y ~ a*b + x + (1 | g)", ragged())
    means = fit.emmeans("a", by="b", ddf=ddf)
    assert [tuple(r) for r in means.table[["a", "b"]].to_numpy()] == [(i, j) for j in "pq" for i in "xyz"]
    told = means.contrasts("trt.vs.ctrl", adjust="none")
    assert told["contrast"].tolist() == ["y - x", "z - x"] * 2
    own = fit.tests(ddf)
    row = told.iloc[0]  # treatment contrasts: within the base level of b
    np.testing.assert_allclose(
        [row.estimate, row.se, row.df, row.p], own.loc["ay", ["estimate", "se", "df", "p"]], rtol=1e-9
    )
    other = means.contrasts("trt.vs.ctrl", adjust="none", ref="z")
    assert other["contrast"].tolist() == ["x - z", "y - z"] * 2


def test_adjustments():
    means = dm.lmer("y ~ a*b + (1 | g)", ragged()).emmeans("a")
    plain, holm, bonferroni = (means.contrasts(adjust=a) for a in ("none", "holm", "bonferroni"))
    p = np.sort(plain["p"])
    want = np.maximum.accumulate(np.minimum(1, p * [3, 2, 1]))
    np.testing.assert_allclose(np.sort(holm["p"]), want)
    np.testing.assert_allclose(bonferroni["p"], np.minimum(1, 3 * plain["p"]))
    assert (holm["upper"] > plain["upper"]).all()
    tukey = means.contrasts()
    assert tukey.attrs["adjust"] == "tukey"
    assert (tukey["p"] >= plain["p"]).all()
    assert means.contrasts("trt.vs.ctrl").attrs["adjust"] == "holm"


def test_numbers_stand_at_their_means_or_where_one_says():
    fit = dm.lmer("Reaction ~ poly(Days, 2) + (1 | Subject)", data("sleepstudy"))
    new = {"Days": [4.5], "Subject": [308]}
    assert fit.emmeans("Days").table["emmean"][0] == pytest.approx(fit.predict(new, re_form="NA")[0])
    means = fit.emmeans("Days", at={"Days": [0, 9]})
    want = fit.predict({"Days": [0, 9], "Subject": [308, 308]}, re_form="NA")
    np.testing.assert_allclose(means.table["emmean"], want, rtol=1e-10)
    assert means.contrasts()["contrast"].tolist() == ["0 - 9"]


def test_factors_of_numbers_and_truth_values():
    d = data("sleepstudy").assign(late=lambda d: d.Days > 4)
    fit = dm.lmer("Reaction ~ factor(Days) + I(Days^2):late + (1 | Subject)", d.query("Days < 8"))
    means = fit.emmeans("Days", at={"late": False})
    assert means.cells[3] == ("3",)
    assert means.table["emmean"][3] == pytest.approx(d.query("Days == 3")["Reaction"].mean(), rel=1e-8)
    fit = dm.lmer("Reaction ~ late + (1 | Subject)", d)
    np.testing.assert_allclose(fit.emmeans("late").table["emmean"], d.groupby("late")["Reaction"].mean())
    assert fit.emmeans("late", at={"late": [True]}).cells == (("TRUE",),)


def test_the_scale_of_responses():
    """The delta method, and limits that are those of the link carried over."""
    d = data("cbpp")
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", d)
    link, told = fit.emmeans("period").table, fit.emmeans("period", type="response").table
    p = 1 / (1 + np.exp(-link["emmean"]))
    np.testing.assert_allclose(told["response"], p)
    np.testing.assert_allclose(told["se"], p * (1 - p) * link["se"], rtol=1e-8)
    np.testing.assert_allclose(told["upper"], 1 / (1 + np.exp(-link["upper"])))
    assert np.isinf(told["df"]).all()
    pairs = counts().emmeans("a").contrasts()
    law = stats.studentized_range.sf(math.sqrt(2) * pairs["statistic"].abs(), 3, np.inf)
    np.testing.assert_allclose(pairs["p"], law, rtol=1e-6)


def test_what_the_data_cannot_tell_is_missing():
    d = ragged().query("not (a == 'z' and b == 'q')")
    with pytest.warns(dm.FitWarning, match="rank deficient"):
        fit = dm.lmer("y ~ a*b + (1 | g)", d)
    cells = fit.emmeans(["a", "b"]).table
    assert cells["emmean"].isna().tolist() == [False] * 5 + [True]
    means = fit.emmeans("a")
    assert means.table["emmean"].isna().tolist() == [False, False, True]
    assert means.contrasts(adjust="none")["p"].isna().tolist() == [False, True, True]
    assert means.contrasts()["p"].isna().tolist() == [False, True, True]
    assert np.isfinite(means.contrasts("pairwise", "holm")["p"][0])


def test_it_prints():
    text = str(dm.lmer("y ~ a + (1 | g)", ragged()).emmeans("a"))
    assert text.splitlines()[0].split() == ["a", "emmean", "se", "df", "lower", "upper"]
    assert text.splitlines()[-1] == "degrees of freedom: Satterthwaite; 95 % intervals"


def test_what_is_refused():
    fit = dm.lmer("y ~ a + x + (1 | g)", ragged())
    with refused("'b' is no variable of the fixed part"):
        fit.emmeans("b")
    with refused("'q' is no level of 'a'", "'h' is no variable of the fixed part"):
        fit.emmeans("a", at={"a": ["x", "q"], "h": 1})
    with refused("type='mean' is unknown", "level=95 is no probability"):
        fit.emmeans("a", type="mean", level=95)
    means = fit.emmeans("a")
    with refused("method='all' is unknown", "adjust='fdr' is unknown"):
        means.contrasts("all", adjust="fdr")
    with refused("Tukey's adjustment is for all pairs"):
        means.contrasts("trt.vs.ctrl", adjust="tukey")
    with refused("there is no mean of 'w'"):
        means.contrasts("trt.vs.ctrl", ref="w")
    with refused("combinations, more than 100000"):
        fit.emmeans("x", at={"x": np.linspace(0, 1, 100_000)})
