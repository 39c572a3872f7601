"""Responses drawn from a fit: their mean, covariance and law; what they share with the bootstrap.

Each test statistic is Normal or chi-square under the truth, and a test fails beyond the 1e-6 tails: with some
30 of them a false alarm comes once in about 15,000 runs with new seeds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dagmodels as dm
from dagmodels.results.mixed.expected import Law
from tests.mixed.cases import data, refused

TAIL = 1e-6
FAR = stats.norm.isf(TAIL / 2)


def agree(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Draws, one a column, are Normal with that mean and covariance: chi-square of their whitened mean and of
    their whitened squares."""
    n, m = draws.shape
    white = np.linalg.solve(np.linalg.cholesky(covariance), draws - mean[:, None])
    for value, df in ((m * np.sum(white.mean(axis=1) ** 2), n), (np.sum(white**2), n * m)):
        assert stats.chi2.ppf(TAIL / 2, df) < value < stats.chi2.isf(TAIL / 2, df)
    neighbours = np.sum(white[1:] * white[:-1]) / np.sqrt(white[1:].size)
    assert abs(neighbours) < FAR


@pytest.fixture(scope="module")
def sleep():
    return dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))


def covariance_of(fit, df: pd.DataFrame) -> np.ndarray:
    """Z G Z' + R of sleepstudy rows."""
    z = np.column_stack([np.ones(len(df)), df["Days"]])
    v = fit.VarCorr()["vcov"].to_numpy()
    G = np.array([[v[0], v[2]], [v[2], v[1]]])
    same = np.equal.outer(df["Subject"].to_numpy(), df["Subject"].to_numpy())
    return np.where(same, z @ G @ z.T, 0.0) + fit.sigma**2 * np.eye(len(df))


def test_new_random_effects_are_those_of_the_bootstrap(sleep):
    drawn = sleep.simulate(500, seed=4)
    assert list(drawn.columns[:2]) == ["sim_1", "sim_2"]
    assert drawn.shape == (180, 500)
    agree(drawn.to_numpy(), sleep.predict(re_form="NA"), covariance_of(sleep, data("sleepstudy")))
    boot = sleep.bootstrap(draws=2, seed=4)
    again = [sleep.refit(drawn[c]).estimates["estimate"].to_numpy() for c in ("sim_1", "sim_2")]
    np.testing.assert_allclose(boot.draws, again, rtol=1e-5)


def test_modes_are_kept(sleep):
    drawn = sleep.simulate(500, seed=2, re_form=None)
    agree(drawn.to_numpy(), sleep.predict(), sleep.sigma**2 * np.eye(180))


def test_new_rows_share_the_effects_of_their_levels(sleep):
    new = pd.DataFrame({"Subject": [308, 308, 999, 999, 1000], "Days": [0, 5, 0, 5, 5]})
    whole = covariance_of(sleep, new)
    mean = sleep.predict(new, re_form="NA")
    agree(sleep.simulate(2000, seed=8, new=new).to_numpy(), mean, whole)
    kept = sleep.predict(new, allow_new_levels=True)
    known = np.where(np.arange(5) < 2, True, False)
    partly = np.where(known[:, None] | known, sleep.sigma**2 * np.eye(5), whole)
    agree(sleep.simulate(2000, seed=9, re_form=None, new=new).to_numpy(), kept, partly)


def test_terms_named_keep_their_modes():
    df = data("penicillin")
    fit = dm.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", df)
    drawn = fit.simulate(400, seed=3, re_form="~ (1 | sample)").to_numpy()
    same = np.equal.outer(df["plate"].to_numpy(), df["plate"].to_numpy())
    covariance = fit.VarCorr()["vcov"][0] * same + fit.sigma**2 * np.eye(len(df))
    agree(drawn, fit.predict(re_form="~ (1 | sample)"), covariance)


@pytest.mark.parametrize("re_form", [None, "NA"])
def test_residuals_with_structure(re_form: str | None):
    df = data("sleepstudy")
    fit = dm.lmer(
        "Reaction ~ Days + (1 | Subject)", df, variance="exp(Days)", correlation="ar1(Days | Subject)"
    )
    e = fit.estimates.set_index("name")["estimate"]
    scale = fit.sigma * np.exp(e["delta_exp(Days)"] * df["Days"].to_numpy())
    lag = np.abs(np.subtract.outer(df["Days"].to_numpy(), df["Days"].to_numpy()))
    same = np.equal.outer(df["Subject"].to_numpy(), df["Subject"].to_numpy())
    covariance = np.outer(scale, scale) * np.where(same, e["phi"] ** lag, 0.0)
    if re_form == "NA":
        covariance += fit.VarCorr()["vcov"][0] * same
    agree(fit.simulate(300, seed=5, re_form=re_form).to_numpy(), fit.predict(re_form=re_form), covariance)


def test_draws_repeat_and_a_longer_run_begins_with_a_shorter_one(sleep):
    for re_form in ("NA", None):
        few, many = sleep.simulate(2, seed=3, re_form=re_form), sleep.simulate(4, seed=3, re_form=re_form)
        pd.testing.assert_frame_equal(few, many[["sim_1", "sim_2"]])
        assert not np.allclose(few, sleep.simulate(2, seed=4, re_form=re_form))


def test_rows_without_response_have_none():
    df = data("sleepstudy")
    df.loc[7, "Reaction"] = np.nan
    fit = dm.lmer("Reaction ~ Days + (1 | Subject)", df)
    for re_form in ("NA", None):
        assert np.flatnonzero(fit.simulate(re_form=re_form)["sim_1"].isna()).tolist() == [7]


