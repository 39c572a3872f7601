"""Derivatives of moments in their entries as pairs of columns of K = [B_o | S_o]; see `numerics.moments`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A group's entries as pairs of columns of K (p, 2t): members, first, second, factor and lift, (e,)."""

    k: Floats
    members: Ints
    first: Ints
    second: Ints
    factor: Floats
    lift: Floats

    def directions(self) -> tuple[Floats, Floats]:
        """Derivatives of the observed covariance, (e, p, p), and mean, (e, p)."""
        u, v = self.k[:, self.first].T, self.k[:, self.second].T
        half = self.factor[:, None, None] * u[:, :, None] * v[:, None, :]
        return half + half.transpose(0, 2, 1), self.lift[:, None] * u

    def products(self, z: Floats) -> Floats:
        """f Z_u Z_v for all rows of Z, (n, e)."""
        return self.factor * z[:, self.first] * z[:, self.second]


def pairs(structure: Structure, moments: Moments, group: int) -> Pairs:
    """Of one group."""
    s, t = structure, structure.order
    at = s.members[group]
    kind, row, column = s.kind[at], s.row[at], s.column[at]
    second = np.select([kind == PATH, kind == COVARIANCE], [t + column, column], row)
    lift = np.select([kind == PATH, kind == MEAN], [moments.mean[group, column], np.ones(at.size)], 0.0)
    k = np.concatenate([moments.b[group][s.observed], moments.covariance[group][s.observed]], axis=1)
    return Pairs(k, at, row, second, s.factor[at], lift)
