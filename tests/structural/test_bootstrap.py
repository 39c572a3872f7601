"""Refits and bootstraps from sufficient statistics against whole fits of the rows themselves."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.forms.casewise import scores
from dagmodels.forms.moment_samples import rows_of, saturated, simulated
from dagmodels.results.sem.bootstrap import _sampler

FACTORS = "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
MEDIATION = "x3 ~ b*x2 + x1\nx2 ~ a*x1\nindirect := a*b\nratio := a/b"


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv("examples/abilities.csv")


@pytest.fixture(scope="module")
def mediation(pupils):
    return dm.sem(MEDIATION, pupils)


def _gaps(pupils):
    rng = np.random.default_rng(5)
    names = [f"x{i}" for i in range(1, 10)]
    return pupils.assign(**{n: pupils[n].mask(rng.random(len(pupils)) < 0.1) for n in names})


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("text", "options"),
    [(FACTORS, {}), (FACTORS, {"group": "school"}), (FACTORS, {"missing": "fiml"}), (MEDIATION, {})],
)
def test_a_draw_is_the_fit_of_its_rows(pupils, text, options):
    """Weights of rows against a frame in which rows stand as often: estimates, chi-square."""
    frame = _gaps(pupils) if "missing" in options else pupils
    fit = dm.sem(text, frame, **options)
    rng = np.random.default_rng(8)
    parts = [frame] if "group" not in options else [g for _, g in frame.groupby("school", sort=False)]
    counts = [np.bincount(rng.integers(0, len(g), len(g)), minlength=len(g)) for g in parts]
    whole = dm.sem(
        text, pd.concat([g.loc[g.index.repeat(c)] for g, c in zip(parts, counts, strict=True)]), **options
    )
    weights = np.zeros(len(frame))
    for g, c in zip(parts, counts, strict=True):
        weights[frame.index.get_indexer(g.index)] = c
    sample = rows_of(fit.solution.form).weighted(weights)
    refitter = fit.refitter()
    found = refitter.solve(sample)
    assert found.converged
    np.testing.assert_allclose(refitter.rows(found), whole.estimates["estimate"], rtol=1e-6, atol=1e-7)
    for what in ("std_lv", "std_all"):
        np.testing.assert_allclose(refitter.rows(found, what), whole.estimates[what], rtol=1e-6, atol=1e-7)
    assert found.at.deviance == pytest.approx(-2 * whole.log_likelihood, rel=1e-12)
    if sample.complete:
        chisq = found.at.moments.value - saturated(sample)
        assert chisq == pytest.approx(whole.measures["chisq"], rel=1e-7, abs=1e-7)
    again = refitter.with_sample(sample)
    np.testing.assert_allclose(again.estimates["se"], whole.estimates["se"], rtol=1e-5, atol=1e-7)
    assert dict(again.measures) == pytest.approx(dict(whole.measures), rel=1e-6, abs=1e-6, nan_ok=True)


def test_draws_are_reproducible_and_the_same_in_other_processes(mediation):
    a, b = mediation.bootstrap(120, seed=3), mediation.bootstrap(120, seed=3)
    np.testing.assert_array_equal(a.draws, b.draws)
    with ProcessPoolExecutor(2) as pool:
        c = mediation.bootstrap(120, seed=3, executor=pool)
    np.testing.assert_array_equal(a.draws, c.draws)
    assert (mediation.bootstrap(120, seed=4).draws != a.draws).any()
    place = {n: i for i, n in enumerate(a.names)}
    np.testing.assert_allclose(
        a.draws[:, place["indirect"]], a.draws[:, place["a"]] * a.draws[:, place["b"]], rtol=1e-10
    )


def test_regressions_drawn_again_are_least_squares_of_the_rows(pupils):
    """Every draw of a regression against numpy's least squares on the same rows."""
    fit = dm.sem("x3 ~ x1 + x2", pupils)
    found = fit.bootstrap(30, seed=2)
    for number in range(30):
        rng = np.random.default_rng(np.random.SeedSequence(2, spawn_key=(number,)))
        rows = rng.integers(0, len(pupils), len(pupils))
        y, x = pupils["x3"].to_numpy()[rows], pupils[["x1", "x2"]].to_numpy()[rows]
        design = np.column_stack([np.ones(len(y)), x])
        beta, rss = np.linalg.lstsq(design, y)[:2]
        want = [beta[1], beta[2], rss[0] / len(y)]
        np.testing.assert_allclose(found.draws[number][:3], want, rtol=1e-7)