M = np.array([0.3, 0.6, 0.9])
MEANS = np.array([0.4, 1.5, 6.0])
LAWS = {
    "gaussian": (Law("gaussian", MEANS, 2.0, weights=4.0), stats.norm(MEANS, 1.0)),
    "binomial": (Law("binomial", M, 1.0, weights=7.0), stats.binom(7, M)),
    "betabinomial": (Law("betabinomial", M, 3.0, weights=7.0), stats.betabinom(7, 3 * M, 3 * (1 - M))),
    "beta": (Law("beta", M, 5.0), stats.beta(5 * M, 5 * (1 - M))),
    "poisson": (Law("poisson", MEANS, 1.0), stats.poisson(MEANS)),
    "negative.binomial": (Law("negative.binomial", MEANS, 2.5), stats.nbinom(2.5, 2.5 / (2.5 + MEANS))),
    "nbinom1": (Law("nbinom1", MEANS, 1.5), stats.nbinom(MEANS / 1.5, 1 / 2.5)),
    "no overdispersion": (Law("negative.binomial", MEANS, np.inf), stats.poisson(MEANS)),
    "Gamma": (Law("Gamma", MEANS, 3.0), stats.gamma(3.0, scale=MEANS / 3)),
    "inverse.gaussian": (Law("inverse.gaussian", MEANS, 3.0), stats.invgauss(MEANS / 3, scale=3.0)),
    "t": (Law("t", MEANS, 2.0, shape=12.0), stats.t(12.0, MEANS, 2.0)),
    "truncated_poisson": (Law("truncated_poisson", MEANS, 1.0), None),
    "truncated_nbinom2": (Law("truncated_nbinom2", MEANS, 2.5), None),
    "hurdle": (Law("truncated_nbinom1", MEANS, 1.5, positive=np.array([0.2, 0.5, 0.9])), None),
    "zero-inflated": (Law("poisson", MEANS, 1.0, positive=np.array([0.2, 0.5, 0.9])), None),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_families(name: str):
    law, known = LAWS[name]
    rng = np.random.default_rng(17)
    wide = replace(law, mean=np.repeat(law.mean, 20_000))
    if np.ndim(law.positive):
        wide = replace(wide, positive=np.repeat(law.positive, 20_000))
    y = wide.draw(rng).reshape(3, -1)
    trials = law.weights if name in ("binomial", "betabinomial") else 1.0
    mean = trials * law.expected() if known is None else known.mean()
    variance = trials**2 * law.variance() if known is None else known.var()
    for part, about, wanted in ((y, 0.0, mean), ((y - mean[:, None]) ** 2, 0.0, variance)):
        z = (part.mean(axis=1) - about - wanted) / part.std(axis=1, ddof=1) * np.sqrt(y.shape[1])
        assert np.abs(z).max() < stats.norm.isf(TAIL / 6)


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    found = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=120)})
    rate = np.exp(0.8 + 0.4 * found["x"] + 0.4 * rng.normal(size=12)[found["g"]])
    found["y"] = rng.poisson(rate) * (rng.random(120) < 0.7)
    found["grade"] = np.digitize(3 * np.log(rate) - 1.5 + rng.logistic(size=120), [0, 1.5]) + 1
    return found


def test_counts_with_zeros_of_their_own(counts: pd.DataFrame):
    fit = dm.glmer("y ~ x + (1 | g)", counts, family="poisson", ziformula="~ 1")
    drawn = fit.simulate(2000, seed=1, re_form=None).to_numpy()
    assert drawn.dtype == np.float64
    total = drawn.mean(axis=0)
    z = (total.mean() - fit.predict().mean()) / total.std(ddof=1) * np.sqrt(total.size)
    assert abs(z) < FAR
    both = [fit.simulate(1000, seed=s, new=new).mean(axis=0) for s, new in ((2, None), (3, counts))]
    error = np.sqrt(sum(b.var(ddof=1) / b.size for b in both))
    assert abs(both[0].mean() - both[1].mean()) < FAR * error


def test_successes_and_grades_are_those_that_refit_takes(counts: pd.DataFrame):
    df = data("cbpp")
    fit = dm.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", df)
    drawn = fit.simulate(2000, seed=1, re_form=None).to_numpy()
    size = df["size"].to_numpy()
    assert (drawn <= size[:, None]).all()
    share = drawn.sum(axis=0)
    z = (share.mean() - (size * fit.predict()).sum()) / share.std(ddof=1) * np.sqrt(share.size)
    assert abs(z) < FAR
    assert fit.refit(drawn[:, 0]).converged
    grades = dm.glmer("grade ~ x + (1 | g)", counts, family="cumulative")
    drawn = grades.simulate(2000, seed=1, re_form=None).to_numpy()
    for k in range(3):
        own = (drawn == k).sum(axis=0)
        z = (own.mean() - grades.predict()[:, k].sum()) / own.std(ddof=1) * np.sqrt(own.size)
        assert abs(z) < FAR
    assert grades.refit(drawn[:, 0]).converged


def test_arguments_out_of_range(sleep):
    with refused("draws is 0", "seed is -1"):
        sleep.simulate(0, seed=-1)
    with refused("re_form names (Intercept) by 'Subject', and not the whole term"):
        sleep.simulate(re_form="~ (1 | Subject)")
    with refused("no column 'Days'"):
        sleep.simulate(new=pd.DataFrame({"Subject": [308]}))
    chained = dm.lmer(
        "Reaction ~ Days + (1 | Subject)", data("sleepstudy"), correlation="ar1(Days | Subject)"
    )
    with refused("drawn for the rows fitted alone"):
        chained.simulate(new=data("sleepstudy"))
