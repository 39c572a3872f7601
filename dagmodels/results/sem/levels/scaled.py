"""The scaled test at two levels (Yuan and Bentler 2000, as Mplus has it): clusters are the units of scores.

c = (tr(A1^-1 B1) - tr(A0^-1 B0)) / df, with A the observed information and B the sum of outer products of
the clusters' scores, at the unrestricted moments (1) and of the model (0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.level_scores import cluster_scores
from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moments import MomentsSolution
from dagmodels.results.sem.levels.free import Free
from dagmodels.results.sem.levels.measures import LevelComparison
from dagmodels.results.sem.scaled import Scaled

Floats = NDArray[np.float64]


def level_scaled(solution: MomentsSolution, c: LevelComparison, *, observed: bool) -> Scaled:
    """Of a fit; observed : the model's information, else the expected one."""
    form = solution.form
    assert isinstance(form, LevelsForm)
    kept = np.flatnonzero(~solution.optimum.active)
    bread = solution.at.hessian() if observed else solution.at.information()
    at = np.ix_(kept, kept)
    low = _trace(bread[at], solution.at.meat("robust.huber.white")[at])
    top, base = (_free_trace(f, form) for f in (c.unrestricted, c.independent))
    return Scaled(
        "yuan.bentler.mplus",
        _ratio(top - low, c.df),
        _ratio(top - base, c.baseline_df),
        _ratio(top, c.unrestricted.parameters),
        _ratio(low, kept.size),
    )


def _free_trace(free: Free, form: LevelsForm) -> float:
    each = cluster_scores(free.at.moments, form) @ free.at.jacobian
    return _trace(free.optimum.hessian, each.T @ each)


def _trace(hessian: Floats, products: Floats) -> float:
    return float(np.trace(np.linalg.solve(0.5 * hessian, products)))


def _ratio(a: float, b: float) -> float:
    found = a / b if b > 0 else math.nan
    return found if found > 0 else math.nan
