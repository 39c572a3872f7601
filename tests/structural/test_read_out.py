"""Scores, predictions, residuals, tests between models, definitions and reliability of structural fits."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag

import dagmodels as dm
from tests.structural.references import data, fits, fitted, reference

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
WITH_SCORES = [(c, n) for c, n in fits() if (reference(c)[n]["factor_scores_first5"] or [{}])[0]]
COMPLETE = [
    ("sem_holzinger_cfa", "meanstructure"),
    ("sem_political_democracy_sem", "main"),
    ("sem_demo_growth", "main"),
]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.fixture(scope="module")
def three(pupils):
    return dm.cfa(FACTORS, pupils)


def _blocks(fit, names, latent):
    form, moments = fit.solution.form, fit.solution.at.moments
    number = {n: v for v, (n, _) in enumerate(form.variables)}
    o, f = [number[n] for n in names], [number[n] for n in latent]
    sigma = moments.covariance[0]
    return (
        sigma[np.ix_(o, o)],
        sigma[np.ix_(f, o)],
        sigma[np.ix_(f, f)],
        moments.mean[0][o],
        moments.mean[0][f],
    )


# -- scores


@pytest.mark.parametrize(("case", "name"), WITH_SCORES)
def test_lavaans_factor_scores(case, name):
    """lavaan's lavPredict. In the errors-in-variables model its scores leave the latents' covariance with
    the observed z out; with that put at zero in the formula ours are the same."""
    fit, want = fitted(case, name), pd.DataFrame(reference(case)[name]["factor_scores_first5"])
    got = fit.predict_factors().head(5)[want.columns].to_numpy()
    if case == "sem_eiv_regression":
        names = list(fit.naming.observed)
        s, along, _, mean, center = _blocks(fit, names, want.columns)
        away = data(case)[names].to_numpy()[:5] - mean
        np.testing.assert_allclose(got, center + away @ np.linalg.solve(s, along.T), rtol=1e-9)
        along[:, names.index("z")] = 0
        got = center + away @ np.linalg.solve(s, along.T)
    np.testing.assert_allclose(got, want.to_numpy(), rtol=1e-4, atol=1e-5)


def test_scores_of_rows_with_gaps(three, pupils):
    """Of what a row shows alone; a row of new data scores as it did among the data fitted."""
    rows = pupils.head(3).set_index(pd.Index(["a", "b", "c"])).copy()
    rows.loc["b", ["x1", "x5"]] = np.nan
    scores, errors = three.predict_factors(rows, se=True)
    assert list(scores.index) == ["a", "b", "c"]
    names = [f"x{i}" for i in range(1, 10) if i not in (1, 5)]
    s, along, own, mean, center = _blocks(three, names, three.naming.latent)
    weight = np.linalg.solve(s, along.T)
    np.testing.assert_allclose(scores.loc["b"], center + (rows.loc["b", names] - mean) @ weight, rtol=1e-9)
    np.testing.assert_allclose(errors.loc["b"] ** 2, np.diag(own - along @ weight), rtol=1e-9)
    np.testing.assert_allclose(scores.loc["a"], three.predict_factors().iloc[0], rtol=1e-12)
    assert (errors.loc["b"] > errors.loc["a"]).all()
    alone = pickle.loads(pickle.dumps(three)).predict_factors(rows.loc[["c"]])
    np.testing.assert_allclose(alone.iloc[0], scores.loc["c"], rtol=1e-12)


def test_bartlett_is_weighted_least_squares(three, pupils):
    """(L'T^-1 L)^-1 L'T^-1 (y - nu), unbiased given the latent variables; nan where a row does not say."""
    e = three.estimates
    items = [f"x{i}" for i in range(1, 10)]
    loading = np.zeros((9, 3))
    for _, r in e[e["op"] == "=~"].iterrows():
        loading[items.index(r["rhs"]), three.naming.latent.index(r["lhs"])] = r["estimate"]
    theta = np.diag([e.set_index("name").loc[f"{x}~~{x}", "estimate"] for x in items])
    inverse = np.linalg.inv(loading.T @ np.linalg.solve(theta, loading))
    weight = inverse @ loading.T @ np.linalg.inv(theta)
    scores, errors = three.predict_factors(method="Bartlett", se=True)
    want = (pupils[items] - pupils[items].mean()) @ weight.T
    np.testing.assert_allclose(scores, want, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(errors.iloc[0] ** 2, np.diag(inverse), rtol=1e-8)
    np.testing.assert_allclose(weight @ loading, np.eye(3), atol=1e-10)
    gap = pupils.head(1).assign(x7=np.nan, x8=np.nan, x9=np.nan)
    part = three.predict_factors(gap, method="Bartlett")
    assert part["speed"].isna().all()
    assert part[["visual", "textual"]].notna().all(axis=None)


def test_bartlett_with_covariates_of_indicators():
    """Indicators that depend on covariates are taken less what these say."""
    fit, frame = fitted("sem_demo_growth", "main"), data("sem_demo_growth")
    e = fit.estimates.set_index("name")["estimate"]
    items = ["t1", "t2", "t3", "t4"]
    loading = np.array([[1.0, k] for k in range(4)])
    theta = np.diag([e[f"{t}~~{t}"] for t in items])
    away = frame[items].to_numpy() - frame[["c1", "c2", "c3", "c4"]].to_numpy() * [
        e[f"t{k}~c{k}"] for k in range(1, 5)
    ]
    weight = np.linalg.inv(loading.T @ np.linalg.solve(theta, loading)) @ loading.T @ np.linalg.inv(theta)
    got = fit.predict_factors(method="bartlett")[["i", "s"]]
    np.testing.assert_allclose(got, away @ weight.T, rtol=1e-7, atol=1e-9)


def test_index_of_listwise_rows_and_of_groups(pupils):
    gaps = pupils.set_index("pupil").copy()
    gaps.iloc[[0, 5], gaps.columns.get_loc("x2")] = np.nan
    fit = dm.cfa(FACTORS, gaps)
    assert list(fit.predict_factors().index) == [p for p in gaps.index if p not in gaps.index[[0, 5]]]
    assert fit.predict_factors(gaps).notna().all(axis=None)
    turned = gaps.sample(frac=1, random_state=1)
    both = dm.cfa(FACTORS, turned, group="school", missing="fiml")
    scores = both.predict_factors()
    assert scores.index.equals(turned.index)
    np.testing.assert_allclose(scores, both.predict_factors(turned), rtol=1e-12)
    np.testing.assert_allclose(
        scores.groupby(turned["school"]).mean().to_numpy(), 0, atol=0.02
    )  # regression scores have the latent means, but for gaps


def test_expected_responses_given_covariates():
    """The mean of y given x of a regression model is the regression itself."""
    fit, frame = fitted("sem_mediation_path", "main"), data("sem_mediation_path")
    e = fit.estimates.set_index("name")["estimate"]
    x = frame[["X", "W"]] - frame[["X", "W"]].mean()
    m = frame["M"].mean() + x["X"] * e["a"] + x["W"] * e["M~W"]
    y = frame["Y"].mean() + x["X"] * e["c"] + x["W"] * e["d"] + (m - frame["M"].mean()) * e["b"]
    got = fit.predict(frame[["X", "W"]])
    assert list(got.columns) == ["Y", "M"]
    np.testing.assert_allclose(got["M"], m, rtol=1e-9)
    np.testing.assert_allclose(got["Y"], y, rtol=1e-9)
    np.testing.assert_allclose(fit.predict(), got, rtol=1e-12)
    known = fit.predict(frame, outcomes="Y", given=["X", "W", "M"])
    other = frame["Y"].mean() + x["X"] * e["c"] + x["W"] * e["d"] + (frame["M"] - frame["M"].mean()) * e["b"]
    np.testing.assert_allclose(known["Y"], other, rtol=1e-9)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda f, d: f.predict_factors(method="ml"), "none of 'regression'"),
        (lambda f, d: f.predict_factors(d.drop(columns="x3")), "'x3' is missing"),
        (lambda f, d: f.predict(), "no observed variable is exogenous"),
        (lambda f, d: f.predict(d, given="x11"), "did you mean 'x1'"),
        (lambda f, d: f.residuals("studentized"), "'studentized' is none of"),
        (lambda f, d: f.wald_test("a == 0"), "no estimate is called 'a'"),
        (lambda f, d: f.wald_test("`visual=~x2`"), "is no constraint"),
        (lambda f, d: f.wald_test("cosh(`visual=~x2`) == 1"), "no function is called 'cosh'"),
        (lambda f, d: f.wald_test("[`visual=~x2`, 1] == 1"), "is no number"),
        (lambda f, d: f.wald_test("log(`visual=~x2` - 9) == 1"), "no value"),
        (lambda f, d: f.wald_test("`visual=~x1` == 1"), "no free estimate"),
        (lambda f, d: f.wald_test("`x1~~x1` == 1; 2*`x1~~x1` == 2"), "follow from one another"),
    ],
)
def test_wrong_questions_are_named(three, pupils, ask, told):
    with pytest.raises((dm.FitError, dm.ModelErrors)) as error:
        ask(three, pupils)
    assert told in str(error.value)


# -- moments and residuals


@pytest.mark.parametrize(("case", "name"), list(fits()))
def test_lavaans_implied_moments(case, name):
    fit, want = fitted(case, name), reference(case)[name]
    order = want["variables_order"]
    got = fit.fitted()
    np.testing.assert_allclose(got["cov"].loc[order, order], want["implied"][0]["cov"], rtol=1e-4, atol=1e-4)
    assert ("mean" in got) == fit.naming.meanstructure
    if "mean" in got and want["implied"][0].get("mean"):
        np.testing.assert_allclose(got["mean"][order], want["implied"][0]["mean"], rtol=1e-4, atol=1e-4)


def test_residuals_of_correlations(three, pupils):
    items = [f"x{i}" for i in range(1, 10)]
    s, sigma = pupils[items].cov(ddof=0), three.fitted()["cov"]
    np.testing.assert_allclose(three.residuals()["cov"], s - sigma, atol=1e-12)
    want = pupils[items].corr() - sigma / np.sqrt(np.outer(np.diag(sigma), np.diag(sigma)))
    np.testing.assert_allclose(three.residuals("cor")["cov"], want, atol=1e-12)
    low = np.tril_indices(9)
    bentler = three.residuals("cor.bentler")["cov"].to_numpy()[low]
    assert np.sqrt(np.mean(bentler**2)) == pytest.approx(three.measures["srmr"], rel=1e-9)


def _dense_variances(fit):
    """Sampling variances of moments, and of residuals, of all groups from whole matrices (Ogasawara 2001)."""
    form, moments, free = fit.solution.form, fit.solution.at.moments, fit.comparison.free
    o, given, groups = form.structure.observed, form.template.given, range(form.structure.groups)
    p = o.size
    i, j = np.tril_indices(p)
    d = np.zeros((p * p, i.size))
    d[i * p + j, np.arange(i.size)] = d[j * p + i, np.arange(i.size)] = 1
    own = np.concatenate([~(given[i] & given[j]), ~given & fit.naming.meanstructure])
    at = np.flatnonzero(own)

    def weights(covariances):
        found = []
        for g, cov in zip(groups, covariances, strict=True):
            w, n = np.linalg.inv(cov), form.sample.n[form.sample.group == g].sum()
            found.append(n * block_diag(0.5 * d.T @ np.kron(w, w) @ d, w)[np.ix_(at, at)])
        return block_diag(*found)

    x, h = fit.solution.optimum.x, 1e-5

    def vector(x):
        m = form.at(x).moments
        return np.concatenate(
            [np.concatenate([m.covariance[g][np.ix_(o, o)][i, j], m.mean[g][o]])[at] for g in groups]
        )

    delta = np.stack([(vector(x + h * e) - vector(x - h * e)) / (2 * h) for e in np.eye(x.size)], axis=1)
    a = weights([moments.covariance[g][np.ix_(o, o)] for g in groups])
    g = np.linalg.inv(weights(free.cov))
    q = np.eye(len(a)) - delta @ np.linalg.pinv(delta.T @ a @ delta, hermitian=True) @ delta.T @ a
    names = [form.variables[v][0] for v in o]
    sizes = (len(groups), at.size)
    return names, i, j, at, np.diag(g).reshape(sizes), np.diag(q @ g @ q.T).reshape(sizes)


def _check_residuals(fit):
    names, i, j, at, plain, own = _dense_variances(fit)
    for kind, variance in (("normalized", plain), ("standardized", own)):
        raw, got = fit.residuals(), fit.residuals(kind)
        for g in range(len(plain)):
            group = fit.naming.groups[g]
            left, right = (f if len(plain) == 1 else f[group] for f in (raw, got))
            pairs = 0
            for n, k in enumerate(at.tolist()):
                if k < i.size:
                    a, b = (f["cov"].loc[names[i[k]], names[j[k]]] for f in (left, right))
                else:
                    a, b = (f["mean"][names[k - i.size]] for f in (left, right))
                v = variance[g, n]
                if abs(a) > 1e-4 and v > 1e-7 * plain[g, n]:
                    assert b == pytest.approx(a / np.sqrt(v), rel=1e-5), (kind, group, names, k)
                    pairs += 1
            assert pairs > 10


@pytest.mark.parametrize(("case", "name"), COMPLETE)
def test_standardized_residuals_by_whole_matrices(case, name):
    _check_residuals(fitted(case, name))


def test_residuals_of_groups_that_share_estimates(pupils):
    """Both groups' data move equal loadings and intercepts, and so the residuals of each."""
    _check_residuals(dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings", "intercepts"]))


def test_residuals_under_missing_values():
    fit = fitted("sem_holzinger_fiml", "main")
    assert np.abs(fit.residuals("cor")["cov"].to_numpy()).max() < 0.3


def test_coefficients_and_their_covariance(three):
    e = three.estimates.set_index("name")
    assert list(three.coef().index) == [n for n in e.index if e.loc[n, "what"] == "maximised"]
    np.testing.assert_allclose(np.sqrt(np.diag(three.vcov())), e.loc[three.coef().index, "se"], rtol=1e-12)
    assert len(fitted("sem_political_democracy_sem", "main").coef()) == 28  # a, b and c once


# -- tests between models


def test_lavaans_difference_table():
    want = [r for r in _comparison("sem_political_democracy_sem") if r]
    held, free = (fitted("sem_political_democracy_sem", n) for n in ("main", "free_loadings"))
    table = dm.anova(held, free)
    assert list(table.index) == ["fit2", "fit1"]
    pd.testing.assert_frame_equal(table, held.lr_test(free))
    assert list(table.columns) == [k for k in want[0] if k != "model"]
    for (_, row), r in zip(table.iterrows(), want, strict=True):
        for key, value in r.items():
            if key != "model":
                expected = np.nan if value is None else value
                assert row[key] == pytest.approx(expected, rel=1e-5, nan_ok=True), key


def _comparison(case):
    import json

    from tests.structural.references import FOLDER

    return json.loads((FOLDER / case / "reference.json").read_text())["comparison"]


def test_fits_that_cannot_be_compared(three, pupils):
    for others, told in (
        ([dm.cfa(FACTORS, pupils.head(200))], "has 200 rows"),
        ([dm.cfa(FACTORS.replace(" + x6", ""), pupils)], "other observed variables than the first one: x6"),
        ([dm.cfa(FACTORS, pupils, std_lv=True)], "24 degrees of freedom, so neither is nested"),
        ([dm.cfa(FACTORS, pupils.assign(x1=pupils["x1"] ** 2))], "data of fit 2 are not those"),
        ([dm.cfa(FACTORS, pupils, meanstructure=True)], "some models, not all, have means"),
    ):
        with pytest.raises(dm.ModelErrors) as error:
            three.lr_test(*others)
        assert told in str(error.value)
    one = f"g =~ {' + '.join(f'x{i}' for i in range(1, 10))}\nx1 ~~ x4 + x5\nx2 ~~ x7\nx3 ~~ x6"
    with pytest.raises(dm.ModelErrors) as error:
        dm.cfa(one, pupils).lr_test(three)
    assert "fits better" in str(error.value)


def test_fits_to_moments_alone(pupils, three):
    """From a covariance matrix come the same tests; rows are not known, and asked for."""
    cov = pupils[[f"x{i}" for i in range(1, 10)]].cov()
    free = dm.cfa(FACTORS, sample_cov=cov, sample_nobs=301)
    held = dm.cfa(f"{FACTORS}\nvisual ~~ 0*speed", sample_cov=cov, sample_nobs=301)
    by_rows = dm.anova(three, dm.cfa(f"{FACTORS}\nvisual ~~ 0*speed", pupils))
    np.testing.assert_allclose(dm.anova(free, held)["Chisq"], by_rows["Chisq"], rtol=1e-7)
    np.testing.assert_allclose(dm.anova(three, held)["Pr(>Chisq)"], by_rows["Pr(>Chisq)"], rtol=1e-6)
    np.testing.assert_allclose(free.modindices()["mi"], three.modindices()["mi"], rtol=1e-6, atol=1e-8)
    with pytest.raises(dm.FitError, match="moments alone"):
        free.predict_factors()


def test_wald_tests():
    """One constraint is the square of z; nonlinear ones and definitions by the delta method."""
    fit = fitted("sem_mediation_path", "main")
    e = fit.estimates.set_index("name")
    for name in ("c", "indirect"):
        found = fit.wald_test(f"{name} == 0")
        assert found["stat"] == pytest.approx(e.loc[name, "z"] ** 2, rel=1e-6)
        assert found["pvalue"] == pytest.approx(e.loc[name, "pvalue"], rel=1e-5)
    assert fit.wald_test("a*b == 0")["stat"] == pytest.approx(fit.wald_test("indirect == 0")["stat"])
    moved = fit.wald_test("plogis(c) == 0.5")
    p = 1 / (1 + np.exp(-e.loc["c", "estimate"]))
    assert moved["stat"] == pytest.approx(((p - 0.5) / (p * (1 - p) * e.loc["c", "se"])) ** 2, rel=1e-6)
    two, v = fit.wald_test("a == b; c == 0"), fit.vcov()
    h = np.array([e.loc["a", "estimate"] - e.loc["b", "estimate"], e.loc["c", "estimate"]])
    slopes = np.array([[1.0, -1, 0], [0, 0, 1]])
    inner = v.loc[["a", "b", "c"], ["a", "b", "c"]].to_numpy()
    assert two["stat"] == pytest.approx(h @ np.linalg.solve(slopes @ inner @ slopes.T, h), rel=1e-8)
    assert two["df"] == 2


def test_wald_and_likelihood_ratio_agree():
    free, held = (fitted("sem_political_democracy_sem", n) for n in ("free_loadings", "main"))
    wald = free.wald_test(
        "`dem60=~y2` == `dem65=~y6`; `dem60=~y3` == `dem65=~y7`; `dem60=~y4` == `dem65=~y8`"
    )
    assert wald["stat"] == pytest.approx(dm.anova(free, held)["Chisq diff"].iloc[1], rel=0.1)
    assert wald["df"] == 3


def test_standard_errors_of_standardised_definitions():
    """std_all of a ratio does not depend on units; of a product it is the product of standardised paths."""
    fit = fitted("sem_mediation_path", "main")
    table = fit.standardized().set_index("lhs")
    e = fit.estimates.set_index("name")
    assert table.loc["prop", "se"] == pytest.approx(e.loc["prop", "se"], rel=1e-5)
    assert e.loc["indirect", "std_all"] == pytest.approx(e.loc["a", "std_all"] * e.loc["b", "std_all"])
    frame = data("sem_mediation_path")
    scaled = fitted("sem_mediation_path", "main", frame / frame.std(ddof=0))
    assert table.loc["indirect", "estimate"] == pytest.approx(scaled["indirect"], rel=1e-7)


def test_definitions_over_groups(pupils):
    """A label of one group is that group's parameter, standardised in that group."""
    text = FACTORS.replace("x2", "c(a1, a2)*x2", 1) + "\ngap := a1 - a2"
    e = dm.cfa(text, pupils, group="school").estimates.set_index("name")
    for column in ("estimate", "std_lv", "std_all"):
        assert e.loc["gap", column] == pytest.approx(e.loc["a1", column] - e.loc["a2", column], rel=1e-9)


# -- reliability and invariance


def test_reliability_of_three_factors(three, pupils):
    """From items, loadings and residual variances; with simple structure all omegas but the data's agree."""
    e, table = three.estimates.set_index("name")["estimate"], three.reliability()
    assert list(table.index) == ["visual", "textual", "speed"]
    for f, items in zip(
        table.index, (["x1", "x2", "x3"], ["x4", "x5", "x6"], ["x7", "x8", "x9"]), strict=True
    ):
        total = pupils[items].sum(axis=1).var(ddof=0)
        alpha = 1.5 * (1 - pupils[items].var(ddof=0).sum() / total)
        loading, spread = np.array([e[f"{f}=~{x}"] for x in items]), e[f"{f}~~{f}"]
        noise = np.array([e[f"{x}~~{x}"] for x in items])
        common = spread * loading.sum() ** 2
        omega, ave = common / (common + noise.sum()), spread * (loading**2).sum()
        want = [alpha, omega, omega, common / total, ave / (ave + noise.sum())]
        np.testing.assert_allclose(table.loc[f], want, rtol=1e-9)


def test_reliability_with_cross_loadings_and_correlated_residuals(pupils):
    fit = dm.cfa(FACTORS.replace("x3", "x3 + x9") + "\nx2 ~~ x3", pupils)
    e = fit.estimates.set_index("name")["estimate"]
    table = fit.reliability()
    assert np.isnan(table.loc["visual", "ave"])
    items = ["x1", "x2", "x3", "x9"]
    common = e["visual~~visual"] * sum(e[f"visual=~{x}"] for x in items) ** 2
    noise = sum(e[f"{x}~~{x}"] for x in items) + 2 * e["x2~~x3"]
    assert table.loc["visual", "omega"] == pytest.approx(common / (common + noise), rel=1e-9)
    implied = fit.fitted()["cov"].loc[items, items].to_numpy().sum()
    assert table.loc["visual", "omega2"] == pytest.approx(common / implied, rel=1e-9)


def test_the_ladder_of_invariance(pupils):
    """Rosseel (2012, J. Stat. Softw. 48(2), section 5) has the chi-squares of the first three steps."""
    ladder = dm.invariance(FACTORS, pupils, group="school")
    assert list(ladder) == ["configural", "metric", "scalar", "strict"]
    np.testing.assert_allclose(ladder.table["Chisq"][:3], [115.851, 124.044, 164.103], atol=6e-4)
    assert ladder.table["Df"].tolist() == [48, 54, 60, 69]
    np.testing.assert_allclose(ladder.table["Chisq diff"][1:3], [8.192, 40.059], atol=6e-4)
    assert ladder.table["cfi diff"].iloc[2] == pytest.approx(-0.038, abs=6e-4)
    assert ladder.score_tests("scalar")["meaning"][1] == "x3~1 == x3~1.g2"
    assert "strict: equal loadings, intercepts, residuals" in str(ladder)
    partial = dm.invariance(
        FACTORS, pupils, group="school", steps=["metric", "scalar"], group_partial=["x3~1", "x7~1"]
    )
    assert partial.table["Df"].tolist() == [54, 58]
    assert (
        partial.table["Chisq"]["metric"] < partial.table["Chisq"]["scalar"] < ladder.table["Chisq"]["scalar"]
    )
    by_hand = dm.cfa(
        FACTORS,
        pupils,
        group="school",
        group_equal=["loadings", "intercepts"],
        group_partial=["x3~1", "x7~1"],
    )
    pd.testing.assert_frame_equal(by_hand.estimates, partial["scalar"].estimates)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": ["weak"]}, "there is no step 'weak'"),
        ({"group_equal": ["loadings"]}, "group_equal has no place here"),
        ({"group": "scool"}, "did you mean 'school'"),
    ],
)
def test_a_ladder_that_cannot_stand(pupils, change, told):
    with pytest.raises(dm.ModelErrors) as error:
        dm.invariance(FACTORS, pupils, **{"group": "school", **change})
    assert told in str(error.value)


