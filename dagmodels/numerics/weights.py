"""Weight matrices of least squares, applied rather than stored where they have a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Weights(Protocol):
    """A symmetric matrix V of order q."""

    def times(self, x: Floats) -> Floats:
        """V x for x of shape (q,) or (q, k)."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Diagonal:
    """V = diag(d), d (q,)."""

    d: Floats

    def times(self, x: Floats) -> Floats:
        return self.d * x if x.ndim == 1 else self.d[:, None] * x


@dataclass(frozen=True, eq=False, slots=True)
class Dense:
    """V given whole, (q, q)."""

    matrix: Floats

    def times(self, x: Floats) -> Floats:
        return self.matrix @ x


@dataclass(frozen=True, eq=False, slots=True)
class NormalTheory:
    """The inverse covariance of means and covariances of normal data (Browne 1974, S. Afr. Stat. J. 8:1).

    inverse : (p, p) of the covariance matrix. mean, row, column : (q,) for a mean its variable and -1, -1;
        for a covariance -1 and its two variables.
    """

    inverse: Floats
    mean: Ints
    row: Ints
    column: Ints

    def times(self, x: Floats) -> Floats:
        columns = x[:, None] if x.ndim == 1 else x
        p, k = len(self.inverse), columns.shape[1]
        level, spread = np.flatnonzero(self.mean >= 0), np.flatnonzero(self.mean < 0)
        i, j = self.row[spread], self.column[spread]
        found = np.empty_like(columns)
        part = np.zeros((p, k))
        part[self.mean[level]] = columns[level]
        found[level] = (self.inverse @ part)[self.mean[level]]
        whole = np.zeros((k, p, p))
        whole[:, i, j] = columns[spread].T
        whole[:, j, i] = columns[spread].T
        both = (self.inverse @ whole @ self.inverse)[:, i, j].T
        found[spread] = np.where(i == j, 0.5, 1.0)[:, None] * both
        return found[:, 0] if x.ndim == 1 else found
