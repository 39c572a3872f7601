"""The two models that a model of two levels is compared with: no restriction at either level, and variables
that are independent at both.

Covariances between clusters are L L' with a triangular L, so that they are a covariance matrix: where sizes
differ the likelihood of free ones has no bound, because a matrix that is none can fit the few largest
clusters exactly. Optima with a singular matrix are inside for L, which keeps Newton's steps and certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.levels import LevelsForm, free_structure, starting_moments
from dagmodels.numerics.level_moments import LevelMoments, LevelStructure
from dagmodels.numerics.moments import COVARIANCE
from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.scoring import score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CLOSE = 1e-4  # decrement of the optimum beyond which it is none
SADDLE = -1e-6  # smallest eigenvalue of its scaled Hessian
SHARES = (1.0, 0.1, 0.01, 0.5)  # of the first guess, tried in turn
LIMIT = 100  # steps of a search
SADDLES = 20  # that the search leaves
STEPS = (
    30.0,
    10.0,
    3.0,
    1.0,
    0.3,
    0.1,
)  # along the direction of negative curvature, in units of a coordinate


@dataclass(frozen=True, eq=False, slots=True)
class Free:
    """An optimum of such a model.

    value : minus twice the log likelihood. within : (G, w, w) of the units' observed variables, in the order
    of the form's. between : (G, b, b), of those that vary between clusters. mean : (G, p).
    at : the criterion there.
    """

    value: float
    within: Floats
    between: Floats
    mean: Floats
    at: RootPoint
    optimum: Optimum

    @property
    def parameters(self) -> int:
        return self.optimum.x.size


class Roots:
    """Coordinates of the entries of such a structure: entries themselves, and roots of covariances between.

    order : variables of clusters, covariates first; free : how many are none. places : (r, 3) group, row and
    column of each coordinate in L, by place in `order`. plain : the entries that are coordinates; they come
    before the roots.
    """

    def __init__(self, structure: LevelStructure) -> None:
        s = structure.base
        self.structure = structure
        outer = np.flatnonzero(~structure.inner)
        fixed = s.covariances[:, outer, outer].any(axis=0)
        self.order = np.concatenate([outer[fixed], outer[~fixed]])
        place = np.full(s.order, -1)
        place[self.order] = np.arange(outer.size)
        between = (s.kind == COVARIANCE) & ~structure.inner[s.row]
        self.plain, self.rooted = np.flatnonzero(~between), np.flatnonzero(between)
        i, j = place[s.row[self.rooted]], place[s.column[self.rooted]]
        self.places = np.stack([s.group[self.rooted], np.maximum(i, j), np.minimum(i, j)], axis=1)
        known = int(fixed.sum())
        self.free = outer.size - known
        self.base = np.zeros((s.groups, outer.size, outer.size))
        at = self.order[:known]
        for g in range(s.groups):
            self.base[g, :known, :known] = np.linalg.cholesky(s.covariances[g][np.ix_(at, at)])

    def factor(self, x: Floats) -> Floats:
        """L by group."""
        found = self.base.copy()
        found[tuple(self.places.T)] = x[self.plain.size :]
        return found

    def entries(self, x: Floats) -> Floats:
        """Values of the structure's entries."""
        root = self.factor(x)
        whole = root @ root.transpose(0, 2, 1)
        found = np.empty(self.structure.base.kind.size)
        found[self.plain], found[self.rooted] = x[: self.plain.size], whole[tuple(self.places.T)]
        return found

    def coordinates(self, entries: Floats, between: Floats) -> Floats:
        """Of entries; between : (G, b, b) positive definite, in the order of `order`."""
        root = np.linalg.cholesky(between)
        return np.concatenate([entries[self.plain], root[tuple(self.places.T)]])

    def jacobian(self, x: Floats) -> Floats:
        """Derivatives of the entries, (m, k): of L L' at (i, j) in L at (a, c)."""
        root, n = self.factor(x), self.plain.size
        found = np.zeros((self.structure.base.kind.size, x.size))
        found[self.plain, np.arange(n)] = 1.0
        g, i, j = self.places.T[:, :, None]
        h, a, c = self.places.T[:, None, :]
        found[np.ix_(self.rooted, np.arange(n, x.size))] = (g == h) * (
            (a == i) * root[g, j, c] + (a == j) * root[g, i, c]
        )
        return found

    def bent(self, x: Floats, weights: Floats) -> Floats:
        """Hessian of the entries' sum with these weights, (k, k)."""
        b, n = len(self.order), self.plain.size
        slope = np.zeros((len(self.base), b, b))
        g, i, j = self.places.T
        np.add.at(slope, (g, i, j), weights[self.rooted])
        np.add.at(slope, (g, j, i), weights[self.rooted])
        found = np.zeros((x.size, x.size))
        same = (g[:, None] == g) & (j[:, None] == j)
        found[n:, n:] = same * slope[g[:, None], i[:, None], i]
        return found


