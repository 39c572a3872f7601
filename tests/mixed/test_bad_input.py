"""Data that a mixed model cannot take, every problem at once; and hard cases that it can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import refused

N = 60


@pytest.fixture
def df() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    found = pd.DataFrame(
        {
            "g": np.repeat(list("abcdefghij"), 6),
            "x": rng.normal(size=N),
            "f": np.tile(["u", "v", "w"], 20),
            "id": np.arange(N),
            "one": "only",
            "k": 2.0,
        }
    )
    found["y"] = found["x"] + np.repeat(rng.normal(size=10), 6) + rng.normal(size=N)
    return found


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("y ~ z + (1 | gg)", ("have no column 'z'", "have no column 'gg' (did you mean 'g'?)")),
        ("yy ~ x + (1 | g)", ("have no column 'yy' (did you mean 'y'?)",)),
        ("y ~ one + (1 | g)", ("the factor 'one' has one level, 'only' (a factor needs two",)),
        ("y ~ x + (1 | one)", ("the grouping factor 'one' has 1 level (its variance needs two",)),
        ("y ~ x + (1 | id)", ("'id' has 60 levels for 60 observations (there must be fewer",)),
        ("y ~ x + (x | g:f)", ("(x | g:f) has 60 random effects for 60 observations",)),
        ("k ~ x + (1 | g)", ("the response 'k' is constant: every value is 2",)),
        ("f ~ x + (1 | g)", ("the response 'f' is no column of numbers",)),
        ("y ~ x + foo(x) + (1 | g)", ("the function foo() is not known",)),
        ("y ~ lgo(x) + (1 | g)", ("the function lgo() is not known (did you mean log()?",)),
        ("y ~ log(x, y, z) + (1 | g)", ("the arguments of log(x, y, z) are not understood",)),
        ("y ~ log(k - 3) + (1 | g)", ("'log(k - 3)' is missing in row 1 and 59 others",)),
        ("y ~ log(k - 2) + (1 | g)", ("'log(k - 2)' is not finite in row 1",)),
        ("y ~ I(f + 1) + (1 | g)", ("'f' is not a column of numbers",)),
        ("y ~ scale(k) + (1 | g)", ("'scale(k)' divides by zero: the column is constant",)),
        ("y ~ poly(x, order = 2) + (1 | g)", ("poly() has no argument 'order'",)),
        ("y ~ poly(k, 2) + (1 | g)", ("not finite in row 1",)),
        ("y ~ C(f, contr.foo) + (1 | g)", ("there are no contrasts 'contr.foo' for 'C(f, contr.foo)'",)),
        ("y ~ C(f, Treatment('z')) + (1 | g)", ("'z' is no level of",)),
        ("y ~ x", ("there are no random terms",)),
        ("~ x + (1 | g)", ("there is no response",)),
        ("cbind(y, x) ~ x + (1 | g)", ("cbind() is the response of a binomial model",)),
    ],
)
def test_formulas_that_the_data_do_not_fit(df: pd.DataFrame, formula: str, parts: tuple[str, ...]):
    with refused(*parts) as errors:
        dm.lmer(formula, df)
    assert all(e.hint for e in errors if "not understood" not in str(e))


def test_all_problems_are_told_at_once(df: pd.DataFrame):
    df.loc[[3, 9], "x"] = np.nan
    df.loc[4, "f"] = None
    df.loc[5, "g"] = None
    with refused(
        "'x' is missing in row 4 and 1 other (covariates are never missing: leave these rows out, or give x",
        "'f' is missing in row 5",
        "the level of 'g' is missing in row 6",
        "have no column 'u'",
        "weights of row 2 is -1, but weights are not negative",
    ):
        dm.lmer("y ~ x + f + u + (x | g)", df, weights=[1, -1, *[1] * (N - 2)])


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"weights": np.zeros(N)}, "all values of the response 'y' are missing or have a weight of zero"),
        ({"weights": np.ones(3)}, "weights has 3 values, the data have 60 rows"),
        ({"weights": np.full(N, np.nan)}, "weights is missing or infinite in row 1"),
        ({"weights": "w"}, "have no column 'w'"),
        ({"offset": [np.inf] * N}, "offset is missing or infinite in row 1"),
        ({"contrasts": {"f": "contr.bar"}}, "there are no contrasts 'contr.bar' for 'f'"),
        ({"contrasts": {"f": [[1.0]]}}, "the contrasts given for 'f' are no matrix with 3 rows"),
    ],
)
def test_options_that_the_data_do_not_fit(df: pd.DataFrame, options: dict[str, Any], part: str):
    with refused(part):
        dm.lmer("y ~ x + f + (1 | g)", df, **options)


def test_responses(df: pd.DataFrame):
    with refused("all values of the response 'y' are missing"):
        dm.lmer("y ~ x + (1 | g)", df.assign(y=np.nan))
    with refused("the response 'y' is inf in row 1"):
        dm.lmer("y ~ x + (1 | g)", df.assign(y=np.inf))
    with refused("float is not a table"):
        dm.lmer("y ~ x + (1 | g)", 1.5)
    few = df.iloc[[0, 1, 6, 7, 12, 13]]
    with refused("6 coefficients for 6 observations leave nothing for the variances"):
        dm.lmer("y ~ x + I(x^2) + I(x^3) + I(x^4) + I(x^5) + (1 | g)", few)


@pytest.mark.parametrize(
    ("formula", "dropped", "names"),
    [
        ("y ~ x + I(2 * x) + f + (1 | g)", ["I(2 * x)"], ["(Intercept)", "x", "fv", "fw"]),
        ("y ~ k + x + (1 | g)", ["k"], ["(Intercept)", "x"]),
        ("y ~ 0 + k + f + (1 | g)", ["fw"], ["k", "fu", "fv"]),
        ("y ~ f + factor(f) + (1 | g)", ["factor(f)v", "factor(f)w"], ["(Intercept)", "fv", "fw"]),
    ],
)
def test_columns_that_others_make_up_are_dropped_and_named(
    df: pd.DataFrame, formula: str, dropped: list[str], names: list[str]
):
    count = "1 column / coefficient: " if len(dropped) == 1 else f"{len(dropped)} columns / coefficients: "
    with pytest.warns(dm.FitWarning, match="fixed-effect model matrix is rank deficient") as told:
        fit = dm.lmer(formula, df)
    assert f"so dropping {count}{', '.join(dropped)}" in str(told[0].message)
    assert fit.fixef().index.tolist() == names
    assert fit.naming.dropped == tuple(dropped)
    assert ", ".join(dropped) in fit.summary()
    np.testing.assert_allclose(fit.predict(df.iloc[:3]), fit.predict()[:3], rtol=1e-10)


def test_a_column_known_only_from_rows_without_response_is_dropped(df: pd.DataFrame):
    df["late"] = (df["id"] >= 57).astype(float)
    df.loc[57:, "y"] = np.nan
    with pytest.warns(dm.FitWarning, match="dropping 1 column / coefficient: late"):
        fit = dm.lmer("y ~ x + late + (1 | g)", df)
    assert fit.n_observations == 57


def test_levels_without_response_are_kept_at_their_mean(df: pd.DataFrame):
    df.loc[54:, "y"] = np.nan  # all of j
    fit = dm.lmer("y ~ x + (1 | g)", df)
    assert fit.ranef()["g"].loc["j", "(Intercept)"] == pytest.approx(0, abs=1e-12)
    tau = fit.estimates.set_index("name").loc["sd_(Intercept)|g", "estimate"]
    assert fit.ranef(sd=True)["g"].loc["j", "(Intercept)"] == pytest.approx(tau)
    np.testing.assert_allclose(fit.predict()[54:], fit.predict(re_form="NA")[54:])


def test_collinear_slopes_are_named(df: pd.DataFrame):
    df["x2"] = 2 * df["x"] + 1
    with refused("in (x + x2 | g) x2 is a combination of (Intercept), x (their variances are not identified"):
        dm.lmer("y ~ x + (x + x2 | g)", df)
    with refused("in (1 + k | g) k is a combination of (Intercept)"):
        dm.lmer("y ~ x + (1 + k | g)", df)


def test_huge_offsets(df: pd.DataFrame):
    plain = dm.lmer("y ~ x + (1 | g)", df)
    moved = dm.lmer("y ~ x + offset(far) + (1 | g)", df.assign(y=df["y"] + 1e8, far=1e8))
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-5)
    np.testing.assert_allclose(moved.fixef(), plain.fixef(), rtol=1e-5, atol=1e-7)
    shifted = dm.lmer("y ~ x + (1 | g)", df.assign(y=df["y"] + 1e6))
    assert shifted.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-5)


def test_categories_without_rows_are_no_levels(df: pd.DataFrame):
    df["f"] = pd.Categorical(df["f"], ["w", "none", "v", "u"])
    fit = dm.lmer("y ~ f + (1 | g)", df)
    assert fit.fixef().index.tolist() == ["(Intercept)", "fv", "fu"]  # w is the first category


def test_truth_values_are_factors_as_in_r(df: pd.DataFrame):
    fit = dm.lmer("y ~ t + (1 | g)", df.assign(t=df["x"] > 0))
    assert fit.fixef().index.tolist() == ["(Intercept)", "tTRUE"]
