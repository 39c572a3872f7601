"""The printed summary: line by line the layout of lme4 1.1-31, with the numbers of the reference fits.

One printed digit differs from lme4: its optimum for sleepstudy stops at a variance of 612.10 (24.741
squared) where the criterion is least at 612.09; tests/references/sleepstudy has glmmTMB's 24.7405 too.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.results.mixed.rformat import abbreviate, r_format, zapsmall
from tests.mixed.cases import data

SLEEPSTUDY = """\
Linear mixed model fit by REML ['lmerMod']
Formula: Reaction ~ Days + (Days | Subject)

REML criterion at convergence: 1743.6

Scaled residuals:
    Min      1Q  Median      3Q     Max
-3.9536 -0.4634  0.0231  0.4634  5.1793

Random effects:
 Groups   Name        Variance Std.Dev. Corr
 Subject  (Intercept) 612.09   24.740
          Days         35.07    5.922   0.07
 Residual             654.94   25.592
Number of obs: 180, groups:  Subject, 18

Fixed effects:
            Estimate Std. Error t value
(Intercept)  251.405      6.825  36.838
Days          10.467      1.546   6.771

Correlation of Fixed Effects:
     (Intr)
Days -0.138
"""
SLEEPSTUDY_ML = """\
Linear mixed model fit by maximum likelihood  ['lmerMod']
Formula: Reaction ~ Days + (1 | Subject)

     AIC      BIC   logLik deviance df.resid
  1802.1   1814.9   -897.0   1794.1      176

Scaled residuals:
    Min      1Q  Median      3Q     Max
-3.2347 -0.5544  0.0155  0.5257  4.2648

Random effects:
 Groups   Name        Variance Std.Dev.
 Subject  (Intercept) 1296.9   36.01
 Residual              954.5   30.90
Number of obs: 180, groups:  Subject, 18

Fixed effects:
            Estimate Std. Error t value
(Intercept) 251.4051     9.5062   26.45
Days         10.4673     0.8017   13.06

Correlation of Fixed Effects:
     (Intr)
Days -0.380
"""
PENICILLIN = """\
Linear mixed model fit by REML ['lmerMod']
Formula: diameter ~ 1 + (1 | plate) + (1 | sample)

REML criterion at convergence: 330.9

Scaled residuals:
    Min      1Q  Median      3Q     Max
-2.0792 -0.6714  0.0629  0.5838  2.9796

Random effects:
 Groups   Name        Variance Std.Dev.
 plate    (Intercept) 0.7169   0.8467
 sample   (Intercept) 3.7309   1.9316
 Residual             0.3024   0.5499
Number of obs: 144, groups:  plate, 24; sample, 6

Fixed effects:
            Estimate Std. Error t value
(Intercept)  22.9722     0.8086   28.41
"""
PASTES = """\
Random effects:
 Groups     Name        Variance Std.Dev.
 cask:batch (Intercept) 8.434    2.9041
 batch      (Intercept) 1.657    1.2874
 Residual               0.678    0.8234
Number of obs: 60, groups:  cask:batch, 30; batch, 10
"""


@pytest.mark.parametrize(
    ("name", "formula", "reml", "want"),
    [
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)", True, SLEEPSTUDY),
        ("sleepstudy", "Reaction~Days+(1|Subject)", False, SLEEPSTUDY_ML),
        ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", True, PENICILLIN),
        ("pastes", "strength ~ 1 + (1 | batch/cask)", True, PASTES),
    ],
)
def test_layout(name: str, formula: str, reml: bool, want: str):
    text = dm.lmer(formula, data(name), REML=reml).summary()
    assert want in re.sub(r" +$", "", text, flags=re.MULTILINE)


def test_the_certificate_ends_it():
    last = str(dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))).splitlines()[-1]
    assert last.startswith("Converged: gradient, Hessian and bounds certified (gradient norm")


def test_other_ways_to_look():
    fit = dm.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))
    assert repr(fit) == "<Fit of lmer by laplace: 6 estimates, converged>"
    assert fit._repr_html_().startswith("<pre>Linear mixed model fit by REML [")
    assert str(fit) == fit.summary()


def test_zero_correlations_are_a_term_of_their_own():
    text = dm.lmer("Reaction ~ Days + (Days || Subject)", data("sleepstudy")).summary()
    assert " Subject   (Intercept) 627.57   25.051\n Subject.1 Days         35.86    5.988\n" in text
    assert "Corr" not in text.split("Fixed effects")[0]


def test_a_variance_of_zero_is_named():
    df = data("sleepstudy")
    rng = np.random.default_rng(2)
    df["Reaction"] = df["Days"] + rng.normal(size=180)
    df["Reaction"] -= df.groupby("Subject")["Reaction"].transform("mean")  # no subject differs
    with pytest.warns(dm.FitWarning, match="the variance of \\(Intercept\\) by Subject is zero"):
        fit = dm.lmer("Reaction ~ Days + (1 | Subject)", df)
    assert fit.converged
    assert fit.boundary == ("sd_(Intercept)|Subject",)
    row = fit.estimates.set_index("name").loc["sd_(Intercept)|Subject"]
    assert row["estimate"] == 0
    assert np.isnan(row["se"])
    assert "boundary (singular) fit: the variance of (Intercept) by Subject is zero" in fit.summary()
    assert " Subject  (Intercept) 0.0000   0.0000\n" in fit.summary()


def test_missing_responses_are_counted():
    df = data("sleepstudy")
    df.loc[[0, 7, 70], "Reaction"] = np.nan
    text = dm.lmer("Reaction ~ Days + (Days | Subject)", df).summary()
    assert "Number of obs: 177, groups:  Subject, 18\n3 missing responses predicted, not counted\n" in text


def test_numbers_as_r_formats_them():
    """format(x, digits = d) of R 4.2."""
    assert r_format([612.10016, 35.07171, 654.94001], 4) == ["612.10", " 35.07", "654.94"]
    assert r_format([1, 10, 100], 4) == ["  1", " 10", "100"]
    assert r_format([0.5, -1.25], 3) == [" 0.50", "-1.25"]
    assert r_format([1e-10, 1], 4) == ["1e-10", "1e+00"]
    assert r_format([123456789.0, 1.5], 3) == ["1.23e+08", "1.50e+00"]
    assert r_format([0.0, float("nan")], 4) == ["  0", "NaN"]
    assert r_format([1e5], 4) == ["1e+05"]
    assert r_format([123456], 4) == ["123456"]
    assert zapsmall([5.1793, 0.02311111, 1e-9], 5) == [5.1793, 0.0231, 0.0]


def test_names_as_r_abbreviates_them():
    """abbreviate(x, 6) of R 4.2."""
    assert abbreviate(["(Intercept)", "Days"], 6) == ["(Intr)", "Days"]
    assert abbreviate(["confidence_centered", "judgment"], 6) == ["cnfdn_", "jdgmnt"]
    assert abbreviate(["aaaaaaaa1", "aaaaaaaa2"], 2) == ["a1", "a2"]
    assert abbreviate(["poly(x, 2)1", "poly(x, 2)2"], 6) == ["p(,2)1", "p(,2)2"]


def test_quartiles_are_those_of_numpy() -> None:
    from dagmodels.results.mixed.text import _quartiles

    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 4, 5, 180, 181, 182, 183):
        x = rng.normal(size=n)
        np.testing.assert_allclose(_quartiles(x), np.quantile(x, [0, 0.25, 0.5, 0.75, 1]), rtol=1e-14)
