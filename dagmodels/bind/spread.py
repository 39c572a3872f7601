"""Lay a number of elements over their parents, for simulation without data."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def spread(n: int, sizes: list[int]) -> tuple[Codes, ...]:
    """Codes of `n` elements in each of several parent plates, as evenly as possible.

    With one parent, consecutive elements share it and counts differ by at most one. With several,
    elements run along diagonals of the product: every parent's counts differ by at most one as far
    as whole numbers allow, and no cell is met twice before every cell is met once.
    """
    numbers = np.arange(n, dtype=np.int64)
    if len(sizes) == 1:
        return (numbers * sizes[0] // n if n >= sizes[0] else numbers,)
    return _cells(numbers, sizes)


def _cells(i: Codes, sizes: list[int]) -> tuple[Codes, ...]:
    """The i-th cell of a grid, last plate first taken apart."""
    if len(sizes) == 1:
        return (i % sizes[0],)
    outer, last = _diagonal(i, math.prod(sizes[:-1]), sizes[-1])
    return (*_cells(outer, sizes[:-1]), last)


def _diagonal(i: Codes, a: int, b: int) -> tuple[Codes, Codes]:
    """The i-th cell of an a x b grid along wrapped diagonals; the first a*b are all cells."""
    return i % a, (i + i // math.lcm(a, b)) % b
