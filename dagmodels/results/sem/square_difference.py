"""Difference tests of nested least-squares fits (Satorra 2000, in Heijmans, Pollock and Satorra, Innovations
in Multivariate Statistical Analysis, 233).

Of the larger model D holds the derivatives of the statistics and P = D'V D; the smaller one adds restrictions
whose gradient A is the complement of what D must do to give its derivatives. Under them the difference of
the minima is a weighted sum of chi-squares with

    U = V D P^-1 A' (A P^-1 A')^-1 A P^-1 D'V.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.least_squares import LeastSquares
from dagmodels.results.sem.adjusted import Adjusted, adjusted

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
SMALL = 1e-7  # of the largest singular value


def square_difference(larger: SemFit, smaller: SemFit) -> Adjusted:
    """The test of the smaller model's restrictions, adjusted as both models' tests are.

    Raises
    ------
    FitError : the models are not nested to first order: they differ in more, or less, than their degrees of
        freedom say.
    """
    one, other = (cast(LeastSquares, f.solution.at) for f in (larger, smaller))
    df = smaller.comparison.df - larger.comparison.df
    chisq = smaller.comparison.chisq - larger.comparison.chisq
    test = larger.naming.choice.test
    if test == "standard":
        return adjusted("satorra.bentler", chisq, df, float(df), float(df))
    d = np.concatenate(_free(larger, one), axis=0)
    target = np.concatenate(_free(smaller, other), axis=0)
    size = np.sqrt((d**2).sum(axis=0))
    turn = np.linalg.lstsq(d / size, target, rcond=None)[0] * (1.0 / size)[:, None]
    left, values, _ = np.linalg.svd(turn * size[:, None], full_matrices=True)
    rank = int((values > SMALL * values.max(initial=1e-300)).sum())
    if d.shape[1] - rank != df:
        raise FitError(
            f"the models have {df} degrees of freedom between them, but the smaller one ties "
            f"{d.shape[1] - rank} directions of the larger one: they are not nested"
        )
    a = left[:, rank:].T * size  # its rows vanish on what the smaller model can do
    first, second = _traces(larger, one, a)
    return adjusted(test, chisq, df, first, second)


def _free(fit: SemFit, at: LeastSquares) -> list[Floats]:
    kept = np.flatnonzero(~fit.solution.optimum.active)
    return [j[:, kept] for j in at.slopes]


def _traces(fit: SemFit, at: LeastSquares, a: Floats) -> tuple[float, float]:
    """tr(U Gamma) and tr((U Gamma)^2), over all groups together."""
    k = a.shape[1]
    inner, meat = np.zeros((k, k)), np.zeros((k, k))
    for share, part, j in zip(at.form.shares.tolist(), at.form.parts, _free(fit, at), strict=True):
        if part.gamma is None:
            raise FitError(
                f"estimator '{fit.naming.choice.estimator}' keeps no sampling covariance to adjust by"
            )
        turned = part.weights.times(j)
        inner += share * (j.T @ turned)
        meat += share * (turned.T @ part.gamma @ turned)
    solved = np.linalg.solve(inner, a.T)
    middle = solved @ np.linalg.solve(a @ solved, solved.T)
    product = middle @ meat
    return float(np.trace(product)), float(np.sum(product * product.T))
