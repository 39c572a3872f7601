"""Expected responses: of the rows fitted, of new rows, with and without random terms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import LMM, data, refused


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 150
    found = pd.DataFrame(
        {
            "g": np.repeat([f"g{i}" for i in range(15)], 10),
            "h": np.tile(["p", "q", "r", "s", "t"], 30),
            "x": rng.normal(size=n),
            "f": rng.choice(["lo", "mid", "hi"], n),
            "t": rng.normal(size=n),
            "w": rng.uniform(0.5, 2, n),
        }
    )
    u, v, w = (rng.normal(size=k) for k in (15, 15, 5))
    deviation = np.repeat(u, 10) + np.repeat(v, 10) * found["x"] + np.tile(w, 30)
    found["y"] = found["x"] + deviation + found["t"] + 0.5 * rng.normal(size=n)
    return found


@pytest.fixture(scope="module")
def fit(df: pd.DataFrame):
    return dm.lmer("y ~ poly(x, 2)*f + offset(t) + (x | g) + (1 | h)", df, weights="w")


@pytest.mark.parametrize("name", sorted(LMM))
def test_the_rows_fitted_are_predicted_as_the_graph_predicts_them(name: str):
    data_set, _, formula, reml = LMM[name]
    fit = dm.lmer(formula, data(data_set), REML=reml)
    np.testing.assert_allclose(fit.predict(), fit.inner.predict(), rtol=1e-12)
    np.testing.assert_array_equal(fit.fitted(), fit.predict())
    np.testing.assert_allclose(
        fit.residuals(), data(data_set).iloc[:, 0].to_numpy() - fit.predict(), rtol=1e-9, atol=1e-12
    )


def test_everything_at_once_is_predicted_as_the_graph_predicts_it(fit, df: pd.DataFrame):
    np.testing.assert_allclose(fit.predict(), fit.inner.predict(), rtol=1e-10)
    np.testing.assert_allclose(fit.predict(df), fit.predict(), rtol=1e-12)
    some = df.iloc[[3, 80, 17]].drop(columns="y")
    np.testing.assert_allclose(fit.predict(some), fit.predict()[[3, 80, 17]], rtol=1e-12)
    one_by_one = [fit.predict(df.iloc[[i]])[0] for i in range(5)]
    np.testing.assert_allclose(one_by_one, fit.predict()[:5], rtol=1e-12)


def test_scaled_residuals(fit, df: pd.DataFrame):
    wanted = (df["y"] - fit.predict()) * np.sqrt(df["w"]) / fit.sigma
    np.testing.assert_allclose(fit.residuals("scaled"), wanted, rtol=1e-12)


def test_random_terms_can_be_left_out(fit, df: pd.DataFrame):
    rows = df.iloc[:4]
    none = fit.predict(rows, re_form="NA")
    for spelled in (False, "~0", "~ 0", float("nan")):
        np.testing.assert_array_equal(fit.predict(rows, re_form=spelled), none)
    modes = {g: frame.loc[rows[g]] for g, frame in fit.ranef().items()}
    of_g = modes["g"]["(Intercept)"].to_numpy() + modes["g"]["x"].to_numpy() * rows["x"].to_numpy()
    of_h = modes["h"]["(Intercept)"].to_numpy()
    np.testing.assert_allclose(fit.predict(rows), none + of_g + of_h, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(rows, re_form="~ (1 | h)"), none + of_h, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(rows, re_form="(x | g)"), none + of_g, rtol=1e-12)
    np.testing.assert_allclose(
        fit.predict(rows, re_form="~ (0 + x | g)"), none + of_g - modes["g"]["(Intercept)"], rtol=1e-12
    )


@pytest.mark.parametrize("re_form", ["~ (1 | x)", "~ (f | g)", "~ (x | h)"])
def test_terms_that_the_model_does_not_have_are_refused(fit, df: pd.DataFrame, re_form: str):
    with refused("does not vary by") as errors:
        fit.predict(df, re_form=re_form)
    assert "(Intercept), x | g" in str(errors[0].hint)


def test_new_levels_are_refused_or_get_no_deviation(fit, df: pd.DataFrame):
    rows = df.iloc[:3].assign(g=["g0", "new", "newer"], h="p")
    with refused("'g' has new levels new, newer (allow_new_levels=True predicts them"):
        fit.predict(rows)
    got = fit.predict(rows, allow_new_levels=True)
    np.testing.assert_allclose(got[0], fit.predict(rows.iloc[:1])[0])
    np.testing.assert_allclose(got[1:], fit.predict(rows, re_form="~ (1 | h)")[1:], rtol=1e-12)
    np.testing.assert_allclose(fit.predict(rows, re_form="NA"), fit.predict(df.iloc[:3], re_form="NA"))


def test_new_levels_of_fixed_factors_and_missing_covariates_are_refused(fit, df: pd.DataFrame):
    rows = df.iloc[:3].copy()
    rows["f"] = ["lo", "none", "hi"]
    rows.loc[rows.index[1], "x"] = np.nan
    with refused("the factor 'f' has new level none", "missing in row 2", "'x' is missing in row 2"):
        fit.predict(rows)
    with refused("no column 'x'"):
        fit.predict(df.drop(columns="x"))
    with refused("float is not a table"):
        fit.predict(3.5)


def test_rows_without_response_are_predicted_and_do_not_count():
    df = data("sleepstudy")
    lost = [0, 31, 179]
    holes = df.copy()
    holes.loc[lost, "Reaction"] = np.nan
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", holes)
    short = dm.lmer("Reaction ~ Days + (Days | Subject)", df.drop(index=lost))
    assert fit.log_likelihood == pytest.approx(short.log_likelihood, abs=1e-7)
    assert fit.n_observations == 177
    np.testing.assert_allclose(fit.estimates["estimate"], short.estimates["estimate"], rtol=1e-6)
    np.testing.assert_allclose(fit.predict()[lost], short.predict(df.iloc[lost]), rtol=1e-6)
    assert np.isnan(fit.residuals()[lost]).all()
    assert np.isnan(fit.residuals()).sum() == 3


def test_an_offset_given_as_numbers_has_none_for_new_rows(df: pd.DataFrame):
    fit = dm.lmer("y ~ x + (1 | g)", df, offset=df["t"])
    same = dm.lmer("y ~ x + offset(t) + (1 | g)", df)
    np.testing.assert_allclose(fit.predict(), same.predict(), rtol=1e-10)
    with refused("the offset was given as numbers"):
        fit.predict(df.iloc[:3])
    named = dm.lmer("y ~ x + (1 | g)", df, offset="t")
    np.testing.assert_allclose(named.predict(df), same.predict(df), rtol=1e-10)


def test_unknown_types_are_refused(fit):
    with refused("type='terms' is unknown"):
        fit.predict(type="terms")
