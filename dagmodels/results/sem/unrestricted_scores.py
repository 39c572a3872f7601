"""Scores and observed information of one group's free means and covariances, where no closed form is known.

Needed with missing values, and for Yuan and Bentler's test at the model's moments. The information has as
many rows as a group has free moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_moments import cells_of_rows
from dagmodels.forms.casewise import cluster_sums, score_blocks
from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.numerics.moment_pairs import pairs
from dagmodels.numerics.moments import COVARIANCE, MEAN, Moments, Sample, Structure
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupScores:
    """One group at some means and covariances.

    scores : (n, q) of rows, in covariances (lower triangle, without those of covariates) and then means.
    information : (q, q) observed, of one row. i, j : (q,) the variables of each; j = -1 for a mean.
    """

    scores: Floats
    information: Floats
    i: Ints
    j: Ints

    @property
    def n(self) -> int:
        return len(self.scores)

    def products(self, clusters: NDArray[Any] | None) -> Floats:
        """B1: mean outer product of scores, or of their sums by cluster."""
        if clusters is None:
            return self.scores.T @ self.scores / self.n
        sums, factor = cluster_sums(self.scores, clusters)
        return factor * (sums.T @ sums) / self.n

    @cached_property
    def inverse(self) -> Floats:
        return np.linalg.inv(self.information)

    def trace(self, clusters: NDArray[Any] | None) -> float:
        """tr(A1^-1 B1)."""
        return float(np.sum(self.inverse * self.products(clusters).T))

    def model_trace(self, derivative: Floats, clusters: NDArray[Any] | None) -> float:
        """tr(B1 D (D'A1 D)^-1 D') of a model of this group alone."""
        inner = np.linalg.solve(derivative.T @ self.information @ derivative, derivative.T)
        return float(np.trace(self.products(clusters) @ derivative @ inner))

    def own_derivatives(self) -> Floats:
        """Of independence: variances and means are the parameters."""
        return np.eye(self.i.size)[:, (self.i == self.j) | (self.j < 0)]

    def derivatives(self, solution: MomentsSolution, group: int) -> Floats:
        """Of these moments in the coordinates of a fit, (q, k)."""
        at, s = solution.at, solution.form.structure
        p = pairs(s, at.moments, group)
        u, v = p.k[:, p.first], p.k[:, p.second]
        whole = p.factor * (u[self.i] * v[self.j] + v[self.i] * u[self.j])
        mean = p.lift * u[self.i]
        return np.where(self.j[:, None] < 0, mean, whole) @ at.jacobian[p.members]


def group_scores(form: MomentsForm, group: int, mean: Floats, cov: Floats, *, means: bool) -> GroupScores:
    """At the given moments; means : whether they are parameters too."""
    given, p = form.template.given, mean.size
    i, j = lower_triangle(p)
    own = ~(given[i] & given[j])
    i, j = i[own], j[own]
    level = np.flatnonzero(~given) if means else np.zeros(0, np.int64)
    kind = np.concatenate([np.full(i.size, COVARIANCE), np.full(level.size, MEAN)])
    fixed = np.where(np.outer(given, given), cov, 0.0)
    base = np.where(given, mean, 0.0) if means else mean
    structure = Structure(
        np.arange(p), np.zeros((1, p, p)), fixed[None], base[None],
        kind, np.zeros(kind.size, np.int64), np.concatenate([i, level]),
        np.concatenate([j, np.zeros(level.size, np.int64)]),
    )  # fmt: skip
    cells = np.flatnonzero(form.sample.group == group)
    s = form.sample
    part = Sample(np.zeros(cells.size, np.int64), s.n[cells], s.mask[cells], s.mean[cells], s.cov[cells])
    moments = Moments(structure, part, np.concatenate([cov[i, j], mean[level]]))
    values = form.values[form.group_of == group]
    scores = np.zeros((len(values), kind.size))
    cell = cells_of_rows(values, np.zeros(len(values), np.int64))
    for rows, block in score_blocks(structure, moments, values, cell):
        scores[rows] = block
    last = np.concatenate([j, np.full(level.size, -1)])
    return GroupScores(scores, 0.5 * moments.hessian() / part.rows, np.concatenate([i, level]), last)


def complete_information(part: GroupScores, cov: Floats) -> Floats:
    """Information of one complete row in the same free moments, at these covariances, (q, q)."""
    w = np.linalg.inv(cov)
    i, j = part.i, part.j
    both = np.flatnonzero(j >= 0)
    found = np.zeros((i.size, i.size))
    a, b = i[both], j[both]
    half = np.where(a == b, 0.5, 1.0)
    crossed = w[np.ix_(a, a)] * w[np.ix_(b, b)] + w[np.ix_(a, b)] * w[np.ix_(b, a)]
    found[np.ix_(both, both)] = crossed * np.outer(half, half)
    level = np.flatnonzero(j < 0)
    found[np.ix_(level, level)] = w[np.ix_(i[level], i[level])]
    return found


def dense_terms(
    solution: MomentsSolution, parts: list[GroupScores], kept: NDArray[np.intp], clusters: NDArray[Any] | None
) -> tuple[float, float]:
    """tr(A1^-1 B1) over groups, and tr(E^-1 D'B1 D) with E = D'A1 D."""
    group_of = solution.form.group_of
    k = solution.optimum.x.size
    information, products, top = np.zeros((k, k)), np.zeros((k, k)), 0.0
    for g, part in enumerate(parts):
        own = None if clusters is None else clusters[group_of == g]
        d = part.derivatives(solution, g)
        information += part.n * d.T @ part.information @ d
        products += part.n * d.T @ part.products(own) @ d
        top += part.trace(own)
    at = np.ix_(kept, kept)
    return top, float(np.trace(np.linalg.solve(information[at], products[at])))
