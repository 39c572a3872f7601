"""Models of two levels: lavaan's own numbers, the mixed model, and what users get wrong."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.forms.levels import free_structure
from dagmodels.results.sem.levels.free import RootPoint, Roots
from dagmodels.results.sem.summary import summary

FOLDER = Path(__file__).parents[1] / "references" / "levels_schools"
FITS = ("factors", "paths", "invariant", "sectors", "plain_mlr")
LOOSE = ("sectors",)  # lavaan stops at a gradient of 6e-4
EXACT = {
    "npar",
    "df",
    "baseline_df",
    "logl",
    "aic",
    "bic",
    "bic2",
    "ntotal",
}  # lavaan's EM has no part in these
TWO = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w"


@cache
def reference() -> dict[str, Any]:
    """lavaan's fits of simulated pupils in schools."""
    return json.loads((FOLDER / "reference.json").read_text())["fits"]


@cache
def data() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "data.csv")


@cache
def fitted(name: str) -> Any:
    case = reference()[name]
    return dm.sem((FOLDER / case["model_file"]).read_text(), data(), cluster="school", **case["options"])


def simulated(seed: int, count: int = 40, sizes: tuple[int, int] = (2, 8)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(count), rng.integers(*sizes, count))
    n = school.size
    found = pd.DataFrame({"school": school, "x": rng.normal(size=n), "w": rng.normal(size=count)[school]})
    g, f = rng.normal(size=count)[school], rng.normal(size=n)
    for k in range(1, 5):
        own = 0.6 * rng.normal(size=count)[school] + rng.normal(size=n)
        found[f"y{k}"] = k + f + g + 0.3 * found["x"] + 0.4 * found["w"] + own
    return found


@pytest.mark.parametrize("name", FITS)
def test_estimates_are_those_of_lavaan(name):
    fit, rows = fitted(name), reference()[name]["parameters"]
    assert fit.converged
    frame = fit.estimates
    ours = {
        (r.lhs, r.op, r.rhs, r.level, r.group if r.level else ""): (r, s)
        for r, s in zip(frame.itertuples(), fit.standardized()["se"], strict=True)
    }
    assert len(ours) == len(rows)
    slack = 1e-2 if name in LOOSE else 2e-6
    for row in rows:
        mine, std_se = ours[row["lhs"], row["op"], row["rhs"], row["level"], row["group"]]
        se = row["se"] or 0.0
        unit = max(se, 0.01)
        assert mine.estimate == pytest.approx(row["est"], abs=slack * unit)
        assert mine.se == pytest.approx(se, abs=slack * unit)
        for key in ("std_lv", "std_all"):
            assert getattr(mine, key) == pytest.approx(row[key], abs=slack * max(unit, 0.1))
        if row["std_se"] is not None and row["op"] != "~1":
            assert std_se == pytest.approx(row["std_se"], abs=max(slack * 0.1, 2e-6)), row


@pytest.mark.parametrize("name", FITS)
def test_measures_are_those_of_lavaan(name):
    """Its unrestricted model stops up to 1e-4 below the maximum, by the tolerance of its EM."""
    fit = fitted(name)
    for key, value in reference()[name]["measures"].items():
        slack = (1e-8 if name in LOOSE else 1e-9) if key in EXACT else 1e-3
        if value is not None:
            assert fit.measures[key] == pytest.approx(value, rel=slack, abs=slack), key
    m = reference()[name]["measures"]
    assert fit.measures["logl"] >= m["logl"] - 1e-8
    assert fit.measures["unrestricted_logl"] >= m["unrestricted_logl"] - 1e-9
    assert fit.measures["unrestricted_logl"] == pytest.approx(m["unrestricted_logl"], abs=2e-4)
    if "scaling_factor_h0" in m:
        assert fit.measures["scaling_factor_h0"] == pytest.approx(m["scaling_factor_h0"], rel=1e-6)


