"""Scores of clusters: derivatives of each cluster's log likelihood, for sandwiches and scaled tests.

As in `forms.casewise`, with the two parts that a cluster has: its mean, and the contrasts of its units, whose
sums of squares about the mean count once less than there are units.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.levels import LevelsForm
from dagmodels.numerics.level_moments import LevelMoments
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK = 1 << 16  # rows at a time


def cluster_scores(moments: Moments, form: LevelsForm) -> Floats:
    """Derivatives of every cluster's log likelihood in the entries of the structure, (clusters, m).

    moments : of the form's own structure, or of another one for the same observed variables.
    """
    assert isinstance(moments, LevelMoments)
    s, parts = moments.levels.base, moments.levels.parts
    order, starts = form.rows_by_cluster
    values = form.values[order]
    count = np.diff(np.append(starts, len(order)))
    mean = np.add.reduceat(values, starts, axis=0) / count[:, None]
    group = form.group_of[order[starts]]
    found = np.zeros((starts.size, s.kind.size))
    for c, (at, scale) in enumerate(moments.levels.cells):
        k = np.concatenate([moments.cell_b[c][s.observed], moments.cell_covariance[c][s.observed]], axis=1)
        wk = moments.cell_w[c] @ k
        kind, row, column = s.kind[at], s.row[at], s.column[at]
        second = np.select([kind == PATH, kind == COVARIANCE], [s.order + column, column], row)
        factor = s.factor[at]
        level = factor * np.einsum("ie,ie->e", k[:, row], wk[:, second])
        here = group == parts.group[c]
        if not parts.whole[c]:
            for block, rows in _blocks(np.flatnonzero(here), starts, count):
                size = count[block]
                z = (values[rows] - np.repeat(mean[block], size, axis=0)) @ wk
                inside = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)[:-1]])
                total = np.add.reduceat(z[:, row] * z[:, second], inside, axis=0)
                found[np.ix_(block, at)] += scale * (factor * total - (size - 1)[:, None] * level)
            continue
        chosen = np.flatnonzero(here & (count == parts.size[c]))
        z = (mean[chosen] - moments.cell_mean[c][s.observed]) @ wk
        lift = np.select([kind == PATH, kind == MEAN], [moments.cell_mean[c][column], np.ones(at.size)], 0.0)
        each = factor * z[:, row] * z[:, second] - level + lift * z[:, row]
        found[np.ix_(chosen, at)] += scale * each
    return found


def _blocks(clusters: Ints, starts: Ints, count: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Some clusters at a time, with their rows."""
    whole = np.cumsum(count[clusters]) // BLOCK
    for b in np.unique(whole).tolist():
        block = clusters[whole == b]
        rows = np.concatenate([np.arange(starts[j], starts[j] + count[j]) for j in block.tolist()])
        yield block, rows
