"""The elimination alone on crossed designs and dense tails: value and gradient, one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import Row, median_cpu

if TYPE_CHECKING:
    from dagmodels.numerics.elimination import Elimination

DESIGNS = (
    # name, sizes of the plates, rows (None: every cell), bounds of value and of gradient
    ("1,000 x 300 levels, every cell", (1000, 300), None, None, None),
    ("1,000 x 300 levels, 30,000 rows", (1000, 300), 30_000, 0.003, 0.005),
    ("2,972 x 1,128 x 14 levels, 73,421 rows", (2972, 1128, 14), 73_421, None, None),
    ("one plate of 1,200 shocks that all meet", (1200,), None, 0.040, 0.120),
)


def prepared(sizes: tuple[int, ...], rows: int | None) -> tuple[Elimination, np.ndarray]:
    """An elimination of that many unit shocks, and the numbers that fill its H."""
    from dagmodels.numerics.elimination import SCALED, Elimination, pattern

    rng = np.random.default_rng(20260101)
    q = sum(sizes)
    if len(sizes) == 1:
        i, j = np.triu_indices(q + 1)
    else:
        if rows is None:
            codes = np.indices(sizes).reshape(len(sizes), -1)
        else:
            codes = np.stack([rng.integers(0, size, rows) for size in sizes])
        starts = np.cumsum([0, *sizes[:-1]])
        elements = np.concatenate([codes + starts[:, None], np.full((1, codes.shape[1]), q)])
        a, b = np.triu_indices(len(sizes) + 1)
        i, j = elements[a].ravel(), elements[b].ravel()
    none = np.zeros(0, np.int64)
    work = Elimination(pattern(np.full(q, SCALED, np.uint8), i, j, none, none))
    H = np.zeros(work.H.size)
    np.add.at(H, work.pattern.place(i, j), np.where(i == j, 1.0, 0.5 / np.sqrt(q)))
    return work, H


def rows() -> Iterator[Row]:
    for name, sizes, count, value_bound, gradient_bound in DESIGNS:
        work, H = prepared(sizes, count)

        def value(work: Elimination = work, H: np.ndarray = H) -> None:
            work.H[:] = H
            work.s[:-1] = 0.3
            if not np.isfinite(work.eliminate()[0]):
                raise RuntimeError("the determinant is not finite")

        yield Row(f"elimination, {name}", median_cpu(value, repeats=9), value_bound)
        yield Row(f"its gradient, {name}", median_cpu(work.adjoint, repeats=9), gradient_bound)
