"""Moment structures of units that each add a known covariance of their own, as known errors do.

With W the inverse of a unit's covariance Sigma + D, z = W r and V = z z' for its distance r from the mean,
minus twice its log likelihood has the second derivatives  -tr(W E W F) + 2 tr(W E V F)  in directions E and F
of Sigma,  2 e'W F z  in e of the mean and F, and  2 e'W f  in the mean (Magnus and Neudecker 1999, section
15.5). So the sums of W W', V W', W z' and W over units serve every pair of entries: (p (p + 1) / 2)^2 numbers
a unit, and no entries.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moment_pairs import pairs
from dagmodels.numerics.moments import Moments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEW = 500  # cells, below which going through pairs of entries in each is the cheaper way


class RowMoments(Moments):
    """A structure at some values; its sample's cells have covariances of their own (`Sample.extra`)."""

    def _slopes(self, order: int) -> tuple[Floats, Floats]:
        from dagmodels.numerics.row_moment_kernels import row_slopes

        s, x = self.structure, self.sample
        if x.n.size < FEW:
            return super()._slopes(order)
        m, p, groups = s.kind.size, s.observed.size, s.groups
        q = p * (p + 1) // 2
        gradient, curvature = np.empty(m), np.empty((m, m))
        squares, crosses = np.zeros((groups, q, q)), np.zeros((groups, q, q))
        lines, single = np.zeros((groups, q, p)), np.zeros((groups, q))
        row_slopes(
            order, *s.entries, s.factor, s.observed, *x.cells, x.cov, self.b, self.covariance, self.mean,
            self.w, self.residual, gradient, curvature, squares, crosses, lines, single,
        )  # fmt: skip
        if order:
            for g, at in enumerate(s.members):
                sums = squares[g] + np.tril(squares[g], -1).T, crosses[g], lines[g], single[g]
                curvature[np.ix_(at, at)] += self._curvature(g, order, *sums)
        return gradient, curvature

    @cached_property
    def _packed(self) -> Ints:
        """(p, p) place of each pair in the packed lower triangle."""
        p = self.structure.observed.size
        found = np.zeros((p, p), dtype=np.int64)
        i, j = np.tril_indices(p)
        found[i, j] = found[j, i] = np.arange(i.size)
        return found

    def _curvature(
        self, g: int, order: int, squares: Floats, crosses: Floats, lines: Floats, single: Floats
    ) -> Floats:
        e, d = pairs(self.structure, self, g).directions()
        i, p = self._packed, self.structure.observed.size
        ends = i[:, :, None, None], i[None, None, :, :]
        four = squares[ends]  # [a, b, c, d] = sum of W_ab W_cd; a trace W_ab E_bc W_cd F_da
        if order == 2:
            four = crosses[ends] + crosses.T[ends] - four
        by = four.transpose(1, 2, 3, 0).reshape(p * p, p * p)
        found = e.reshape(len(e), -1) @ by @ e.reshape(len(e), -1).T
        if order == 2:
            along = lines[i].reshape(p, p * p)  # [a, b c] = sum of W_ab z_c
            cross = 2.0 * d @ along @ e.reshape(len(e), -1).T
            found = 0.5 * (found + found.T) + cross + cross.T
        return found + 2.0 * d @ single[i] @ d.T