def test_scores_and_intraclass_correlations_are_those_of_lavaan():
    for name in FITS:
        case, fit = reference()[name], fitted(name)
        for column, values in case.get("scores_1", {}).items():
            ours = fit.predict_factors()[column].to_numpy()[: len(values)]
            assert ours == pytest.approx(np.array(values), abs=2e-6)
        if "icc" in case:
            assert fit.icc()[list(case["icc"])].to_numpy() == pytest.approx(
                np.array(list(case["icc"].values())), abs=1e-3
            )
    schools = data()["school"].drop_duplicates().tolist()
    ours = fitted("invariant").predict_factors(level=2).loc[schools, "f"].to_numpy()[:8]
    assert ours == pytest.approx(np.array(reference()["invariant"]["scores_2"]["f"]), abs=2e-6)


def test_names_of_coefficients_are_those_of_lavaan():
    names = list(fitted("sectors").coef().index)
    assert names[:3] == ["a", "f=~y3", "y1~~y1"]
    assert {"g=~y2.l2", "g=~y2.g2.l2", "f=~y3.g2"} <= set(names)
    assert "f~w.lschool" in fitted("invariant").coef().index


@pytest.mark.parametrize("seed", range(3))
def test_a_random_intercept_is_the_mixed_model(seed):
    frame = simulated(seed)
    fit = dm.sem(TWO, frame, cluster="school")
    mixed = dm.lmer("y1 ~ x + w + (1 | school)", frame, REML=False)
    assert fit.log_likelihood == pytest.approx(mixed.log_likelihood, abs=1e-7)
    table = fit.estimates.set_index(["lhs", "op", "rhs", "level"])["estimate"]
    wanted = {("y1", "~", "x", "1"): "x", ("y1", "~", "w", "2"): "w", ("y1", "~1", "", "2"): "(Intercept)"}
    for key, name in wanted.items():
        assert table[key] == pytest.approx(mixed.fixef()[name], abs=1e-6)
    variances = mixed.VarCorr().set_index("grp")["vcov"]
    assert table["y1", "~~", "y1", "2"] == pytest.approx(variances["school"], rel=1e-5)
    assert table["y1", "~~", "y1", "1"] == pytest.approx(variances["Residual"], rel=1e-6)


def test_a_saturated_model_has_no_chi_square():
    own = "\n".join(f" y{i} ~~ {' + '.join(f'y{j}' for j in range(i, 4))}" for i in range(1, 4))
    fit = dm.sem(f"level: 1\n{own}\nlevel: 2\n{own}", simulated(1), cluster="school")
    assert fit.measures["df"] == 0
    assert fit.measures["chisq"] == pytest.approx(0, abs=1e-8)
    assert fit.measures["srmr"] == pytest.approx(0, abs=1e-6)
    for level in fit.residuals().values():
        assert np.abs(level["cov"].to_numpy()).max() < 1e-6
        assert np.abs(level["mean"].to_numpy()).max() < 1e-6


def test_rows_in_any_order_and_other_names_of_clusters():
    frame = simulated(2)
    other = frame.sample(frac=1, random_state=3).assign(school=lambda d: "s" + (99 - d["school"]).astype(str))
    text = "level: 1\n f =~ y1 + y2 + y3\n f ~ x\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w"
    a, b = (dm.sem(text, d, cluster="school", estimator="MLR") for d in (frame, other))
    assert b.estimates["estimate"].to_numpy() == pytest.approx(a.estimates["estimate"].to_numpy(), abs=1e-7)
    assert b.estimates["se"].to_numpy() == pytest.approx(a.estimates["se"].to_numpy(), abs=1e-7)
    assert b.measures["chisq_scaled"] == pytest.approx(a.measures["chisq_scaled"], abs=1e-6)
    scores = a.predict_factors(), b.predict_factors()
    assert scores[1].loc[frame.index, "f"].to_numpy() == pytest.approx(scores[0]["f"].to_numpy(), abs=1e-6)


