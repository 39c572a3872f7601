"""Ordered variables: lavaan's published output, both parameterizations, data of every kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from scipy.stats import norm

import dagmodels as dm
from dagmodels.errors import ModelErrors

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
ITEMS = [f"x{i}" for i in range(1, 10)]


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


def cut(data, shares, method):
    """Items in categories at these quantiles; the upper ends belong to the categories, as R's `cut`."""
    ends = {v: np.quantile(data[v], shares, method=method) for v in ITEMS}
    return data.assign(**{v: np.searchsorted(ends[v], data[v], side="left") + 1 for v in ITEMS})


@pytest.fixture(scope="module")
def thirds(pupils):
    return cut(pupils, [0.33, 0.67], "linear")


def test_the_plan_says_what_is_done(thirds):
    told = str(dm.cfa(FACTORS, thirds, ordered=ITEMS).plan)
    assert (
        "method: diagonally weighted least squares (DWLS) of thresholds and polychoric correlations" in told
    )
    assert "'x1', 'x2', 'x3'" in told
    assert "'em' cannot: it maximises likelihoods of moments, and 'x1' is ordered" in told


def test_tests_are_as_published(thirds):
    """p values of the standard and the scaled test, cfa(..., estimator = "WLSMV"): package semTests, article
    "Categorical and mixed-indicator models" (lavaan's statistics); seven digits."""
    scaled = dm.cfa(FACTORS, thirds, ordered=ITEMS, estimator="WLSM")
    assert scaled.measures["pvalue"] == pytest.approx(5.741040e-03, rel=1e-6)
    assert scaled.measures["pvalue_scaled"] == pytest.approx(1.579645e-06, rel=1e-6)


def test_measures_are_as_published(pupils):
    """lavaan, five categories, theta parameterization: feracotommaso.github.io/SEM-phd-course, lab 8; three
    decimals."""
    data = cut(pupils, [0.2, 0.4, 0.6, 0.8], "median_unbiased")
    assert data.x1.value_counts().sort_index().tolist() == [65, 60, 72, 44, 60]
    fit = dm.cfa(FACTORS, data, ordered=True, std_lv=True, parameterization="theta")
    names = ["chisq", "df", "cfi", "tli", "rmsea", "srmr"]
    np.testing.assert_allclose(
        [fit.measures[n] for n in names], [56.708, 24, 0.987, 0.980, 0.067, 0.065], atol=5.1e-4
    )


