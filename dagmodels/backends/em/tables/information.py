"""Observed information of the tables, by the missing-information principle (Louis 1982, equation 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.tables.expectation import Expectation
from dagmodels.backends.em.tables.layout import Layout

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
EDGE = 1e-7  # cells below it stand at their bound, zero
MOST = 1500  # cells; beyond that the matrix is not made
FLAT = (
    1e-9  # eigenvalue, in the metric of the complete information, below which a direction is not identified
)


@dataclass(frozen=True, eq=False, slots=True)
class Information:
    """At one point, of the cells inside the simplex, in coordinates that keep the sums of rows.

    cells : their places. basis : (cells, coordinates), orthonormal in the metric of the complete information.
    matrix : the observed information in these coordinates: the identity where nothing is hidden.
    gradient : of the log posterior there.
    """

    cells: Longs
    basis: Floats
    matrix: Floats
    gradient: Floats

    def step(self) -> tuple[Floats, float]:
        """Newton's step of the cells and its decrement, sqrt(g' I^-1 g).

        Flat directions are left out; where the matrix is not positive definite, the sizes of its
        eigenvalues are taken.
        """
        values, vectors = np.linalg.eigh(self.matrix)
        along = vectors.T @ self.gradient
        sizes = np.where(np.abs(values) > FLAT, np.abs(values), np.inf)
        return self.basis @ (vectors @ (along / sizes)), float(np.sqrt(np.sum(along**2 / sizes)))

    def covariance(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Sampling covariance of the cells, and which of them the data do not identify."""
        values, vectors = np.linalg.eigh(self.matrix)
        good = values > FLAT
        inner = (vectors[:, good] / values[good]) @ vectors[:, good].T
        flat = self.basis @ vectors[:, ~good]
        return self.basis @ inner @ self.basis.T, (np.abs(flat) > 1e-6).any(axis=1)

    @property
    def smallest(self) -> float:
        """Smallest eigenvalue: the share of the information that is left where least is."""
        return float(np.linalg.eigvalsh(self.matrix)[0]) if len(self.matrix) else 1.0


def information(
    expectation: Expectation, layout: Layout, cells: Floats, counts: Floats
) -> Information | None:
    """At a point; None where there are too many cells, or a group of hidden nodes is not enumerated."""
    whole = counts + layout.prior
    totals = np.add.reduceat(whole, layout.firsts)
    inside = layout.coupled & (cells > EDGE) & (totals[layout.rows] > 0)
    several = np.bincount(layout.rows[inside], minlength=len(totals)) > 1
    inside &= several[layout.rows]
    places = np.flatnonzero(inside)
    if not 0 < len(places) <= MOST:
        return None if len(places) else Information(places, np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0))
    place = np.full(len(cells), -1, dtype=np.int64)
    place[places] = np.arange(len(places))
    hidden = expectation.covariance(cells, place, len(places))
    if hidden is None:
        return None
    basis = _basis(layout.rows[places], cells[places], whole[places])
    score = whole[places] / cells[places]
    scaled = basis / cells[places][:, None]
    complete = scaled.T @ (whole[places][:, None] * scaled)
    return Information(places, basis, complete - scaled.T @ hidden @ scaled, basis.T @ score)


def _basis(rows: Longs, cells: Floats, whole: Floats) -> Floats:
    """Directions that keep the sum of each row, orthonormal in the metric of counts / cells**2."""
    found: list[Floats] = []
    firsts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]).tolist()
    for first, end in zip(firsts, [*firsts[1:], len(rows)], strict=True):
        metric = np.sqrt(np.maximum(whole[first:end], 1e-12)) / cells[first:end]
        normal = (1 / metric)[:, None]
        full, _ = np.linalg.qr(np.hstack([normal, np.eye(end - first)[:, :-1]]))
        block = np.zeros((len(rows), end - first - 1))
        block[first:end] = full[:, 1:] / metric[:, None]
        found.append(block)
    return np.hstack(found)


def edges_hold(layout: Layout, cells: Floats, counts: Floats) -> bool:
    """Whether no cell at zero would raise the posterior by leaving it: n / p is at most the row's n."""
    whole = counts + layout.prior
    totals = np.add.reduceat(whole, layout.firsts)[layout.rows]
    edge = layout.coupled & (cells > 0) & (cells <= EDGE) & (totals > 0)
    return bool((whole[edge] <= cells[edge] * (totals[edge] * (1 + 1e-3) + 1e-6)).all())
