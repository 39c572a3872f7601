"""Fit measures of two levels by lavaan's names; what they are of is `results.sem.measures`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moments import MomentsSolution
from dagmodels.numerics.level_moments import LevelMoments
from dagmodels.numerics.saturated_moments import Unrestricted
from dagmodels.results.sem.levels.free import Free, free_levels
from dagmodels.results.sem.measures import Comparison, tests_and_criteria

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class LevelComparison(Comparison):
    """The model between its neighbours at two levels.

    unrestricted, independent : the neighbours. clusters : by group. excess : by how much minus twice the log
    likelihood of the unrestricted model lies above that of the model, which is then no part of it.
    """

    unrestricted: Free
    independent: Free
    clusters: Floats
    excess: float


def compare_levels(solution: MomentsSolution, predictors: Sequence[Sequence[str]]) -> LevelComparison:
    """Of a fit. Means are always part of models of two levels.

    predictors : by level the names of variables that nothing is said about; their covariances are free under
    independence too, as lavaan has it.

    Raises
    ------
    FitError : a neighbour has no maximum.
    """
    form = solution.form
    assert isinstance(form, LevelsForm)
    names = [form.variables[v][0] for v in form.structure.observed.tolist()]
    within, between = (np.isin(names, list(p)) for p in predictors)
    free, alone = free_levels(form), free_levels(form, (within, between))
    saturated = free.value - form.given_constant
    chisq = max(solution.at.deviance - saturated, 0.0)
    sample, k = form.sample, solution.parameters
    return LevelComparison(
        chisq=chisq,
        df=free.parameters - k,
        fmin=chisq / (2 * sample.rows),
        baseline_chisq=alone.value - free.value,
        baseline_df=free.parameters - alone.parameters,
        parameters=k,
        rows=sample.rows,
        groups=form.structure.groups,
        unrestricted_value=-0.5 * saturated,
        free=Unrestricted(sample.mean, sample.cov, free.value),
        unrestricted=free,
        independent=alone,
        clusters=form.levels.parts.clusters,
        excess=saturated - solution.at.deviance,
    )


def implied_levels(solution: MomentsSolution) -> tuple[Floats, Floats, Floats]:
    """Covariances that the model implies within and between clusters, and means, by group; variables as
    `Free` has them."""
    form, moments = solution.form, solution.at.moments
    assert isinstance(form, LevelsForm)
    assert isinstance(moments, LevelMoments)
    within, between, mean = moments.spread()
    o = form.structure.observed
    inner, above = o[form.inner], o[form.above]
    return within[:, inner[:, None], inner], between[:, above[:, None], above], mean[:, o]


def level_measures(solution: MomentsSolution, c: LevelComparison) -> dict[str, float]:
    """All measures that lavaan has at two levels, by name."""
    within, between = level_residuals(solution, c)
    return {
        **tests_and_criteria(solution, c),
        "nclusters": float(c.clusters.sum()),
        "srmr": within + between,
        "srmr_within": within,
        "srmr_between": between,
    }


def level_residuals(solution: MomentsSolution, c: LevelComparison) -> tuple[float, float]:
    """Root mean square of the residual correlations within and between clusters, averaged over groups by
    their rows; the diagonal counts, as lavaan has it. Nan where a variance is not positive."""
    rows = solution.form.sample.rows
    assert isinstance(solution.form, LevelsForm)
    share = solution.form.levels.parts.rows / rows
    implied = implied_levels(solution)
    found = []
    for data, model in ((c.unrestricted.within, implied[0]), (c.unrestricted.between, implied[1])):
        p = data.shape[1]
        low = np.tril_indices(p)
        each = [
            math.sqrt(float(np.sum((correlation(s) - correlation(m))[low] ** 2)) / max(len(low[0]), 1))
            for s, m in zip(data, model, strict=True)
        ]
        found.append(float(share @ np.array(each)))
    return found[0], found[1]


def correlation(cov: Floats) -> Floats:
    """Of a covariance matrix; nan where a variance is not positive."""
    with np.errstate(all="ignore"):
        d = np.sqrt(np.where(np.diag(cov) > 0, np.diag(cov), np.nan))
        return cov / np.outer(d, d)