def test_wlsmv_is_what_ordered_variables_take(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    assert fit.naming.choice.estimator == "WLSMV"
    same = dm.cfa(
        FACTORS, thirds.assign(**thirds[ITEMS].astype(pd.CategoricalDtype([1, 2, 3], ordered=True)))
    )
    assert same.measures["chisq_scaled"] == pytest.approx(fit.measures["chisq_scaled"], rel=1e-12)
    words = thirds[ITEMS].replace({1: "never", 2: "now and then", 3: "often"})
    kinds = pd.CategoricalDtype(["never", "now and then", "often"], ordered=True)
    spoken = dm.cfa(FACTORS, thirds.assign(**words.astype(kinds)), ordered=True)
    assert spoken.measures["chisq_scaled"] == pytest.approx(fit.measures["chisq_scaled"], rel=1e-12)
    written = FACTORS + "".join(f"\n{v} | t1 + t2" for v in ITEMS)
    told = dm.cfa(written, thirds)
    assert told.measures["chisq_scaled"] == pytest.approx(fit.measures["chisq_scaled"], rel=1e-12)


def test_both_parameterizations_are_one_model(thirds):
    delta = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    theta = dm.cfa(FACTORS, thirds, ordered=ITEMS, parameterization="theta")
    for name in ("chisq", "chisq_scaled", "cfi_scaled", "rmsea_robust", "srmr"):
        assert theta.measures[name] == pytest.approx(delta.measures[name], rel=1e-7)
    a, b = delta.estimates, theta.estimates
    for op in ("=~", "|", "~~"):
        np.testing.assert_allclose(a[a.op == op].std_all, b[b.op == op].std_all, atol=1e-7)
    np.testing.assert_allclose(
        delta.standardized().query("op == '=~'").se, theta.standardized().query("op == '=~'").se, rtol=1e-5
    )
    own = b[(b.op == "~~") & b.lhs.isin(ITEMS) & (b.lhs == b.rhs)]
    assert (own.estimate == 1).all()
    scale = b[b.op == "~*~"]
    loading = b[b.op == "=~"].set_index("rhs").std_all
    np.testing.assert_allclose(scale.set_index("lhs").estimate, np.sqrt(1 - loading**2)[scale.lhs], atol=1e-8)


def test_thresholds_of_a_saturated_margin_are_normal_quantiles(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    table = fit.estimates
    for v in ITEMS:
        share = thirds[v].value_counts(normalize=True).sort_index().cumsum().to_numpy()[:2]
        np.testing.assert_allclose(
            table[(table.lhs == v) & (table.op == "|")].estimate, norm.ppf(share), atol=1e-7
        )


def test_rows_columns_and_labels_do_not_matter(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    other = thirds.sample(frac=1.0, random_state=1)[ITEMS[::-1]]
    other[ITEMS] = other[ITEMS] * 10 - 3
    again = dm.cfa(FACTORS, other, ordered=ITEMS)
    np.testing.assert_allclose(again.estimates.estimate, fit.estimates.estimate, atol=1e-8)
    np.testing.assert_allclose(again.estimates.se, fit.estimates.se, atol=1e-8)


def test_numbers_covariates_and_groups(thirds, pupils):
    """x1, x2, x3 ordered, the rest numbers, a covariate that all are given: measures and a permutation."""
    data = pupils.assign(**thirds[ITEMS[:3]])
    text = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nvisual + textual ~ x9"
    fit = dm.sem(text, data, ordered=ITEMS[:3])
    assert fit.converged
    other = dm.sem(text, data.iloc[::-1], ordered=ITEMS[:3])
    assert other.measures["chisq_scaled"] == pytest.approx(fit.measures["chisq_scaled"], rel=1e-8)
    groups = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school")
    alone = [dm.cfa(FACTORS, rows, ordered=ITEMS) for _, rows in thirds.groupby("school")]
    assert groups.measures["chisq"] == pytest.approx(sum(f.measures["chisq"] for f in alone), rel=1e-7)
    assert groups.measures["df"] == 48


def test_equal_thresholds_free_the_scales_of_the_second_group(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school", group_equal=["loadings", "thresholds"])
    assert fit.converged
    scales = fit.estimates[(fit.estimates.op == "~*~") & (fit.estimates.what == "maximised")]
    assert len(scales) == 9
    assert fit.measures["df"] == 48 + 6 + 18 - 9 - 3


@pytest.mark.long
def test_the_chi_square_of_true_models_is_what_it_says():
    """300 samples of 400 rows: the scaled statistic has mean df and variance 2 df; each mean within 5 of its
    standard errors (false alarm 1e-6), the variance within 5 of its own."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        f = rng.standard_normal(400)
        y = 0.7 * f[:, None] + 0.7 * rng.standard_normal((400, 5))
        data = pd.DataFrame({f"y{i}": np.digitize(y[:, i], [-0.5, 0.8]) for i in range(5)})
        found.append(dm.cfa("f =~ y0 + y1 + y2 + y3 + y4", data, ordered=True).measures["chisq_scaled"])
    df = 5
    assert abs(np.mean(found) - df) < 5 * np.sqrt(2 * df / 300)
    assert abs(np.var(found) - 2 * df) < 5 * 2 * df * np.sqrt((2 + 12 / df) / 300)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.assign(x2=d.x1), "'x1' and 'x2' are perfectly correlated"),
        (lambda d: d.assign(x9=np.where(d.school == "Pasteur", 1, d.x9)), "no row has category"),
        (lambda d: d.drop(columns="x4"), "'x4' is not in the data"),
    ],
)
def test_faults_of_the_data_are_told(thirds, change, said):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS, change(thirds), ordered=ITEMS, group="school")
    assert said in "\n".join(str(e) for e in caught.value.exceptions)


def test_exogenous_variables_are_numbers_and_that_is_said(thirds):
    with pytest.warns(dm.FitWarning, match="'x2' is exogenous"):
        fit = dm.sem("x1 ~ x2", thirds, ordered=["x2"])
    assert fit["x1~x2"] == pytest.approx(np.polyfit(thirds.x2, thirds.x1, 1)[0])


def test_thresholds_that_the_data_have_not(thirds):
    with pytest.raises(ModelErrors) as caught:
        dm.cfa(FACTORS + "".join(f"\n{v} | t1 + t2" for v in ITEMS) + "\nx1 | t3", thirds)
    assert "'x1' has 3 categories in the data, and 3 thresholds in the model" in str(
        caught.value.exceptions[0]
    )


def test_the_summary_shows_thresholds(thirds):
    told = str(dm.cfa(FACTORS, thirds, ordered=ITEMS).summary())
    for words in ("DWLS", "Thresholds:", "x1|t1", "Scales y*:", "Shift parameter"):
        assert words in told


# -- what users read


def test_modification_indices_are_close_to_what_freeing_gives(thirds):
    """A score test and the difference of two minima agree to first order; parameterizations in all digits."""
    delta, theta = (dm.cfa(FACTORS, thirds, ordered=ITEMS, parameterization=p) for p in ("delta", "theta"))
    one, other = delta.modindices(), theta.modindices()
    assert len(one) == 18 + 36
    np.testing.assert_allclose(one.mi, other.mi, rtol=1e-5)
    np.testing.assert_allclose(one.sepc_all[:18], other.sepc_all[:18], rtol=1e-5)
    best = one.sort_values("mi").iloc[-1]
    assert (best.lhs, best.rhs) == ("visual", "x9")
    freed = dm.cfa(FACTORS + "\nvisual =~ x9", thirds, ordered=ITEMS)
    assert best.mi == pytest.approx(delta.measures["chisq"] - freed.measures["chisq"], rel=0.02)


def test_score_tests_of_equal_parameters(thirds):
    held = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school", group_equal=["loadings", "thresholds"])
    free = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school")
    total = held.score_test().iloc[-1]
    assert total.df == 24
    assert total.chisq == pytest.approx(held.measures["chisq"] - free.measures["chisq"], rel=0.2)


def test_differences_of_nested_fits_by_satorra(thirds):
    """Satorra (2000) by plain matrices: with the restrictions that both fits' derivatives imply, as lavaan's
    A.method = "delta", in all digits; with equal loadings in two groups written down, nearly so."""
    free = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school")
    tied = dm.cfa(FACTORS, thirds, ordered=ITEMS, group="school", group_equal=["loadings"])
    found = free.scaled_difference(tied)
    at, form = free.solution.at, free.solution.form
    parts = list(zip(form.shares, form.parts, at.slopes, strict=True))
    inverse = np.linalg.inv(sum(f * j.T @ q.weights.times(j) for f, q, j in parts))
    meat = sum(f * q.weights.times(j).T @ q.gamma @ q.weights.times(j) for f, q, j in parts)

    def test_statistic(a):
        product = inverse @ a.T @ np.linalg.inv(a @ inverse @ a.T) @ a @ inverse @ meat
        scale = np.sqrt(6 / np.trace(product @ product))
        gain = tied.measures["chisq"] - free.measures["chisq"]
        return scale * gain + 6 - scale * np.trace(product)

    one, other = (np.concatenate(f.solution.at.slopes) for f in (free, tied))
    implied = null_space(np.linalg.lstsq(one, other)[0].T).T
    assert len(implied) == 6
    assert found["chisq_diff"] == pytest.approx(test_statistic(implied), rel=1e-6)
    names = [c.node for c in form.coordinates for _ in range(c.length)]
    loadings = [i for i, n in enumerate(names) if "=~" in n]
    written = np.zeros((6, at.x.size))
    for k, i in enumerate(loadings[::2]):
        written[k, i], written[k, i + 1] = 1.0, -1.0
    assert found["chisq_diff"] == pytest.approx(test_statistic(written), rel=0.05)
    assert dm.anova(free, tied)["Chisq diff"].iloc[1] == pytest.approx(found["chisq_diff"])


def test_scores_are_modes_of_the_latent_variables(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    scores, errors = fit.predict_factors(se=True)
    table = fit.estimates
    names = ["visual", "textual", "speed"]
    loading, psi = np.zeros((9, 3)), np.zeros((3, 3))
    for r in table[table.op == "=~"].itertuples():
        loading[ITEMS.index(r.rhs), names.index(r.lhs)] = r.estimate
    for r in table[(table.op == "~~") & table.lhs.isin(names)].itertuples():
        i, j = names.index(r.lhs), names.index(r.rhs)
        psi[i, j] = psi[j, i] = r.estimate
    ends = np.array([[-np.inf, *table[(table.op == "|") & (table.lhs == v)].estimate, np.inf] for v in ITEMS])
    sd = np.sqrt([table[(table.op == "~~") & (table.lhs == v)].estimate.iloc[0] for v in ITEMS])

    def density(eta, row):
        upper, lower = (ends[np.arange(9), row - k] - loading @ eta for k in (0, 1))
        return np.log(norm.cdf(upper / sd) - norm.cdf(lower / sd)).sum() - 0.5 * eta @ np.linalg.solve(
            psi, eta
        )

    h = 1e-4
    for i in (0, 5, 77, 200):
        row, eta = thirds.loc[i, ITEMS].to_numpy().astype(int), scores.loc[i].to_numpy()
        slope = [(density(eta + e, row) - density(eta - e, row)) / (2 * h) for e in h * np.eye(3)]
        np.testing.assert_allclose(slope, 0.0, atol=1e-5)
        steps = h * np.eye(3)
        bend = [[(density(eta + e + d, row) - density(eta + e - d, row) - density(eta - e + d, row)
                  + density(eta - e - d, row)) / (4 * h * h) for d in steps] for e in steps]  # fmt: skip
        np.testing.assert_allclose(errors.loc[i], np.sqrt(np.diag(np.linalg.inv(-np.array(bend)))), rtol=1e-4)
    np.testing.assert_allclose(fit.latents.estimate[:301], scores.visual, atol=1e-12)


def test_new_rows_keep_the_categories_of_those_fitted(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    scores = fit.predict_factors()
    two = thirds.iloc[[4, 9]]
    np.testing.assert_allclose(fit.predict_factors(two), scores.iloc[[4, 9]], atol=1e-12)
    gap = fit.predict_factors(two.assign(x1=[np.nan, 2.0]))
    assert gap.iloc[0, 0] != pytest.approx(scores.iloc[4, 0])
    with pytest.raises(ModelErrors) as caught:
        fit.predict_factors(two.assign(x1=7))
    assert "category '7', which was not fitted" in str(caught.value.exceptions[0])
