"""`glmer`: graphs of families, links and responses; cbpp against the best known Laplace optimum."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from tests.mixed.cases import data, reference, refused

FORMULA = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
HEAD = """\
model glmer
plate herd
plate row in herd
plate coef = "(Intercept)", "period2", "period3", "period4"

covariate period2[row], period3[row], period4[row], trials[row]
parameter beta[coef]
parameter tau_herd > 0
b_herd[herd] ~ Normal(0, tau_herd)
observed incidence[row] ~ """
ETA = (
    'beta["(Intercept)"] + beta["period2"]*period2 + beta["period3"]*period3 + beta["period4"]*period4'
    " + b_herd[herd]"
)


def graph(formula: str, df: pd.DataFrame | None = None, **options):
    return dm.read(formula, format="formula", data=data("cbpp") if df is None else df, **options)


def test_counts_of_successes_and_failures():
    assert str(graph(FORMULA, family="binomial")) == f"{HEAD}Binomial(trials, expit({ETA}))\n"


def test_proportions_with_trials_are_the_same_data():
    df = data("cbpp")
    g = graph(FORMULA, family="binomial")
    same = graph(
        "p ~ period + (1 | herd)",
        df.assign(p=df["incidence"] / df["size"]),
        family="binomial",
        weights="size",
    )
    for column in ("trials", "period2"):
        np.testing.assert_array_equal(
            same.reading.table.column(column).floats(), g.reading.table.column(column).floats()
        )
    np.testing.assert_array_equal(same.reading.table.column("p").floats(), df["incidence"])


@pytest.mark.parametrize(
    ("family", "law"),
    [
        ("binomial", "Bernoulli(expit(ETA))"),
        ("binomial(probit)", "Bernoulli(Phi(ETA))"),
        ('binomial(link = "cloglog")', "Bernoulli(icloglog(ETA))"),
        ("poisson", "Poisson(exp(ETA))"),
        ("poisson(sqrt)", "Poisson((ETA)**2)"),
        ("negative.binomial", "NegativeBinomial(exp(ETA), dispersion=dispersion)"),
        ("nbinom1", "NegativeBinomial(exp(ETA), dispersion=dispersion/exp(ETA))"),
        ("inverse.gaussian", "Wald(1/sqrt(ETA), shape)"),
        ("inverse.gaussian(log)", "Wald(exp(ETA), shape)"),
        ("t", "StudentT(df, ETA, sigma)"),
        ("truncated_poisson", "HurdlePoisson(1, exp(ETA))"),
        ("truncated_nbinom2", "HurdleNegativeBinomial(1, exp(ETA), dispersion=dispersion)"),
        ("Gamma(log)", "Gamma(shape, shape/exp(ETA))"),
        ("Gamma", "Gamma(shape, shape/(1/(ETA)))"),
        ("gaussian(log)", "Normal(exp(ETA), sigma)"),
    ],
)
def test_families_and_links(family: str, law: str):
    df = data("cbpp").assign(y=np.tile([0, 1], 28) if family.startswith("binomial") else np.arange(56) + 1)
    g = graph("y ~ size + (1 | herd)", df, family=family)
    eta = 'beta["(Intercept)"] + beta["size"]*size + b_herd[herd]'
    assert str(g).endswith(f"observed y[row] ~ {law.replace('ETA', eta)}\n")
    assert dm.read(str(g)) == g


def test_two_outcomes_as_text_and_truth_values():
    df = data("cbpp").assign(y=np.where(np.arange(56) % 3, "no", "yes"))
    assert graph("y ~ size + (1 | herd)", df, family="binomial").reading.table.column("y").floats()[0] == 1
    df["y"] = df["y"] == "yes"
    assert graph("y ~ size + (1 | herd)", df, family="binomial").reading.table.column("y").floats()[0] == 1


@pytest.mark.parametrize(
    ("formula", "options", "part"),
    [
        ("size ~ 1 + (1 | herd)", {"family": "binomial"}, "the response 'size' is 14 in row 1"),
        (
            "I(incidence/size) ~ 1 + (1 | herd)",
            {"family": "binomial"},
            "neither 0 nor 1 (give the trials behind",
        ),
        (
            "I(size/2) ~ 1 + (1 | herd)",
            {"family": "poisson"},
            "values of the poisson family are whole numbers",
        ),
        ("I(-size) ~ 1 + (1 | herd)", {"family": "poisson"}, "values of the poisson family are not negative"),
        ("incidence ~ 1 + (1 | herd)", {"family": "Gamma"}, "values of the Gamma family are positive"),
        ("cbind(incidence, -size) ~ 1 + (1 | herd)", {"family": "binomial"}, "but cbind() holds counts"),
        ("cbind(size) ~ 1 + (1 | herd)", {"family": "binomial"}, "'cbind(size)' is not understood"),
        (
            "size ~ 1 + (1 | herd)",
            {"family": "poisson", "weights": "size"},
            "the poisson family has no weights",
        ),
        ("size ~ 1 + (1 | herd)", {"family": "weird"}, "the family 'weird' is not known"),
        ("size ~ 1 + (1 | herd)", {"family": "quasipoisson"}, "has no model here yet"),
        ("size ~ 1 + (1 | herd)", {"family": "poisson(logit)"}, "'poisson' has no link 'logit'"),
        ("size ~ 1 + (1 | herd)", {"family": "poisson", "link": "probit"}, "'poisson' has no link 'probit'"),
        ("size ~ 1 + (1 | herd)", {"family": "3 + x"}, "'3 + x' is no family"),
    ],
)
def test_what_no_family_takes_is_refused(formula: str, options: dict[str, str], part: str):
    with refused(part):
        dm.glmer(formula, data("cbpp"), **options)


def test_levels_with_one_row_are_identified_without_a_residual_variance():
    df = data("cbpp").assign(row_no=np.arange(56))
    g = graph("incidence ~ period + (1 | herd) + (1 | row_no)", df, family="poisson")
    assert "b_row_no[row_no] ~ Normal(0, tau_row_no)" in str(g)


@pytest.fixture(scope="module")
def fit():
    return dm.glmer(FORMULA, data("cbpp"))


def test_cbpp_reaches_the_best_known_optimum(fit):
    want = reference("cbpp")
    best = want["fits"]["laplace"]["reference"]
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(want["best_known"]["laplace_logLik"], abs=1e-5)
    assert fit.measures["aic"] == pytest.approx(best["AIC"], abs=1e-5)
    assert fit.fixef().index.tolist() == best["fixed"]["names"]
    np.testing.assert_allclose(fit.fixef(), best["fixed"]["est"], rtol=1e-4)
    fixed = fit.estimates[fit.estimates["kind"] == "fixed"]
    np.testing.assert_allclose(fixed["se"], best["fixed"]["se"], rtol=1e-4)
    assert fit.VarCorr()["sdcor"].tolist() == pytest.approx([best["varcomp"][0]["sdcor"]], rel=1e-4)
    stored = best["ranef"]["herd"]
    for frame, key in ((fit.ranef(), "value"), (fit.ranef(sd=True), "cond_sd")):
        ours = frame["herd"].loc[stored["level"], "(Intercept)"]
        np.testing.assert_allclose(ours, np.ravel(stored[key]), rtol=1e-4, atol=1e-5)


SUMMARY = """\
Generalized linear mixed model fit by maximum likelihood (Laplace
  Approximation) ['glmerMod']
 Family: binomial  ( logit )
