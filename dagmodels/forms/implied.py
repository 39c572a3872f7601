"""Statistics that a structure implies: thresholds, means, slopes, variances and covariances, derivatives too.

Latent responses of ordered variables have no scale of their own, so that all that is said of them is divided
by their standard deviation given the covariates: thresholds (t - mu)/sd, slopes and covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE as P_ENTRY
from dagmodels.numerics.moments import MEAN as A_ENTRY
from dagmodels.numerics.moments import PATH, Structure
from dagmodels.numerics.ordinal.statistics import COVARIANCE, LEVEL, SLOPE, VARIANCE, Layout, layout

if TYPE_CHECKING:
    from dagmodels.forms.moments import Template

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Space:
    """Which variables of a structure the statistics are of.

    y : (p,) variables of `parts`. x : (c,) covariates that slopes are on.
    """

    parts: Layout
    y: Ints
    x: Ints

    @cached_property
    def slots(self) -> Ints:
        """(q,) the number of the threshold that a statistic is of, in the order of the statistics, or -1."""
        cut = (self.parts.kind == LEVEL) & self.parts.ordered[self.parts.first]
        return np.where(cut, np.cumsum(cut) - 1, -1)


def ordered_space(template: Template) -> Space:
    """Thresholds, slopes and correlations of a structure with ordered variables, given its covariates."""
    assert template.thresholds is not None
    counts = np.zeros(template.structure.order, dtype=np.int64)
    np.add.at(counts, template.thresholds.variable, 1)
    given, o = template.given, template.structure.observed
    return Space(layout(counts[o[~given]], int(given.sum())), o[~given], o[given])


class Implied:
    """One group's statistics at some values of the structure.

    b, sigma, mean : of all variables, given the covariates where slopes are on some. thresholds : (T,).
    value : (q,).
    """

    def __init__(
        self, space: Space, structure: Structure, group: int,
        b: Floats, sigma: Floats, mean: Floats, thresholds: Floats,
    ) -> None:  # fmt: skip
        self.space, self.structure, self.group = space, structure, group
        self.b, self.sigma, self.mean = b, sigma, mean
        parts, y = space.parts, space.y
        self.i, self.j = parts.first, np.where(parts.kind == LEVEL, 0, parts.second)
        self.level, self.slope, self.spread, self.pair = (
            np.flatnonzero(parts.kind == k) for k in (LEVEL, SLOPE, VARIANCE, COVARIANCE)
        )
        self.cut = np.flatnonzero(space.slots >= 0)
        variance = np.abs(np.diag(sigma)[y])
        self.scale = np.where(parts.ordered, 1.0 / np.sqrt(np.maximum(variance, 1e-300)), 1.0)
        self.variance = np.diag(sigma)[y]
        raw = np.empty(parts.kind.size)
        raw[self.level] = mean[y[self.i[self.level]]]
        raw[self.cut] = thresholds[space.slots[self.cut]] - raw[self.cut]
        raw[self.slope] = b[y[self.i[self.slope]], space.x[self.j[self.slope]]]
        raw[self.spread] = self.variance[self.i[self.spread]]
        raw[self.pair] = sigma[y[self.i[self.pair]], y[self.j[self.pair]]]
        self.factor = self.scale[self.i] * np.where(parts.kind == COVARIANCE, self.scale[self.j], 1.0)
        self.raw, self.value = raw, raw * self.factor

    @cached_property
    def _pairs(self) -> tuple[Floats, Floats, Floats, Floats, Ints, NDArray[np.bool_]]:
        """Of the group's entries: columns u and v at y, f, the means' lift, members, which are paths."""
        s, g, y = self.structure, self.group, self.space.y
        at = s.members[g]
        kind, row, column = s.kind[at], s.row[at], s.column[at]
        u = self.b[np.ix_(y, row)]
        v = np.where(kind == PATH, self.sigma[np.ix_(y, column)], self.b[np.ix_(y, column)])
        lift = np.select([kind == PATH, kind == A_ENTRY], [self.mean[column], np.ones(at.size)], 0.0)
        return u, v, s.factor[at], lift, at, kind == PATH

    @cached_property
    def raw_slopes(self) -> Floats:
        """Derivatives of what is not yet scaled in the group's entries, (q, e); thresholds apart."""
        u, v, f, lift, at, path = self._pairs
        found = np.zeros((self.raw.size, at.size))
        found[self.level] = u[self.i[self.level]] * lift
        found[self.cut] *= -1.0
        if self.slope.size:
            column = self.structure.column[at]
            ends = self.b[np.ix_(column, self.space.x)].T  # (c, e)
            found[self.slope] = u[self.i[self.slope]] * ends[self.j[self.slope]] * path
        own = self.i[self.spread]
        found[self.spread] = 2.0 * f * u[own] * v[own]
        i, j = self.i[self.pair], self.j[self.pair]
        found[self.pair] = f * (u[i] * v[j] + u[j] * v[i])
        return found

    @cached_property
    def shrink(self) -> Floats:
        """Derivatives of the logarithm of each variable's scale in the group's entries, (p, e)."""
        u, v, f, _, _, _ = self._pairs
        found = -f * u * v / self.variance[:, None]
        return np.where(self.space.parts.ordered[:, None], found, 0.0)

    def slopes(self) -> Floats:
        """Derivatives of the statistics in the group's entries, (q, e)."""
        if not self.space.parts.ordered.any():
            return self.raw_slopes
        found = self.factor[:, None] * self.raw_slopes
        logs = self.shrink[self.i]
        logs[self.pair] += self.shrink[self.j[self.pair]]
        logs[self.spread] = 0.0
        return found + self.value[:, None] * logs

    @property
    def plain(self) -> bool:
        """Whether statistics are means and covariances alone."""
        return not (self.space.parts.ordered.any() or self.slope.size)

    def pulled(self, weights: Floats) -> Floats:
        """D'w for the derivatives D in the group's entries and w (q,); of plain statistics."""
        u, v, f, lift, _, _ = self._pairs
        p = len(u)
        level, spread = np.zeros(p), np.zeros((p, p))
        level[self.i[self.level]] = weights[self.level]
        i, j = self.i[self.pair], self.j[self.pair]
        spread[i, j] = spread[j, i] = 0.5 * weights[self.pair]
        own = self.i[self.spread]
        spread[own, own] = weights[self.spread]
        return 2.0 * f * np.sum(u * (spread @ v), axis=0) + lift * (level @ u)

    def normal_information(self, inverse: Floats) -> Floats:
        """D'V D, (e, e), V of `NormalTheory` with this inverse covariance matrix; of plain statistics.

        Each derivative of the covariances is f (u v' + v u'), so that half the trace of its products with the
        inverse is made of products of vectors.
        """
        u, v, f, lift, _, _ = self._pairs
        a, b = inverse @ u, inverse @ v
        cross = u.T @ b
        level = u * lift
        found = (f[:, None] * f) * ((u.T @ a) * (v.T @ b) + cross * cross.T)
        return found + level.T @ (inverse @ level)

    def threshold_slopes(self) -> tuple[Ints, Ints, Floats]:
        """Statistics, the thresholds they are of, and their derivatives."""
        return self.cut, self.space.slots[self.cut], self.factor[self.cut]

    # -- second derivatives

    def curvature(self, weights: Floats, jacobian: Floats, thresholds: Floats) -> Floats:
        """Hessian of the weighted sum of statistics, (k, k), where entries are linear in k unknowns.

        weights : (q,). jacobian : (e, k) of the group's entries. thresholds : (T, k).
        """
        if not self.space.parts.ordered.any():  # nothing is scaled
            return jacobian.T @ self._bent(weights, np.zeros(self.variance.size)) @ jacobian
        d = self.raw_slopes @ jacobian
        cut, slots, _ = self.threshold_slopes()
        d[cut] += thresholds[slots]
        shrink = self.shrink @ jacobian  # (p, k)
        logs = shrink[self.i]
        logs[self.pair] += shrink[self.j[self.pair]]
        logs[self.spread] = 0.0
        w = weights * self.factor
        cross = (w[:, None] * d).T @ logs
        found = cross + cross.T + (weights * self.value * logs.T) @ logs
        # the logarithm of a scale bends by 2 D D' - D2 / (2 variance), D its slope
        own = np.zeros(self.variance.size)
        np.add.at(own, self.i, weights * self.value)
        np.add.at(own, self.j[self.pair], (weights * self.value)[self.pair])
        own[~self.space.parts.ordered] = 0.0
        found += 2.0 * (own * shrink.T) @ shrink
        return found + jacobian.T @ self._bent(w, own) @ jacobian

    def _bent(self, w: Floats, own: Floats) -> Floats:
        """Hessian in the group's entries of the sum of w times what is not yet scaled, less own times the
        variances over twice their values, (e, e)."""
        s, y, t = self.structure, self.space.y, self.structure.order
        weight, level, slope = np.zeros((t, t)), np.zeros(t), np.zeros((t, t))
        i, j = y[self.i], y[self.j[self.pair]]
        np.add.at(weight, (i[self.pair], j), 0.5 * w[self.pair])
        np.add.at(weight, (j, i[self.pair]), 0.5 * w[self.pair])
        np.add.at(weight, (i[self.spread], i[self.spread]), w[self.spread])
        weight[y, y] -= 0.5 * own / self.variance
        sign = np.ones(w.size)
        sign[self.cut] = -1.0
        np.add.at(level, i[self.level], (sign * w)[self.level])
        if self.slope.size:
            np.add.at(slope, (i[self.slope], self.space.x[self.j[self.slope]]), w[self.slope])
        at = s.members[self.group]
        return _second(
            self.b, self.sigma, self.mean, (weight, level, slope), s.kind[at], s.row[at], s.column[at]
        )


