"""Tests that are adjusted for mean and variance, from two traces and whatever estimator they are of.

A minimum of a discrepancy with weights that are not optimal is distributed as a weighted sum of chi-squares
of one degree of freedom, whose mean is tr(U Gamma) and whose variance is 2 tr(U Gamma U Gamma). The tests
turn that sum into something with the moments of a chi-square:

- "satorra.bentler": T df / tr(U Gamma), with the mean df (Satorra and Bentler 1994).
- "mean.var.adjusted": T tr(U Gamma) / tr((U Gamma)^2) with the mean and the variance of a chi-square with
  tr(U Gamma)^2 / tr((U Gamma)^2) degrees of freedom (Satterthwaite 1941; Satorra and Bentler 1994).
- "scaled.shifted": a T + b with mean df and variance 2 df (Asparouhov and Muthen 2010, Simple Second Order
  Chi-Square Correction): a = sqrt(df / tr((U Gamma)^2)), b = df - a tr(U Gamma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ADJUSTED = ("mean.var.adjusted", "scaled.shifted")


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A test statistic that was turned: chisq = T / factor + shift, to be compared with df, whole or not.

    All are nan where there are no degrees of freedom or the traces are no positive numbers.
    """

    chisq: float
    df: float
    pvalue: float
    factor: float
    shift: float = 0.0


def adjusted(test: str, chisq: float, df: int, trace1: float, trace2: float) -> Adjusted:
    """The test of a statistic.

    test : "satorra.bentler", "mean.var.adjusted" or "scaled.shifted". chisq, df : unadjusted.
    trace1, trace2 : tr(U Gamma) and tr(U Gamma U Gamma); the first test needs no trace2.
    """
    if test not in ("satorra.bentler", *ADJUSTED):
        raise ValueError(f"no adjusted test {test!r}")
    if not (df > 0 and trace1 > 0) or (test in ADJUSTED and not trace2 > 0):
        return Adjusted(math.nan, float(df), math.nan, math.nan, math.nan)
    if test == "scaled.shifted":
        a = math.sqrt(df / trace2)
        return _turned(chisq, float(df), 1.0 / a, df - a * trace1)
    if test == "mean.var.adjusted":
        return _turned(chisq, trace1**2 / trace2, trace2 / trace1, 0.0)
    return _turned(chisq, float(df), trace1 / df, 0.0)


def _turned(chisq: float, df: float, factor: float, shift: float) -> Adjusted:
    from scipy.special import chdtrc

    x = float(chisq / factor + shift)
    return Adjusted(x, df, float(chdtrc(df, max(x, 0.0))), factor, shift)
