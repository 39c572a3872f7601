"""Profile limits against lme4's, bootstrap and Wald limits against closed forms."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import dagmodels as dm
from tests.mixed.cases import reference, stored

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def fit():
    return dm.lmer(FORMULA, stored("sleepstudy"))


def test_profiles_are_lme4s(fit):
    """lme4 interpolates its profiles by splines: its limits have four digits or so."""
    wanted = reference("sleepstudy")["checks"]["profile_ci_ML"]
    found = fit.confint("profile").set_index("name").loc[wanted["names"]]
    np.testing.assert_allclose(found["lower"], wanted["lower"], rtol=2e-4)
    np.testing.assert_allclose(found["upper"], wanted["upper"], rtol=2e-4)


def test_reml_and_ml_fits_have_one_profile(fit):
    ml = dm.lmer(FORMULA, stored("sleepstudy"), REML=False)
    one, other = (f.confint("profile", which=["Days", "sigma"]) for f in (fit, ml))
    np.testing.assert_allclose(one[["lower", "upper"]], other[["lower", "upper"]], rtol=1e-5)


def test_a_profile_of_a_regression_is_its_closed_form():
    """Normal regression: n log(1 + t^2/(n - p)) = z^2 for a coefficient; for sigma the root of
    n (log(s^2/v) + v/s^2 - 1) = z^2 with v the mean squared residual."""
    rng = np.random.default_rng(1)
    n, x = 25, rng.normal(size=25)
    y = 1 + 2 * x + rng.normal(size=25)
    g = dm.read(
        "model line\nplate r\ncovariate x[r]\nparameter a, b\nparameter s > 0\n"
        "observed y[r] ~ Normal(a + b*x, s)"
    )
    fit = g.fit({"x": x, "y": y})
    X = np.column_stack([np.ones(n), x])
    b, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
    z = stats.norm.ppf(0.95)
    t = np.sqrt((n - 2) * np.expm1(z**2 / n))
    half = t * np.sqrt(rss[0] / (n - 2) * np.linalg.inv(X.T @ X)[1, 1])
    found = fit.confint("profile", level=0.9).set_index("name")
    np.testing.assert_allclose(
        found.loc["b", ["lower", "upper"]].astype(float), [b[1] - half, b[1] + half], rtol=1e-5
    )
    v = rss[0] / n

    def rise(s):
        return n * (np.log(s**2 / v) + v / s**2 - 1) - z**2

    ends = [
        optimize.brentq(rise, np.sqrt(v) * 0.3, np.sqrt(v)),
        optimize.brentq(rise, np.sqrt(v), np.sqrt(v) * 3),
    ]
    np.testing.assert_allclose(found.loc["s", ["lower", "upper"]].astype(float), ends, rtol=1e-5)


def one_way(seed, tau, groups=8, size=5):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), size)
    return pd.DataFrame({"g": g, "y": 10 + tau * rng.normal(size=groups)[g] + rng.normal(size=g.size)})


def one_way_profile(frame, tau):
    """Minus twice the log likelihood of a balanced one-way layout, minimised over mean and sigma."""
    y = frame["y"].to_numpy().reshape(8, 5)
    within, between = ((y - y.mean(1, keepdims=True)) ** 2).sum(), 5 * ((y.mean(1) - y.mean()) ** 2).sum()

    def f(log_s):
        s2 = np.exp(2 * log_s)
        total = s2 + 5 * tau**2
        return 32 * np.log(s2) + 8 * np.log(total) + within / s2 + between / total

    return optimize.minimize_scalar(f, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).fun


@pytest.mark.parametrize(("seed", "tau"), [(1, 0.3), (2, 0.0), (3, 1.0), (4, 0.5)])
def test_limits_of_a_scale_by_brute_force_zero_included(seed, tau):
    frame = one_way(seed, tau)
    found = dm.mixed.read_model("y ~ 1 + (1 | g)", frame).fit_quietly()
    limits = found.confint("profile", which="sd_(Intercept)|g").iloc[0]
    best = optimize.minimize_scalar(lambda t: one_way_profile(frame, t), bounds=(0, 5), method="bounded")
    least = min(best.fun, one_way_profile(frame, 0.0))
    z2 = stats.norm.ppf(0.975) ** 2
    centre = best.x if best.fun < one_way_profile(frame, 0.0) else 0.0
    upper = optimize.brentq(lambda t: one_way_profile(frame, t) - least - z2, centre, 20)
    assert limits["upper"] == pytest.approx(upper, rel=1e-4)
    if one_way_profile(frame, 0.0) - least < z2:
        assert limits["lower"] == 0.0
    else:
        lower = optimize.brentq(lambda t: one_way_profile(frame, t) - least - z2, 0, centre)
        assert limits["lower"] == pytest.approx(lower, rel=1e-4)


def test_a_profile_of_a_generalised_model_holds_its_criterion():
    """At each limit of a coefficient a fit with it held (an offset) is worse by the chi-square quantile."""
    data = stored("cbpp")
    data = data.assign(p2=(data["period"].astype(str) == "2") * 1.0)
    formula = "cbind(incidence, size - incidence) ~ p2 + (1 | herd)"
    fit = dm.glmer(formula, data)
    limits = fit.confint("profile", which="p2").iloc[0]
    for end in (limits["lower"], limits["upper"]):
        held = dm.glmer(formula.replace("p2 +", "1 +"), data, offset=(end * data["p2"]).to_numpy())
        rise = 2 * (fit.log_likelihood - held.log_likelihood)
        assert rise == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-3)


def test_wald_limits_take_any_level(fit):
    found = fit.confint(level=0.5, which=["Days", "sigma"])
    row = fit.estimates.set_index("name").loc["Days"]
    half = stats.norm.ppf(0.75) * row["se"]
    assert found["upper"][0] == pytest.approx(row["estimate"] + half)
    assert list(found["name"]) == ["Days", "sigma"]


def test_the_bootstrap_is_the_same_with_any_executor(fit):
    alone = fit.bootstrap(120, seed=5)
    with ThreadPoolExecutor(3) as pool:
        threads = fit.bootstrap(120, seed=5, executor=pool)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        processes = fit.bootstrap(120, seed=5, executor=pool)
    np.testing.assert_array_equal(alone.draws, threads.draws)
    np.testing.assert_array_equal(alone.draws, processes.draws)
    assert alone.failures == threads.failures == processes.failures
    assert not np.array_equal(alone.draws, fit.bootstrap(120, seed=6).draws)
    np.testing.assert_array_equal(alone.draws[:60], fit.bootstrap(60, seed=5).draws)


def test_standard_errors_of_the_bootstrap_are_those_of_coefficients(fit):
    """400 draws: a standard deviation has a relative error of 3.5 %; five of them, false alarms 1e-6."""
    found = fit.bootstrap(400, seed=2)
    assert len(found.failures) == 0
    wanted = fit.estimates["se"].to_numpy()[:2]
    np.testing.assert_allclose(found.se[:2], wanted, rtol=5 / np.sqrt(800))
    assert np.abs(found.bias[:2] / wanted).max() < 5 / np.sqrt(400)


def test_intervals_of_the_bootstrap_by_hand(fit):
    found = fit.bootstrap(99, seed=3)
    column = np.sort(found.draws[:, 1])
    percentile, basic, normal = (found.intervals(k, 0.9).iloc[1] for k in ("percentile", "basic", "normal"))
    assert percentile["lower"] == pytest.approx(column[4])  # the fifth of 99
    assert percentile["upper"] == pytest.approx(column[94])
    assert basic["lower"] == pytest.approx(2 * fit["Days"] - column[94])
    half = stats.norm.ppf(0.95) * column.std(ddof=1)
    assert normal["upper"] == pytest.approx(2 * fit["Days"] - column.mean() + half)
    assert "99 draws" in str(found)


def icc(fit):
    v = fit.VarCorr()["vcov"]
    return {"icc": v[0] / v.sum()}


def test_a_statistic_of_the_whole_fit():
    fit = dm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", stored("penicillin"))
    found = fit.bootstrap(12, seed=1, statistic=icc)
    assert found.names == ("icc",)
    direct = fit.bootstrap(12, seed=1)
    at = [direct.names.index(n) for n in ("sd_(Intercept)|plate", "sd_(Intercept)|sample", "sigma")]
    v = direct.draws[:, at] ** 2
    np.testing.assert_allclose(found.draws[:, 0], v[:, 0] / (v[:, 0] + v[:, 1] + v[:, 2]), rtol=1e-4)


def test_a_generalised_model_is_bootstrapped_too():
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", stored("cbpp"))
    found = fit.bootstrap(20, seed=1)
    assert len(found.failures) == 0
    assert np.abs(found.bias[:4]).max() < 5 * fit.estimates["se"][:4].max() / np.sqrt(20)
    wanted = dm.glmer("incidence/size ~ period + (1 | herd)", stored("cbpp"), weights="size")
    y = stored("cbpp")["incidence"].to_numpy()[::-1].clip(0, stored("cbpp")["size"])
    again = fit.refit(y)
    assert again.log_likelihood == pytest.approx(wanted.refit(y).log_likelihood, abs=1e-6)
    np.testing.assert_allclose(again.residuals(), wanted.refit(y).residuals(), atol=1e-6)


def failing(fit):
    if fit["Days"] > 10.4:
        raise dm.errors.FitError("too steep")
    return fit["Days"]


def test_failures_are_counted_and_told(monkeypatch):
    fit = dm.lmer(FORMULA, stored("sleepstudy").assign(Reaction=lambda d: d["Reaction"] - 0.3 * d["Days"]))
    found = fit.bootstrap(20, seed=1, statistic=failing)
    assert 0 < len(found.failures) < 20
    assert np.isnan(found.draws[:, 0]).sum() == len(found.failures) == 20 - found.used[0]
    assert f"{len(found.failures)} of 20 refits failed" in found.report()
    assert "too steep" in found.report()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda fit: fit.confint("likelihood"), "one of 'wald', 'profile', 'boot'"),
        (lambda fit: fit.confint(level=95), "between 0 and 1"),
        (lambda fit: fit.bootstrap(1), "draws is 1"),
        (lambda fit: fit.bootstrap(5).intervals("bca"), "one of 'percentile'"),
    ],
)
def test_what_cannot_be_answered_says_so(fit, call, told):
    with pytest.raises(dm.ModelErrors) as caught:
        call(fit)
    assert told in str(caught.value.exceptions[0])


def test_an_estimate_without_a_profile_is_named(fit):
    with pytest.raises(KeyError, match="Days"):
        fit.confint(which="Day")
    g = dm.read("model m\nplate r\nb ~ Normal(0, 5)\nparameter s > 0\nc = s**2\nobserved y[r] ~ Normal(b, s)")
    made = g.fit_quietly({"y": [1.0, 2.0, 4.0, 3.5]})
    with pytest.raises(dm.errors.FitError, match="'b' has no profile: it is integrated under a prior"):
        made.confint("profile", which="b")
    with pytest.raises(dm.errors.FitError, match="'c' has no profile: it is a function of other"):
        made.confint("profile", which="c")
    assert list(made.confint("profile")["name"]) == ["s"]


@pytest.mark.long
def test_percentile_intervals_cover_what_they_should():
    """1000 data sets of 50 groups by 5, 199 draws each: 93 to 97 % of the 95 % intervals hold the truth.

    The Monte Carlo error of a coverage of 95 % is 0.69 percentage points, so a bound is 2.9 of them away; the
    intercept's own coverage is near 94.4 % (Student's t on 49 degrees of freedom in place of the normal law):
    false alarms about 3 % for it, 0.4 % for each of the others.
    """
    rng = np.random.default_rng(1)
    groups, size, sets = 50, 5, 1000
    g = np.repeat(np.arange(groups), size)
    x = rng.normal(size=g.size)
    truth = np.array([3.0, 1.0, 2.0])
    names = ["(Intercept)", "x", "sigma"]
    held = np.zeros((sets, 3), dtype=bool)
    for k in range(sets):
        y = 3 + x + 1.5 * rng.normal(size=groups)[g] + 2 * rng.normal(size=g.size)
        fit = dm.lmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": g})
        found = fit.bootstrap(199, seed=k).intervals().set_index("name").loc[names]
        held[k] = (found["lower"] <= truth) & (truth <= found["upper"])
    coverage = held.mean(axis=0)
    assert ((coverage >= 0.93) & (coverage <= 0.97)).all(), dict(zip(names, coverage, strict=True))
