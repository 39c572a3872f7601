"""What a fit from moments answers, against the field form of the same graph, and against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.forms.test_moments_form import FACTOR, GROUPS, REGRESSION, RESIDUAL, data

LATENT = """
model latent
plate row
covariate x[row]
parameter a, b, l2, l3, g, d, h
parameter e1, e2, e3, s, t > 0
f[row] ~ Normal(g*x, s)
observed y1[row] ~ Normal(a + f, e1)
observed y2[row] ~ Normal(b + l2*f + h*x, e2)
observed y3[row] ~ Normal(l3*f, e3)
observed m[row] ~ Normal(d*f, t)
total = g*d
"""
CASES = [(FACTOR, False), (FACTOR, True), (GROUPS, False), (GROUPS, True), (LATENT, False), (LATENT, True)]
NAMES = ["factor", "factor with gaps", "groups", "groups with gaps", "covariate", "covariate with gaps"]
SAME = 1e-6  # of estimates and errors, in standard errors where these are larger than one


def pair(text, missing, seed=1, **options):
    frames = data(text, seed, missing)
    g = dm.read(text)
    return g.fit(frames, **options), g.fit(frames, form="field", **options), frames


def each(answer):
    return answer if isinstance(answer, dict) else {"y": answer}


@pytest.mark.parametrize("se", ["conditional", "joint"])
@pytest.mark.parametrize(("text", "missing"), CASES, ids=NAMES)
def test_both_forms_give_the_same_table(text, missing, se):
    a, b, _ = pair(text, missing, se=se)
    assert a.moments is not None
    assert b.moments is None
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=SAME)
    assert a.bic == pytest.approx(b.bic, abs=SAME)
    assert list(a.estimates["name"]) == list(b.estimates["name"])
    for column in ("estimate", "se", "lower", "upper"):
        x, y = a.estimates[column], b.estimates[column]
        np.testing.assert_array_less(np.abs(x - y), SAME * np.maximum(1.0, np.abs(y)), err_msg=column)


@pytest.mark.filterwarnings("ignore::dagmodels.FitWarning")
def test_priors_of_loadings_and_scales_are_the_same_in_both():
    text = FACTOR.replace("a, b, c, l2, l3", "a, b, c, l3\nl2 ~ Normal(1, 0.1)\ns ~ HalfNormal(0.5)")
    a, b, _ = pair(text.replace("e3, s > 0", "e3 > 0"), True)
    assert a.moments is not None
    assert "mode of the posterior from moments" in str(a.plan)
    for key in ("deviance", "log_posterior"):
        assert a.measures[key] == pytest.approx(b.measures[key], abs=SAME)
    for column in ("estimate", "se"):
        np.testing.assert_allclose(a.estimates[column], b.estimates[column], atol=SAME, err_msg=column)


@pytest.mark.parametrize(("text", "missing"), CASES, ids=NAMES)
def test_both_forms_know_the_same_of_latents_and_means(text, missing):
    a, b, _ = pair(text, missing)
    left, right = a.latents.set_index("name"), b.latents.set_index("name")
    assert set(left.index) == set(right.index)
    for column in ("estimate", "sd"):
        np.testing.assert_allclose(left[column], right.loc[left.index, column], rtol=1e-5, atol=1e-5)
    ours, theirs = each(a.predict(sd=True)), each(b.predict(sd=True))
    for name, forecast in ours.items():
        for x, y in zip(forecast, theirs[name], strict=True):
            assert x.shape == y.shape
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_both_forms_have_the_same_intervals_and_influence():
    a, b, _ = pair(FACTOR, False)
    ours, theirs = a.confint("profile"), b.confint("profile")
    assert list(ours["name"]) == list(theirs["name"])
    np.testing.assert_allclose(ours[["lower", "upper"]], theirs[["lower", "upper"]], rtol=1e-4, atol=1e-4)
    for name, leverage in a.leverage().items():
        np.testing.assert_allclose(leverage, b.leverage()[name], rtol=1e-6)
        np.testing.assert_allclose(a.cooks_distance()[name], b.cooks_distance()[name], rtol=1e-5, atol=1e-9)


def test_a_profile_is_where_the_criterion_has_risen():
    """The likelihood at each limit, all else maximised by a fit with the value held in the text."""
    a, _, frames = pair(FACTOR, False)
    limits = a.confint("profile", which="l2", level=0.9)
    for end in ("lower", "upper"):
        held = FACTOR.replace("a, b, c, l2, l3", "a, b, c, l3") + f"l2 = {float(limits[end][0])!r}\n"
        rise = 2 * (a.log_likelihood - dm.read(held).fit(frames).log_likelihood)
        assert rise == pytest.approx(2.705543454, rel=1e-4)  # the square of the normal quantile at 0.95


def implied(fit):
    """Mean and covariance of y1, y2, y3 in FACTOR, by hand."""
    loading = np.array([1.0, fit["l2"], fit["l3"]])
    noise = np.diag([fit["e1"] ** 2, fit["e2"] ** 2, fit["e3"] ** 2])
    mean = np.array([fit["a"], fit["b"], fit["c"]])
    return mean, fit["s"] ** 2 * np.outer(loading, loading) + noise, loading, noise


def test_new_units_are_predicted_from_what_they_show():
    fit, _, _ = pair(FACTOR, False)
    mean, sigma, loading, noise = implied(fit)
    new = pd.DataFrame({"y1": [1.0, np.nan, 2.0], "y2": [np.nan, np.nan, 0.5], "y3": [np.nan, np.nan, -1.0]})
    found = fit.predict(new, sd=True)
    assert found["y1"].mean[1] == pytest.approx(mean[0])  # nothing is shown: as in the population
    assert found["y3"].mean[1] == pytest.approx(mean[2])
    slope = sigma[2, 0] / sigma[0, 0]
    assert found["y3"].mean[0] == pytest.approx(mean[2] + slope * (1.0 - mean[0]))
    rest = sigma[2, 2] - slope * sigma[0, 2]
    spread = found["y3"].sd_new[0] ** 2 - found["y3"].sd[0] ** 2
    assert spread == pytest.approx(noise[2, 2])
    assert found["y3"].sd_new[0] ** 2 > rest  # estimates are uncertain too
    shown = np.array([2.0, 0.5, -1.0])
    f = fit["s"] ** 2 * loading @ np.linalg.solve(sigma, shown - mean)
    for k, name in enumerate(("y1", "y2", "y3")):
        assert found[name].mean[2] == pytest.approx(mean[k] + loading[k] * f)


def test_a_missing_value_takes_residual_covariances_in():
    frames = data(RESIDUAL, 1, False)
    fit = dm.read(RESIDUAL).fit(frames, form="moments")
    new = pd.DataFrame({"y1": [2.0], "y2": [np.nan]})
    slope = fit["c"] / fit["s1"] ** 2
    assert fit.predict(new)["y2"][0] == pytest.approx(fit["b"] + slope * (2.0 - fit["a"]))
    assert fit.predict(new)["y1"][0] == pytest.approx(fit["a"])


def test_units_of_the_fit_keep_what_they_showed():
    frames = data(FACTOR, 1, True).assign(row=[f"r{i}" for i in range(150)])
    fit = dm.read(FACTOR).fit(frames)
    whole = fit.predict()
    again = fit.predict(frames.iloc[[5, 3, 140]])
    for name in whole:
        np.testing.assert_allclose(again[name], whole[name][[5, 3, 140]])
    mixed = pd.DataFrame({"row": ["r3", "new"], "y1": [np.nan, frames["y1"][3]]})
    for name in ("y2", "y3"):
        found = fit.predict(mixed)[name]
        assert found[0] == pytest.approx(whole[name][3])
        assert found[1] != pytest.approx(whole[name][3])


def test_groups_and_their_new_levels():
    frames = data(GROUPS, 1, False)
    fit = dm.read(GROUPS).fit(frames)
    new = pd.DataFrame({"school": ["q", "p"], "y1": [1.0, 1.0], "y2": np.nan, "y3": np.nan})
    found = fit.predict({"row": new})
    for row, school in enumerate("qp"):
        s, e = fit[f"s[{school}]"], fit["e[y1]"]
        f = s**2 / (s**2 + e**2) * (1.0 - fit[f"nu[{school}, y1]"])
        want = fit[f"nu[{school}, y3]"] + fit["l[y3]"] * f
        assert found[row, 2] == pytest.approx(want)
    with pytest.raises(dm.FitError, match="'z' of plate 'school' were not in the fit"):
        fit.predict({"row": new.assign(school=["z", "p"])})


def test_a_regression_has_its_textbook_errors():
    """x'(X'X)^-1 x s^2 of the mean, and s^2 more of a new observation, by the joint errors too."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=40)
    frame = pd.DataFrame({"x": x, "y": 1 + 2 * x + rng.normal(size=40)})
    text = "model r\nplate i\ncovariate x[i]\nparameter a, b\nparameter s > 0\n"
    fit = dm.read(text + "observed y[i] ~ Normal(a + b*x, s)\n").fit(frame, form="moments", se="joint")
    design = np.column_stack([np.ones(40), x])
    at = np.array([[1.0, 0.5], [1.0, 3.0]])
    variance = np.einsum("ij,jk,ik->i", at, np.linalg.inv(design.T @ design), at) * fit["s"] ** 2
    found = fit.predict(pd.DataFrame({"x": [0.5, 3.0]}), sd=True)
    np.testing.assert_allclose(found.mean, fit["a"] + fit["b"] * at[:, 1])
    np.testing.assert_allclose(found.sd, np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(found.sd_new, np.sqrt(variance + fit["s"] ** 2), rtol=1e-6)


def test_refits_draws_and_bootstrap():
    """The moments' own draws have the fit's covariance: 300 draws of 150 rows, 3 numbers, |z| < 4.5 (false
    alarm 2e-5)."""
    fit, _, frames = pair(FACTOR, True)
    refitter = fit.refitter()
    draws = refitter.simulate([np.random.SeedSequence(1, spawn_key=(i,)) for i in range(300)])
    assert np.array_equal(np.isnan(draws[0]["y2"]), np.isnan(frames["y2"]))
    _, sigma, _, _ = implied(fit)
    y = np.stack([d["y1"] for d in draws])
    for k, name in enumerate(("y1", "y2", "y3")):
        other = np.stack([d[name] for d in draws])
        products = (y - y.mean()) * (other - np.nanmean(other))
        each = np.nanmean(products, axis=1)
        z = (each.mean() - sigma[0, k]) / (each.std(ddof=1) / np.sqrt(300))
        assert abs(z) < 4.5
    again = fit.refit(draws[0])
    assert again.moments is not None
    assert refitter.refit(draws[0]).estimates == pytest.approx(again.estimates["estimate"].to_numpy())
    table = fit.bootstrap(20, seed=3)
    assert table.names == tuple(fit.estimates["name"])
    assert not table.failures


def test_link_is_the_mean_and_other_types_are_refused():
    fit = dm.read(REGRESSION).fit(data(REGRESSION, 1, False), form="moments")
    np.testing.assert_array_equal(fit.predict(type="link")["y"], fit.predict()["y"])
    with pytest.raises(dm.FitError, match="neither 'response' nor 'link'"):
        fit.predict(type="mean")


def test_latents_as_arrays_are_those_of_the_table() -> None:
    """Some values missing, so that rows differ in what they show."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=60)
    y, w = x + rng.normal(size=60), x + 0.5 * rng.normal(size=60)
    y[rng.uniform(size=60) < 0.2] = np.nan
    w[(rng.uniform(size=60) < 0.2) & np.isfinite(y)] = np.nan
    text = """
    model eiv
    plate row
    parameter a, b, mx
    parameter s, sx > 0
    x[row] ~ Normal(mx, sx)
    observed w[row] ~ Normal(x, 0.5)
    observed y[row] ~ Normal(a + b*x, s)
    """
    fit = dm.read(text).fit({"w": w, "y": y})
    table = fit.latents.set_index("name").estimate
    arrays = fit.latent_arrays()
    assert set(arrays) >= {"x", "w", "y"}
    for name in table.index:
        node, _, place = name.partition("[")
        assert arrays[node][int(place[:-1])] == pytest.approx(table[name], rel=1e-12)
    e = fit.estimates.set_index("name").estimate
    precision = 1 / e.sx**2 + np.isfinite(w) / 0.25 + np.isfinite(y) * e.b**2 / e.s**2
    top = e.mx / e.sx**2 + np.where(np.isfinite(w), w / 0.25, 0)
    top = top + np.where(np.isfinite(y), e.b * (y - e.a) / e.s**2, 0)
    np.testing.assert_allclose(arrays["x"], top / precision, rtol=1e-9)