def test_parametric_statistics_have_the_moments_of_the_law(pupils):
    """Means and covariances of 4,000 drawn statistics within 5 standard errors (false alarm below 1e-4)."""
    fit = dm.sem("x3 ~ x1 + x2\nx4 ~ x3 + x1", pupils, meanstructure=True)
    form, moments = fit.solution.form, fit.solution.at.moments
    o, rng = form.structure.observed, np.random.default_rng(1)
    draws = [simulated(fit.solution, rng) for _ in range(4000)]
    n = form.sample.n[0]
    given = form.template.given
    cov, mean = np.stack([d.cov[0] for d in draws]), np.stack([d.mean[0] for d in draws])
    sigma, mu = moments.covariance[0][np.ix_(o, o)], moments.mean[0][o]
    rest = sigma[np.ix_(~given, ~given)] - sigma[np.ix_(~given, given)] @ np.linalg.solve(
        sigma[np.ix_(given, given)], sigma[np.ix_(given, ~given)]
    )
    want = sigma.copy()
    want[np.ix_(~given, ~given)] -= rest / n  # the mean's share of the scatter
    assert np.abs((cov.mean(axis=0) - want) / np.maximum(cov.std(axis=0) / np.sqrt(4000), 1e-12)).max() < 5
    assert np.abs((mean.mean(axis=0) - mu) / np.maximum(mean.std(axis=0) / np.sqrt(4000), 1e-12)).max() < 5
    np.testing.assert_allclose(mean[:, ~given].var(axis=0), np.diag(rest) / n, rtol=5 * np.sqrt(2 / 4000))


@pytest.mark.parametrize("kind", ["nonparametric", "parametric"])
def test_standard_errors_are_near_the_delta_method(mediation, kind):
    """600 draws: standard deviations within 12 % of the delta method's under Normal rows, 40 % of it
    for the pupils' own."""
    found = mediation.bootstrap(600, kind=kind)
    se = np.asarray(mediation.estimate_columns["se"])
    ratio = (found.se / np.where(se > 0, se, np.nan))[[0, 1, 2, 6]]
    assert np.abs(ratio - 1).max() < (0.12 if kind == "parametric" else 0.4)
    assert not found.failures


def test_rows_turned_obey_the_model_and_its_test_knows(pupils):
    """Bollen and Stine's rows have the model's moments; a model that holds is not refused, a bad one is."""
    fit = dm.cfa(FACTORS, pupils)
    form = fit.solution.form
    o = form.structure.observed
    x = form.values
    sigma = fit.solution.at.moments.covariance[0][np.ix_(o, o)]
    s = np.cov(x.T, bias=True)

    def root(m, p):
        values, vectors = np.linalg.eigh(m)
        return (vectors * values**p) @ vectors.T

    z = (x - x.mean(axis=0)) @ root(s, -0.5) @ root(sigma, 0.5)
    rows = np.random.default_rng(9).integers(0, len(z), len(z))
    sample = _sampler(fit, "bollen.stine")(np.random.default_rng(9))
    np.testing.assert_allclose(sample.cov[0], np.cov(z[rows].T, bias=True), rtol=1e-9, atol=1e-11)
    assert fit.bootstrap(200, kind="bollen.stine").pvalue == 0.0  # chi-square 85.3 on 24
    one = dm.cfa("textual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9", pupils)
    assert one.measures["pvalue"] > 1e-3
    assert one.bootstrap(300, kind="bollen.stine").pvalue > 1e-3


def test_gradients_of_rows_are_those_of_their_densities(pupils):
    fit = dm.cfa(FACTORS, _gaps(pupils), missing="fiml")
    solution = fit.solution
    g = -2 * scores(solution.at)
    np.testing.assert_allclose(g.sum(axis=0), solution.at.gradient, atol=1e-6)
    rows, k = rows_of(solution.form), solution.at.x.size
    weights = np.zeros(len(g))
    weights[17] = 1.0
    from dagmodels.forms.moment_samples import with_sample

    form = with_sample(solution.form, rows.weighted(weights))
    want = np.empty(k)
    for i in range(k):
        sides = []
        for sign in (1, -1):
            x = solution.at.x.copy()
            x[i] += sign * 1e-5
            sides.append(form.at(x).deviance)
        want[i] = (sides[0] - sides[1]) / 2e-5
    np.testing.assert_allclose(g[17], want, rtol=1e-4, atol=1e-5)


def test_bias_corrected_and_accelerated_intervals_by_their_formula(pupils):
    """Efron's BCa of a mean: acceleration is the skewness over 6 root n (Efron and Tibshirani 1993, 14.3)."""
    from scipy.stats import norm, skew

    frame = pupils.assign(y=np.exp(pupils["x1"] / 3))
    fit = dm.sem("y ~ 1\ny ~~ y", frame)
    found = fit.bootstrap(800, seed=5)
    i = list(found.names).index("y~1")
    a = float(skew(frame["y"])) / 6 / np.sqrt(len(frame))
    draws, estimate = found.draws[:, i], frame["y"].mean()
    z0 = norm.ppf(np.mean(draws < estimate))
    for side, tail in (("lower", 0.025), ("upper", 0.975)):
        z = z0 + norm.ppf(tail)
        want = np.quantile(draws, norm.cdf(z0 + z / (1 - a * z)), method="weibull")
        assert found.intervals("bca")[side][i] == pytest.approx(want, rel=1e-4)
    assert found.intervals("bc")["lower"][i] == pytest.approx(
        np.quantile(draws, norm.cdf(2 * z0 + norm.ppf(0.025)), method="weibull"), rel=1e-9
    )