def _second(
    b: Floats, sigma: Floats, mean: Floats, weights: tuple[Floats, Floats, Floats],
    kind: Ints, row: Ints, column: Ints,
) -> Floats:  # fmt: skip
    """Hessian in entries of tr(W Sigma) + l'mean + tr(C'B), W symmetric; B = (I - A)^-1, Sigma = B P B'."""
    w, level, slope = weights
    m, q = b.T @ w @ b, b.T @ w @ sigma
    up, r = b.T @ level, b.T @ slope @ b.T
    path, cov, lift = kind == PATH, kind == P_ENTRY, kind == A_ENTRY
    found = np.zeros((kind.size, kind.size))
    a = np.flatnonzero(path)
    i, j = row[a], column[a]
    back = b[np.ix_(j, i)]  # B_{c r'}: from the end of one path to the origin of the other
    one = q[i][:, j].T * back.T  # B_{c' r} Q_{r' c}
    other = q[i][:, j] * back  # Q_{r c'} B_{c r'}
    both = 2.0 * (one + other + m[np.ix_(i, i)] * sigma[np.ix_(j, j)])
    both += np.outer(mean[j], up[i]) * back.T + np.outer(up[i], mean[j]) * back
    both += r[i][:, j].T * back.T + r[i][:, j] * back
    found[np.ix_(a, a)] = both
    c = np.flatnonzero(cov)
    k, n = row[c], column[c]
    mixed = m[np.ix_(i, k)] * b[np.ix_(j, n)] + np.where(k != n, m[np.ix_(i, n)] * b[np.ix_(j, k)], 0.0)
    found[np.ix_(a, c)] = 2.0 * mixed
    found[np.ix_(c, a)] = 2.0 * mixed.T
    e = np.flatnonzero(lift)
    raised = up[i][:, None] * b[np.ix_(j, row[e])]
    found[np.ix_(a, e)], found[np.ix_(e, a)] = raised, raised.T
    return found
