"""CFI, TLI and RMSEA that incomplete data would give had they been complete.

Zhang and Savalei (2023, Psychol. Methods 28:263): the discrepancy of complete data is taken between the
model's moments and the unrestricted ones, both estimated by full information, and its expectation replaces
the degrees of freedom: with normal data their version 6, without that assumption version 3, which lavaan
takes where a scaled test was asked for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.results.sem.measures import Comparison
from dagmodels.results.sem.scaled import robust_incremental, robust_rmsea
from dagmodels.results.sem.unrestricted_scores import GroupScores, complete_information

Floats = NDArray[np.float64]


def incomplete_measures(
    solution: MomentsSolution, c: Comparison, parts: list[GroupScores], *, normal: bool
) -> dict[str, float]:
    """cfi_robust, tli_robust, nnfi_robust, rni_robust and the robust RMSEA with its tests.

    parts : scores at the unrestricted moments, by group. normal : version 6, else 3.
    """
    form, moments = solution.form, solution.at.moments
    o, groups = form.structure.observed, range(form.structure.groups)
    model = [(moments.mean[g][o], moments.covariance[g][np.ix_(o, o)]) for g in groups]
    x = sum(_discrepancy(parts[g].n, c, g, *model[g]) for g in groups)
    b = sum(_discrepancy(parts[g].n, c, g, *_independence(form, g, c.free.cov[g])) for g in groups)
    whole = [complete_information(part, c.free.cov[g]) for g, part in enumerate(parts)]
    kept = np.flatnonzero(~solution.optimum.active)
    derivatives = [part.derivatives(solution, g)[:, kept] for g, part in enumerate(parts)]
    factor = _expected(parts, whole, derivatives, normal) / c.df if c.df > 0 else math.nan
    alone = sum(
        _expected([part], [w], [part.own_derivatives()], normal) for part, w in zip(parts, whole, strict=True)
    )
    factor_b = alone / c.baseline_df if c.baseline_df > 0 else math.nan
    return {
        **robust_incremental(x, c.df, factor, b, c.baseline_df, factor_b),
        **robust_rmsea(x / factor, c.df, c.rows / factor, c.groups, "robust"),
    }


def _discrepancy(n: int, c: Comparison, group: int, mean: Floats, cov: Floats) -> float:
    """n times the fit function of complete data, with the unrestricted moments as the sample's."""
    s, gap = c.free.cov[group], c.free.mean[group] - mean
    w = np.linalg.inv(cov)
    logs = np.linalg.slogdet(cov)[1] - np.linalg.slogdet(s)[1]
    return n * float(logs + np.sum(w * s) - len(s) + gap @ w @ gap)


def _independence(form: MomentsForm, group: int, free: Floats) -> tuple[Floats, Floats]:
    values, given = form.values[form.group_of == group], form.template.given
    cov = np.diag(np.nanvar(values, axis=0))
    both = np.outer(given, given)
    cov[both] = free[both]
    return np.nanmean(values, axis=0), cov


def _expected(
    parts: list[GroupScores], whole: list[Floats], derivatives: list[Floats], normal: bool
) -> float:
    """Expectation of the discrepancy under a model with these derivatives of the moments.

    With W the information of what is there, C that of complete data, J the mean outer product of scores
    and P = D (D'WD)^-1 D': tr(C W^-1) - tr(C P) for normal data, else the trace of
    (I - W P) C (I - P W) W^-1 J W^-1.
    """
    k = derivatives[0].shape[1]
    total = 0.0
    information, completed, mixed, products = (np.zeros((k, k)) for _ in range(4))
    for part, c, d in zip(parts, whole, derivatives, strict=True):
        cd = c @ d
        information += part.n * d.T @ part.information @ d
        completed += part.n * d.T @ cd
        if normal:
            total += float(np.sum(c * part.inverse))
            continue
        j = part.products(None)
        wj = part.inverse @ j
        total += float(np.sum(c * (wj @ part.inverse)))
        mixed += part.n * cd.T @ (wj @ d)
        products += part.n * d.T @ (j @ d)
    inner = np.linalg.solve(information, completed)
    if normal:
        return total - float(np.trace(inner))
    total -= 2.0 * float(np.trace(np.linalg.solve(information, mixed)))
    return total + float(np.trace(inner @ np.linalg.solve(information, products)))
