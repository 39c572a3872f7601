"""The structure as lavaan writes it: every row of the table one entry, and further entries at zero.

The fitted graph may put the law of a latent variable on its only indicator, or solve constraints; here each
row stands at its own place again, so that derivatives exist in all of them, the fixed ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH, Moments, Structure
from dagmodels.results.sem.naming import SemRow
from dagmodels.results.sem.positions import KINDS, variable_numbers

if TYPE_CHECKING:
    from dagmodels.results.sem.fit import SemFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Written:
    """Entries of the structure with what they come from.

    rows : (m,) the number of the table's row that each entry is, -1 for added ones.
    structure : where they stand; thresholds and scales of ordered variables have kinds of their own there.
    value : (m,). jacobian : (m, k) derivatives of entries in the fit's coordinates; zero for fixed rows.
    moments : the structure without these at the values.
    given : (p,) observed variables whose moments the data fix.
    means : whether means are part of the model.
    """

    rows: Ints
    structure: Structure
    value: Floats
    jacobian: Floats
    moments: Moments
    given: NDArray[np.bool_]
    means: bool


def written(fit: SemFit, added: Sequence[SemRow] = ()) -> Written:
    """The structure of a fit, with `added` rows as further entries at zero."""
    at, naming, form = fit.at, fit.naming, fit.solution.form
    means = naming.meanstructure
    keep = np.flatnonzero((at.kind >= 0) & (means | (at.kind != MEAN)))
    number = variable_numbers(form)
    kind = np.array([KINDS[r.op] for r in added], dtype=np.int64)
    pairs = [_pair(r, number) for r in added]
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    group = np.array([r.group for r in added], dtype=np.int64)
    none = np.zeros(len(added))
    s, t, groups = form.structure, form.structure.order, form.structure.groups
    structure = Structure(
        s.observed,
        np.zeros((groups, t, t)),
        np.zeros((groups, t, t)),
        np.zeros((groups, t)),
        np.concatenate([at.kind[keep], kind]),
        np.concatenate([at.group[keep], group]),
        np.concatenate([at.first[keep], first]),
        np.concatenate([at.second[keep], second]),
    )
    value = np.concatenate([at.value[keep], none])
    sample = form.sample if means else replace(form.sample, mean=np.zeros_like(form.sample.mean))
    jacobian = np.concatenate([at.jacobian[keep], np.zeros((len(added), at.jacobian.shape[1]))])
    rows = np.concatenate([keep, np.full(len(added), -1)])
    kept = np.flatnonzero(structure.kind <= MEAN)
    moments = Moments(plain(structure, kept), sample, value[kept])
    return Written(rows, structure, value, jacobian, moments, form.template.given, means)


def plain(structure: Structure, kept: Ints) -> Structure:
    """With these entries alone."""
    s = structure
    return replace(s, kind=s.kind[kept], group=s.group[kept], row=s.row[kept], column=s.column[kept])


def _pair(r: SemRow, number: dict[str, int]) -> tuple[int, int]:
    if r.op == "=~":
        return number[r.rhs], number[r.lhs]
    return number[r.lhs], 0 if r.op == "~1" else number[r.rhs]


def matrices(fit: SemFit) -> tuple[Floats, Floats, Floats]:
    """A, P and a by group, with every row at its own place."""
    w = written(fit)
    return w.structure.filled(w.value)


class Derivatives(Protocol):
    """What score tests take, entry by entry; of half the criterion.

    gradient : (m,).
    """

    gradient: Floats

    def block(self, left: Ints, right: Ints) -> Floats:
        """The information between entries, (left, right)."""
        ...

    def diagonal(self, entries: Ints) -> Floats:
        """Of each entry with itself."""
        ...

    def shared(self, entries: Ints) -> tuple[Floats, Floats]:
        """Between entries and the free coordinates, (entries, k), and of these, (k, k)."""
        ...


def derivatives(fit: SemFit, w: Written) -> Derivatives:
    """Of a fit by likelihood or by least squares."""
    if fit.solution.at.likelihood:
        return Information(w)
    from dagmodels.results.sem.square_slopes import SquareInformation

    return SquareInformation(fit, w)


class Information:
    """Expected information of entries, block by block, from tables K'WK of order 2t.

    Blocks of the information of minus the log likelihood. Moments of given variables among themselves carry
    none, so their derivatives are taken out: each derivative is a sum of two products of columns of K.
    """

    def __init__(self, w: Written) -> None:
        s, m, x = w.structure, w.moments, w.moments.sample
        t, o = s.order, s.observed
        self.written, self.masked = w, bool(w.given.any())
        self.cells = []
        for c, g in enumerate(x.group.tolist()):
            k = np.concatenate([m.b[g][o], m.covariance[g][o]], axis=1)
            if self.masked:
                k = np.concatenate([k, np.where(w.given[:, None], k, 0.0)], axis=1)
            self.cells.append((g, 0.5 * float(x.n[c]), k.T @ m.w[c] @ k))
        self.shift = 2 * t if self.masked else 0
        self.first = s.row
        self.second = np.where(s.kind == PATH, t + s.column, np.where(s.kind == COVARIANCE, s.column, s.row))
        lift = np.where(s.kind == PATH, m.mean[s.group, s.column], (s.kind == MEAN).astype(float))
        self.lift = lift if w.means else np.zeros_like(lift)
        self.gradient = 0.5 * m.gradient

    def shared(self, entries: Ints) -> tuple[Floats, Floats]:
        """Between entries and the coordinates that free rows have, and of these."""
        jacobian = self.written.jacobian
        free = np.flatnonzero((jacobian != 0).any(axis=1))
        slopes = jacobian[free]
        slopes = slopes[:, (slopes != 0).any(axis=0)]
        return self.block(entries, free) @ slopes, slopes.T @ self.block(free, free) @ slopes

    def block(self, left: Ints, right: Ints) -> Floats:
        """Between entries, (left, right)."""
        found = np.zeros((left.size, right.size))
        group = self.written.structure.group
        for g in range(self.written.structure.groups):
            a, b = np.flatnonzero(group[left] == g), np.flatnonzero(group[right] == g)
            if a.size and b.size:
                found[np.ix_(a, b)] = self._sum(g, left[a][:, None], right[b][None, :])
        return found

    def diagonal(self, entries: Ints) -> Floats:
        """Of each entry with itself."""
        found = np.zeros(entries.size)
        for g in range(self.written.structure.groups):
            a = np.flatnonzero(self.written.structure.group[entries] == g)
            found[a] = self._sum(g, entries[a], entries[a])
        return found

    def _sum(self, g: int, e: Ints, f: Ints) -> Floats:
        factor = self.written.structure.factor
        both = 2.0 * factor[e] * factor[f]
        level = 2.0 * self.lift[e] * self.lift[f]
        u, v, r, s = self.first[e], self.second[e], self.first[f], self.second[f]
        h = self.shift
        found = np.zeros(np.broadcast_shapes(e.shape, f.shape))
        for group, n, k in self.cells:
            if group != g:
                continue
            part = both * (k[u, r] * k[v, s] + k[u, s] * k[v, r]) + level * k[u, r]
            if h:
                for left, right, sign in ((h, 0, -1.0), (0, h, -1.0), (h, h, 1.0)):
                    a, b, c, d = u + left, v + left, r + right, s + right
                    part = part + sign * (both * (k[a, c] * k[b, d] + k[a, d] * k[b, c]) + level * k[a, c])
            found += n * part
        return found
