"""Sampling variances of moments and of residuals where values are missing.

As in `residuals`, with G the inverse observed information of the free moments at their estimates (Little and
Rubin 2002, section 9.2.1), which is a sandwich where the fit's errors are robust ones, and A their observed
information at the moments that the model implies. No low rank helps here: matrices have as many rows as a
group has free moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.sem.residuals import left, solved
from dagmodels.results.sem.unrestricted_scores import GroupScores, group_scores

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]


def variances(fit: SemFit, plain: bool) -> list[tuple[Floats, Floats]]:
    """Of the data's covariances (p, p) and means (p,), or of the residuals, by group, in the form's order.

    Moments of covariates, which are fixed, have none. plain : of the data's.
    """
    solution, free = fit.solution, fit.comparison.free
    form, moments, o = solution.form, solution.at.moments, solution.form.structure.observed
    groups = range(form.structure.groups)
    rows = [float(form.sample.n[form.sample.group == g].sum()) for g in groups]
    parts = [group_scores(form, g, free.mean[g], free.cov[g], means=True) for g in groups]
    robust = fit.naming.choice.se == "robust.huber.white" and form.values.size > 0
    sampling = [_sampling(part, n, robust) for part, n in zip(parts, rows, strict=True)]
    if plain:
        return [_matrices(part, np.diag(g), o.size) for part, g in zip(parts, sampling, strict=True)]
    slopes = [part.derivatives(solution, g) for g, part in zip(groups, parts, strict=True)]
    pulls = []
    for g, n, d in zip(groups, rows, slopes, strict=True):
        implied = moments.covariance[g][np.ix_(o, o)]
        weight = n * group_scores(form, g, moments.mean[g][o], implied, means=True).information
        pulls.append(d.T @ weight)  # D'A
    inverse = solved(np.sum([p @ d for p, d in zip(pulls, slopes, strict=True)], axis=0), fit)
    meat = np.sum([p @ g @ p.T for p, g in zip(pulls, sampling, strict=True)], axis=0)
    found = []
    for part, d, p, g in zip(parts, slopes, pulls, sampling, strict=True):
        turned = d @ inverse
        lost = 2 * np.einsum("qk,kq->q", turned, p @ g) - np.einsum("qk,kl,ql->q", turned, meat, turned)
        found.append(_matrices(part, left(np.diag(g), lost), o.size))
    return found


def _sampling(part: GroupScores, rows: float, robust: bool) -> Floats:
    """G of one group."""
    if not robust:
        return part.inverse / rows
    return part.inverse @ (part.scores.T @ part.scores) @ part.inverse / rows**2


def _matrices(part: GroupScores, each: Floats, p: int) -> tuple[Floats, Floats]:
    """Numbers of a group's free moments as a matrix and a vector; zero for moments of covariates."""
    cov, mean = np.zeros((p, p)), np.zeros(p)
    both = part.j >= 0
    i, j = part.i[both], part.j[both]
    cov[i, j] = cov[j, i] = each[both]
    mean[part.i[~both]] = each[~both]
    return cov, mean
