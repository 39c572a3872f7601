"""Graphs that formulas make: their text, their names, their data; and options of `lmer` that change them."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import LMM, data, refused

SLEEPSTUDY = """\
model lmer
plate Subject
plate row in Subject
plate coef = "(Intercept)", "Days"
plate Subject_term = "(Intercept)", "Days"
plate Subject_term2 as Subject_term

covariate Days[row]
beta[coef] ~ Flat()
parameter Sigma_Subject[Subject_term, Subject_term2] covariance
parameter sigma > 0
b_Subject[Subject, Subject_term] ~ MvNormal(0, Sigma_Subject[Subject_term, Subject_term2])
observed Reaction[row] ~ Normal(beta["(Intercept)"] + beta["Days"]*Days + b_Subject[Subject, "(Intercept)"] \
+ b_Subject[Subject, "Days"]*Days, sigma)
"""
PASTES = """\
model lmer
plate batch
plate `cask:batch` in batch
plate row in `cask:batch`
plate coef = "(Intercept)"

parameter beta[coef]
parameter tau_cask_batch, tau_batch, sigma > 0
b_cask_batch[`cask:batch`] ~ Normal(0, tau_cask_batch)
b_batch[batch] ~ Normal(0, tau_batch)
observed strength[row] ~ Normal(beta["(Intercept)"] + b_cask_batch[`cask:batch`] + b_batch[batch], sigma)
"""


def graph(formula: str, name: str, **options):
    return dm.read(formula, format="formula", data=data(name), **options)


def test_the_graph_says_the_model():
    assert str(graph("Reaction ~ Days + (Days | Subject)", "sleepstudy")) == SLEEPSTUDY
    assert str(graph("strength ~ 1 + (1 | batch/cask)", "pastes", REML=False)) == PASTES


FORMULAS = [
    *((LMM[name][2], LMM[name][0]) for name in sorted(LMM)),
    ("Reaction ~ poly(Days, 2) + cs(Days | Subject)", "sleepstudy"),
    ("Reaction ~ log(Days + 1) + ar1(Days | Subject)", "sleepstudy"),
    ("Reaction ~ Days + diag(Days | Subject, hom = TRUE)", "sleepstudy"),
    ("log_radon ~ 0 + floor:u + offset(floor) + (0 + floor | county)", "radon_minnesota"),
    ("strength ~ cask*batch + (1 | cask:batch)", "pastes"),
    ("diameter ~ plate + (1 | plate)", "penicillin"),
]


@pytest.mark.parametrize(("formula", "name"), FORMULAS)
def test_the_text_reads_back(formula: str, name: str):
    g = graph(formula, name)
    assert dm.read(str(g)) == g


def test_the_same_names_make_the_same_graph_once():
    one = graph("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    df = data("sleepstudy").iloc[20:]
    assert dm.read("Reaction ~ Days + (Days | Subject)", format="formula", data=df).dag is one.dag


def test_a_graph_of_a_formula_has_its_data():
    g = graph("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    assert "laplace" in str(g.plan())
    assert "180 elements" in str(g.check())
    fit = g.fit()
    assert fit.estimates["name"].tolist()[:2] == ["(Intercept)", "Days"]
    half = g.fit(data("sleepstudy").iloc[:90])
    assert half.n_observations == 90
    assert len(half.predict()) == 90
    plain = dm.read(str(g)).fit(data("sleepstudy"))  # numbers and levels need no formula
    assert plain.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    drawn = g.simulate(values={"beta": [250, 10], "Sigma_Subject": [[600, 0], [0, 35]], "sigma": 25}, seed=3)
    again = g.fit(drawn.frames["row"])
    assert again.fixef()["Days"] == pytest.approx(10, abs=6 * 1.6)  # a false alarm in 10^9 seeds


def test_a_changed_graph_is_fitted_under_its_own_names():
    g = graph("Reaction ~ Days + (1 | Subject)", "sleepstudy").copy()
    g.node("slope", 'beta["Days"]*2')
    fit = g.fit()
    assert fit["slope"] == pytest.approx(2 * fit["beta[Days]"])


def test_latents_keep_their_labels():
    fit = dm.lmer("strength ~ 1 + (1 | batch/cask)", data("pastes"))
    names = fit.latents["name"].tolist()
    assert "b_cask_batch[a:A]" in names
    assert "b_batch[J]" in names
    assert fit["sigma"] == fit.inner["sigma"]


def test_formulas_need_data_and_text():
    with refused("there are no data"):
        dm.read("y ~ x + (1 | g)", format="formula")
    with refused("a formula is a text, not int"):
        dm.lmer(3, data("pastes"))  # type: ignore[arg-type]
    with refused("read without data"):
        dm.read(SLEEPSTUDY, data=data("sleepstudy"))


def test_names_that_the_graph_needs_itself_are_free_for_columns():
    df = data("radon_minnesota").rename(columns={"floor": "sigma", "u": "beta", "county": "row"})
    fit = dm.lmer("log_radon ~ sigma + beta + (sigma | row)", df)
    same = dm.lmer("log_radon ~ floor + u + (floor | county)", data("radon_minnesota"))
    assert fit.log_likelihood == pytest.approx(same.log_likelihood, abs=1e-9)
    assert fit.fixef().index.tolist() == ["(Intercept)", "sigma", "beta"]
    np.testing.assert_allclose(fit.estimates["estimate"], same.estimates["estimate"], rtol=1e-9)


def test_names_with_dots_and_blanks():
    df = data("radon_minnesota").rename(columns={"floor": "my floor", "u": "u.log", "county": "the county"})
    df["log radon"] = df.pop("log_radon")
    fit = dm.lmer("`log radon` ~ `my floor` + u.log + (`my floor` | `the county`)", df)
    same = dm.lmer("log_radon ~ floor + u + (floor | county)", data("radon_minnesota"))
    assert fit.log_likelihood == pytest.approx(same.log_likelihood, abs=1e-9)
    assert fit.fixef().index.tolist() == ["(Intercept)", "`my floor`", "u.log"]  # as R writes them
    assert list(fit.ranef()) == ["the county"]
    assert dm.read(str(fit.graph)).dag == fit.graph


def test_a_factor_both_fixed_and_grouping():
    fit = dm.lmer("diameter ~ sample + (1 | plate)", data("penicillin"))
    assert fit.fixef().index.tolist() == ["(Intercept)", *(f"sample{c}" for c in "BCDEF")]
    numbers = data("sleepstudy")
    fit = dm.lmer("Reaction ~ Subject + (1 | Subject)", numbers)  # numbers are numbers in the fixed part
    assert fit.fixef().index.tolist() == ["(Intercept)", "Subject"]


def test_nesting_by_label_is_nesting_by_formula():
    df = data("pastes")
    nested = dm.lmer("strength ~ 1 + (1 | batch/cask)", df)
    for formula in (
        "strength ~ 1 + (1 | batch) + (1 | sample)",
        "strength ~ 1 + (1 | batch) + (1 | batch:cask)",
        "strength ~ 1 + (1 | cask:batch) + (1 | batch)",
    ):
        other = dm.lmer(formula, df)
        assert other.log_likelihood == pytest.approx(nested.log_likelihood, abs=1e-9)
        np.testing.assert_allclose(other.estimates["estimate"], nested.estimates["estimate"], rtol=1e-6)


def test_structures_of_the_covariance():
    df = data("sleepstudy")
    free = dm.lmer("Reaction ~ Days + (Days | Subject)", df)
    symmetric = dm.lmer("Reaction ~ Days + cs(Days | Subject)", df)  # two effects: nothing is restricted
    assert symmetric.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(symmetric.VarCorr()["vcov"], free.VarCorr()["vcov"], rtol=1e-5)
    apart = dm.lmer("Reaction ~ Days + (Days || Subject)", df)
    diagonal = dm.lmer("Reaction ~ Days + diag(Days | Subject)", df)
    assert diagonal.log_likelihood == pytest.approx(apart.log_likelihood, abs=1e-9)
    assert diagonal.VarCorr()["grp"].tolist() == ["Subject", "Subject", "Residual"]
    equal = dm.lmer("Reaction ~ Days + diag(Days | Subject, hom = TRUE)", df)
    assert equal.VarCorr()["sdcor"].iloc[0] == equal.VarCorr()["sdcor"].iloc[1]
    assert equal.measures["df"] == diagonal.measures["df"] - 1


def test_autoregressive_effects_against_the_dense_likelihood():
    """AR(1) deviations of four occasions: the criterion at the estimates, from the covariance written out."""
    rng = np.random.default_rng(11)
    n, k = 60, 4
    lag = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    u = rng.normal(size=(n, k)) @ np.linalg.cholesky(4 * 0.6**lag).T
    df = pd.DataFrame({"id": np.repeat(np.arange(n), 2 * k), "time": np.tile(np.repeat(list("abcd"), 2), n)})
    df["y"] = 3 + u.repeat(2, axis=1).reshape(-1) + rng.normal(size=len(df))
    fit = dm.lmer("y ~ 1 + ar1(0 + time | id)", df, REML=False)
    table = fit.estimates.set_index("name")["estimate"]
    sd, rho, sigma = table["sd_timea|id"], table["cor_timeb.timea|id"], table["sigma"]
    assert table["cor_timed.timea|id"] == pytest.approx(rho**3)
    v = np.kron(sd**2 * rho**lag, np.ones((2, 2))) + sigma**2 * np.eye(2 * k)
    left = (df["y"].to_numpy() - table["(Intercept)"]).reshape(n, 2 * k)
    quadratic = np.einsum("ij,jk,ik->", left, np.linalg.inv(v), left)
    deviance = n * (2 * k * np.log(2 * np.pi) + np.linalg.slogdet(v)[1]) + quadratic
    assert -2 * fit.log_likelihood == pytest.approx(deviance, abs=1e-8)
    assert fit.measures["df"] == 4


def test_weights_are_inverse_variances():
    df = data("sleepstudy")
    light = dm.lmer("Reaction ~ Days + (1 | Subject)", df, weights=np.full(180, 4.0), REML=False)
    plain = dm.lmer("Reaction ~ Days + (1 | Subject)", df, REML=False)
    assert light.sigma == pytest.approx(2 * plain.sigma, rel=1e-7)
    assert light.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-7)
    by_name = dm.lmer("Reaction ~ Days + (1 | Subject)", df.assign(w=4.0), weights="w", REML=False)
    assert by_name.log_likelihood == light.log_likelihood


def test_frames_of_any_kind():
    df = data("pastes")
    fits = [
        dm.lmer("strength ~ 1 + (1 | batch/cask)", given)
        for given in (df, df.to_dict("list"), df.to_dict("records"), df.astype({"batch": "category"}))
    ]
    assert len({f.log_likelihood for f in fits}) == 1
    assert all(list(f.ranef()["batch"].index) == list("ABCDEFGHIJ") for f in fits)


def test_rows_and_labels_may_be_permuted():
    df = data("radon_minnesota")
    fit = dm.lmer("log_radon ~ floor + u + (floor | county)", df)
    mixed = df.sample(frac=1, random_state=4)
    mixed["county"] = mixed["county"].map(lambda c: c[::-1])
    other = dm.lmer("log_radon ~ floor + u + (floor | county)", mixed)
    assert other.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(other.estimates["estimate"], fit.estimates["estimate"], rtol=1e-6)
    np.testing.assert_allclose(
        other.ranef()["county"].loc["NIKTIA"], fit.ranef()["county"].loc["AITKIN"], rtol=1e-5, atol=1e-8
    )


def test_models_can_be_sent_elsewhere():
    """To other processes, with their data and what they learned from them."""
    g = graph("Reaction ~ poly(Days, 2) + (Days | Subject)", "sleepstudy")
    other = pickle.loads(pickle.dumps(g))
    assert other == g
    rows = data("sleepstudy").iloc[:4]
    np.testing.assert_array_equal(other.fit().predict(rows), g.fit().predict(rows))


def test_importing_the_names_is_light():
    code = (
        "import sys, dagmodels as dm\ndm.lmer, dm.glmer\n"
        "print([m for m in ('formulaic', 'pandas', 'scipy', 'numba', 'lark') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