@pytest.mark.parametrize("estimator", ["ML", "GLS"])
def test_defined_constants_stand_in_the_table(pupils, estimator):
    """They are known: no standard error, the same in every draw, and may stand in definitions and tests."""
    text = FACTORS.replace("x1 + x2", "x1 + a*x2") + "\nq := 1 + 0\nr := 2*q\ns := a*r"
    fit = dm.cfa(text, pupils, estimator=estimator)
    e = fit.estimates.set_index("name")
    assert e.loc[["q", "r"], "estimate"].tolist() == [1.0, 2.0]
    assert e.loc[["q", "r"], "se"].tolist() == [0.0, 0.0]
    assert e.loc["s", "estimate"] == pytest.approx(2 * e.loc["a", "estimate"])
    np.testing.assert_array_equal(fit.bootstrap(2).draws[:, -3:-1], [[1.0, 2.0]] * 2)
    found = fit.standardized().tail(3)
    np.testing.assert_allclose(found["estimate"].iloc[:2], [1.0, 2.0])
    np.testing.assert_allclose(found["se"].iloc[:2], 0.0, atol=1e-12)
    assert fit.wald_test("a == q")["stat"] == pytest.approx(
        ((e.loc["s", "estimate"] / 2 - 1) / (e.loc["s", "se"] / 2)) ** 2
    )