def test_robust_errors_of_a_mean_are_those_of_clusters():
    """A covariate alone, modelled within clusters: its mean's error from sums by cluster, in closed form.
    (lavaan 0.6-14 has 0.04746 here: its scores of variables within clusters alone are no derivatives.)"""
    text = "level: 1\n f =~ y1 + y2 + y3\n f ~ x\nlevel: 2\n g =~ y1 + y2 + y3"
    fit = dm.sem(text, data(), cluster="school", estimator="MLR", fixed_x=False)
    away = data()["x"] - data()["x"].mean()
    by_hand = np.sqrt((away.groupby(data()["school"]).sum() ** 2).sum()) / len(data())
    assert fit.vcov().loc["x~1", "x~1"] ** 0.5 == pytest.approx(by_hand, rel=1e-7)


def test_groups_of_clusters_are_fitted_one_by_one():
    text = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w"
    both = dm.sem(text, data(), cluster="school", group="sector")
    alone = [
        dm.sem(text, part.reset_index(drop=True), cluster="school")
        for _, part in data().groupby("sector", sort=False)
    ]
    assert both.log_likelihood == pytest.approx(sum(f.log_likelihood for f in alone), abs=1e-6)
    assert both.measures["chisq"] == pytest.approx(sum(f.measures["chisq"] for f in alone), abs=1e-6)
    stacked = np.concatenate([f.estimates["estimate"].to_numpy() for f in alone])
    assert both.estimates["estimate"].to_numpy() == pytest.approx(stacked, abs=1e-5)
    assert list(both.icc().columns) == list(both.naming.groups)


def test_a_nonlinear_constraint_is_kept():
    text = (FOLDER / "model_plain.lav").read_text().replace("+ y2 + y3", "+ a*y2 + y3", 1)
    fit = dm.sem(f"{text}  g ~~ v*g\n  a*v == 0.5", data(), cluster="school")
    assert fit.converged
    found = fit.coef()
    assert found["a"] * found["v"] == pytest.approx(0.5, abs=1e-7)
    assert fit.measures["df"] == fitted("plain_mlr").measures["df"] + 1


def test_tests_of_two_levels_of_models():
    free = fitted("factors")
    text = (FOLDER / "model_factors.lav").read_text().replace("g ~ w", "g ~ 0*w")
    tied = dm.sem(text, data(), cluster="school")
    assert tied.measures["df"] == 8
    assert tied.measures["chisq"] == pytest.approx(20.449, abs=1e-3)  # lavaan 0.6-14
    table = free.lr_test(tied)
    gain = 2 * (free.log_likelihood - tied.log_likelihood)
    assert table["Chisq diff"].iloc[1] == pytest.approx(gain, abs=1e-6)
    assert free.wald_test("`g~w.l2` == 0")["df"] == 1


def test_the_summary_has_both_levels():
    text = summary(fitted("factors"), fit_measures=True, standardized=True, rsquare=True)
    for line in (
        "Number of clusters [school]                       90",
        "Level 1 [within]:",
        "Level 2 [school]:",
        "SRMR (between covariance matrix)",
        "Information                                 Observed",
    ):
        assert line in text
    assert text.index("f =~") < text.index("Level 2 [school]") < text.index("g =~")


def test_a_fit_pickles_and_tells_what_it_does_not_do():
    fit = pickle.loads(pickle.dumps(fitted("factors")))
    assert fit.measures["df"] == 7
    assert list(fit.r2().columns) == ["within", "school"]
    for verb in ("score_test", "predict", "miiv", "local_tests"):
        with pytest.raises(dm.FitError, match="two levels"):
            getattr(fit, verb)()
    for one in (fit, fit.inner):
        with pytest.raises(dm.FitError, match="refit"):
            one.refit(data())
    with pytest.raises(dm.FitError, match="not drawn from a fit yet"):
        fit.inner.bootstrap(3)
    with pytest.raises(dm.FitError, match="influence is that of units that stand alone"):
        fit.inner.again.influence()


