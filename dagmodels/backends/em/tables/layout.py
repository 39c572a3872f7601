"""Rows and cells of all tables as one vector: which are estimated, from which start, with which prior."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.table_counts import TableCounts

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
SMOOTH = (
    0.02  # share of the uniform distribution in the numbers stated, where fits start: a zero would stay one
)


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """The vector of cells.

    rows : of each cell, the row (a combination of the parents' states) it belongs to; rows are contiguous.
    firsts : where each row begins. nodes : of each row.
    free : cells that are estimated.
    coupled : those of them on which hidden states depend; the others are shares of counts.
    prior : counts added to each cell by its Dirichlet prior.
    stated : all cells as the model states them, uniform where it does not. start : where fits begin.
    """

    rows: Longs
    firsts: Longs
    nodes: Longs
    free: NDArray[np.bool_]
    coupled: NDArray[np.bool_]
    prior: Floats
    stated: Floats
    start: Floats

    def normal(self, cells: Floats) -> Floats:
        """The cells divided by the sums of their rows, which are not zero."""
        return cells / np.add.reduceat(cells, self.firsts)[self.rows]

    def maximised(self, counts: Floats, cells: Floats) -> Floats:
        """The most probable tables given complete counts; rows without any keep their numbers."""
        whole = counts + self.prior
        totals = np.add.reduceat(whole, self.firsts)[self.rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(totals > 0, whole / totals, cells)
        return np.where(self.free, found, cells)


def layout(form: TableCounts, free: Collection[str], added: Mapping[str, Floats]) -> Layout:
    """Of a form.

    free : nodes whose tables are estimated. added : counts that a prior adds to their cells.
    """
    net = form.tables
    widths = np.concatenate([np.full((b - a) // s, s) for a, b, s in _spans(form)])
    firsts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
    rows = np.repeat(np.arange(len(widths)), widths)
    nodes = np.concatenate([np.full((b - a) // s, i) for i, (a, b, s) in enumerate(_spans(form))])
    owner = nodes[rows]
    estimated = np.array([name in free for name in net.names])
    touched = np.zeros(len(net.names), dtype=bool)
    touched[sorted({f for group in form.groups for f in group.families})] = True
    stated, uniform = np.empty(form.cells), np.empty(form.cells)
    for i, (a, b, s) in enumerate(_spans(form)):
        numbers = net.numbers[i]
        uniform[a:b] = 1 / s
        stated[a:b] = 1 / s if numbers is None else numbers.ravel()
    is_free = estimated[owner]
    start = np.where(is_free, (1 - SMOOTH) * stated + SMOOTH * uniform, stated)
    prior = np.zeros(form.cells)
    for name, counts in added.items():
        a, b = form.starts[net.index[name]], form.starts[net.index[name] + 1]
        prior[a:b] = counts.ravel()
    prior[~is_free] = 0.0
    return Layout(rows, firsts, nodes, is_free, is_free & touched[owner], prior, stated, start)


def _spans(form: TableCounts) -> list[tuple[int, int, int]]:
    """Where each table begins and ends, and the length of its rows."""
    starts = form.starts.tolist()
    return [(starts[i], starts[i + 1], s) for i, s in enumerate(form.tables.sizes)]
