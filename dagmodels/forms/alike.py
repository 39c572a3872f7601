"""Rows that agree in all of some columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
LARGEST = 2**62


def alike(columns: Sequence[NDArray[Any]], n: int) -> tuple[Ints, Ints]:
    """The first of each kind of rows, and the kind of each row, kinds in the order of their columns' values.

    columns : (n,) each; none of them means that all rows agree.
    """
    code, size = np.zeros(n, dtype=np.int64), 1
    for column in columns:
        own, inverse = np.unique(column, return_inverse=True)
        if own.size < 2:
            continue
        if size * own.size > LARGEST:
            kept, code = np.unique(code, return_inverse=True)
            size = kept.size
        code, size = code * own.size + inverse, size * own.size
    if size == 1:
        return np.zeros(min(n, 1), dtype=np.int64), code
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    return first, kind