def test_what_is_identified_is_told_before_fitting():
    with pytest.raises(dm.ModelErrors) as told:
        dm.sem("level: 1\n f =~ y1 + y2\nlevel: 2\n y1 ~~ y1\n y2 ~~ y2", simulated(1), cluster="school")
    assert "are not identified" in str(told.value)
    assert "'f=~y2'" in str(told.value)
    upper = "level: 1\n y1 ~~ y2\nlevel: 2\n g =~ y1 + y2"
    with pytest.raises(dm.ModelErrors) as told:
        dm.sem(upper, simulated(1), cluster="school")
    assert "'g=~y2.l2'" in str(told.value)
    tied = "level: 1\n f =~ a*y1 + a*y2\n f ~~ 1*f\nlevel: 2\n g =~ b*y1 + b*y2\n g ~~ 1*g"
    fit = dm.sem(tied, simulated(1), cluster="school", auto_fix_first=False)
    assert fit.converged
    assert fit.measures["df"] == 0


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        (lambda d: d, {"cluster": "scool"}, "did you mean 'school'?"),
        (lambda d: d, {"cluster": None}, "the clusters are not named (cluster='school' names their column)"),
        (lambda d: d.assign(school=range(len(d))), {}, "every 'school' has one element of 'row'"),
        (lambda d: d.assign(x=d["w"]), {}, "'x' does not vary within any 'school'"),
        (lambda d: d.assign(w=d["x"]), {}, "'w' stands at level 2 alone, but differs within 'school'"),
        (
            lambda d: d[d["school"] < 2].assign(z=d["w"] ** 2),
            {"two": True},
            "plate 'school' has 2 elements for 2",
        ),
        (lambda d: d, {"missing": "fiml"}, "take complete rows, not missing='fiml'"),
        (lambda d: d, {"estimator": "MLM"}, "is for one level"),
        (lambda d: d, {"se": "robust.cluster"}, "two levels have se='standard' and 'robust.huber.white'"),
    ],
)
def test_what_users_get_wrong(change, options, told):
    text = TWO + "\n z ~ w" * options.pop("two", False)
    with pytest.raises(dm.ModelErrors) as found:
        dm.sem(text, change(simulated(1)), **{"cluster": "school", **options})
    assert told in str(found.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"estimator": "GLS"}, "two levels have estimator='ML' and 'MLR'"),
        ({"estimator": "WLSMV"}, "estimator='WLSMV' is for one level"),
        ({"ordered": ["y1"]}, "ordered=False and no thresholds treat them as numbers"),
        ({"method": "em"}, "method='laplace' fits both levels"),
    ],
)
def test_what_is_for_one_level(options, told):
    frame = simulated(1)
    with pytest.raises(dm.DagmodelsError) as found:
        dm.sem(TWO, frame.assign(y1=(frame["y1"] > 1).astype(int)), cluster="school", **options)
    assert told in str(found.value)


def test_covariance_matrices_do_not_tell_levels():
    cov = pd.DataFrame(np.eye(3), index=["y1", "x", "w"], columns=["y1", "x", "w"])
    with pytest.raises(dm.ModelErrors) as found:
        dm.sem(TWO, sample_cov=cov, sample_nobs=100, cluster="school")
    assert "need the rows" in str(found.value)


def test_roots_of_the_unrestricted_model_have_exact_derivatives():
    form = fitted("factors").form
    every = np.ones(form.inner.size, dtype=bool)
    for together in ((every, every), (form.inner & ~every, form.template.given)):
        structure, _ = free_structure(form, together)
        roots = Roots(structure)
        rng = np.random.default_rng(2)
        for best in (fitted("factors").levels.unrestricted, fitted("factors").levels.independent):
            if best.parameters != roots.plain.size + roots.rooted.size:
                continue
            x = best.optimum.x + 0.05 * rng.normal(size=best.parameters)
            at, h = RootPoint(roots, x), 1e-5
            sides = [[RootPoint(roots, x + s * h * e) for s in (1, -1)] for e in np.eye(x.size)]
            gradient = np.array([(a.value - b.value) / (2 * h) for a, b in sides])
            hessian = np.stack([(a.gradient - b.gradient) / (2 * h) for a, b in sides])
            assert at.gradient == pytest.approx(gradient, rel=1e-6, abs=1e-6 * np.abs(gradient).max())
            assert at.hessian() == pytest.approx(hessian, rel=1e-5, abs=1e-7 * np.abs(hessian).max())


