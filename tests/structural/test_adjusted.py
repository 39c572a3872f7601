"""Mean- and variance-adjusted tests: their arithmetic, and their traces against full matrices."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.stats import chi2

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms.casewise import Centred
from dagmodels.results.sem.adjusted import ADJUSTED, adjusted
from dagmodels.results.sem.second_trace import by_moments, by_rows, second_trace
from tests.structural.test_robust import FACTORS, MODELS, Brute, model

# -- arithmetic


@pytest.mark.parametrize("test", ["satorra.bentler", *ADJUSTED])
def test_moments_of_the_turned_statistic(test):
    """A sum of weights times chi-squares has mean tr and variance 2 tr2; turned, those of its chi-square."""
    weights = np.array([0.4, 0.9, 1.0, 2.5, 3.1])
    trace1, trace2, df = weights.sum(), (weights**2).sum(), weights.size
    found = adjusted(test, 10.0, df, trace1, trace2)
    mean = trace1 / found.factor + found.shift
    assert mean == pytest.approx(found.df)
    if test != "satorra.bentler":
        assert 2 * trace2 / found.factor**2 == pytest.approx(2 * found.df)
    assert found.pvalue == pytest.approx(chi2.sf(10.0 / found.factor + found.shift, found.df))


# lavaan's printed summaries (test statistic, df, scaled one, scaling factor, shift) in public outputs of
# versions 0.6-6 and 0.6-12; three decimals each
PRINTED = [(96.786, 34, 143.399, 0.723, 9.585), (284.153, 119, 256.012, 1.242, 27.140)]


@pytest.mark.parametrize(("chisq", "df", "scaled", "factor", "shift"), PRINTED)
def test_factor_and_shift_as_lavaan_prints_them(chisq, df, scaled, factor, shift):
    """Traces put back from the printed factor and shift give the printed statistic, to its rounding."""
    trace2 = df * factor**2
    found = adjusted("scaled.shifted", chisq, df, factor * (df - shift), trace2)
    assert (found.factor, found.shift, found.df) == pytest.approx((factor, shift, df))
    assert found.chisq == pytest.approx(scaled, abs=5e-4 * (chisq / factor**2 + 2))


def test_equal_weights_of_one_change_nothing():
    for test in ("satorra.bentler", *ADJUSTED):
        found = adjusted(test, 7.0, 4, 4.0, 4.0)
        assert (found.chisq, found.df, found.factor, found.shift) == pytest.approx((7.0, 4.0, 1.0, 0.0))


def test_what_is_unknown_is_nan():
    assert math.isnan(adjusted("scaled.shifted", 3.0, 0, 0.0, 0.0).chisq)
    assert math.isnan(adjusted("mean.var.adjusted", 3.0, 2, 2.0, math.nan).pvalue)
    with pytest.raises(ValueError, match="no adjusted test"):
        adjusted("scaled", 3.0, 2, 2.0, 2.0)


# -- traces and fits


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


def full_traces(b, delta=None, sigmas=None):
    """tr(U Gamma) and tr(U Gamma U Gamma), every matrix written out over all groups together."""
    delta = b.delta if delta is None else delta
    sigmas = [b.implied(g)[1] for g in range(len(b.rows))] if sigmas is None else sigmas
    share = [len(y) / b.n for y in b.rows]
    v = block_diag(*(f * b.weights(s) for f, s in zip(share, sigmas, strict=True)))
    moments = [b.case_moments(y) for y in b.rows]
    gamma = block_diag(*(z.T @ z / len(z) / f for z, f in zip(moments, share, strict=True)))
    d = np.concatenate(delta)
    u = v - v @ d @ np.linalg.solve(d.T @ v @ d, d.T @ v)
    ug = u @ gamma
    return np.trace(ug), np.trace(ug @ ug)


@pytest.mark.parametrize("name", MODELS)
def test_both_traces_with_full_matrices(name, pupils):
    fit = model(name, pupils, estimator="MLMV")
    b = Brute(fit)
    one, two = full_traces(b)
    assert fit.scaled.factor * fit.comparison.df == pytest.approx(one, rel=1e-6)
    assert fit.scaled.second == pytest.approx(two, rel=1e-6)
    one, two = full_traces(b, *b.alone())
    assert fit.scaled.baseline * fit.comparison.baseline_df == pytest.approx(one, rel=1e-8)
    assert fit.scaled.baseline_second == pytest.approx(two, rel=1e-8)


@pytest.mark.parametrize("covariates", [False, True])
@pytest.mark.parametrize("means", [False, True])
def test_both_routes_to_the_second_trace_agree(means, covariates):
    """By inner products of rows and by products of moments; the blocks of rows leave no seam."""
    rng = np.random.default_rng(7)
    n, p, k = 60, 5, 4
    values = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + rng.exponential(size=(n, 1))
    given = np.arange(p) < (2 if covariates else 0)
    part = Centred.of(values, given)
    root = np.linalg.cholesky(np.linalg.inv(part.d.T @ part.d / n))
    d, h = part.d @ root, None if part.h is None else part.h @ root
    r = rng.normal(size=(n, k))
    one, inner = by_rows(d, h, r, means=means)
    two, other = by_moments(d, h, r, means=means)
    assert one == pytest.approx(two, rel=1e-10)
    np.testing.assert_allclose(inner, other, rtol=1e-9, atol=1e-12)


def test_blocks_of_rows_leave_no_seam(monkeypatch, pupils):
    fit = model("covariates", pupils, estimator="MLMV")
    monkeypatch.setattr("dagmodels.results.sem.second_trace.NUMBERS", 1000)
    assert fit.scaled.second == pytest.approx(second_trace(fit.solution), rel=1e-12)


def test_more_moments_than_rows(pupils):
    """50 rows against 54 moments: the route by rows gives what full matrices give."""
    few = pupils.iloc[:50]
    fit = dm.cfa("f =~ x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9", few, estimator="MLMVS")
    assert fit.scaled.second == pytest.approx(full_traces(Brute(fit))[1], rel=1e-6)


def test_estimators_are_lavaans_words(pupils):
    """Same estimates and errors as MLM; T a + b, and Satterthwaite's df; measures as lavaan combines them."""
    mlm, mlmv, mlmvs = (dm.cfa(FACTORS, pupils, estimator=e) for e in ("MLM", "MLMV", "MLMVS"))
    for fit in (mlmv, mlmvs):
        np.testing.assert_allclose(fit.estimates["se"], mlm.estimates["se"], rtol=1e-10)
    m, df, x = mlmv.measures, 24, mlm.measures["chisq"]
    one, two = full_traces(Brute(mlmv))
    a = math.sqrt(df / two)
    assert m["chisq_scaled"] == pytest.approx(a * x + df - a * one, rel=1e-6)
    assert m["df_scaled"] == df
    assert m["chisq_scaling_factor"] == pytest.approx(1 / a, rel=1e-6)
    n = m["ntotal"]
    assert m["rmsea_scaled"] == pytest.approx(math.sqrt((m["chisq_scaled"] - df) / (n * df)))
    for name in ("rmsea_robust", "cfi_robust", "tli_robust", "nnfi_robust", "rni_robust"):
        assert m[name] == pytest.approx(mlm.measures[name], rel=1e-9), name  # Savalei 2018
    assert m["rmsea_ci_upper_robust"] == pytest.approx(m["rmsea_ci_upper_scaled"] / math.sqrt(a), rel=1e-6)
    m = mlmvs.measures
    assert m["df_scaled"] == pytest.approx(one**2 / two, rel=1e-6)
    assert m["chisq_scaled"] == pytest.approx(x * one / two, rel=1e-6)
    assert m["pvalue_scaled"] == pytest.approx(chi2.sf(x * one / two, one**2 / two), rel=1e-4)
    assert m["rmsea_scaled"] == pytest.approx(mlm.measures["rmsea_scaled"], rel=1e-9)
    assert not [k for k in m if k.endswith("_robust")]
    base = full_traces(Brute(mlmvs), *Brute(mlmvs).alone())
    gain = m["baseline_chisq_scaled"] - base[0] ** 2 / base[1]
    want = 1 - (m["chisq_scaled"] - m["df_scaled"]) / gain
    assert m["cfi_scaled"] == pytest.approx(want, rel=1e-6)


