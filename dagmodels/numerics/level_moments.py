"""Units in clusters: likelihood and exact derivatives of a mean and covariance structure at two levels.

A cluster of n units, whose values are parts of the cluster and independent parts of their own, is turned
into n - 1 contrasts, which have the covariance of the own parts, and the mean of the units, where own parts
have theirs divided by n (McDonald and Goldstein 1989, Br. J. Math. Stat. Psychol. 42:215; Muthen 1994,
Sociol. Methods Res. 22:376). Both are independent, so that all contrasts of a group are one cell of
`numerics.moments`, and all clusters of one size another: the structure is the same, only what own
covariances, the clusters' and means are multiplied with differs. No number of rows is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments, Sample, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Parts:
    """Statistics of clusters as P independent cells.

    group : (P,) group of each. size : (P,) units of each of its clusters; 0 for contrasts.
    sample : P cells; `n` counts clusters, or contrasts. Variables of clusters are missing from contrasts.
    rows, clusters : (G,) their numbers. constant : sum over clusters of p log n for p variables of units,
        what means weigh more than the sums that they stand for.
    """

    group: Ints
    size: Floats
    sample: Sample
    rows: Floats
    clusters: Floats
    constant: float

    @property
    def share(self) -> Floats:
        """(P,) what covariances of own parts are multiplied with."""
        return 1.0 / np.maximum(self.size, 1.0)

    @property
    def whole(self) -> Bools:
        """(P,) cells that know means and parts of clusters."""
        return self.size > 0


def parts(values: Floats, inner: Bools, group_of: Ints, cluster_of: Ints) -> Parts:
    """The cells of complete rows.

    values : (n, p). inner : (p,) which variables units have; the others are constant in each cluster.
    group_of, cluster_of : (n,) codes from 0; every cluster is in one group.
    """
    count = np.bincount(cluster_of).astype(np.float64)
    mean = np.stack([np.bincount(cluster_of, weights=v) for v in values.T], axis=1) / count[:, None]
    away = values - mean[cluster_of]
    of = np.zeros(count.size, dtype=np.int64)
    of[cluster_of] = group_of
    p, groups = len(inner), int(group_of.max()) + 1
    found: list[tuple[int, float, float, Bools, Floats, Floats]] = []
    for g in range(groups):
        here = np.flatnonzero(of == g)
        free = float(np.sum(count[here] - 1.0))
        if free > 0:
            rows = away if groups == 1 else away[group_of == g]
            scatter = np.where(np.outer(inner, inner), rows.T @ rows, 0.0)
            found.append((g, 0.0, free, inner, np.zeros(p), scatter / free))
        for size in np.unique(count[here]).tolist():
            same = mean[here[count[here] == size]]
            level = same.mean(axis=0)
            gap = same - level
            found.append((g, size, float(len(same)), np.ones(p, bool), level, gap.T @ gap / len(same)))
    group, size, n, mask, level, cov = (np.array(c) for c in zip(*found, strict=True))
    cells = Sample(np.arange(len(found)), n, mask, level, cov)
    return Parts(
        group, size, cells, np.bincount(group_of).astype(float), np.bincount(of).astype(float),
        float(inner.sum()) * float(np.log(count).sum()),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LevelStructure:
    """A structure of units and their clusters, with the cells that it is fitted to.

    base : all variables of a unit and its cluster. inner : (t,) which are the unit's own.
    Covariances between the two kinds are zero.
    """

    base: Structure
    inner: Bools
    parts: Parts

    @cached_property
    def between(self) -> Ints:
        """(p,) the variable of clusters that is the between part of each observed variable: it enters with a
        fixed coefficient of one. Observed variables of clusters are theirs; -1 where there is none."""
        s = self.base
        one = (s.paths[:, s.observed] == 1.0).all(axis=0) & ~self.inner
        found = np.where(one.any(axis=1), one.argmax(axis=1), -1)
        return np.where(self.inner[s.observed], found, s.observed)

    @cached_property
    def own(self) -> Structure:
        """The same without paths from clusters to units: each level by itself, between parts as observed."""
        s = self.base
        across = self.inner[:, None] & ~self.inner[None, :]
        paths = np.where(across, 0.0, s.paths)
        seen = np.unique(np.concatenate([s.observed, self.between[self.between >= 0]]))
        return Structure(seen, paths, s.covariances, s.means, s.kind, s.group, s.row, s.column)

    @cached_property
    def inside(self) -> Floats:
        """(m,) zero for paths from clusters to units, one for other entries."""
        s = self.base
        return 1.0 - ((s.kind == PATH) & self.inner[s.row] & ~self.inner[s.column])

    @cached_property
    def nothing(self) -> Sample:
        """A sample without cells."""
        p = self.own.observed.size
        return Sample(
            np.zeros(0, np.int64), np.zeros(0), np.zeros((0, p), bool), np.zeros((0, p)), np.zeros((0, p, p))
        )

    @cached_property
    def fixed(self) -> tuple[Floats, Floats, Floats]:
        """The fixed numbers of A, P and a of every cell."""
        s, g = self.base, self.parts.group
        both, none = np.outer(self.inner, self.inner), np.outer(~self.inner, ~self.inner)
        share, whole = self.parts.share[:, None, None], self.parts.whole[:, None, None]
        covariances = s.covariances[g] * (both * share + none * whole)
        return s.paths[g], covariances, s.means[g] * whole[:, :, 0]

    @cached_property
    def cells(self) -> tuple[tuple[Ints, Floats], ...]:
        """For each cell its entries, and what each is multiplied with."""
        s, found = self.base, []
        own = self.inner[s.row]
        for g, share, whole in zip(self.parts.group, self.parts.share, self.parts.whole, strict=True):
            scale = np.where((s.kind == COVARIANCE) & own, share, 1.0)
            used = (s.group == g) & (whole | (own & (s.kind != MEAN)))
            at = np.flatnonzero(used)
            found.append((at, scale[at]))
        return tuple(found)

    @cached_property
    def entries(self) -> tuple[Ints, Floats, tuple[Ints, Ints, Ints, Ints]]:
        """Of all cells together: number, factor, and kind, cell, row and column as kernels take them."""
        s = self.base
        at = np.concatenate([a for a, _ in self.cells])
        scale = np.concatenate([f for _, f in self.cells])
        cell = np.repeat(np.arange(len(self.cells)), [a.size for a, _ in self.cells])
        return at, scale, (s.kind[at], cell, s.row[at], s.column[at])

    @cached_property
    def tables(self) -> tuple[tuple[Ints, ...], ...]:
        """For each cell kind, group 0, row, column of its entries, for kernels."""
        s = self.base
        return tuple((s.kind[a], np.zeros(a.size, np.int64), s.row[a], s.column[a]) for a, _ in self.cells)


class LevelMoments(Moments):
    """A structure of two levels at some values of its entries.

    b, covariance, mean : of all variables, each level by itself, by group. value and its derivatives are
    those of the data.
    cell_b, cell_covariance, cell_mean, cell_w, cell_residual : by cell, as `numerics.moments` has them.
    """

    def __init__(self, levels: LevelStructure, values: Floats) -> None:
        from dagmodels.numerics.moment_kernels import evaluate

        super().__init__(levels.own, levels.nothing, values * levels.inside)
        self.levels, self.entries = levels, values
        s, x = levels.base, levels.parts.sample
        c, p, t = len(x.n), s.observed.size, s.order
        self.cell_b, self.cell_covariance = np.empty((c, t, t)), np.empty((c, t, t))
        self.cell_mean = np.empty((c, t))
        self.cell_w, self.cell_residual = np.empty((c, p, p)), np.empty((c, p))
        at, scale, entries = levels.entries
        found = evaluate(
            *levels.fixed, s.sequence, *entries, scale * values[at], s.observed, *x.cells, x.mean, x.cov,
            x.extra, self.cell_b, self.cell_covariance, self.cell_mean, self.cell_w, self.cell_residual,
        )  # fmt: skip
        self.value = found + x.constant + levels.parts.constant if math.isfinite(found) else math.inf

    def _slopes(self, order: int) -> tuple[Floats, Floats]:
        m = self.structure.kind.size
        gradient, curvature = np.zeros(m), np.zeros((m, m) if order else (0, 0))
        for at, scale, slope, bend in self._by_cell(order):
            gradient[at] += scale * slope
            if order:
                curvature[np.ix_(at, at)] += scale[:, None] * bend * scale
        return gradient, curvature

    def _by_cell(self, order: int) -> Iterator[tuple[Ints, Floats, Floats, Floats]]:
        from dagmodels.numerics.moment_kernels import slopes

        levels, s = self.levels, self.levels.base
        x, one = levels.parts.sample, np.zeros(1, np.int64)
        _, n, mask = x.cells
        for c, ((at, scale), table) in enumerate(zip(levels.cells, levels.tables, strict=True)):
            m, here = at.size, slice(c, c + 1)
            gradient, curvature = np.empty(m), np.empty((m, m) if order else (0, 0))
            slopes(
                order, *table, s.factor[at], s.observed, one, n[here], mask[here], x.cov[here],
                self.cell_b[here], self.cell_covariance[here], self.cell_mean[here], self.cell_w[here],
                self.cell_residual[here], gradient, curvature,
            )  # fmt: skip
            yield at, scale, gradient, curvature

    def variance_slopes(self) -> Floats:
        """Derivatives of the variances of all variables of the entry's group at their own level, (m, t)."""
        return super().variance_slopes() * self.levels.inside[:, None]

    def spread(self) -> tuple[Floats, Floats, Floats]:
        """What units add to the covariance of all variables, what clusters add, and the means, by group.

        The part of a variable of units that their clusters add is its between part.
        """
        s = self.levels.base
        a, p, level = s.filled(self.entries)
        b = np.linalg.inv(np.eye(s.order) - a)
        inner = self.levels.inner
        own, above = np.outer(inner, inner) * p, np.outer(~inner, ~inner) * p
        turned = b.transpose(0, 2, 1)
        return b @ own @ turned, b @ above @ turned, np.einsum("gij,gj->gi", b, level)
