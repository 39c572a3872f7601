"""Mean and covariance structures of one exchangeable unit: likelihood, exact derivatives, information.

The reticular action model of McArdle and McDonald (1984, Br. J. Math. Stat. Psychol. 37:234): all t
variables of a unit, latent ones included, obey v = a + A v + e, e ~ N(0, P), so that with B = (I - A)^-1
their covariance is B P B' and their mean B a.  Every derivative of the observed part in an entry of A, P or
a is a pair of columns of K = [B_o | S_o] (rows of observed variables of B and of the covariance of all), so
that gradient, information and exact Hessian are gathered from tables K'WK of order 2t: no matrix has p(p +
1)/2 rows.

A cell is the rows of one group that miss the same variables; it holds their number, means and covariance.
Missing variables have zero rows there, so that all cells are one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PATH, COVARIANCE, MEAN = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Structure:
    """Which numbers of A, P and a are fixed, and where the m entries that vary stand.

    observed : (p,) variables that data are given for, the same in every group.
    paths, covariances : (G, t, t) fixed numbers, zero where an entry is added. means : (G, t).
    kind : (m,) PATH, COVARIANCE or MEAN. group, row, column : (m,) where; for a mean only `row` counts, a
        covariance off the diagonal stands for both triangles.
    """

    observed: Ints
    paths: Floats
    covariances: Floats
    means: Floats
    kind: Ints
    group: Ints
    row: Ints
    column: Ints

    @property
    def groups(self) -> int:
        return len(self.paths)

    @property
    def order(self) -> int:
        """t, the number of variables."""
        return self.paths.shape[1]

    @cached_property
    def sequence(self) -> Ints:
        """Variables, each after those that it depends on; empty where paths form a cycle."""
        arrows = (self.paths != 0).any(axis=0)
        at = self.kind == PATH
        arrows[self.row[at], self.column[at]] = True
        waiting, order = arrows.sum(axis=1), []
        ready = np.flatnonzero(waiting == 0).tolist()
        while ready:
            done = ready.pop()
            order.append(done)
            for i in np.flatnonzero(arrows[:, done]).tolist():
                waiting[i] -= 1
                if waiting[i] == 0:
                    ready.append(i)
        return np.array(order if len(order) == self.order else [], dtype=np.int64)

    @property
    def acyclic(self) -> bool:
        """Whether no variable reaches itself along paths, so that I - A has determinant 1."""
        return self.sequence.size == self.order

    @cached_property
    def varying(self) -> NDArray[np.bool_]:
        """Variables whose residuals have a variance, fixed or free, in some group, (t,)."""
        found = (np.diagonal(self.covariances, axis1=1, axis2=2) != 0).any(axis=0)
        found[self.row[(self.kind == COVARIANCE) & (self.row == self.column)]] = True
        return found

    @cached_property
    def entries(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Kind, group, row and column as kernels take them."""
        found = (self.kind, self.group, self.row, self.column)
        return tuple(np.ascontiguousarray(a, dtype=np.int64) for a in found)  # type: ignore[return-value]

    @cached_property
    def members(self) -> tuple[Ints, ...]:
        """Entries of each group."""
        return tuple(np.flatnonzero(self.group == g) for g in range(self.groups))

    @cached_property
    def factor(self) -> Floats:
        """f of each entry's derivative: a half on the diagonal, nothing for means."""
        half = (self.kind == COVARIANCE) & (self.row == self.column)
        return np.where(self.kind == MEAN, 0.0, np.where(half, 0.5, 1.0))

    @cached_property
    def _flat(self) -> tuple[tuple[Ints, Ints], ...]:
        """Entries of each kind and their flat places; covariances in both triangles."""
        t = self.order
        where = [np.flatnonzero(self.kind == k) for k in (PATH, COVARIANCE, MEAN)]
        paths, covariances, means = where
        place = (self.group * t + self.row) * t + self.column
        mirror = (self.group * t + self.column) * t + self.row
        off = covariances[self.row[covariances] != self.column[covariances]]
        return (
            (paths, place[paths]),
            (np.concatenate([covariances, off]), np.concatenate([place[covariances], mirror[off]])),
            (means, (self.group * t + self.row)[means]),
        )

    def filled(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """A, P and a with the entries' values added."""
        found = []
        for base, (entries, places) in zip(
            (self.paths, self.covariances, self.means), self._flat, strict=True
        ):
            whole = base.copy()
            np.add.at(whole.reshape(-1), places, values[entries])
            found.append(whole)
        return found[0], found[1], found[2]


@dataclass(frozen=True, eq=False)
class Sample:
    """Sufficient statistics of C cells.

    group, n : (C,). mask : (C, p), which variables are there. mean : (C, p), cov : (C, p, p) about the mean,
    divided by n; both zero where missing. extra : (C, p, p) known covariances that add to the structure's in
    each cell; none, (0, p, p), by itself.
    """

    group: Ints
    n: Floats
    mask: NDArray[np.bool_]
    mean: Floats
    cov: Floats
    extra: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)))

    @cached_property
    def complete(self) -> bool:
        return bool(self.mask.all())

    @cached_property
    def cells(self) -> tuple[Ints, Floats, NDArray[np.uint8]]:
        """Group, number and mask as kernels take them."""
        return np.ascontiguousarray(self.group, dtype=np.int64), self.n, self.mask.astype(np.uint8)

    @cached_property
    def filler(self) -> Floats:
        """(C, p, p) ones in the diagonal where a variable is missing."""
        return np.eye(self.mask.shape[1]) * ~self.mask[:, None, :]

    @cached_property
    def both(self) -> Floats:
        """(C, p, p) one where both variables are there."""
        return (self.mask[:, :, None] & self.mask[:, None, :]).astype(np.float64)

    @cached_property
    def constant(self) -> float:
        """n p log(2 pi) over cells."""
        return float(self.n @ self.mask.sum(axis=1)) * math.log(2 * math.pi)

    @property
    def rows(self) -> float:
        return float(self.n.sum())