Formula: cbind(incidence, size - incidence) ~ period + (1 | herd)

     AIC      BIC   logLik deviance df.resid
   194.1    204.2    -92.0    184.1       51

Scaled residuals:
    Min      1Q  Median      3Q     Max
-2.3818 -0.7888 -0.2024  0.5146  2.8796

Random effects:
 Groups Name        Variance Std.Dev.
 herd   (Intercept) 0.4125   0.6423
Number of obs: 56, groups:  herd, 15

Fixed effects:
            Estimate Std. Error z value Pr(>|z|)
(Intercept)  -1.3985     0.2325  -6.016 1.79e-09 ***
period2      -0.9923     0.3066  -3.236 0.001212 **
period3      -1.1287     0.3266  -3.455 0.000549 ***
period4      -1.5803     0.4274  -3.697 0.000218 ***
---
Signif. codes:  0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1
"""


def test_the_summary_has_the_layout_of_lme4(fit):
    assert SUMMARY in re.sub(r" +$", "", fit.summary(), flags=re.MULTILINE)


def test_scaled_residuals_are_pearsons(fit):
    df = data("cbpp")
    p, n = fit.predict(), df["size"].to_numpy()
    wanted = (df["incidence"] - n * p) / np.sqrt(n * p * (1 - p))
    np.testing.assert_allclose(fit.residuals("scaled"), wanted, rtol=1e-10)


def test_predictions_are_probabilities(fit):
    df = data("cbpp")
    eta = fit.predict(type="link")
    np.testing.assert_allclose(fit.predict(), 1 / (1 + np.exp(-eta)), rtol=1e-12)
    new = df.iloc[[0, 30]][["period", "herd"]]
    np.testing.assert_allclose(fit.predict(new), fit.predict()[[0, 30]], rtol=1e-12)
    none = fit.predict(new.assign(herd=99), re_form="NA", type="link")
    np.testing.assert_allclose(none, fit.fixef().to_numpy()[[0, 0]] + [0, fit.fixef()["period3"]], rtol=1e-12)
