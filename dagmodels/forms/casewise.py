"""Scores of single units: derivatives of each unit's log likelihood in the coordinates, and their products.

With d the distance of a unit's values from their means and K = [B_o | S_o] as in `numerics.moments`, the
derivative of its log likelihood in an entry whose derivative of the covariance is f (u v' + v u') and of
the mean l u is  f ((u'W d)(v'W d) - u'W v) + l u'W d:  two columns of Z = D W K, so that n units cost n
(p t + m) and no matrix has p(p + 1)/2 rows. Missing values have zero weight in W.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_moments import cells_of_rows
from dagmodels.forms.moments import Criterion, MomentsForm
from dagmodels.numerics.moment_pairs import Pairs, pairs
from dagmodels.numerics.moments import MEAN, Moments, Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK = 1 << 16  # rows at a time


def score_blocks(
    structure: Structure, moments: Moments, values: Floats, cell: Ints
) -> Iterator[tuple[Ints, Floats]]:
    """Rows and their scores in the structure's entries, (rows, m), some rows at a time.

    values : (n, p), nan where missing. cell : (n,) cell of the sample of each row; -1 leaves it out.
    """
    sample, m = moments.sample, structure.kind.size
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(len(sample.n) + 1))
    known: dict[int, Pairs] = {}
    for c in range(len(sample.n)):
        g = int(sample.group[c])
        if g not in known:
            known[g] = pairs(structure, moments, g)
        p = known[g]
        wk = moments.w[c] @ p.k
        level = p.factor * np.einsum("ie,ie->e", p.k[:, p.first], wk[:, p.second])
        mean = moments.mean[g, structure.observed]
        for start in range(bounds[c], bounds[c + 1], BLOCK):
            rows = order[start : min(start + BLOCK, bounds[c + 1])]
            z = np.where(sample.mask[c], values[rows] - mean, 0.0) @ wk
            found = np.zeros((rows.size, m))
            found[:, p.members] = p.products(z) - level + p.lift * z[:, p.first]
            yield rows, found


def scores(criterion: Criterion) -> Floats:
    """Derivatives of every row's log likelihood in the coordinates, (n, k)."""
    form = criterion.form
    found = np.zeros((len(form.values), criterion.x.size))
    for rows, part in score_blocks(
        form.structure, criterion.moments, form.values, cells_of_rows(form.values, form.group_of)
    ):
        found[rows] = part @ criterion.jacobian
    return found


def summed_products(each: Floats, group_of: Ints, clusters: Ints | None) -> Floats:
    """Sum over rows of s s'; with clusters, of their sums, times C / (C - 1) in each group of rows."""
    if clusters is None:
        return each.T @ each
    total = np.zeros((each.shape[1], each.shape[1]))
    for g in np.unique(group_of).tolist():
        rows = np.flatnonzero(group_of == g)
        sums, factor = cluster_sums(each[rows], clusters[rows])
        total += factor * sums.T @ sums
    return total


def cluster_sums(each: Floats, clusters: Ints) -> tuple[Floats, float]:
    """Sums of rows by cluster, and C / (C - 1), which lessens their bias with few clusters."""
    _, of = np.unique(clusters, return_inverse=True)
    of = of.reshape(-1)
    order = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[order], prepend=-1))
    c = starts.size
    return np.add.reduceat(each[order], starts, axis=0), c / (c - 1) if c > 1 else 1.0


@dataclass(frozen=True, slots=True)
class Centred:
    """A group's rows about their means: `d` (n, p), and `h` (n, p), what covariates predict of them.

    Covariates predict themselves; without covariates h is None.
    """

    d: Floats
    h: Floats | None

    @classmethod
    def of(cls, values: Floats, given: NDArray[np.bool_]) -> Centred:
        """Of complete rows; given : (p,) which are covariates."""
        d = values - values.mean(axis=0)
        if not given.any():
            return cls(d, None)
        x = d[:, given]
        h = d.copy()
        h[:, ~given] = x @ np.linalg.solve(x.T @ x, x.T @ d[:, ~given])
        return cls(d, h)


def distribution_free_products(criterion: Criterion) -> Floats:
    """Sum over rows of r r' about group means: D'V Gamma V D in Browne (1984) and Satorra and Bentler (1994)
    times the number of rows; r as in `distribution_free_rows`."""
    return sum(
        (r.T @ r for r in distribution_free_rows(criterion)),
        start=np.zeros((criterion.x.size, criterion.x.size)),
    )


def distribution_free_rows(criterion: Criterion) -> Iterator[Floats]:
    """Of each group in turn, (n, k): each row's second moments by normal-theory weights in the coordinates,
    about the group's mean.

    Complete data; weights at the model's moments; covariates are fixed.
    """
    form, moments, s = criterion.form, criterion.moments, criterion.form.structure
    for g in range(s.groups):
        rows = np.flatnonzero(form.group_of == g)
        part = Centred.of(form.values[rows], form.template.given)
        p = pairs(s, moments, g)
        wk = moments.w[_cell_of_group(moments, g)] @ p.k
        z = part.d @ wk
        r = p.products(z)
        if part.h is None:
            r += p.lift * z[:, p.first]
        else:
            hat = part.h @ wk
            r += p.lift * (z - hat)[:, p.first] - p.products(hat)
        yield (r - r.mean(axis=0)) @ criterion.jacobian[p.members]


def _cell_of_group(moments: Moments, group: int) -> int:
    return int(np.flatnonzero(moments.sample.group == group)[0])


def meat(criterion: Criterion, kind: str, clusters: Ints | None = None) -> Floats:
    """The middle of a sandwich, summed over rows, (k, k).

    kind : "robust.sem" (distribution-free, complete data), "robust.huber.white" (outer products of scores)
        or "robust.cluster" (of their sums by cluster).
    """
    if kind == "robust.sem":
        return distribution_free_products(criterion)
    return summed_products(scores(criterion), criterion.form.group_of, clusters)


def mean_coordinates(form: MomentsForm, jacobian: Floats) -> NDArray[np.bool_]:
    """Coordinates that move means alone, as saturated intercepts do, (k,)."""
    touched = jacobian != 0
    at = form.structure.kind == MEAN
    return touched[at].any(axis=0) & ~touched[~at].any(axis=0)
