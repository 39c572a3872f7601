"""Standard errors and limits of predictions, against dense matrices that share nothing with the fit's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.results.mixed.expected import INVERSE_LINKS, slopes
from tests.mixed.cases import data, refused

Z975 = stats.norm.ppf(0.975)


def of_levels(labels: pd.Series, levels: pd.Index) -> np.ndarray:
    return (labels.astype(str).to_numpy()[:, None] == levels.to_numpy()[None, :]).astype(float)


def design(fit, df: pd.DataFrame, terms: dict[str, tuple[pd.Series, tuple[str, ...]]]):
    """Dense Z and G: terms give by `VarCorr` group the labels and the columns of the effects ("1": ones)."""
    parts, blocks = [], []
    table = fit.VarCorr()
    for group, (labels, effects) in terms.items():
        own = of_levels(labels, fit.ranef()[group].index)
        parts += [own * (1.0 if e == "1" else df[e].to_numpy()[:, None]) for e in effects]
        vcov = table[table["grp"] == group]["vcov"].to_numpy()
        G = np.diag(vcov[: len(effects)])
        if len(effects) == 2:
            G[0, 1] = G[1, 0] = vcov[2]
        blocks.append(np.kron(G, np.eye(own.shape[1])))
    G = np.zeros((sum(map(len, blocks)),) * 2)
    at = 0
    for b in blocks:
        G[at : at + len(b), at : at + len(b)] = b
        at += len(b)
    return np.hstack(parts), G


def error_variance(X, Z, G, R, x, z) -> np.ndarray:
    """Of x'beta + z'b about its predictor, by V alone (Henderson 1975, equations 5 to 8)."""
    Vi = np.linalg.inv(Z @ G @ Z.T + R)
    S = np.linalg.inv(X.T @ Vi @ X)
    P = Vi - Vi @ X @ S @ X.T @ Vi
    of_b = G - G @ Z.T @ P @ Z @ G
    both = -S @ X.T @ Vi @ Z @ G
    return np.array(np.diag(x @ S @ x.T + z @ of_b @ z.T + 2 * x @ both @ z.T))


def linear(name: str):
    """A fit with its dense X, Z and G."""
    df = data(name)
    if name == "sleepstudy":
        fit = dm.lmer("Reaction ~ Days + (Days | Subject)", df)
        Z, G = design(fit, df, {"Subject": (df["Subject"], ("1", "Days"))})
        return fit, df, np.column_stack([np.ones(len(df)), df["Days"]]), Z, G
    if name == "penicillin":
        fit = dm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", df, REML=False)
        terms = {g: (df[g], ("1",)) for g in ("plate", "sample")}
    else:
        fit = dm.lmer("strength ~ 1 + (1 | batch/cask)", df)
        cask = df["cask"].astype(str) + ":" + df["batch"].astype(str)
        terms = {"cask:batch": (cask, ("1",)), "batch": (df["batch"], ("1",))}
    return fit, df, np.ones((len(df), 1)), *design(fit, df, terms)


@pytest.mark.parametrize("name", ["sleepstudy", "penicillin", "pastes"])
def test_linear_models_against_dense_matrices(name: str):
    fit, df, X, Z, G = linear(name)
    R = fit.sigma**2 * np.eye(len(df))
    wanted = np.sqrt(error_variance(X, Z, G, R, X, Z))
    got = fit.predict(se_fit=True)
    assert list(got.columns) == ["fit", "se_fit"]
    np.testing.assert_allclose(got["se_fit"], wanted, rtol=1e-8)
    np.testing.assert_array_equal(got["fit"], fit.predict())
    fixed = fit.predict(df, re_form="NA", se_fit=True)["se_fit"]
    np.testing.assert_allclose(fixed, np.sqrt(error_variance(X, Z, G, R, X, 0 * Z)), rtol=1e-8)
    limits = fit.predict(interval="prediction", level=0.95)
    half = Z975 * np.sqrt(wanted**2 + fit.sigma**2)
    np.testing.assert_allclose(limits["upper"], fit.predict() + half, rtol=1e-8)
    np.testing.assert_allclose(limits["lower"], fit.predict() - half, rtol=1e-8)
    np.testing.assert_allclose(fit.leverage() * fit.sigma**2, wanted**2, rtol=1e-8)


def test_the_graph_gives_the_same_standard_deviations():
    fit = linear("sleepstudy")[0]
    again = fit.inner.predict(sd=True)
    got = fit.predict(se_fit=True, interval="prediction", level=0.5)
    np.testing.assert_allclose(got["se_fit"], again.sd, rtol=1e-8)
    half = stats.norm.ppf(0.75) * again.sd_new
    np.testing.assert_allclose(got["upper"], again.mean + half, rtol=1e-8)


def test_a_level_of_its_own_adds_its_own_variance():
    fit, _, X, Z, G = linear("sleepstudy")
    new = pd.DataFrame({"Days": [0, 5.5, 10], "Subject": [308, 308, 999]})
    x = np.column_stack([np.ones(3), new["Days"]])
    own = of_levels(new["Subject"], fit.ranef()["Subject"].index)
    z = np.hstack([own, own * new["Days"].to_numpy()[:, None]])
    wanted = error_variance(X, Z, G, fit.sigma**2 * np.eye(len(X)), x, z)
    small = G[:: len(G) // 2, :: len(G) // 2]  # a kronecker product: the covariance of one level
    wanted[2] += x[2] @ small @ x[2]
    got = fit.predict(new, allow_new_levels=True, se_fit=True)["se_fit"]
    np.testing.assert_allclose(got**2, wanted, rtol=1e-8)
    part = fit.predict(new, re_form="~ (1 | Subject)", allow_new_levels=True, se_fit=True)["se_fit"]
    z[:, own.shape[1] :] = 0
    wanted = error_variance(X, Z, G, fit.sigma**2 * np.eye(len(X)), x, z)
    wanted[2] += small[0, 0]
    np.testing.assert_allclose(part**2, wanted, rtol=1e-8)
    with refused("'Subject' has new level 999"):
        fit.predict(new, se_fit=True)


def test_weights_strata_and_variance_covariates_count():
    df = data("sleepstudy")
    df["half"] = np.where(df["Days"] < 5, "early", "late")
    df["w"] = 1 + df["Subject"] % 3
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", df, weights="w", variance="~ half + exp(Days)")
    e = fit.estimates.set_index("name")["estimate"]
    scale = np.where(df["half"] == "early", e["sigma[early]"], e["sigma[late]"])
    residual = (scale * np.exp(e["delta_exp(Days)"] * df["Days"])) ** 2 / df["w"]
    X = np.column_stack([np.ones(len(df)), df["Days"]])
    Z, G = design(fit, df, {"Subject": (df["Subject"], ("1", "Days"))})
    wanted = error_variance(X, Z, G, np.diag(residual), X, Z)
    got = fit.predict(se_fit=True, interval="prediction")
    np.testing.assert_allclose(got["se_fit"] ** 2, wanted, rtol=1e-8)
    np.testing.assert_allclose(got["upper"], fit.predict() + Z975 * np.sqrt(wanted + residual), rtol=1e-8)
    some = df.iloc[[3, 99, 7]].drop(columns="Reaction")
    again = fit.predict(some, interval="prediction")
    np.testing.assert_allclose(again["upper"], got["upper"].iloc[[3, 99, 7]], rtol=1e-8)
    with refused("the fit has weights, and the new rows have none"):
        fit.predict(some.drop(columns="w"), interval="prediction")
    with refused("'half' has the new level noon"):
        fit.predict(some.assign(half="noon"), interval="prediction")


def test_autocorrelated_residuals_and_missing_ones():
    df = data("sleepstudy")
    df.loc[[0, 14, 50], "Reaction"] = np.nan
    fit = dm.lmer("Reaction ~ Days + (1 | Subject)", df, correlation="ar1(Days | Subject)")
    X = np.column_stack([np.ones(len(df)), df["Days"]])
    Z, G = design(fit, df, {"Subject": (df["Subject"], ("1",))})
    lag = np.abs(np.subtract.outer(df["Days"].to_numpy(), df["Days"].to_numpy()))
    same = np.equal.outer(df["Subject"].to_numpy(), df["Subject"].to_numpy())
    R = fit.sigma**2 * np.where(same, fit["phi"] ** lag, 0.0)
    at = np.flatnonzero(df["Reaction"].notna())
    wanted = error_variance(X[at], Z[at], G, R[np.ix_(at, at)], X, Z)
    np.testing.assert_allclose(fit.predict(se_fit=True)["se_fit"] ** 2, wanted, rtol=1e-8)
    with refused("a new response hangs together with those fitted by correlation="):
        fit.predict(interval="prediction")


def test_a_variance_of_zero():
    df = data("sleepstudy").assign(Reaction=np.random.default_rng(3).normal(size=180) + np.arange(180) % 10)
    df["Reaction"] -= df.groupby("Subject")["Reaction"].transform("mean")
    with pytest.warns(dm.FitWarning, match="the variance of .Intercept. by Subject is zero"):
        fit = dm.lmer("Reaction ~ Days + (1 | Subject)", df)
    assert fit.singular
    X = np.column_stack([np.ones(180), df["Days"]])
    wanted = fit.sigma**2 * np.diag(X @ np.linalg.inv(X.T @ X) @ X.T)
    np.testing.assert_allclose(fit.predict(se_fit=True)["se_fit"] ** 2, wanted, rtol=1e-8)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    found = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=120)})
    eta = 0.8 + 0.4 * found["x"] + 0.4 * rng.normal(size=12)[found["g"]]
    found["count"] = rng.poisson(np.exp(eta))
    found["many"] = rng.poisson(np.exp(eta) * rng.gamma(2, 0.5, 120))
    found["time"] = rng.gamma(3, np.exp(eta) / 3)
    found["yes"] = rng.random(120) < 1 / (1 + np.exp(-3 * (eta - 0.8)))
    return found


def row_curvature(fit, y: np.ndarray, eta: np.ndarray, link: str) -> np.ndarray:
    """Minus the second derivative of scipy's log density in eta: fourth-order differences, extrapolated."""
    spread = fit.sigma

    def log_density(eta: np.ndarray) -> np.ndarray:
        m = {"log": np.exp, "logit": lambda e: 1 / (1 + np.exp(-e)), "probit": stats.norm.cdf}[link](eta)
        match fit.naming.family:
            case "binomial":
                return stats.binom.logpmf(y, 1, m)
            case "poisson":
                return stats.poisson.logpmf(y, m)
            case "negative.binomial":
                return stats.nbinom.logpmf(y, spread, spread / (spread + m))
            case "Gamma":
                return stats.gamma.logpdf(y, spread, scale=m / spread)
            case _:
                return stats.invgauss.logpdf(y, m / spread, scale=spread)

    def second(h: float) -> np.ndarray:
        f = log_density
        far = -f(eta + 2 * h) - f(eta - 2 * h)
        return (far + 16 * (f(eta + h) + f(eta - h)) - 30 * f(eta)) / (12 * h**2)

    return -(16 * second(0.01) - second(0.02)) / 15


