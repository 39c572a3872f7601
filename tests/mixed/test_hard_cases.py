"""Hard data for lmer and glmer: each gives the right answer, or an error that says what, where, what next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import refused

N = 120


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    found = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=N)})
    found["f"], found["id"] = np.tile(["u", "v", "w"], 40), np.arange(N)
    eta = 0.5 * found["x"] + rng.normal(size=12)[found["g"]]
    found["y"] = eta + rng.normal(size=N)
    found["b"] = (rng.random(N) < 1 / (1 + np.exp(-eta))).astype(float)
    found["c"] = rng.poisson(np.exp(0.5 * eta)).astype(float)
    found["n"] = rng.integers(1, 9, N)
    found["s"] = rng.binomial(found["n"], 1 / (1 + np.exp(-eta))).astype(float)
    found["p"], found["m"] = found["s"] / found["n"], found["n"] - found["s"]
    found["d"] = rng.negative_binomial(1.0, 1 / (1 + 3 * np.exp(eta))).astype(float)
    found["t"] = rng.gamma(2, size=N) * np.exp(eta)
    return found


FAMILIES = [("b", "binomial"), ("c", "poisson"), ("d", "negative.binomial"), ("t", "Gamma(log)"),
            ("t", "gaussian(log)")]  # fmt: skip


@pytest.mark.parametrize(("y", "family"), FAMILIES)
def test_missing_responses_are_predicted_and_not_counted(df, y, family):
    holes = df.copy()
    holes.loc[[0, 1, 50], y] = np.nan
    fit = dm.glmer(f"{y} ~ x + (1 | g)", holes, family)
    without = dm.glmer(f"{y} ~ x + (1 | g)", holes.dropna(), family)
    assert fit.converged
    assert fit.n_observations == N - 3
    assert fit.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(fit.fixef(), without.fixef(), rtol=1e-6)
    seen = holes[y].notna().to_numpy()
    np.testing.assert_allclose(fit.predict()[seen], without.predict(), rtol=1e-6)
    np.testing.assert_allclose(fit.predict()[~seen], without.predict(holes[~seen]), rtol=1e-6)
    np.testing.assert_allclose(fit.inner.predict(), fit.predict(), rtol=1e-8)
    assert "3 missing responses predicted, not counted" in fit.summary()


def test_missing_responses_by_quadrature(df):
    holes = df.copy()
    holes.loc[[0, 1, 50], "b"] = np.nan
    fits = [dm.glmer("b ~ x + (1 | g)", d, nAGQ=7) for d in (holes, holes.dropna())]
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, abs=1e-8)


@pytest.mark.parametrize(
    ("formula", "family", "options"),
    [
        ("y ~ x + (1 | g)", None, {}),
        ("t ~ x + (1 | g)", "Gamma(log)", {}),
        ("p ~ x + (1 | g)", "binomial", {}),
        ("cbind(s, m) ~ x + (1 | g)", "binomial", {"cbind": True}),
    ],
)
def test_rows_of_weight_zero_do_not_count(df, formula, family, options):
    """As lm's and glm's: the fit is that of the other rows, and these are predicted."""
    zero = df["id"].isin([3, 60]).to_numpy()
    given = df.assign(
        n=np.where(zero, 0, df["n"]), s=np.where(zero, 0, df["s"]), m=np.where(zero, 0, df["m"])
    )
    how = {} if "cbind" in options else {"weights": "n"}

    def fit(data):
        if family is None:
            return dm.lmer(formula, data, **how)
        return dm.glmer(formula, data, family, **how)

    whole, part = fit(given), fit(given[~zero])
    assert whole.converged
    assert whole.n_observations == N - 2
    assert whole.log_likelihood == pytest.approx(part.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(whole.estimates["estimate"], part.estimates["estimate"], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(whole.residuals("pearson")), zero)
    np.testing.assert_allclose(whole.predict()[~zero], part.predict(), rtol=1e-6)


@pytest.mark.parametrize("far", [-1e4, -50.0, 100.0, 1e4])
@pytest.mark.parametrize(("y", "family"), FAMILIES[:4])
def test_huge_offsets_go_into_the_intercept(df, y, family, far):
    """Far from the data a leaf has no weight at all, so that its quadratic model says nothing of its mode."""
    plain = dm.glmer(f"{y} ~ x + (1 | g)", df, family)
    moved = dm.glmer(f"{y} ~ x + (1 | g)", df, family, offset=np.full(N, far))
    assert moved.converged
    assert moved.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert moved.fixef()["(Intercept)"] + far == pytest.approx(plain.fixef()["(Intercept)"], abs=1e-4)
    assert moved.fixef()["x"] == pytest.approx(plain.fixef()["x"], abs=1e-4)


@pytest.mark.parametrize(
    ("formula", "family", "changed", "name"),
    [
        ("b ~ x + (1 | g)", "binomial", lambda d: {"b": (d["x"] > 0) * 1.0}, "x"),
        ("b ~ f + (1 | g)", "binomial", lambda d: {"b": np.where(d["f"] == "v", 1.0, d["b"])}, "fv"),
        ("c ~ f + (1 | g)", "poisson", lambda d: {"c": np.where(d["f"] == "w", 0.0, d["c"])}, "fw"),
    ],
)
def test_separation_is_named_as_the_formula_names_it(df, formula, family, changed, name):
    with pytest.warns(dm.FitWarning, match=f"is separated by '{name}'"):
        fit = dm.glmer(formula, df.assign(**changed(df)), family)
    assert not fit.converged
    assert fit.log_likelihood <= 1e-9  # a log probability, however far the search has gone
    assert f"separated by '{name}'" in fit.summary()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outcomes_that_are_all_alike(df, value):
    kind = "success" if value else "failure"
    for family, told in (("binomial", f"every trial is a {kind}"), ("poisson", f"every value is {value:g}")):
        with refused(f"the response 'k' is constant: {told}"):
            dm.glmer("k ~ x + (1 | g)", df.assign(k=value), family)
    with refused(f"every trial is a {kind}"):
        dm.glmer("cbind(a, b) ~ x + (1 | g)", df.assign(a=5 * value, b=5 * (1 - value)))
    with refused(f"every trial is a {kind}"):
        dm.glmer("k ~ x + (1 | g)", df.assign(k=value), weights="n")


@pytest.mark.parametrize(
    ("formula", "options", "part"),
    [
        ("b ~ one + (1 | g)", {}, "the factor 'one' has one level"),
        ("b ~ x + (1 | one)", {}, "the grouping factor 'one' has 1 level"),
        ("b ~ x + (x + x2 | g)", {}, "x2 is a combination of (Intercept), x"),
        ("t ~ x + (1 | g)", {"family": "poisson"}, "values of the poisson family are whole numbers"),
        ("t ~ x + (1 | g)", {"family": "negative.binomial"}, "are whole numbers"),
        ("y ~ x + (1 | g)", {"family": "poisson"}, "values of the poisson family are not negative"),
        ("p ~ x + (1 | g)", {}, "neither 0 nor 1 (give the trials behind"),
        ("p ~ x + (1 | g)", {"weights": np.full(N, -1.0)}, "is -1, but weights are not negative"),
        ("p ~ x + (1 | g)", {"weights": np.full(N, 3.0)}, "is no whole number of successes"),
        ("b ~ hole + (1 | g)", {}, "the covariate 'hole' is missing in row 1 (covariates are never missing"),
        ("none ~ x + (1 | g)", {}, "all values of the response 'none' are missing (give data)"),
        ("c ~ x + (1 | g)", {"family": "poisson", "weights": "n"}, "the poisson family has no weights"),
        ("t ~ x + (1 | id)", {"family": "gaussian(log)"}, "'id' has 120 levels for 120 observations"),
    ],
)
def test_what_glmer_refuses(df, formula, options, part):
    given = df.assign(one="a", x2=2 * df["x"] + 1, hole=df["x"].where(df["id"] > 0), none=np.nan)
    with refused(part):
        dm.glmer(formula, given, **options)


def test_data_without_rows(df):
    for fit in (dm.lmer, dm.glmer):
        with refused("the data have no rows"):
            fit("b ~ x + (1 | g)", df.iloc[:0])


def test_columns_that_glmer_drops_are_named(df):
    with pytest.warns(dm.FitWarning, match=r"so dropping 1 column / coefficient: I\(2 \* x\)"):
        fit = dm.glmer("b ~ x + I(2 * x) + f + (1 | g)", df)
    assert fit.fixef().index.tolist() == ["(Intercept)", "x", "fv", "fw"]


@pytest.mark.parametrize(("y", "family"), [FAMILIES[0], FAMILIES[1], FAMILIES[3]])
def test_one_row_a_level(df, y, family):
    """Overdispersion is identified for counts, and for laws with a spread of their own by its shape; a
    Bernoulli variable has none, so its variance is zero."""
    fit = dm.glmer(f"{y} ~ x + (1 | id)", df, family)
    assert fit.converged
    glm = dm.glmer(f"{y} ~ x + (1 | g)", df.assign(g=df["id"] % 2), family)
    assert fit.log_likelihood > glm.log_likelihood - 3
    if y == "b":
        assert fit.boundary == ("sd_(Intercept)|id",)


def test_no_variance_between_groups():
    """Groups more alike than chance makes them: the variance is zero, and the fit is that without groups."""
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 8), "x": np.tile(np.linspace(-1, 1, 8), 10)})
    data["b"] = np.tile([0, 0, 1, 0, 1, 0, 1, 1], 10)
    with pytest.warns(dm.FitWarning, match="the variance of \\(Intercept\\) by g is zero"):
        fit = dm.glmer("b ~ x + (1 | g)", data)
    assert fit.converged
    assert fit.boundary == ("sd_(Intercept)|g",)
    p = fit.predict()
    score = data["b"].to_numpy() - p  # of the logistic regression
    np.testing.assert_allclose([score.sum(), score @ data["x"]], 0, atol=1e-8)


def test_proportions_at_zero_and_one_are_counted_right(df):
    data = df.assign(n=10, p=np.where(df["id"] % 3, np.where(df["id"] % 2, 1.0, 0.0), 0.5))
    one = dm.glmer("p ~ x + (1 | g)", data, weights="n")
    other = dm.glmer("cbind(s, m) ~ x + (1 | g)", data.assign(s=10 * data["p"], m=10 - 10 * data["p"]))
    assert one.converged
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-9)
    assert np.isfinite(one.residuals("deviance")).all()


def test_advice_where_effects_are_nearly_dependent(df):
    with pytest.warns(dm.FitWarning) as told:
        fit = dm.lmer("y ~ x3 + (x3 | g)", df.assign(x3=1e-3 * df["x"] + 2000))
    assert not fit.converged
    assert any("nearly combinations of one another: centre covariates" in str(w.message) for w in told)


def test_a_hundred_thousand_levels():
    rng = np.random.default_rng(0)
    n = 100_000
    big = pd.DataFrame({"id": np.arange(n), "x": rng.normal(size=n)})
    big["text"] = np.char.add("a", big["id"].to_numpy().astype(str))
    big["c"] = rng.poisson(np.exp(0.3 * big["x"] + 0.5 * rng.normal(size=n)))
    fit = dm.glmer("c ~ x + (1 | id)", big, "poisson")  # within five standard errors: false alarm 2e-6
    assert fit.converged
    told = fit.estimates.set_index("name")
    for name, truth in (("x", 0.3), ("sd_(Intercept)|id", 0.5)):
        # Laplace's approximation with one count a level is biased: 0.02 for the deviation
        assert abs(told.loc[name, "estimate"] - truth) < 5 * told.loc[name, "se"] + 0.03
    with refused("the grouping factor 'text' has 100000 levels for 100000 observations"):
        dm.lmer("x ~ 1 + (1 | text)", big)
    with refused("the factor 'text' has 100000 levels: its columns for 100000 rows would take 80 GB"):
        dm.lmer("x ~ text + (1 | c)", big)
