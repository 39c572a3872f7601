"""n times the sampling covariance of means and covariances: distribution-free, or that of normal data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def distribution_free(d: Floats, predicted: Floats | None, mean: Ints, row: Ints, column: Ints) -> Floats:
    """From rows about their means (Browne 1984, Br. J. Math. Stat. Psychol. 37:62), (q, q).

    d : (n, p). predicted : (n, p) what fixed covariates predict of them, or None.
    mean, row, column : (q,) of each statistic, as `numerics.weights.NormalTheory`.
    """
    level, spread = np.flatnonzero(mean >= 0), np.flatnonzero(mean < 0)
    each = np.empty((len(d), mean.size))
    each[:, level] = d[:, mean[level]]
    each[:, spread] = d[:, row[spread]] * d[:, column[spread]]
    if predicted is not None:
        each[:, level] -= predicted[:, mean[level]]
        each[:, spread] -= predicted[:, row[spread]] * predicted[:, column[spread]]
    each -= each.mean(axis=0)
    return each.T @ each / len(d)


def normal_theory(cov: Floats, mean: Ints, row: Ints, column: Ints) -> Floats:
    """From the covariance matrix, (q, q); all variables random."""
    level, spread = np.flatnonzero(mean >= 0), np.flatnonzero(mean < 0)
    found = np.zeros((mean.size, mean.size))
    found[np.ix_(level, level)] = cov[np.ix_(mean[level], mean[level])]
    i, j = row[spread], column[spread]
    both = cov[np.ix_(i, i)] * cov[np.ix_(j, j)] + cov[np.ix_(i, j)] * cov[np.ix_(j, i)]
    found[np.ix_(spread, spread)] = both
    return found