class RootPoint:
    """The criterion at coordinates of `Roots`: minus twice the log likelihood, with exact derivatives."""

    def __init__(self, roots: Roots, x: Floats) -> None:
        self.roots, self.x = roots, x
        self.moments = LevelMoments(roots.structure, roots.entries(x))
        self.value = self.moments.value

    @cached_property
    def jacobian(self) -> Floats:
        """Of the entries in the coordinates."""
        return self.roots.jacobian(self.x)

    @cached_property
    def gradient(self) -> Floats:
        """Of the value."""
        return self.moments.gradient @ self.jacobian

    def information(self) -> Floats:
        """The expected Hessian."""
        return self.jacobian.T @ self.moments.information() @ self.jacobian

    def hessian(self) -> Floats:
        """The exact Hessian."""
        curved = self.roots.bent(self.x, self.moments.gradient)
        return self.jacobian.T @ self.moments.hessian() @ self.jacobian + curved


def free_levels(form: LevelsForm, together: tuple[Bools, Bools] | None = None) -> Free:
    """Without restriction; or, with `together`, no covariances but of those within and between clusters.
    Covariates keep their moments.

    Raises
    ------
    FitError : the likelihood has no maximum that was found.
    """
    every = np.ones(form.inner.size, dtype=bool)
    structure, above = free_structure(form, together or (every, every))
    roots = Roots(structure)
    with np.errstate(all="ignore"):
        for share in SHARES:
            optimum = _minimised(roots, _start(form, roots, above, together is None, share))
            if optimum.decrement < CLOSE and optimum.smallest >= SADDLE:
                break
    if not optimum.decrement < CLOSE or optimum.smallest < SADDLE:
        what = "without restriction" if together is None else "with independent variables"
        raise FitError(
            f"the model {what} at both levels, to which this one is compared, was not found "
            f"({optimum.message}): are variables combinations of one another, or clusters very few?"
        )
    at = RootPoint(roots, optimum.x)
    inner, mean = np.flatnonzero(form.inner), np.array(at.moments.mean[:, : form.inner.size])
    mean[:, form.above] = at.moments.mean[:, above]
    own = at.moments.covariance
    return Free(
        optimum.value, own[:, inner[:, None], inner], own[:, above[:, None], above], mean, at, optimum
    )


def _minimised(roots: Roots, start: Floats) -> Optimum:
    """The optimum; from saddles, where columns of L vanish too soon, the search goes on downhill."""
    bound = np.full(start.size, np.inf)

    def at(x: Floats) -> RootPoint:
        return RootPoint(roots, x)

    found = score(at, start, -bound, bound, limit=LIMIT)
    for _ in range(SADDLES):
        if found.smallest >= SADDLE:
            break
        d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(found.hessian)), 1e-300))
        _, vectors = np.linalg.eigh(found.hessian * d[:, None] * d)
        along = vectors[:, 0] * d
        tried = [found.x + sign * size * along for size in STEPS for sign in (1.0, -1.0)]
        values = [at(x).value for x in tried]
        best = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
        if not values[best] < found.value:
            break
        found = score(at, tried[best], -bound, bound, limit=LIMIT)
    return found


def _start(form: LevelsForm, roots: Roots, above: Ints, full: bool, share: float) -> Floats:
    """From the sample; share : of its covariances between clusters, which may be too far from a boundary."""
    s, p = roots.structure.base, form.inner.size
    t = s.order
    found, between = np.zeros(s.kind.size), np.array(roots.base)
    for g, (within, upper, mean) in enumerate(starting_moments(form)):
        whole, level = np.zeros((t, t)), np.zeros(t)
        whole[:p, :p] = within
        whole[np.ix_(above, above)] = upper[np.ix_(form.above, form.above)]
        level[:p] = mean
        level[above] = mean[form.above]
        at = s.members[g]
        i, j = s.row[at], s.column[at]
        found[at] = np.where(s.kind[at] == COVARIANCE, whole[i, j], level[i])
        between[g] = whole[np.ix_(roots.order, roots.order)]
        if not full:
            between[g] = np.diag(np.diag(between[g]))
        known = len(roots.order) - roots.free
        between[g, known:, known:] *= share
        between[g, known:, :known] *= share
        between[g, :known, known:] *= share
    return roots.coordinates(found, between)