@pytest.mark.parametrize(
    ("response", "family", "link"),
    [
        ("count", "poisson", "log"),
        ("yes", "binomial", "logit"),
        ("yes", "binomial", "probit"),
        ("many", "negative.binomial", "log"),
        ("time", "Gamma", "log"),
        ("time", "inverse.gaussian", "log"),
    ],
)
def test_other_families_by_the_inverse_of_the_penalised_hessian(
    counts: pd.DataFrame, response: str, family: str, link: str
):
    fit = dm.glmer(f"{response} ~ x + (1 | g)", counts, family=family, link=link)
    eta = fit.predict(type="link")
    y = counts[response].to_numpy().astype(float)
    W = np.diag(row_curvature(fit, y, eta, link))
    Z, G = design(fit, counts, {"g": (counts["g"], ("1",))})
    A = np.column_stack([np.ones(120), counts["x"], Z])
    penalty = np.zeros((14, 14))
    penalty[2:, 2:] = np.linalg.inv(G)
    C = np.linalg.inv(A.T @ W @ A + penalty)
    wanted = np.sqrt(np.diag(A @ C @ A.T))
    got = fit.predict(type="link", se_fit=True, interval="confidence")
    np.testing.assert_allclose(got["se_fit"], wanted, rtol=1e-7)  # differences are good to about 1e-8
    np.testing.assert_allclose(got["upper"], eta + Z975 * wanted, rtol=1e-7, atol=1e-7)
    fixed = fit.predict(type="link", se_fit=True, re_form="NA")["se_fit"]
    np.testing.assert_allclose(fixed**2, np.diag(A[:, :2] @ C[:2, :2] @ A[:, :2].T), rtol=1e-6)
    mean = fit.predict(se_fit=True, interval="confidence")
    step = 1e-6
    inverse = stats.norm.cdf if link == "probit" else INVERSE_LINKS[link]
    rise = (inverse(eta + step) - inverse(eta - step)) / (2 * step)
    np.testing.assert_allclose(mean["se_fit"], wanted * rise, rtol=1e-6)
    np.testing.assert_allclose(mean["lower"], inverse(got["lower"].to_numpy()), rtol=1e-12)


