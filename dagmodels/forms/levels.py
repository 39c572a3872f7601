"""The `moments` form of units in clusters: the structure of a cluster and one unit, and their statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.moments import Criterion, MomentsForm, Template
from dagmodels.numerics.level_moments import LevelMoments, LevelStructure
from dagmodels.numerics.moments import COVARIANCE, MEAN, Sample, Structure
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SMALL = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelsForm(MomentsForm):
    """A moments form whose units are clusters with elements.

    values : (n, p) observed variables of every element; those of its cluster stand in each row.
    group_of : group of every element. sample : of all rows together, for starts and descriptions.
    levels : the structure with its cells. cluster_of : cluster of every element.
    """

    ERRORS: ClassVar[tuple[str, ...]] = ("conditional", "standard", "robust.huber.white")
    alone: ClassVar[bool] = False

    levels: LevelStructure
    cluster_of: Ints

    def moments(self, entries: Floats) -> LevelMoments:
        """The likelihood at values of the entries."""
        return LevelMoments(self.levels, entries)

    def at(self, x: Floats) -> LevelsCriterion:
        return LevelsCriterion(self, x)

    @property
    def method(self) -> str:
        return f"{super().method} and its {self.template.inner_units}"

    def with_clusters(self, which: Ints) -> LevelsForm:
        """The same form of these clusters, each as often as it is named."""
        from dagmodels.forms.build_levels import of_rows

        order, starts = self.rows_by_cluster
        count = np.diff(np.append(starts, len(order)))
        rows = np.concatenate([order[starts[c] : starts[c] + count[c]] for c in which.tolist()])
        of = np.repeat(np.arange(which.size), count[which])
        return of_rows(self.problem, self.template, self.values[rows], self.group_of[rows], of)

    def of_new(self, values: Floats, group_of: Ints, cluster_of: Ints) -> LevelsForm:
        """The same structure, covariates' moments too, with other rows and clusters, for predictions."""
        from dagmodels.numerics.level_moments import parts

        cells = parts(values, self.inner, group_of, cluster_of)
        levels = LevelStructure(self.levels.base, self.template.inner, cells)
        return replace(self, values=values, group_of=group_of, cluster_of=cluster_of, levels=levels)

    def with_sample(self, sample: Sample) -> MomentsForm:
        """No statistics of rows stand in place of clusters'."""
        raise FitError("models of two levels are refitted to clusters drawn again: bootstrap()")

    def with_values(self, values: Floats) -> MomentsForm:
        """As `with_sample`."""
        return self.with_sample(self.sample)

    @property
    def observations(self) -> int:
        """The number of observed values, covariates apart: of every element, and of every cluster once."""
        own = ~self.template.given
        lower, upper = int((own & self.inner).sum()), int((own & ~self.inner).sum())
        return lower * len(self.values) + upper * len(self.rows_by_cluster[1])

    def conditional(self, at: Criterion) -> dict[str, tuple[Floats, Floats]]:
        """See `forms.level_latents`."""
        from dagmodels.forms.level_latents import conditional_levels

        elements, clusters = conditional_levels(self, at.moments)
        return {self.template.inner_units: elements, self.units: clusters}

    @property
    def inner(self) -> Bools:
        """(p,) which observed variables are those of elements."""
        return self.template.inner[self.structure.observed]

    @cached_property
    def split(self) -> Bools:
        """(p,) which observed variables of elements have a part of their cluster too."""
        return split(self.template)

    @property
    def above(self) -> Bools:
        """(p,) which observed variables vary between clusters by the model."""
        return self.split | ~self.inner

    @cached_property
    def rows_by_cluster(self) -> tuple[Ints, Ints]:
        """Rows in the order of their clusters, and where each cluster starts."""
        order = np.argsort(self.cluster_of, kind="stable")
        return order, np.flatnonzero(np.diff(self.cluster_of[order], prepend=-1))


class LevelsCriterion(Criterion):
    """Minus twice the log likelihood of clusters, which are the independent ones."""

    form: LevelsForm

    def meat(self, kind: str, clusters: Ints | None = None) -> Floats:
        """The middle of a sandwich: outer products of the clusters' scores, whatever is asked for."""
        from dagmodels.forms.level_scores import cluster_scores

        del kind, clusters
        each = cluster_scores(self.moments, self.form) @ self.jacobian
        return each.T @ each