class Moments:
    """A structure at some values, with a sample: what the likelihood and its derivatives are made of.

    Attributes
    ----------
    b, covariance, mean : B, the covariance and the mean of all variables, by group.
    w, residual : by cell, the inverse covariance of what is there and the distance of the means, else zero.
    value : minus twice the log likelihood with all constants; infinite where a covariance is not positive
        definite.
    """

    def __init__(self, structure: Structure, sample: Sample, values: Floats) -> None:
        from dagmodels.numerics.moment_kernels import evaluate

        self.structure, self.sample = structure, sample
        s, x = structure, sample
        g, t, (c, p) = s.groups, s.order, x.mask.shape
        self.b, self.covariance = np.empty((g, t, t)), np.empty((g, t, t))
        self.mean, self.w, self.residual = np.empty((g, t)), np.empty((c, p, p)), np.empty((c, p))
        found = evaluate(
            s.paths, s.covariances, s.means, s.sequence, *s.entries, values, s.observed, *x.cells,
            x.mean, x.cov, x.extra, self.b, self.covariance, self.mean, self.w, self.residual,
        )  # fmt: skip
        self.value = found + x.constant if math.isfinite(found) else math.inf

    @cached_property
    def gradient(self) -> Floats:
        """Of the value in the entries."""
        return self._slopes(0)[0]

    def information(self) -> Floats:
        """Expected Hessian of the value in the entries (twice Fisher's information), (m, m)."""
        return self._slopes(1)[1]

    def hessian(self) -> Floats:
        """Exact Hessian of the value in the entries, (m, m)."""
        return self._slopes(2)[1]

    def _slopes(self, order: int) -> tuple[Floats, Floats]:
        from dagmodels.numerics.moment_kernels import slopes

        s, x = self.structure, self.sample
        m = s.kind.size
        gradient, curvature = np.empty(m), np.empty((m, m) if order else (0, 0))
        slopes(
            order, *s.entries, s.factor, s.observed, *x.cells, x.cov, self.b, self.covariance, self.mean,
            self.w, self.residual, gradient, curvature,
        )  # fmt: skip
        return gradient, curvature

    def variance_slopes(self) -> Floats:
        """Derivatives of the variances of all variables of the entry's group, (m, t)."""
        s = self.structure
        left = self.b[s.group, :, s.row]
        paths = self.covariance[s.group, :, s.column]
        right = np.where((s.kind == PATH)[:, None], paths, self.b[s.group, :, s.column])
        return 2.0 * s.factor[:, None] * left * right
