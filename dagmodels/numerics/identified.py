"""The inverse of an observed information over what it tells: directions without curvature are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.triangle import inverse_of_regular

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NOTHING = 1e-7  # curvature of a number over a change of its own size, that differences cannot tell from none
FLAT = 1e-7  # eigenvalue, of a matrix with ones in its diagonal, below which a direction is not told
PART = 1e-4  # of a flat direction, from which a number belongs to it


def inverse_where_told(hessian: Floats, sizes: Floats) -> tuple[Floats, Bools]:
    """The inverse, nan in rows and columns of numbers that are not identified, and which these are.

    hessian : symmetric, by differences of exact gradients. sizes : of the numbers (one for logarithms and
    logits), which tell a curvature of nothing from one in large units.
    """
    k = len(hessian)
    found, lost = np.full((k, k), np.nan), np.zeros(k, dtype=bool)
    diagonal = np.diag(hessian)
    lost[np.abs(diagonal) * sizes**2 < NOTHING] = True
    free = np.flatnonzero(~lost)
    if not free.size:
        return found, lost
    scale = 1.0 / np.sqrt(np.maximum(np.abs(diagonal[free]), 1e-300))
    matrix = hessian[np.ix_(free, free)] * scale[:, None] * scale
    inverse, told = inverse_of_regular(matrix), np.ones(free.size, dtype=bool)
    if inverse is None:
        values, vectors = np.linalg.eigh(matrix)
        good = values > FLAT
        told = ~(np.abs(vectors[:, ~good]) > PART).any(axis=1)
        inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    lost[free[~told]] = True
    at = free[told]
    found[np.ix_(at, at)] = (inverse * scale[:, None] * scale)[np.ix_(told, told)]
    return found, lost
