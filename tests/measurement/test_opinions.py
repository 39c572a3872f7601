"""Classical estimators: identities with maximum likelihood, published numbers, scores without bias."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

import dagmodels as dm
from dagmodels.measurement import scores
from dagmodels.measurement.regression import regress, robust_covariance
from dagmodels.measurement.row_design import RowDesign
from dagmodels.measurement.simex import extrapolate
from tests.measurement.references import answers
from tests.measurement.spec_data import SPECS, load
from tests.measurement.test_designs import FRAMINGHAM, framingham


@functools.cache
def opinions(name: str, reading: str = ""):
    fit = dm.read(SPECS / f"{name}.dag").fit(load(name))
    return fit.second_opinions({"x": reading} if reading else None)


def errors(found, estimator: str) -> dict[str, float]:
    own = next(o for o in found.opinions if o.estimator == estimator)
    return dict(zip(own.names, own.se, strict=True))


@pytest.mark.parametrize("name", ["known_variance", "known_reliability", "several", "instrument"])
def test_moments_are_the_likelihoods_where_the_model_is_saturated(name: str):
    found = opinions(name)
    own = {o.outcome: o for o in found.opinions if o.estimator == "this model"}
    for o in found.opinions:
        if o.estimator == "moments":
            assert o.estimate == pytest.approx(own[o.outcome].estimate, abs=2e-6)


def test_fullers_corn_yields():
    """Fuller (1987), example 1.2.1: yield on soil nitrogen, error variance 57; slope 0.4232, intercept 67.56.

    He divides by n - 1 throughout; the normal equations here count an error variance for each of n rows.
    """
    y = [86, 115, 90, 86, 110, 91, 99, 96, 99, 104, 96]
    n = [70, 97, 53, 64, 95, 64, 50, 70, 94, 69, 51]
    text = (SPECS / "known_variance.dag").read_text().replace("0.8)", f"{np.sqrt(57 * 10 / 11)})")
    found = dm.read(text).fit({"w": n, "y": y}).second_opinions()["moments"]
    assert found["b"] == pytest.approx(0.4232, abs=5e-5)
    assert found["a"] == pytest.approx(67.56, abs=5e-3)


def moment_slopes(w, y, error, z=None) -> np.ndarray:
    """b solves (X'X - sum of error variances) b = X'y; columns 1, w, z."""
    columns = [np.ones(len(w)), w] + ([] if z is None else [z])
    x = np.stack(columns, axis=1)
    m = x.T @ x
    m[1, 1] -= np.sum(error)
    return np.linalg.solve(m, x.T @ y)


def test_standard_errors_of_moments_are_those_of_the_jackknife():
    """Delete-one jackknife of formulas by hand, everything estimated anew; they agree to order 1/n."""
    d = load("known_variance")
    left = [np.delete(d.to_numpy(), i, axis=0) for i in range(len(d))]
    each = np.array([moment_slopes(r[:, 0], r[:, 1], np.full(len(r), 0.64)) for r in left])
    jack = np.sqrt((len(d) - 1) * each.var(axis=0))
    assert [*errors(opinions("known_variance"), "moments").values()] == pytest.approx(jack, rel=0.03)
    d = load("replicates")
    by = d["reading"].groupby("subject").w
    w, k, ss = by.mean().to_numpy(), by.size().to_numpy(), by.apply(lambda v: ((v - v.mean()) ** 2).sum())
    one, ss, n = d["subject"], ss.to_numpy(), len(w)
    each = []
    for i in range(n):
        keep = np.arange(n) != i
        e2 = ss[keep].sum() / (k[keep] - 1).sum()
        each.append(moment_slopes(w[keep], one.y[keep], e2 / k[keep], one.z[keep]))
    found = opinions("replicates")
    assert found.told == {"x": "within replicates"}
    jack = np.sqrt((n - 1) * np.array(each).var(axis=0))
    se = errors(found, "moments")
    assert [se["a"], se["b"], se["c"]] == pytest.approx(jack, rel=0.03)
    e2 = ss.sum() / (k - 1).sum()
    at = found["moments"]
    assert [at["a"], at["b"], at["c"]] == pytest.approx(moment_slopes(w, one.y, e2 / k, one.z), rel=1e-9)


def test_a_known_reliability_is_no_known_variance():
    d = load("known_reliability")
    left = [np.delete(d.to_numpy(), i, axis=0) for i in range(len(d))]
    each = np.array([moment_slopes(r[:, 0], r[:, 1], np.full(len(r), 0.3 * r[:, 0].var())) for r in left])
    found = opinions("known_reliability")
    assert found.told == {"x": "by its reliability"}
    jack = np.sqrt((len(d) - 1) * each.var(axis=0))
    assert [*errors(found, "moments").values()] == pytest.approx(jack, rel=0.03)


def test_correlated_errors_are_taken_from_both_sides():
    d = load("correlated_errors")
    x = np.stack([np.ones(len(d)), d.wx], axis=1)
    m, right = x.T @ x, x.T @ d.wy.to_numpy()
    m[1, 1] -= d.v_x.sum()
    right[1] -= d.c_xy.sum()
    found = opinions("correlated_errors")
    assert [*found["moments"].values()] == pytest.approx(np.linalg.solve(m, right), rel=1e-9)
    assert "correlated" in found.refusals["regression calibration of 'wy'"]


def test_regression_calibration_of_framingham():
    """The reference's calibrated coefficients, error variance from the replicates."""
    known = answers("framingham_like")["regression_calibration"]["coef"]
    found = dm.read(FRAMINGHAM).fit(framingham()).second_opinions(draws=20, replicates=5)
    at = found["regression calibration"]
    assert [at["b0"], at["b_x"], at["b_z"]] == pytest.approx(known, rel=2e-3)
    naive = answers("framingham_like")["naive_mean_of_2"]["coef"]
    assert [found["naive"][k] for k in ("b0", "b_x", "b_z")] == pytest.approx(naive, rel=1e-8)


def test_linear_regression_calibration_is_moments():
    """With one error variance and no other column the two differ by the divisor n - 1 alone."""
    found, n = opinions("known_variance"), 400
    w = load("known_variance").w
    ratio = (1 - 0.64 / w.var(ddof=0)) / (1 - 0.64 / w.var(ddof=1))
    assert found["regression calibration"]["b"] / found["moments"]["b"] == pytest.approx(ratio, rel=1e-6)
    assert n == len(w)


def one_row(family: str, y: np.ndarray, w: np.ndarray, error: float) -> RowDesign:
    n = y.size
    none = np.zeros((n, 1))
    return RowDesign(
        "y", family, ("a", "b"), y, ("x",), w[:, None], np.full((n, 1, 1), error), ("known",),
        lambda x: np.stack([np.ones(n), x[:, 0]], axis=1), np.zeros(n), (None,), none + 1, (1,), (False,),
        none,
    )  # fmt: skip


@pytest.mark.parametrize("x", [-0.7, 0.4, 1.3])
@pytest.mark.parametrize(
    ("family", "score"),
    [("Bernoulli", "conditional"), ("Poisson", "conditional"), ("Poisson", "corrected")],
)
def test_scores_have_expectation_zero_at_any_true_value(family: str, score: str, x: float):
    """Summed over outcomes and integrated over the reading's error, exactly: no law of x enters."""
    beta, error = np.array([0.3, 0.8]), 0.5
    nodes, weights = hermegauss(60)
    weights = weights / np.sqrt(2 * np.pi)
    outcomes = np.arange(2.0) if family == "Bernoulli" else np.arange(60.0)
    eta = beta[0] + beta[1] * x
    if family == "Bernoulli":
        chance = np.array([1, np.exp(eta)]) / (1 + np.exp(eta))
    else:
        from scipy.stats import poisson

        chance = poisson.pmf(outcomes, np.exp(eta))
    y, z = (v.reshape(-1) for v in np.meshgrid(outcomes, nodes, indexing="ij"))
    weight = np.outer(chance, weights).reshape(-1)
    design = one_row(family, y, x + np.sqrt(error) * z, error)
    each = getattr(scores, score)(design, beta, design.error)
    size = np.abs(weight[:, None] * each).sum(axis=0)
    assert np.abs(weight @ each) == pytest.approx(0.0, abs=1e-9 * size.max())


def test_the_corrected_score_is_the_score_of_the_truth_on_average():
    """Nakamura's condition (1990, equation 1) for each outcome apart."""
    beta, x, error = np.array([0.3, 0.8]), 0.4, 0.5
    nodes, weights = hermegauss(60)
    for count in (0.0, 3.0):
        design = one_row("Poisson", np.full(60, count), x + np.sqrt(error) * nodes, error)
        mean = weights @ scores.corrected(design, beta, design.error) / np.sqrt(2 * np.pi)
        assert mean == pytest.approx((count - np.exp(0.3 + 0.8 * x)) * np.array([1, x]), rel=1e-10)


@pytest.mark.parametrize(
    ("extrapolant", "curve"),
    [
        ("linear", lambda t: 1.2 - 0.3 * t),
        ("quadratic", lambda t: 1.2 - 0.3 * t + 0.05 * t**2),
        ("rational", lambda t: 0.2 + 1.7 / (2.3 + t)),
    ],
)
def test_extrapolants_find_their_own_curves(extrapolant: str, curve):
    added = np.array([0, 0.5, 1, 1.5, 2])
    assert extrapolate(added, curve(added), extrapolant) == pytest.approx(curve(-1.0), rel=1e-6)


def test_a_trend_that_runs_into_its_pole_has_no_value():
    added = np.array([0, 0.5, 1, 1.5, 2])
    assert np.isnan(extrapolate(added, 1.0 / (1.01 + added), "rational"))


def test_simex_of_a_line_is_moments():
    """The trend of a slope is S_wy/(S_ww + t sigma^2), rational: averaging leaves Monte Carlo error alone.

    A mean of 2000 slopes has a standard error of 0.015/sqrt(2000); extrapolation multiplies it by some three.
    """
    fit = dm.read(SPECS / "known_variance.dag").fit(load("known_variance"))
    found = fit.second_opinions(draws=2, replicates=2000)
    assert found["SIMEX, rational"]["b"] == pytest.approx(found["moments"]["b"], abs=4e-3)
    order = [found[f"SIMEX, {e}"]["b"] for e in ("linear", "quadratic", "rational")]
    assert found["naive"]["b"] < order[0] < order[1] < order[2]


def test_binary_and_count_outcomes_agree_with_the_likelihood():
    """Estimators of one coefficient from one data set: differences are far below a standard error."""
    counts = ("conditional score", "corrected score")
    for name, scores_ in (("logistic", counts[:1]), ("poisson", counts)):
        found = opinions(name)
        own = found["this model"]
        for estimator in (*scores_, "regression calibration", "SIMEX, rational"):
            se = errors(found, estimator)
            assert all(abs(found[estimator][k] - own[k]) < se[k] for k in own), (name, estimator)
        assert 0.8 < errors(found, "conditional score")["b"] / errors(found, "this model")["b"] < 1.25


def test_states_by_mc_simex():
    found = opinions("misclassified", "w")
    assert (
        abs(found["MC-SIMEX, quadratic"]["b"] - found["this model"]["b"]) < errors(found, "this model")["b"]
    )
    assert found["naive"]["b"] < found["MC-SIMEX, linear"]["b"] < found["MC-SIMEX, quadratic"]["b"]


def test_biased_readings_are_calibrated():
    found, d = opinions("internal_validation", "w"), load("internal_validation")
    fit = dm.read(SPECS / "internal_validation.dag").fit(d)
    w = (d.w - fit["c0"]) / fit["c1"]
    at = moment_slopes(w, d.y, np.full(len(d), (fit["e"] / fit["c1"]) ** 2))
    assert [*found["moments"].values()] == pytest.approx(at, rel=1e-9)
    assert "calibrated" in found.told["x"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mixed", "rows of 'y' are not independent: 'u' is latent"),
        ("survival", "share one true value"),
        ("berkson", "Berkson's"),
    ],
)
def test_what_they_are_not_for_is_told(name: str, words: str):
    found = opinions(name)
    assert words in next(iter(found.refusals.values()))
    assert words in str(found)


