"""Refits and bootstraps of least-squares fits against whole fits of the rows that were drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

import dagmodels as dm
from dagmodels.errors import FitError, ModelErrors
from dagmodels.forms.moment_samples import drawn_values
from dagmodels.forms.square_samples import drawing, turned

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
TWO = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6"
TIED = "visual =~ x1 + a*x2 + b*x3\na + b == 1.2\ntextual =~ x4 + x5 + x6"
PATH = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nvisual + textual ~ x9"
ITEMS = [f"x{i}" for i in range(1, 10)]


CASES = {
    "ordered, groups": (FACTORS, ITEMS, {"ordered": ITEMS, "group": "school", "group_equal": ["loadings"]}),
    "ordered, theta, ULS": (TWO, ITEMS, {"ordered": True, "estimator": "ULSMV", "parameterization": "theta"}),
    "numbers beside, a covariate": (PATH, ITEMS[:3], {"ordered": ITEMS[:3]}),
    "GLS": (FACTORS, [], {"estimator": "GLS"}),
    "WLS with covariate": (PATH, [], {"estimator": "WLS"}),
    "WLSMV of numbers, groups": (FACTORS, [], {"estimator": "WLSMV", "group": "school"}),
    "constraint": (TIED, [], {"estimator": "GLS"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_draw_is_the_fit_of_its_rows(pupils, thirds, case):
    text, cut, options = CASES[case]
    frame = pupils.assign(**thirds[cut])
    fit = dm.sem(text, frame, **options)
    found = fit.bootstrap(2, seed=5)
    assert not found.failures
    rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1,)))
    parts = [frame] if "group" not in options else [g for _, g in frame.groupby("school", sort=False)]
    whole = dm.sem(text, pd.concat([g.iloc[rng.integers(0, len(g), len(g))] for g in parts]), **options)
    np.testing.assert_allclose(found.draws[1], whole.estimates.estimate, rtol=1e-5, atol=1e-6)
    assert found.chisq[1] == pytest.approx(whole.measures["chisq"], rel=1e-6)
    names = [n for n, v in whole.measures.items() if np.isfinite(v)]
    measured = fit.bootstrap(2, seed=5, statistic=lambda f: {n: f.measures[n] for n in names})
    np.testing.assert_allclose(measured.draws[1], [whole.measures[n] for n in names], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["ordered, theta, ULS", "numbers beside, a covariate", "GLS"])
def test_simulated_responses_are_refitted(pupils, thirds, case):
    text, cut, options = CASES[case]
    frame = pupils.assign(**thirds[cut])
    fit = dm.sem(text, frame, **options)
    refitter = fit.refitter()
    (y,) = refitter.simulate([np.random.SeedSequence(3)])
    again = refitter.refit(y)
    whole = dm.sem(text, frame.assign(**{k: v for k, v in y.items() if k in frame}), **options)
    assert again.converged
    np.testing.assert_allclose(again.estimates, whole.estimates.estimate, rtol=1e-5, atol=1e-6)
    cut = [v for v in cut if v in y]
    fitted = fit.refit(y)
    np.testing.assert_allclose(fitted.estimates.se, whole.estimates.se, rtol=1e-4, atol=1e-6)
    assert fitted.measures["chisq"] == pytest.approx(whole.measures["chisq"], rel=1e-6)
    assert [set(np.unique(y[v])) for v in cut] == [{0.0, 1.0, 2.0}] * len(cut)


def test_ordered_variables_are_drawn_from_the_model(thirds):
    """Shares of 200 x 301 drawn rows within 5 standard errors, 27 + 9 numbers (false alarm below 1e-4):
    categories, and both of two variables in the lowest."""
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS, parameterization="theta")
    rng = np.random.default_rng(2)
    y = np.concatenate([drawn_values(fit.solution, rng) for _ in range(200)])
    table = fit.estimates
    ends = np.array([table[(table.op == "|") & (table.lhs == v)].estimate for v in ITEMS])
    scale = table[table.op == "~*~"].set_index("lhs").estimate[ITEMS].to_numpy()
    form = fit.solution.form
    assert [form.variables[v][0] for v in form.structure.observed.tolist()] == ITEMS
    ends = ends * scale[:, None]
    for v in range(9):
        want = np.diff(norm.cdf([-np.inf, *ends[v], np.inf]))
        share = np.bincount(y[:, v].astype(int)) / len(y)
        assert (np.abs(share - want) < 5 * np.sqrt(want * (1 - want) / len(y))).all()
    r = fit.fitted()["cov"].to_numpy()
    for v in range(8):
        pair = np.ix_([v, v + 1], [v, v + 1])
        want = multivariate_normal(np.zeros(2), r[pair]).cdf(ends[[v, v + 1], 0])
        share = float((y[:, [v, v + 1]] == 0).all(axis=1).mean())
        assert abs(share - want) < 5 * np.sqrt(want * (1 - want) / len(y))


def test_covariances_are_drawn_from_the_model_without_rows(pupils):
    """Means of 2,000 drawn covariance matrices within 5 standard errors (false alarm below 1e-4)."""
    fit = dm.cfa(FACTORS, sample_cov=pupils[ITEMS].cov(), sample_nobs=301, estimator="GLS")
    draw, rng = drawing(fit.solution, "parametric"), np.random.default_rng(1)
    covs = np.stack([draw(rng).sample.cov[0] for _ in range(2000)])
    o = fit.solution.form.structure.observed
    sigma = fit.solution.at.moments.covariance[0][np.ix_(o, o)]
    error = np.sqrt((np.outer(np.diag(sigma), np.diag(sigma)) + sigma**2) / 300 / 2000)
    assert (np.abs(covs.mean(axis=0) - sigma) < 5 * error).all()
    assert (np.abs(covs.std(axis=0) / error / np.sqrt(2000) - 1) < 5 / np.sqrt(2 * 2000) * 2).all()


@pytest.mark.parametrize("case", ["GLS", "WLSMV of numbers, groups"])
def test_turned_rows_obey_the_model(pupils, case):
    """The model fits them exactly, by the same estimates; p values of a bad model are small."""
    text, _, options = CASES[case]
    fit = dm.sem(text, pupils, **options)
    form = fit.solution.form
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    frame = pd.DataFrame(turned(fit.solution), columns=names)
    frame["school"] = pupils["school"].to_numpy()
    again = dm.sem(text, frame, **options)
    assert again.measures["chisq"] == pytest.approx(0.0, abs=1e-8)
    np.testing.assert_allclose(again.estimates.estimate, fit.estimates.estimate, atol=1e-6)
    assert fit.bootstrap(40, kind="bollen.stine").pvalue < 0.2


def test_an_empty_category_is_a_failed_draw(thirds):
    frame = thirds.assign(x1=np.where(np.arange(len(thirds)) < 2, 4, thirds.x1))
    found = dm.cfa(FACTORS, frame, ordered=ITEMS).bootstrap(60, seed=1)
    none = [told for _, told in found.failures if "no row has category" in told and "'x1'" in told]
    assert 0 < len(none) < 30  # exp(-2) of the draws
    assert np.isnan(found.draws[found.failures[0][0]]).all()
    assert "refits failed" in found.report()


@pytest.mark.parametrize("value", [7.0, -1.0, 0.5])
def test_responses_that_are_no_categories(thirds, value):
    refitter = dm.cfa(TWO, thirds, ordered=True).refitter()
    y = {v: thirds[v].to_numpy() - 1.0 for v in ITEMS[:6]}
    y["x2"][3] = value
    with pytest.raises(ModelErrors) as caught:
        refitter.refit(y)
    assert f"'x2' has the value {value:g}, which is no category" in str(caught.value)


def test_errors_by_bootstrap(thirds):
    fit = dm.cfa(FACTORS, thirds, ordered=ITEMS, se="bootstrap", bootstrap=40)
    plain = dm.cfa(FACTORS, thirds, ordered=ITEMS)
    np.testing.assert_allclose(fit.estimates.se, fit.resampled.se * (plain.estimates.se > 0), atol=1e-12)
    np.testing.assert_allclose(fit.estimates.estimate, plain.estimates.estimate, atol=1e-12)


@pytest.mark.long
def test_bootstrap_errors_of_many_rows_are_the_robust_ones():
    """n = 3,000, 1,000 draws: a standard deviation has the relative error 1/sqrt(2000) = 2.2 %; within 5 of
    these and 3 % for what is left of asymptotics (false alarm below 1e-5)."""
    rng = np.random.default_rng(7)
    f = rng.standard_normal(3000)
    y = 0.7 * f[:, None] + 0.7 * rng.standard_normal((3000, 4))
    frame = pd.DataFrame({f"y{i}": np.digitize(y[:, i], [-0.5, 0.8]) for i in range(4)})
    fit = dm.cfa("f =~ y0 + y1 + y2 + y3", frame, ordered=True)
    found = fit.bootstrap(1000, seed=2)
    free = (fit.estimates.what == "maximised").to_numpy()
    np.testing.assert_allclose(found.se[free] / fit.estimates.se[free], 1.0, atol=5 / np.sqrt(2000) + 0.03)


def test_what_needs_a_likelihood_is_refused(pupils, thirds):
    ordered, gls = dm.cfa(FACTORS, thirds, ordered=ITEMS), dm.cfa(FACTORS, pupils, estimator="GLS")
    with pytest.raises(ModelErrors) as caught:
        ordered.bootstrap(4, kind="bollen.stine")
    assert "kind='parametric' draws from the model" in str(caught.value.exceptions[0])
    with pytest.raises(FitError, match="kind='bc' corrects the bias alone"):
        gls.bootstrap(10).intervals("bca")
    for fit in (ordered, gls):
        with pytest.raises(FitError, match="no likelihood; method='wald' or 'boot'"):
            fit.confint("profile")
        with pytest.raises(FitError, match="a fit by least squares has none"):
            fit.leverage()
