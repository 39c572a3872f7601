"""The same form with other statistics: of rows that are weighted, drawn from the law, or given by the user.

Nothing but sufficient statistics is made anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_moments import covariates, sample_of
from dagmodels.forms.moments import MomentsForm, MomentsSolution, Template
from dagmodels.numerics.moments import Sample

if TYPE_CHECKING:
    from dagmodels.forms.least_squares import LeastSquares

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-12  # smallest pivot of a correlation matrix that counts as regular


def with_sample(form: MomentsForm, sample: Sample) -> MomentsForm:
    """The form of other statistics of the same variables; its rows are not known.

    Raises
    ------
    FloatingPointError : covariates that are constant, or combinations of one another, in some group.
    """
    return replace(rowless(form.problem, form.template, sample), constraints=form.constraints)


def rowless(problem: Problem, template: Template, sample: Sample) -> MomentsForm:
    """The form of statistics alone; raises as `with_sample`."""
    structure, density = template.structure, 0.0
    if template.given.any():
        covariances, means = structure.covariances.copy(), structure.means.copy()
        density = covariates(template, sample, covariances, means)
        structure = replace(structure, covariances=covariances, means=means)
    none, values = np.zeros(0, dtype=np.int64), np.zeros((0, sample.mask.shape[1]))
    return MomentsForm(problem, template, structure, sample, none, values, density)


def with_values(form: MomentsForm, values: Floats) -> MomentsForm:
    """The form of other rows of the same variables, (units, p) with nan where missing, in the same groups."""
    found = with_sample(form, sample_of(values, form.group_of))
    return replace(found, values=values, group_of=form.group_of)


def saturated(sample: Sample) -> float:
    """Minus twice the maximised log likelihood of free means and covariances; complete data.

    Raises
    ------
    FloatingPointError : a singular covariance matrix, for which it has no bound.
    """
    sd = np.sqrt(np.diagonal(sample.cov, axis1=1, axis2=2))
    if not (sd > 0).all():
        raise FloatingPointError("a variable is constant in the sample")
    sign, logdet = np.linalg.slogdet(sample.cov / sd[:, :, None] / sd[:, None, :])
    if not (sign > 0).all() or not (logdet > math.log(LEAST)).all():
        raise FloatingPointError("the sample covariance matrix is singular")
    p = sample.mask.shape[1]
    return sample.constant + float(sample.n @ (logdet + 2 * np.log(sd).sum(axis=1) + p))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a form in the order of its cells, ready to be weighted.

    parts : of each cell its group, its mask, where its rows are among all, and their values less `centre`,
        zero where missing. groups : the rows of each group, which are drawn from one another.
    centre : (G, p), about which sums lose no digits.
    """

    parts: tuple[tuple[int, NDArray[np.bool_], Ints, Floats], ...]
    groups: tuple[Ints, ...]
    centre: Floats

    def weighted(self, weights: Floats) -> Sample:
        """Statistics where each row counts as often as its weight says; cells without weight are left out."""
        found = []
        for g, mask, rows, x in self.parts:
            w = weights[rows]
            n = float(w.sum())
            if n == 0:
                continue
            mean = (w @ x) / n
            cov = (x * w[:, None]).T @ x / n - mean[:, None] * mean
            found.append((g, n, mask, np.where(mask, mean + self.centre[g], 0.0), cov))
        return joined(found)

    def drawn(self, rng: np.random.Generator) -> Sample:
        """Statistics of rows drawn with replacement within each group."""
        total = sum(rows.size for rows in self.groups)
        weights = np.zeros(total)
        for rows in self.groups:
            weights[rows] = np.bincount(rng.integers(0, rows.size, rows.size), minlength=rows.size)
        return self.weighted(weights)