def test_cbpp_at_full_precision():
    df = data("cbpp")
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", df)
    p = fit.predict()
    Z, G = design(fit, df, {"herd": (df["herd"], ("1",))})
    dummies = pd.get_dummies(df["period"], drop_first=True).to_numpy(float)
    A = np.column_stack([np.ones(len(df)), dummies, Z])
    penalty = np.diag(np.r_[np.zeros(4), 1 / np.diag(G)])
    C = np.linalg.inv(A.T @ ((df["size"].to_numpy() * p * (1 - p))[:, None] * A) + penalty)
    wanted = np.sqrt(np.diag(A @ C @ A.T))
    np.testing.assert_allclose(fit.predict(type="link", se_fit=True)["se_fit"], wanted, rtol=1e-8)
    np.testing.assert_allclose(fit.predict(se_fit=True)["se_fit"], wanted * p * (1 - p), rtol=1e-8)


@pytest.mark.parametrize(
    "link", ["identity", "log", "logit", "probit", "cloglog", "inverse", "1/mu^2", "sqrt"]
)
def test_slopes_of_links(link: str):
    eta, h = np.array([0.3, 0.9, 1.7]), 1e-5
    inverse = stats.norm.cdf if link == "probit" else INVERSE_LINKS[link]
    first, second = slopes(link, eta)
    np.testing.assert_allclose(first, (inverse(eta + h) - inverse(eta - h)) / (2 * h), rtol=1e-8)
    near = slopes(link, eta + h)[0] - slopes(link, eta - h)[0]
    np.testing.assert_allclose(second, near / (2 * h), rtol=1e-7, atol=1e-9)


