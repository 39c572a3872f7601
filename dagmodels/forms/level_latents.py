"""Conditional means of all variables of units and clusters given the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.levels import LevelsForm
from dagmodels.numerics.level_moments import LevelMoments
from dagmodels.numerics.moments import Moments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[Floats, Floats]


def conditional_levels(form: LevelsForm, moments: Moments) -> tuple[Pair, Pair]:
    """Means and standard deviations of all variables, by unit (n, t) and by cluster (clusters, t).

    A row of a unit holds its own variables and those of its cluster; a row of a cluster its variables, and
    the averages over its units.
    """
    assert isinstance(moments, LevelMoments)
    o, parts = form.structure.observed, form.levels.parts
    order, starts = form.rows_by_cluster
    count = np.diff(np.append(starts, len(order)))
    average = np.add.reduceat(form.values[order], starts, axis=0) / count[:, None]
    group = form.group_of[order[starts]]
    t = form.structure.order
    level, spread = np.empty((starts.size, t)), np.empty((starts.size, t))
    for c in np.flatnonzero(parts.whole).tolist():
        rows = np.flatnonzero((group == parts.group[c]) & (count == parts.size[c]))
        weight, variance = _regression(moments.cell_covariance[c], o)
        level[rows] = moments.cell_mean[c] + (average[rows] - moments.cell_mean[c][o]) @ weight.T
        spread[rows] = variance
    mean, own = level[form.cluster_of], spread[form.cluster_of].copy()
    away = form.values - average[form.cluster_of]
    seen = np.flatnonzero(form.inner)
    for c in np.flatnonzero(~parts.whole).tolist():
        rows = np.flatnonzero(form.group_of == parts.group[c])
        weight, variance = _regression(moments.cell_covariance[c], o[seen])
        mean[rows] += away[np.ix_(rows, seen)] @ weight.T
        own[rows] += (1.0 - 1.0 / count[form.cluster_of[rows]])[:, None] * variance
    return (mean, np.sqrt(own)), (level, np.sqrt(spread))


def _regression(cov: Floats, seen: Ints) -> Pair:
    """Weights of what is seen for every variable, and what it leaves of their variances."""
    weight = np.linalg.solve(cov[np.ix_(seen, seen)], cov[seen]).T
    return weight, np.maximum(np.diag(cov) - np.einsum("ij,ij->i", weight, cov[:, seen]), 0.0)
