"""Thresholds, means, slopes, variances and correlations of one group, with their sampling covariance.

Three stages of Muthen (1984, Psychometrika 49:115): margins, pairs given margins, and the covariance of all
by their stacked estimating equations, whose derivatives are sums of products of scores. A missing value has
no score: margins are of the rows that show a variable, pairs of those that show both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.ordinal.margins import Margin, numeric_margin, ordered_margin
from dagmodels.numerics.ordinal.pairs import pair
from dagmodels.numerics.ordinal.tables import polychoric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL, SLOPE, VARIANCE, COVARIANCE = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Layout:
    """What each of q statistics is.

    levels : (p,) thresholds of each variable, zero for those without. covariates : their number.
    kind, first, second : (q,) LEVEL of variable `first`, its threshold number `second` (0 where it is a
        mean); SLOPE of `first` on covariate `second`; VARIANCE of the residual; COVARIANCE, first > second.
    """

    levels: Ints
    covariates: int
    kind: Ints
    first: Ints
    second: Ints

    @property
    def ordered(self) -> NDArray[np.bool_]:
        """(p,) which variables have thresholds."""
        return self.levels > 0

    @cached_property
    def own(self) -> tuple[Ints, ...]:
        """Statistics of each variable by itself, in the order of a margin's parameters."""
        alone = self.kind != COVARIANCE
        return tuple(np.flatnonzero(alone & (self.first == v)) for v in range(self.levels.size))


def layout(levels: Ints, covariates: int) -> Layout:
    """Variable by variable levels, slopes and variance; then all pairs, column by column."""
    found: list[tuple[int, int, int]] = []
    for v, k in enumerate(levels.tolist()):
        found += [(LEVEL, v, j) for j in range(max(k, 1))]
        found += [(SLOPE, v, j) for j in range(covariates)]
        found += [(VARIANCE, v, v)] if k == 0 else []
    p = levels.size
    found += [(COVARIANCE, i, j) for j in range(p) for i in range(j + 1, p)]
    kind, first, second = np.array(found, dtype=np.int64).T
    return Layout(levels, covariates, kind, first, second)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Of one group: n rows, values (q,), and n times their sampling covariance (q, q).

    lost : pairs of variables whose correlation has no maximum inside (-1, 1).
    """

    n: float
    value: Floats
    gamma: Floats
    lost: tuple[tuple[int, int], ...] = ()


def statistics(values: Floats, x: Floats, parts: Layout, weights: Floats | None = None) -> Statistics:
    """Of rows, each with some value.

    values : (n, p) numbers, or categories from 0, each of them seen; nan where missing.
    x : (n, c) covariates.
    """
    w = np.ones(len(values)) if weights is None else weights
    if weights is None and parts.ordered.all() and not parts.covariates:
        values, w = _merged(values)
        x = x[: len(values)]
    there = ~np.isnan(values)
    whole = bool(there.all())
    values = values if whole else np.where(there, values, 0.0)  # of no weight
    margins = [
        _margin(values[:, v], int(k), x, w if whole else w * there[:, v])
        for v, k in enumerate(parts.levels.tolist())
    ]
    q, rows = parts.kind.size, len(values)
    value, scores, bread = np.empty(q), np.empty((rows, q)), np.zeros((q, q))
    for own, m in zip(parts.own, margins, strict=True):
        value[own] = np.concatenate([m.level, m.slopes, [] if m.ordered else [m.variance]])
        scores[:, own] = m.scores
    if not whole:
        for v, own in enumerate(parts.own):
            scores[np.ix_(~there[:, v], own)] = 0.0
    for own in parts.own:
        bread[np.ix_(own, own)] = (scores[:, own] * w[:, None]).T @ scores[:, own]
    lost = _pairs(parts, margins, values, there, x, w, value, scores, bread)
    middle = (scores * w[:, None]).T @ scores
    at = np.flatnonzero(parts.kind == COVARIANCE)
    bread[at, at] = middle[at, at]
    turn = _scaled(parts, margins, value)
    half = np.linalg.solve(bread.T, turn.T).T
    return Statistics(float(w.sum()), value, float(w.sum()) * half @ middle @ half.T, tuple(lost))


def _margin(values: Floats, levels: int, x: Floats, weights: Floats) -> Margin:
    if not levels:
        return numeric_margin(values, x, weights)
    return ordered_margin(values.astype(np.int64), levels + 1, x, weights)


def _merged(values: Floats) -> tuple[Floats, Floats]:
    """Distinct rows and how often each is there, where that makes them fewer."""
    found, count = np.unique(np.nan_to_num(values, nan=-1.0), axis=0, return_counts=True)
    return np.where(found < 0, np.nan, found), count.astype(np.float64)


def _pairs(
    parts: Layout, margins: list[Margin], values: Floats, there: NDArray[np.bool_], x: Floats, w: Floats,
    value: Floats, scores: Floats, bread: Floats,
) -> list[tuple[int, int]]:  # fmt: skip
    """Correlations, their scores and the products with those of margins, written in place."""
    p = len(margins)
    place = np.zeros((p, p), dtype=np.int64)
    at = np.flatnonzero(parts.kind == COVARIANCE)
    place[parts.first[at], parts.second[at]] = place[parts.second[at], parts.first[at]] = at
    lost: list[tuple[int, int]] = []
    done = np.zeros((p, p), dtype=bool)
    cut = np.flatnonzero(parts.ordered)
    if cut.size > 1 and not parts.covariates:
        category = values[:, cut].astype(np.int64)
        found = polychoric(np.where(there[:, cut], category, -1), [margins[v].level for v in cut.tolist()], w)
        for t, (i, j) in enumerate(zip(found.first.tolist(), found.second.tolist(), strict=True)):
            a, b = int(cut[i]), int(cut[j])
            row = place[a, b]
            value[row], done[a, b] = found.rho[t], True
            both = there[:, a] & there[:, b]
            scores[:, row] = np.where(both, found.score[t, category[:, i], category[:, j]], 0.0)
            bread[row, parts.own[a]] = found.with_first[t, : margins[a].level.size]
            bread[row, parts.own[b]] = found.with_second[t, : margins[b].level.size]
            lost += [] if found.converged[t] else [(a, b)]
    for a in range(p):
        for b in range(a + 1, p):
            if done[a, b]:
                continue
            both = there[:, a] & there[:, b]
            one, row = pair(margins[a], margins[b], x, w * both), place[a, b]
            value[row], scores[:, row] = one.rho, np.where(both, one.score, 0.0)
            bread[row, parts.own[a]], bread[row, parts.own[b]] = one.first, one.second
            lost += [] if one.converged else [(a, b)]
    return lost


def _scaled(parts: Layout, margins: list[Margin], value: Floats) -> Floats:
    """Turns correlations into covariances, in place in `value`, and gives the derivatives, (q, q)."""
    variance = np.array([m.variance for m in margins])
    turn = np.eye(value.size)
    for row in np.flatnonzero(parts.kind == COVARIANCE).tolist():
        i, j = int(parts.first[row]), int(parts.second[row])
        size, rho = float(np.sqrt(variance[i] * variance[j])), float(value[row])
        turn[row, row], value[row] = size, rho * size
        for v in (i, j):
            if not margins[v].ordered:
                turn[row, parts.own[v][-1]] = 0.5 * value[row] / variance[v]
    return turn