def test_squares_and_interactions():
    found = opinions("square")
    assert "other than linearly" in found.refusals["regression calibration of 'y'"]
    assert abs(found["SIMEX, rational"]["b2"] - found["this model"]["b2"]) < 0.05
    found = opinions("interaction")
    assert abs(found["regression calibration"]["bz"] - found["this model"]["bz"]) < 0.05


def test_numbers_hang_on_the_seed_alone():
    fit = dm.read(SPECS / "poisson.dag").fit(load("poisson"))
    one, two, other = (fit.second_opinions(draws=5, replicates=3, seed=s).table for s in (1, 1, 2))
    assert one.equals(two)
    assert not one.equals(other)
    again = dm.second_opinions(dm.read(SPECS / "poisson.dag"), load("poisson"), draws=5, replicates=3)
    assert again.table.equals(one)


def test_weighted_regressions_are_those_of_repeated_rows():
    rng = np.random.default_rng(1)
    x = np.stack([np.ones(80), rng.normal(size=80)], axis=1)
    y = rng.poisson(np.exp(x @ [0.2, 0.5])).astype(float)
    weight = rng.integers(0, 3, 80).astype(float)
    rows = np.repeat(np.arange(80), weight.astype(int))
    for family, outcome in (("Poisson", y), ("Bernoulli", (y > 1).astype(float)), ("Normal", y)):
        one = regress(family, x, outcome, np.zeros(80), weight)
        two = regress(family, x[rows], outcome[rows], np.zeros(rows.size))
        assert one == pytest.approx(two, rel=1e-7)
        assert robust_covariance(family, x, outcome, np.zeros(80), one).shape == (2, 2)


def test_separation_and_collinear_columns_are_refused():
    x = np.stack([np.ones(20), np.arange(20.0)], axis=1)
    with pytest.raises(dm.FitError, match="separated"):
        regress("Bernoulli", x, (np.arange(20) > 9).astype(float), np.zeros(20))
    with pytest.raises(dm.FitError, match="collinear"):
        regress("Normal", x[:, [0, 1, 1]], np.arange(20.0), np.zeros(20))
