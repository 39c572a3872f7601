"""Derivatives of least-squares statistics in rows of lavaan's table, those that are fixed or left out too.

In the delta parameterization the residual variance of a latent response makes room for what explains it, so
that a path or covariance moves no scale; a scale moves all that is said of its variable in proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.implied import Implied
from dagmodels.forms.least_squares import LeastSquares
from dagmodels.numerics.moments import COVARIANCE, MEAN, Moments
from dagmodels.numerics.ordinal.statistics import COVARIANCE as PAIR
from dagmodels.numerics.ordinal.statistics import LEVEL, SLOPE
from dagmodels.results.sem.positions import SCALE, THRESHOLD
from dagmodels.results.sem.written import Written, plain

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class SquareInformation:
    """What score tests of a least-squares fit take, entry by entry of `written`.

    gradient : (m,) of half the criterion. thresholds count among the free parameters, whatever is asked.
    """

    def __init__(self, fit: SemFit, w: Written) -> None:
        at = cast(LeastSquares, fit.solution.at)
        form = at.form
        self.at, self.counts = at, [p.n - 1 for p in form.parts]
        self.entries = [_slopes(fit, w, g) for g in range(len(form.parts))]
        self.gradient = np.zeros(len(w.rows))
        for n, p, implied, d in zip(self.counts, form.parts, at.implied, self.entries, strict=True):
            self.gradient -= n * (d.T @ p.weights.times(p.value - implied.value))

    def block(self, left: Ints, right: Ints) -> Floats:
        """Between entries."""
        found = np.zeros((left.size, right.size))
        for n, p, d in zip(self.counts, self.at.form.parts, self.entries, strict=True):
            found += n * (d[:, left].T @ p.weights.times(d[:, right]))
        return found

    def diagonal(self, entries: Ints) -> Floats:
        """Of each entry with itself."""
        found = np.zeros(entries.size)
        for n, p, d in zip(self.counts, self.at.form.parts, self.entries, strict=True):
            found += n * np.einsum("qe,qe->e", d[:, entries], p.weights.times(d[:, entries]))
        return found

    def shared(self, entries: Ints) -> tuple[Floats, Floats]:
        """Between entries and the fit's coordinates, and of the coordinates."""
        k = self.at.x.size
        found, inner = np.zeros((entries.size, k)), np.zeros((k, k))
        for n, p, d, j in zip(self.counts, self.at.form.parts, self.entries, self.at.slopes, strict=True):
            weighted = p.weights.times(j)
            found += n * (d[:, entries].T @ weighted)
            inner += n * (j.T @ weighted)
        return found, inner


def _slopes(fit: SemFit, w: Written, g: int) -> Floats:
    """(q, m) derivatives of one group's statistics in the entries."""
    at = cast(LeastSquares, fit.solution.at)
    form = at.form
    space, given = form.space, form.structure.observed[form.template.given]
    s = w.structure
    structural = np.flatnonzero(s.kind <= MEAN)
    value = w.value.copy()
    if space.x.size:  # statistics are given the covariates
        own = (s.kind == COVARIANCE) & np.isin(s.row, given) & np.isin(s.column, given)
        value[own | ((s.kind == MEAN) & np.isin(s.row, given))] = 0.0
    alone = plain(s, structural)
    m = Moments(alone, form.sample, value[structural])
    implied = Implied(space, alone, g, m.b[g], m.covariance[g], m.mean[g], at.thresholds[g])
    found = np.zeros((space.parts.kind.size, len(w.rows)))
    inside = implied.factor[:, None] * implied.raw_slopes if _delta(fit) else implied.slopes()
    found[:, structural[alone.members[g]]] = inside
    if space.x.size:
        held = (s.kind == COVARIANCE) & np.isin(s.row, given) & np.isin(s.column, given)
        found[:, held | ((s.kind == MEAN) & np.isin(s.row, given))] = 0.0
    for e in np.flatnonzero((s.kind >= THRESHOLD) & (s.group == g)).tolist():
        found[:, e] = _apart(fit, at, implied, int(s.kind[e]), int(s.row[e]), int(s.column[e]))
    return found


def _apart(fit: SemFit, at: LeastSquares, implied: Implied, kind: int, variable: int, number: int) -> Floats:
    """Derivatives in a threshold, or in the scale of a latent response."""
    space = at.form.space
    parts, y = space.parts, int(np.flatnonzero(space.y == variable)[0])
    found = np.zeros(parts.kind.size)
    if kind == THRESHOLD:
        found[(parts.kind == LEVEL) & (parts.first == y) & (parts.second == number)] = implied.scale[y]
    elif kind == SCALE and _delta(fit):
        own = np.isin(parts.kind, (LEVEL, SLOPE, PAIR)) & (parts.first == y)
        own |= (parts.kind == PAIR) & (parts.second == y)
        found[own] = implied.value[own] / implied.scale[y]
    return found


def _delta(fit: SemFit) -> bool:
    """Whether residual variances of latent responses are what the model leaves of their scales."""
    return fit.naming.delta
