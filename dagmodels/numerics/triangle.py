"""Small symmetric matrices: places of their lower triangle, and inverses that need no eigenvalues."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=64)
def lower_triangle(order: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns as numpy's `tril_indices`; kept by order, and not to be written to."""
    i, j = (np.ascontiguousarray(a, dtype=np.int64) for a in np.tril_indices(order))
    i.flags.writeable = j.flags.writeable = False
    return i, j


REGULAR = 1e-9  # smallest over largest eigenvalue from which a matrix is surely regular


def inverse_of_regular(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The inverse of a symmetric matrix with ones in its diagonal, or None where it may be near singular.

    With k positive eigenvalues of sum k the smallest is at least their product times
    ((k - 1)/k)^(k - 1) > 1/e, and the largest is at most k: the determinant bounds their ratio.
    """
    k = len(matrix)
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return None
    determinant = math.prod(factor.diagonal().tolist()) ** 2
    if not determinant > REGULAR * math.e * k:
        return None
    return np.linalg.inv(matrix)