def test_shifted_statistics_have_the_moments_of_their_chi_square():
    """Exponential rows, 300 data sets under the model: mean df, variance 2 df within 4 standard errors.

    n = 2000, where the fourth moments are near their limits; false alarms about 1 in 8000 by the normal
    law of the mean and twice that of the variance.
    """
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        f = rng.exponential(size=(2000, 1)) - 1
        y = 0.8 * f + 0.6 * (rng.exponential(size=(2000, 5)) - 1)
        frame = pd.DataFrame(y, columns=list("abcde"))
        found.append(dm.cfa("f =~ a + b + c + d + e", frame, estimator="MLMV").measures["chisq_scaled"])
    x, df = np.array(found), 5
    assert abs(x.mean() - df) < 4 * x.std() / math.sqrt(x.size)
    square = (x - df) ** 2
    assert abs(square.mean() - 2 * df) < 4 * square.std() / math.sqrt(x.size)


def test_the_summary_names_factor_and_shift(pupils):
    fit = dm.cfa(FACTORS, pupils, estimator="MLMV")
    rows = [" ".join(line.split()) for line in str(fit.summary()).splitlines()]
    shift = fit.measures["chisq_scaled"] - fit.measures["chisq"] / fit.measures["chisq_scaling_factor"]
    assert f"Shift parameter {shift:.3f}" in rows
    assert "simple second-order correction" in rows
    fit = dm.cfa(FACTORS, pupils, estimator="MLMVS")
    rows = [" ".join(line.split()) for line in str(fit.summary()).splitlines()]
    assert f"Degrees of freedom 24 {fit.measures['df_scaled']:.3f}" in rows


def test_differences_of_adjusted_tests_are_refused_with_the_way_out(pupils):
    free = dm.cfa(FACTORS, pupils, group="school", estimator="MLMV")
    tied = dm.cfa(FACTORS, pupils, group="school", group_equal=["loadings"], estimator="MLMV")
    with pytest.raises(FitError, match="estimator='MLM'"):
        free.scaled_difference(tied)
    with pytest.raises(FitError, match="do not subtract"):
        dm.anova(free, tied)


@pytest.mark.parametrize("more", [{"missing": "fiml"}, {"cluster": "school"}])
def test_they_need_complete_rows_without_clusters(more, pupils):
    with pytest.raises(ModelErrors):
        dm.cfa(FACTORS, pupils, estimator="MLMV", **more)


def test_a_saturated_model_has_no_test(pupils):
    fit = dm.sem("x1 ~~ x2 + x3\nx2 ~~ x3", pupils, estimator="MLMV")
    assert math.isnan(fit.measures["chisq_scaled"])