def random_point(template: Template, rng: np.random.Generator) -> Floats:
    """The tape's numbers at a random place inside the coordinates' bounds."""
    k = template.x_places.size
    low, high = np.maximum(template.lower, -9.0), np.minimum(template.upper, 9.0)
    x = rng.uniform(0.4, 1.6, size=k) * rng.choice([-1.0, 1.0], size=k)
    outside = (x <= low) | (x >= high)
    x = np.where(outside, low + (high - low) * rng.uniform(0.3, 0.7, size=k), x)
    w = template.tape.initial.copy()
    w[template.x_places] = x
    template.tape.forward(w)
    return w


def split(template: Template) -> Bools:
    """Which observed variables of elements depend on nodes of their cluster, at a random point."""
    s, w = template.structure, random_point(template, np.random.default_rng(1))
    a, _, _ = s.filled(template.data * w[template.source])
    b = np.abs(np.linalg.inv(np.eye(s.order) - a))
    reached = (b[:, :, ~template.inner] > SMALL).any(axis=(0, 2))
    return (reached & template.inner)[s.observed]


def free_structure(form: LevelsForm, together: tuple[Bools, Bools]) -> tuple[LevelStructure, Ints]:
    """Means and variances at both levels without restriction, and covariances of some variables; covariates
    keep their moments.

    together : (p,) each, which observed variables have covariances with one another within clusters, and
    which between them.

    Variables are the observed ones in their order, then the between parts of those that have one. Also
    returned: the number of the between part of each observed variable that varies between clusters.
    """
    s, given = form.structure, form.template.given
    both, p = np.flatnonzero(form.split), s.observed.size
    t = p + both.size
    inner = np.concatenate([form.inner, np.zeros(both.size, bool)])
    fixed = np.concatenate([given, np.zeros(both.size, bool)])
    part = np.arange(p)
    part[both] = p + np.arange(both.size)
    paths, cov = np.zeros((s.groups, t, t)), np.zeros((s.groups, t, t))
    means = np.zeros((s.groups, t))
    paths[:, both, part[both]] = 1.0
    at = np.flatnonzero(given)
    cov[np.ix_(range(s.groups), at, at)] = s.covariances[
        np.ix_(range(s.groups), s.observed[at], s.observed[at])
    ]
    means[:, at] = s.means[:, s.observed[at]]
    i, j = lower_triangle(t)
    kept = (inner[i] == inner[j]) & ~(fixed[i] & fixed[j])
    free = np.concatenate([together[0] & form.inner, together[1][both]])
    free[:p] |= together[1] & ~form.inner
    kept &= (i == j) | (free[i] & free[j])
    i, j = i[kept], j[kept]
    level = np.flatnonzero(~fixed & ~(np.isin(np.arange(t), both)))
    kind = np.concatenate([np.full(i.size, COVARIANCE), np.full(level.size, MEAN)])
    row, column = np.concatenate([i, level]), np.concatenate([j, np.zeros(level.size, np.int64)])
    groups = np.repeat(np.arange(s.groups), kind.size)
    base = Structure(
        np.arange(p), paths, cov, means, np.tile(kind, s.groups), groups,
        np.tile(row, s.groups), np.tile(column, s.groups),
    )  # fmt: skip
    return LevelStructure(base, inner, form.levels.parts), part[form.above]


def starting_moments(form: LevelsForm) -> Iterator[tuple[Floats, Floats, Floats]]:
    """By group the pooled covariance within clusters, one between them that is positive definite, and means.

    All (p, p) and (p,) in the order of the observed variables; the between one is that of cluster means less
    what units add to it, its eigenvalues in their scale no smaller than a twentieth.
    """
    x, parts = form.levels.parts.sample, form.levels.parts
    for g in range(form.structure.groups):
        here = parts.group == g
        cells = np.flatnonzero(here & parts.whole)
        n = x.n[cells] / x.n[cells].sum()
        mean = n @ x.mean[cells]
        away = x.mean[cells] - mean
        whole = np.tensordot(n, x.cov[cells] + away[:, :, None] * away[:, None, :], axes=1)
        own = x.cov[np.flatnonzero(here & ~parts.whole)[0]]
        between = whole - own * float(n @ (1.0 / parts.size[cells]))
        d = np.sqrt(np.maximum(np.diag(whole), 1e-300))
        sizes, vectors = np.linalg.eigh(between / np.outer(d, d))
        between = (vectors * np.maximum(sizes, 0.05)) @ vectors.T * np.outer(d, d)
        yield own, between, mean
