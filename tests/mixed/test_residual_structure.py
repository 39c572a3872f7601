"""`variance=` and `correlation=` of lmer against dense matrices: value, optimum, residuals, missing rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import lu_factor, lu_solve

import dagmodels as dm
from tests.mixed.cases import refused

GROUPS, SIZE = 14, 7


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    """Rows in no order, times with gaps, scales by sex and age, residuals autocorrelated by 0.6."""
    rng = np.random.default_rng(4)
    n = GROUPS * SIZE
    found = pd.DataFrame({"g": np.repeat(np.arange(GROUPS), SIZE)})
    found["t"] = np.concatenate([np.sort(rng.choice(14, SIZE, replace=False)) for _ in range(GROUPS)])
    found["step"] = np.tile(np.arange(SIZE), GROUPS) + 2000
    found["x"], found["age"] = rng.normal(size=n), rng.uniform(-1, 4, size=n)
    found["sex"] = np.where(found["g"] % 2, "f", "m")
    found["item"] = rng.choice(list("abcde"), n)
    found["w"] = rng.uniform(0.5, 2, size=n)
    same = found["g"].to_numpy()[:, None] == found["g"].to_numpy()
    r = np.where(same, 0.6 ** np.abs(found["t"].to_numpy()[:, None] - found["t"].to_numpy()), 0.0)
    scale = np.where(found["sex"] == "f", 0.7, 1.6) * np.exp(0.2 * found["age"])
    noise = scale * (np.linalg.cholesky(r) @ rng.normal(size=n))
    found["y"] = 1 + 0.5 * found["x"] + rng.normal(size=GROUPS)[found["g"]] + noise
    return found.iloc[rng.permutation(n)].reset_index(drop=True)


def dense(df: pd.DataFrame, time: str | None, reml: bool, values: dict) -> complex:
    """Minus twice the log likelihood, or the restricted one, of y ~ x + (1 | g) (+ (1 | item)).

    values : tau, sigma (one, or by sex), and tau_item, exp, power, phi, weights where the model has them.
    """
    n = len(df)
    X = np.column_stack([np.ones(n), df["x"]])
    same = df["g"].to_numpy()[:, None] == df["g"].to_numpy()
    s = values["sigma"]
    scale = np.array([s[k] for k in df["sex"]]) if isinstance(s, dict) else np.full(n, s)
    if "exp" in values:
        scale = scale * np.exp(values["exp"] * df["age"].to_numpy())
    if "power" in values:
        scale = scale * np.abs(df["age"].to_numpy()) ** values["power"]
    if values.get("weights"):
        scale = scale / np.sqrt(df["w"].to_numpy())
    R = np.eye(n)
    if "phi" in values:
        t = df[time].to_numpy() if time else df.groupby("g").cumcount().to_numpy()
        R = np.where(same, values["phi"] ** np.abs(t[:, None] - t), 0.0)
    V = scale[:, None] * R * scale + values["tau"] ** 2 * same
    if "tau_item" in values:
        V = V + values["tau_item"] ** 2 * (df["item"].to_numpy()[:, None] == df["item"].to_numpy())
    factor = lu_factor(V)
    VX, y = lu_solve(factor, X), df["y"].to_numpy()
    information = X.T @ VX
    beta = np.linalg.solve(information, VX.T @ y)
    left = y - X @ beta
    total = n * np.log(2 * np.pi) + np.log(np.diag(factor[0]) + 0j).sum() + left @ lu_solve(factor, left)
    if reml:
        inner = lu_factor(information)
        total += np.log(np.diag(inner[0]) + 0j).sum() - X.shape[1] * np.log(2 * np.pi)
    return total


def unknowns(fit: dm.Fit, weights: bool = False) -> dict:
    """The estimates under the names of `dense`."""
    found: dict = {"weights": weights}
    for r in fit.components:
        if r.kind == "sd":
            found["tau" if r.group == "g" else "tau_item"] = r.estimate
        elif r.kind == "sigma" and r.term is not None:
            found.setdefault("sigma", {})[r.term] = r.estimate
        elif r.kind == "delta":
            found["exp" if "exp" in r.name else "power"] = r.estimate
        elif r.kind in ("sigma", "phi"):
            found[r.kind] = r.estimate
    return found


def slopes(df: pd.DataFrame, time: str | None, reml: bool, values: dict) -> list[float]:
    """Derivatives of `dense` in every unknown, by complex steps."""
    found = []
    for name, value in values.items():
        if name == "weights":
            continue
        for key in value if isinstance(value, dict) else [None]:
            moved = {**value, key: value[key] + 1e-30j} if key is not None else value + 1e-30j
            found.append(dense(df, time, reml, {**values, name: moved}).imag / 1e-30)
    return found


CASES = [
    ({"variance": "~ sex"}, None),
    ({"variance": "exp(age)"}, None),
    ({"variance": "power(age)"}, None),
    ({"variance": "varIdent(form = ~ 1 | sex)", "weights": "w"}, None),
    ({"correlation": "ar1(t | g)"}, "t"),
    ({"correlation": "ar1(step | g)"}, "step"),
    ({"correlation": "corAR1(form = ~ 1 | g)", "weights": "w"}, None),
    ({"variance": "~ sex + exp(age)", "correlation": "ar1(t | g)", "weights": "w"}, "t"),
]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("options", "time"), CASES)
def test_value_and_optimum_are_those_of_dense_matrices(df, options, time, reml):
    fit = dm.lmer("y ~ x + (1 | g)", df, REML=reml, **options)
    assert fit.converged
    assert fit.exact
    values = unknowns(fit, "weights" in options)
    assert -2 * fit.log_likelihood == pytest.approx(dense(df, time, reml, values).real, abs=1e-8)
    np.testing.assert_allclose(slopes(df, time, reml, values), 0, atol=1e-6)


def test_crossed_factors_beside_an_autocorrelation(df):
    """Rows lie in the group of the autocorrelation alone; others are told by a covariate."""
    fit = dm.lmer("y ~ x + (1 | g) + (1 | item)", df, variance="~ sex", correlation="ar1(t | g)")
    values = unknowns(fit)
    assert -2 * fit.log_likelihood == pytest.approx(dense(df, "t", True, values).real, abs=1e-8)
    assert "covariate item_of[row] in item" in str(fit.graph)
    assert fit.ranef()["item"].index.tolist() == list("abcde")


@pytest.mark.parametrize("correlation", [None, "ar1(t | g)"])
def test_order_of_rows_changes_nothing(df, correlation):
    options = {"variance": "~ sex", "correlation": correlation}
    one = dm.lmer("y ~ x + (x || g)", df, **options)
    order = np.random.default_rng(0).permutation(len(df))
    other = dm.lmer("y ~ x + (x || g)", df.iloc[order], **options)
    assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(other.estimates["estimate"], one.estimates["estimate"], rtol=1e-6)
    for kind in ("pearson", "normalized"):
        np.testing.assert_allclose(other.residuals(kind), one.residuals(kind)[order], atol=1e-6)
    np.testing.assert_allclose(other.predict(), one.predict()[order], atol=1e-6)


def test_missing_responses_leave_gaps(df):
    """A missing response counts as a row that is not there: the gap around it grows."""
    options = {"variance": "~ sex", "correlation": "ar1(t | g)"}
    holes = df.copy()
    holes.loc[[3, 20, 21], "y"] = np.nan
    kept = holes["y"].notna().to_numpy()
    fit = dm.lmer("y ~ x + (1 | g)", holes, **options)
    without = dm.lmer("y ~ x + (1 | g)", holes[kept], **options)
    assert fit.log_likelihood == pytest.approx(without.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(fit.estimates["estimate"], without.estimates["estimate"], rtol=1e-6)
    for kind in ("pearson", "normalized"):
        np.testing.assert_allclose(fit.residuals(kind)[kept], without.residuals(kind), atol=1e-6)
        assert np.isnan(fit.residuals(kind)[~kept]).all()
    assert np.isfinite(fit.predict()).all()


def test_residuals_are_whitened(df):
    """Pearson residuals are over their scales; normalized ones times the inverse Cholesky factor of R, in the
    order of time."""
    fit = dm.lmer("y ~ x + (1 | g)", df, variance="~ sex + exp(age)", correlation="ar1(t | g)", weights="w")
    v = unknowns(fit)
    scale = df["sex"].map(v["sigma"]) * np.exp(v["exp"] * df["age"]) / np.sqrt(df["w"])
    pearson = fit.residuals() / scale
    np.testing.assert_allclose(fit.residuals("pearson"), pearson)
    np.testing.assert_allclose(fit.residuals("scaled"), pearson)
    found = fit.residuals("normalized")
    for _, rows in df.sort_values("t").groupby("g"):
        t = rows["t"].to_numpy()
        L = np.linalg.cholesky(v["phi"] ** np.abs(t[:, None] - t))
        np.testing.assert_allclose(found[rows.index], np.linalg.solve(L, pearson[rows.index]), atol=1e-10)


def test_estimates_and_summary(df):
    fit = dm.lmer("y ~ x + (1 | g)", df, variance="~ sex + exp(age)", correlation="ar1(t | g)")
    told = fit.estimates.set_index("name")
    assert told.index.tolist()[3:] == ["sigma[f]", "sigma[m]", "delta_exp(age)", "phi"]
    assert told["kind"].tolist()[3:] == ["sigma", "sigma", "delta", "phi"]
    assert told["term"].tolist()[3:] == ["f", "m", "age", "t"]
    assert told.loc["phi", "group"] == "g"
    assert (told["se"] > 0).all()
    assert fit.sigma == told.loc["sigma[f]", "estimate"]
    assert fit.VarCorr()["var1"].tolist() == ["(Intercept)", "f", "m"]
    text = fit.summary()
    assert "Correlation Structure: AR(1)\n Formula: ~t | g\n Parameter estimate(s):\n" in text
    assert "Structure: Different standard deviations per stratum\n Formula: ~1 | sex\n" in text
    assert f"{told.loc['sigma[m]', 'estimate'] / fit.sigma:.7g}" in text
    assert "Structure: Exponential of variance covariate\n Formula: ~age\n" in text


def test_verbs(df):
    """Refit, bootstrap, profile, tests and comparison of a structured fit."""
    options = {"variance": "~ sex", "correlation": "ar1(t | g)"}
    fit = dm.lmer("y ~ x + sex + (1 | g)", df, REML=False, **options)
    y = df["y"].to_numpy() + np.sin(np.arange(len(df)))
    again = dm.lmer("y ~ x + sex + (1 | g)", df.assign(y=y), REML=False, **options)
    refit = fit.refit(y)
    np.testing.assert_allclose(refit.estimates["estimate"], again.estimates["estimate"], rtol=1e-5)
    np.testing.assert_allclose(refit.residuals("normalized"), again.residuals("normalized"), atol=1e-5)
    boot = fit.bootstrap(draws=4, seed=1)
    assert boot.draws.shape == (4, 7)
    assert not boot.failures
    limits = fit.confint("profile", which=["phi", "sigma[m]"]).set_index("name")
    assert (limits["lower"] < limits["estimate"]).all()
    assert (limits["estimate"] < limits["upper"]).all()
    assert fit.tests()["df"].between(3, len(df)).all()
    plain = dm.lmer("y ~ x + sex + (1 | g)", df, REML=False)
    table = dm.anova(plain, fit)
    assert table["Df"].iloc[1] == 2
    assert table["Chisq"].iloc[1] == pytest.approx(2 * (fit.log_likelihood - plain.log_likelihood))
    with refused("Kenward and Roger's method is for independent residuals of one scale"):
        dm.lmer("y ~ x + (1 | g)", df, **options).tests(ddf="Kenward-Roger")
    with refused("mean squares are for independent residuals of one scale"):
        fit.mean_squares()
    with pytest.raises(dm.FitError, match="depend on no other observed node"):
        fit.leverage()


def test_profile_of_phi_is_that_of_the_likelihood(df):
    """At each limit the dense deviance, minimised over the rest, has risen by the chi-square quantile."""
    from scipy.optimize import minimize

    fit = dm.lmer("y ~ x + (1 | g)", df, REML=False, correlation="ar1(t | g)")
    row = fit.confint("profile", which=["phi"]).iloc[0]
    begin = unknowns(fit)

    def least(phi: float) -> float:
        def deviance(log):
            return dense(df, "t", False, {"tau": np.exp(log[0]), "sigma": np.exp(log[1]), "phi": phi}).real

        start = np.log([begin["tau"], begin["sigma"]])
        return minimize(deviance, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}).fun

    for limit in (row["lower"], row["upper"]):
        assert least(limit) + 2 * fit.log_likelihood == pytest.approx(3.841458820694124, abs=1e-3)


def test_simulated_residuals_follow_the_structure(df):
    """Means of products of standardised residuals over 400 draws, within 5 standard errors: false alarm 4e-6
    (seven moments)."""
    g = dm.read("y ~ x + (1 | g)", format="formula", data=df, variance="~ sex", correlation="ar1(t | g)")
    values = {"beta": [1.0, 0.5], "tau_g": 0.0, "sigma": [0.5, 2.0], "phi": -0.6}
    draws = [
        np.asarray(g.simulate(values=values, seed=s)["row"]["y"], dtype=float) - 1 - 0.5 * df["x"].to_numpy()
        for s in range(400)
    ]
    z = np.array(draws) / df["sex"].map({"f": 0.5, "m": 2.0}).to_numpy()
    order = df.sort_values(["g", "t"]).index.to_numpy()
    first, second = order[:-1], order[1:]
    gap = df["t"].to_numpy()[second] - df["t"].to_numpy()[first]
    inside = df["g"].to_numpy()[second] == df["g"].to_numpy()[first]
    for k in (1, 2, 3):
        at = inside & (gap == k)
        product = (z[:, first[at]] * z[:, second[at]]).mean(axis=1)
        assert abs(product.mean() - (-0.6) ** k) < 5 * product.std(ddof=1) / 20
    for sex in "fm":
        square = (z[:, (df["sex"] == sex).to_numpy()] ** 2).mean(axis=1)
        assert abs(square.mean() - 1) < 5 * square.std(ddof=1) / 20


def test_other_data(df):
    """The same model for other rows; strata and times are those found there."""
    g = dm.read("y ~ x + (1 | g)", format="formula", data=df, variance="~ sex", correlation="ar1(t | g)")
    half = df[df["g"] < 8]
    one = g.fit(half)
    other = dm.lmer("y ~ x + (1 | g)", half, variance="~ sex", correlation="ar1(t | g)")
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-9)
    with refused("the gaps of 'step' are not those of the fit"):
        h = dm.read("y ~ x + (1 | g)", format="formula", data=df, correlation="ar1(step | g)")
        h.simulate(half[half["step"] != 2003], values={"beta": [1, 0], "tau_g": 1, "sigma": 1, "phi": 0})


@pytest.mark.parametrize("correlation", [None, "ar1(t | g)"])
@pytest.mark.parametrize("by", ["flag", "k", "factor(k)", "sex:flag", "interaction(k, flag)", "g"])
def test_levels_of_any_kind(df, by, correlation):
    """Truth values, numbers and combinations; the same strata as text give the same fit."""
    data = df.assign(flag=df["x"] > 0, k=df["t"] % 2)
    columns = {
        "flag": ["flag"],
        "sex:flag": ["sex", "flag"],
        "interaction(k, flag)": ["k", "flag"],
        "g": ["g"],
    }
    text = data[columns.get(by, ["k"])].astype(str).agg("-".join, axis=1)
    one = dm.lmer("y ~ x + (1 | g)", data, variance=f"~ {by}", correlation=correlation)
    other = dm.lmer("y ~ x + (1 | g)", data.assign(s=text), variance="~ s", correlation=correlation)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-8)
    sigma = [f.estimates.query("kind == 'sigma'")["estimate"] for f in (one, other)]
    np.testing.assert_allclose(sorted(sigma[0]), sorted(sigma[1]), rtol=1e-5)
    np.testing.assert_allclose(one.residuals("pearson"), other.residuals("pearson"), atol=1e-5)
    assert "Different standard deviations per stratum" in one.summary()


def test_columns_named_as_the_parameters_are(df):
    data = df.rename(columns={"x": "phi", "w": "sigma", "age": "delta", "t": "gap"}).assign(mu=1.0, row=2.0)
    fit = dm.lmer("y ~ phi + sigma + (1 | g)", data, variance="exp(delta)", correlation="ar1(gap | g)")
    assert fit.converged
    assert len(set(fit.estimates["name"])) == len(fit.estimates)
    plain = dm.lmer("y ~ x + w + (1 | g)", df, variance="exp(age)", correlation="ar1(t | g)")
    np.testing.assert_allclose(fit.estimates["estimate"], plain.estimates["estimate"], rtol=1e-6)


TEXT = """
model structured
plate sex
plate g in sex
plate t in g ordered
covariate x[t], age[t]
b[g] ~ Normal(0, tau)
parameter b0, b1
parameter tau > 0
"""
TEXTS = {
    "variance": "parameter d0, d1\nobserved y[t] ~ Normal(b0 + b1*x + b, exp(d0 + d1*age))",
    "strata": "parameter sigma[sex] > 0\nobserved y[t] ~ Normal(b0 + b1*x + b, sigma[sex])",
    "chain": """parameter s > 0