def rows_of(form: MomentsForm) -> Rows:
    """Of a form whose rows are known."""
    values, group = form.values, form.group_of
    groups, p = form.structure.groups, values.shape[1]
    centre = np.zeros((groups, p))
    for g in range(groups):
        own = values[group == g]
        there = ~np.isnan(own)
        centre[g] = np.where(there, own, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    there = ~np.isnan(values)
    keys, of = np.unique(
        np.concatenate([group[:, None], np.packbits(there, axis=1)], axis=1), axis=0, return_inverse=True
    )
    parts = []
    for c in range(len(keys)):
        rows = np.flatnonzero(of.reshape(-1) == c)
        g, mask = int(group[rows[0]]), there[rows[0]]
        if mask.any():
            x = np.ascontiguousarray(np.where(mask, values[rows] - centre[g], 0.0))
            parts.append((g, mask, rows, x))
    kept = there.any(axis=1)
    members = tuple(np.flatnonzero((group == g) & kept) for g in range(groups))
    return Rows(tuple(parts), members, centre)


def joined(cells: list[tuple[int, float, NDArray[np.bool_], Floats, Floats]]) -> Sample:
    """Cells (group, number, mask, mean, covariance) as one sample."""
    group, n, mask, mean, cov = zip(*cells, strict=True)
    return Sample(np.array(group), np.array(n), np.stack(mask), np.stack(mean), np.stack(cov))


def simulated(solution: MomentsSolution, rng: np.random.Generator) -> Sample:
    """Statistics of units drawn from a fit, covariates held; without rows where nothing is missing.

    Complete data: the coefficients on covariates are Normal and the residual sums of squares and products
    Wishart, by Bartlett's decomposition (Anderson 2003, sections 7.2 and 8.2), so that the number of units
    does not count. With gaps, rows are drawn and what was missing stays so.
    """
    form = solution.form
    sample, given = form.sample, form.template.given
    if not sample.complete:
        return _with_gaps(solution, rng)
    found = []
    o, moments = form.structure.observed, solution.at.moments
    y, x = np.flatnonzero(~given), np.flatnonzero(given)
    for g, n, mean, cov in zip(
        sample.group.tolist(), sample.n.tolist(), sample.mean, sample.cov, strict=True
    ):
        sigma, mu = moments.covariance[g][np.ix_(o, o)], moments.mean[g][o]
        new_cov, new_mean = cov.copy(), mean.copy()
        s_x = cov[np.ix_(x, x)]
        slope = (
            np.linalg.solve(sigma[np.ix_(x, x)], sigma[np.ix_(x, y)]).T if x.size else np.zeros((y.size, 0))
        )
        rest = np.linalg.cholesky(sigma[np.ix_(y, y)] - slope @ sigma[np.ix_(x, y)])
        freedom = round(n) - 1 - x.size
        level = mu[y] + slope @ (mean[x] - mu[x])
        new_mean[y] = level + rest @ rng.standard_normal(y.size) / math.sqrt(n)
        root = np.linalg.cholesky(n * s_x) if x.size else np.zeros((0, 0))
        along = slope @ root + rest @ rng.standard_normal((y.size, x.size))
        scatter = rest @ _wishart_factor(y.size, freedom, rng)
        new_cov[np.ix_(y, y)] = (along @ along.T + scatter @ scatter.T) / n
        new_cov[np.ix_(y, x)] = along @ root.T / n
        new_cov[np.ix_(x, y)] = new_cov[np.ix_(y, x)].T
        found.append((g, n, np.ones(o.size, dtype=bool), new_mean, new_cov))
    return joined(found)


def _wishart_factor(p: int, freedom: int, rng: np.random.Generator) -> Floats:
    """A matrix T with T T' ~ Wishart(freedom, I): Bartlett's triangle, or plain normals where it has none."""
    if freedom < p:
        return rng.standard_normal((p, max(freedom, 0)))
    factor = np.tril(rng.standard_normal((p, p)), -1)
    factor[np.diag_indices(p)] = np.sqrt(rng.chisquare(freedom - np.arange(p)))
    return factor


def drawn_values(solution: MomentsSolution, rng: np.random.Generator) -> Floats:
    """(units, p) rows drawn from a fit: covariates as they are, nan where the data had none.

    Raises
    ------
    FitError : thresholds of an ordered variable that do not increase.
    """
    form = solution.form
    o, moments, given = form.structure.observed, solution.at.moments, form.template.given
    values = form.values.copy()
    y, x = np.flatnonzero(~given), np.flatnonzero(given)
    for g in range(form.structure.groups):
        rows = np.flatnonzero(form.group_of == g)
        sigma, mu = moments.covariance[g][np.ix_(o, o)], moments.mean[g][o]
        slope = (
            np.linalg.solve(sigma[np.ix_(x, x)], sigma[np.ix_(x, y)]).T if x.size else np.zeros((y.size, 0))
        )
        rest = np.linalg.cholesky(sigma[np.ix_(y, y)] - slope @ sigma[np.ix_(x, y)])
        level = mu[y] + (form.values[np.ix_(rows, x)] - mu[x]) @ slope.T
        values[np.ix_(rows, y)] = level + rng.standard_normal((rows.size, y.size)) @ rest.T
        if form.template.thresholds is not None:
            _cut(cast("LeastSquares", solution.at), g, rows, values)
    return np.where(np.isnan(form.values), np.nan, values)


def _cut(at: LeastSquares, g: int, rows: Ints, values: Floats) -> None:
    """Latent responses of a group's rows become the categories, from 0, that they lie in."""
    form = at.form
    t = form.template.thresholds
    assert t is not None
    for column, v in enumerate(form.structure.observed.tolist()):
        own = np.flatnonzero(t.variable == v)
        ends = at.thresholds[g, own[np.argsort(t.which[own])]]
        if (np.diff(ends) < 0).any():
            raise FitError(f"the thresholds of '{form.variables[v][0]}' do not increase: it cannot be drawn")
        if own.size:
            values[rows, column] = np.searchsorted(ends, values[rows, column])


def _with_gaps(solution: MomentsSolution, rng: np.random.Generator) -> Sample:
    form = solution.form
    return sample_of(drawn_values(solution, rng), form.group_of)
