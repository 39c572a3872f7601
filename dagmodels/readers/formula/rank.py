"""Which columns of a design are combinations of earlier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.readers.formula.values import Floats

TOLERANCE = 1e-7  # of what is left of a column beside its length, as in R's qr() and lme4


def dependent(x: Floats) -> NDArray[np.int64]:
    """Places of columns that are combinations of earlier columns, taken in order.

    Parameters
    ----------
    x : rows by columns; finite.
    """
    length = np.sqrt(np.einsum("ij,ij->j", x, x))
    if x.shape[0] >= x.shape[1]:
        left = np.abs(np.diagonal(np.linalg.qr(x, mode="r")))
        if (left > TOLERANCE * length).all():
            return np.zeros(0, dtype=np.int64)
    kept: list[Floats] = []
    gone: list[int] = []
    for j in range(x.shape[1]):
        rest = x[:, j].copy()
        for _ in range(2):  # twice is enough (Kahan; Parlett, The Symmetric Eigenvalue Problem, 6-9)
            for q in kept:
                rest -= q * (q @ rest)
        size = float(np.linalg.norm(rest))
        if size <= TOLERANCE * length[j] or len(kept) == x.shape[0]:
            gone.append(j)
        else:
            kept.append(rest / size)
    return np.array(gone, dtype=np.int64)