def test_variables_without_part_between_clusters_have_a_model_to_compare_with():
    """The best covariance matrix between clusters is singular; its certificate holds there."""
    rng = np.random.default_rng(11)
    school = np.repeat(np.arange(30), rng.integers(1, 12, 30))
    frame = pd.DataFrame(rng.normal(size=(school.size, 3)) * [1, 100, 0.01], columns=["y1", "y2", "y3"])
    within = "level: 1\n y1 ~~ y2 + y3\n y2 ~~ y3\nlevel: 2\n"
    zero = "y1 ~~ 0*y2 + 0*y3\n y2 ~~ 0*y2 + 0*y3\n y3 ~~ 0*y3"
    fit = dm.sem(within + zero, frame.assign(school=school), cluster="school")
    free = fit.levels.unrestricted
    scale = np.sqrt(np.diag(free.within[0]))
    sizes = np.linalg.eigvalsh(free.between[0] / np.outer(scale, scale))
    assert sizes[0] > -1e-12
    assert sizes[0] < 1e-6
    assert free.optimum.decrement < 1e-4
    assert 0 <= fit.measures["chisq"] < 25
    assert fit.measures["df"] == 5
    with pytest.raises(dm.ModelErrors) as told:
        dm.sem(f"{within}{zero}\n y1 ~~ 0*y1", frame.assign(school=school), cluster="school")
    assert "every variance there is zero" in str(told.value)


def test_variances_that_run_off_stop_at_zero():
    """Free ones have no maximum here; the optimum at zero is that of the model which fixes the variance."""
    rng = np.random.default_rng(5)
    school = np.repeat(np.arange(30), rng.integers(2, 12, 30))
    f, g = rng.normal(size=school.size), rng.normal(size=30)[school]
    columns = {f"y{k}": f + (g if k < 3 else 0.1 * g) + rng.normal(size=school.size) for k in range(1, 4)}
    frame = pd.DataFrame(columns).assign(school=school)
    text = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3"
    with pytest.warns(dm.FitWarning, match="boundary"):
        fit = dm.cfa(text, frame, cluster="school")
    tied = dm.cfa(f"{text}\n y1 ~~ 0*y1", frame, cluster="school")
    assert fit.converged
    assert fit.boundary == ("y1~~y1.l2",)
    assert fit.log_likelihood == pytest.approx(tied.log_likelihood, abs=1e-7)
    row = fit.estimates.query("lhs == 'y1' and op == '~~' and level == '2'").iloc[0]
    assert row["estimate"] == 0
    assert np.isnan(row["se"])


def test_rows_with_gaps_are_left_out():
    frame = simulated(1)
    gaps = frame.mask(pd.DataFrame({c: (frame.index % 9 == 0) & (c == "y1") for c in frame}))
    assert dm.sem(TWO, gaps, cluster="school").n_observations == frame.loc[frame.index % 9 != 0].shape[0]


def test_few_clusters_and_odd_covariances_are_told():
    text = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3"
    with pytest.warns(dm.FitWarning, match="8 clusters for 9 parameters"):
        dm.sem(text, simulated(3, 8, (20, 30)), cluster="school")
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=["y1", "y2", "y3"]).assign(
        school=np.repeat(np.arange(40), 5)
    )
    plain = "level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~~ y2"
    with pytest.warns(dm.FitWarning, match="fits better than the best covariance matrices"):
        fit = dm.sem(plain, frame, cluster="school")
    assert fit.measures["chisq"] == pytest.approx(0, abs=1e-8)
