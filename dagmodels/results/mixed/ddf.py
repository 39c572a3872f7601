"""Denominator degrees of freedom: which method judges contrasts of the coefficients.

A judge has the coefficients' covariance that its tests use, degrees of freedom for one contrast, and F
tests of several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.results.mixed.naming import Floats

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit

NAMES = {
    "satterthwaite": "Satterthwaite",
    "kenward-roger": "Kenward-Roger",
    "kr": "Kenward-Roger",
    "kenward_roger": "Kenward-Roger",
}
RANK = 1e-9  # eigenvalues of a tested covariance below this share of the largest count as zero


@dataclass(frozen=True, slots=True)
class FTest:
    """A Wald test of several contrasts.

    value : the F statistic as it is referred to its law. df1, df2 : its degrees of freedom.
    wald : without Kenward and Roger's scale factor, for sums of squares.
    """

    value: float
    df1: int
    df2: float
    wald: float

    @property
    def p(self) -> float:
        """The probability of a larger value."""
        from scipy import stats

        if not self.df1 or math.isnan(self.value):
            return math.nan
        if math.isinf(self.df2):
            return float(stats.chi2.sf(self.df1 * self.value, self.df1))
        return float(stats.f.sf(self.value, self.df1, self.df2))


class Judge(Protocol):
    """See the module. name : of the method, None where there are no finite degrees of freedom."""

    name: str | None
    covariance: Floats

    def df(self, contrast: Floats) -> float:
        """For one contrast, (p,)."""
        ...

    def f(self, contrasts: Floats) -> FTest:
        """For several contrasts, (m, p), that may hang together."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LargeSample:
    """Normal and chi-square laws: infinitely many degrees of freedom."""

    beta: Floats
    covariance: Floats
    name: str | None = None

    def df(self, contrast: Floats) -> float:
        """Infinite."""
        return math.inf

    def f(self, contrasts: Floats) -> FTest:
        """Wald's chi-square over its degrees of freedom."""
        t2, _, _ = rotated(contrasts, self.beta, self.covariance)
        value = float(t2.mean()) if t2.size else math.nan
        return FTest(value, t2.size, math.inf, value)


def rotated(contrasts: Floats, beta: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
    """Contrasts turned until they are uncorrelated: squared t values, contrasts and variances.

    Combinations that are zero by the others are left out.
    """
    values, vectors = np.linalg.eigh(contrasts @ covariance @ contrasts.T)
    kept = values > RANK * values.max(initial=0.0)
    turned = vectors[:, kept].T @ contrasts
    return (turned @ beta) ** 2 / values[kept], turned, values[kept]


def method_name(ddf: str | None) -> str | None:
    """The method that a user asked for.

    Raises
    ------
    ModelErrors : an unknown one.
    """
    if ddf is None:
        return None
    found = NAMES.get(str(ddf).strip().lower().replace(" ", "-"))
    if found is None:
        hint = "'Satterthwaite', 'Kenward-Roger', or None for normal and chi-square laws"
        raise_all([ModelError(f"ddf={ddf!r} is unknown", hint=hint)], "degrees of freedom")
    return found


def judge(fit: MixedFit, ddf: str | None) -> Judge:
    """The method by name, ready for a fit.

    Raises
    ------
    ModelErrors : an unknown name, or a fit that the method is not for.
    """
    name = method_name(ddf)
    count = len(fit.naming.coefficients)
    beta = np.array([r.estimate for r in fit.components[:count]])
    if name is None:
        return LargeSample(beta, fit.sampling_covariance[:count, :count])
    if fit.naming.call != "lmer" or fit.inner.spread is None:
        hint = "tests of other models are large-sample ones: ddf=None"
        raise_all([ModelError(f"{name}'s method is for fits of lmer", hint=hint)], "degrees of freedom")
    if name == "Satterthwaite":
        from dagmodels.results.mixed.satterthwaite import satterthwaite

        return satterthwaite(fit, beta)
    from dagmodels.results.mixed.kenward_roger import kenward_roger

    return kenward_roger(fit, beta)