def test_statistics_of_whole_fits_and_standardised_rows(mediation):
    found = mediation.bootstrap(20, statistic=lambda f: f.r2().to_dict())
    assert found.names == ("x3", "x2")
    assert np.isfinite(found.draws).all()
    std = mediation.bootstrap(20, statistic="std_all")
    np.testing.assert_allclose(found.draws[:, 1], 1 - std.draws[:, _row(mediation, "x2", "~~")], rtol=1e-8)


def _row(fit, lhs, op):
    e = fit.estimates
    return int(np.flatnonzero((e["lhs"] == lhs) & (e["op"] == op))[0])


def test_refit_with_other_responses(pupils, mediation):
    other = pupils.assign(x3=pupils["x3"] ** 2)
    want = dm.sem(MEDIATION, other)
    got = mediation.refit({"x2": other["x2"], "x3": other["x3"]})
    np.testing.assert_allclose(got.estimates["estimate"], want.estimates["estimate"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got.estimates["se"], want.estimates["se"], rtol=1e-5, atol=1e-8)
    lean = mediation.refitter().refit({"x2": other["x2"], "x3": other["x3"]})
    np.testing.assert_allclose(lean.estimates, want.estimates["estimate"], rtol=1e-6, atol=1e-8)
    assert got.latents.equals(want.latents)


def test_bootstrap_standard_errors_in_the_table(pupils):
    fit = dm.sem(MEDIATION, pupils, se="bootstrap", bootstrap=200, seed=4, test="bollen.stine")
    plain = dm.sem(MEDIATION, pupils)
    found = plain.bootstrap(200, seed=4)
    e = fit.estimates
    np.testing.assert_array_equal(e["estimate"], plain.estimates["estimate"])
    free = e["what"] != "fixed"
    np.testing.assert_allclose(e["se"][free], found.se[free])
    limits = found.intervals()
    np.testing.assert_allclose(e["lower"][free], limits["lower"][free])
    np.testing.assert_allclose(e["z"][free], (e["estimate"] / e["se"])[free])
    text = str(fit.summary())
    assert "Bootstrap" in text
    assert "Number of successful bootstrap draws" in text
    assert math.isfinite(fit.measures["chisq"])


def test_plain_graphs_from_moments_have_the_house_bootstrap(pupils):
    g = dm.read(FACTORS, format="lavaan", model_type="cfa")
    plain = dm.read(str(g))
    columns = pupils[[f"x{i}" for i in range(1, 10)]]
    fit = plain.fit(columns, form="moments")
    assert fit.moments is not None
    found = fit.bootstrap(40, seed=2)
    assert found.names == tuple(fit.estimates["name"])
    assert not found.failures
    refitter = fit.refitter()
    y = refitter.simulate([np.random.SeedSequence(2, spawn_key=(7,))])[0]
    again = plain.fit(pd.DataFrame(y), form="moments")
    np.testing.assert_allclose(found.draws[7], again.estimates["estimate"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.refit(y).estimates["se"], again.estimates["se"], rtol=1e-5, atol=1e-7)
    limits = fit.confint(method="boot", draws=40, seed=2)
    np.testing.assert_array_equal(limits["lower"], found.intervals()["lower"])
    profile = fit.confint(method="profile", which=["visual=~x2"])
    assert profile["lower"][0] < fit["visual=~x2"] < profile["upper"][0]


def test_faults_are_named(pupils, mediation):
    with pytest.raises(dm.ModelErrors) as error:
        mediation.bootstrap(1, kind="jack", statistic="std")
    told = "\n".join(map(str, error.value.exceptions))
    assert all(part in told for part in ("draws is 1", "kind is 'jack'", "statistic is 'std'"))
    with pytest.raises(dm.FitError, match="bollen"):
        mediation.bootstrap(5).pvalue  # noqa: B018
    with pytest.raises(dm.FitError, match="bca"):
        mediation.bootstrap(5, kind="parametric").intervals("bca")
    with pytest.raises(dm.ModelErrors, match="bootstrap") as error:
        dm.cfa(FACTORS, _gaps(pupils), missing="fiml").bootstrap(5, kind="bollen.stine")
    assert "complete" in str(error.value.exceptions[0])