def test_a_mean_without_upper_limit(counts: pd.DataFrame):
    fit = dm.glmer("time ~ 1 + (1 | g)", counts, family="Gamma(inverse)")
    wide = fit.predict(interval="confidence", level=1 - 1e-12)
    low = fit.predict(type="link", interval="confidence", level=1 - 1e-12)["lower"]
    assert (low < 0).any()
    np.testing.assert_array_equal(np.isinf(wide["upper"]), low <= 0)
    assert (wide["lower"] > 0).all()


def test_many_levels_that_share_no_rows_need_few_solutions():
    rng = np.random.default_rng(4)
    df = pd.DataFrame({"g": np.repeat(np.arange(20_000), 2), "x": rng.normal(size=40_000)})
    df["y"] = df["x"] + rng.normal(size=20_000)[df["g"]] + rng.normal(size=40_000)
    fit = dm.lmer("y ~ x + (1 | g)", df)
    se = fit.predict(se_fit=True)["se_fit"]
    np.testing.assert_allclose(se**2, fit.sigma**2 * fit.leverage(), rtol=1e-8)


def test_what_has_no_closed_answer_is_refused_by_name(counts: pd.DataFrame):
    poisson = dm.glmer("count ~ x + (1 | g)", counts, family="poisson")
    with refused("prediction intervals are for Normal responses, and this is poisson(log)"):
        poisson.predict(interval="prediction")
    nb1 = dm.glmer("many ~ x + (1 | g)", counts, family="nbinom1")
    with refused("no closed form for the nbinom1 family"):
        nb1.predict(se_fit=True)
    with refused("type='disp' has no standard errors"):
        nb1.predict(type="disp", se_fit=True)
    with refused("there is no argument 'se'", "interval='both' is unknown", "level is 95"):
        poisson.predict(se=True, interval="both", level=95)
    with pytest.raises(dm.FitError, match=r"does not take se_fit=True \(there are new, type, sd\)"):
        poisson.inner.predict(se_fit=True)