parameter phi in (-1, 1)
m[t] = b0 + b1*x + b
observed y[t first] ~ Normal(m, s/sqrt(1 - phi**2))
observed y[t] ~ Normal(m[t] + phi*(y[t-1] - m[t-1]), s)""",
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("variance", {"variance": "exp(age)"}),
        ("strata", {"variance": "~ sex"}),
        ("chain", {"correlation": "ar1(step | g)"}),
    ],
)
def test_graphs_written_by_hand(df, name, options):
    """The same structures in a model's text are exact too; t is the place of a row in its group."""
    data = df.assign(t=df["step"])[["sex", "g", "t", "x", "age", "y"]]
    fit = dm.read(TEXT + TEXTS[name]).fit(data)
    want = dm.lmer("y ~ x + (1 | g)", df, REML=False, **options)
    assert fit.exact
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(want.log_likelihood, abs=1e-9)
    if name == "chain":
        marginal = fit["s"] / np.sqrt(1 - fit["phi"] ** 2)
        assert (marginal, fit["phi"]) == pytest.approx((want.sigma, want["phi"]), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"variance": "~ sx"}, "have no column 'sx' (did you mean 'sex'?)"),
        ({"variance": "~ one"}, "'one' has one level, so there is one scale"),
        ({"variance": "~ rare"}, "the stratum 'b' of 'rare' has 1 observation, which tells no scale"),
        ({"variance": "~ 1"}, "one scale for all is the usual model"),
        ({"variance": "~ sex + item"}, "each combination of levels has one scale"),
        ({"variance": "log(age)"}, "the variance function log() is not known"),
        ({"variance": "exp(sex)"}, "'sex' is not a column of numbers"),
        ({"variance": "exp(k)"}, "'k' is constant, so exp(k) says nothing"),
        ({"variance": "power(step - 2000)"}, "is zero in row"),
        ({"variance": "varPower(form = ~ age | sex)"}, "varPower() by a factor has no model here"),
        ({"variance": "varFixed(~ age)"}, "varFixed() has no model here"),
        ({"variance": "corAR1(form = ~ 1 | g)"}, "corAR1() is a correlation, not a variance"),
        ({"variance": 3}, "variance is 3, which is no text"),
        ({"correlation": "ar1(t)"}, "ar1() names no group"),
        ({"correlation": "ar2(t | g)"}, "the correlation ar2() is not known"),
        ({"correlation": "g"}, "'g' is no correlation"),
        ({"correlation": "ar1(0 + t | g)"}, "is no time"),
        ({"correlation": "ar1(t | g/item)"}, "is several groups"),
        ({"correlation": "varIdent(form = ~ 1 | g)"}, "the correlation varIdent() is not known"),
        ({"correlation": "ar1(age | g)"}, "which is no integer (count the time in whole steps"),
        ({"correlation": "ar1(t | item)"}, "of one level of 'item' have the same time"),
        ({"correlation": "ar1(hole | g)"}, "the covariate 'hole' is missing in row 1"),
        ({"correlation": "ar1(1 | id)"}, "no level of 'id' has two observations"),
    ],
)
def test_what_is_refused(df, options, part):
    df = df.assign(one="a", rare=np.where(np.arange(len(df)) == 5, "b", "a"), k=1.0, id=np.arange(len(df)))
    df["hole"] = df["t"].astype(float).where(df.index > 0)
    with refused(part):
        dm.lmer("y ~ x + (1 | g)", df, **options)


def test_a_slope_without_bound_at_the_edge_of_a_domain():
    """phi**gap with gaps below one: where residuals are independent phi runs to zero, and the slope there
    is infinite."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(12), 5), "t": np.tile(np.arange(5), 12)})
    data["gap"] = rng.uniform(0.1, 1, size=60)
    data["y"] = rng.normal(size=12)[data["g"]] + rng.normal(size=60)
    fit = dm.read("""
model real_times
plate g
plate t in g ordered
covariate gap[t]
u[g] ~ Normal(0, tau)
parameter b
parameter tau, sigma > 0
parameter phi in (0, 1)
m[t] = b + u
observed y[t first] ~ Normal(m, sigma)
observed y[t] ~ Normal(m + phi**gap*(y[t-1] - m[t-1]), sigma*sqrt(1 - phi**(2*gap)))
""").fit(data)
    plain = dm.lmer("y ~ 1 + (1 | g)", data, REML=False)
    assert fit.log_likelihood >= plain.log_likelihood - 1e-6
