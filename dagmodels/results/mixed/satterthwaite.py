"""Satterthwaite's degrees of freedom for contrasts of the coefficients.

The variance v of a contrast is itself estimated; by the delta method its own variance is g'A g, with g the
gradient of v in the outer unknowns and A their covariance from the observed information, and a chi-square
law with the same two moments has df = 2 v^2 / g'A g (Giesbrecht and Burns 1985, Biometrics 41; Fai and
Cornelius 1996, J. Statist. Comput. Simul. 54, for several contrasts at once; lmerTest, Kuznetsova et al.
2017, J. Statist. Software 82(13)). The gradients here are exact, and any coordinates give the same df.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dagmodels.results.mixed.ddf import FTest, rotated
from dagmodels.results.mixed.naming import Floats

if TYPE_CHECKING:
    from dagmodels.results.mixed.fit import MixedFit


@dataclass(frozen=True, slots=True, eq=False)
class Satterthwaite:
    """See the module.

    covariance : of the coefficients, (p, p). slopes : its derivatives, (k, p, p). outer : A, (k, k).
    """

    beta: Floats
    covariance: Floats
    slopes: Floats
    outer: Floats
    name: str | None = "Satterthwaite"

    def df(self, contrast: Floats) -> float:
        """2 v^2 / g'A g; infinite where v does not hang on anything estimated."""
        v = contrast @ self.covariance @ contrast
        g = np.einsum("kij,i,j->k", self.slopes, contrast, contrast)
        spread = float(g @ self.outer @ g)
        if not v > 0:
            return math.nan
        return float(2 * v**2 / spread) if spread > 0 else math.inf

    def f(self, contrasts: Floats) -> FTest:
        """The mean of squared t values, with the df that give F the mean that these have together."""
        t2, turned, _ = rotated(contrasts, self.beta, self.covariance)
        if not t2.size:
            return FTest(math.nan, 0, math.nan, math.nan)
        value = float(t2.mean())
        return FTest(value, t2.size, pooled([self.df(row) for row in turned]), value)


def pooled(df: list[float]) -> float:
    """Degrees of freedom of F from those of its t values: 2E/(E - q), with E = sum df/(df - 2).

    Equal ones are kept; where one is 2 or less E does not exist, and 2 is taken, as lmerTest does.
    """
    if max(df) - min(df) <= 1e-8 * max(df) or all(map(math.isinf, df)):
        return float(np.mean(df))
    if min(df) <= 2:
        return 2.0
    expected = sum(1.0 if math.isinf(v) else v / (v - 2) for v in df)
    return 2 * expected / (expected - len(df))


def satterthwaite(fit: MixedFit, beta: Floats) -> Satterthwaite:
    """Ready for a fit."""
    assert fit.inner.spread is not None
    spread = fit.inner.spread()
    place = {name: i for i, name in enumerate(spread.names)}
    at = [place[f"{fit.naming.beta}[{label}]"] for label in fit.naming.coefficients]
    return Satterthwaite(
        beta, spread.covariance[np.ix_(at, at)], spread.slopes[:, at][:, :, at], spread.outer
    )
