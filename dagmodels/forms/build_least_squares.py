"""Problem + Unit -> LeastSquaresForm: statistics of every group, their weights and sampling covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.forms.build_moments import columns_of_units, covariates, template_of
from dagmodels.forms.casewise import Centred
from dagmodels.forms.implied import Space, ordered_space
from dagmodels.forms.least_squares import LeastSquaresForm, Part
from dagmodels.forms.moments import Template
from dagmodels.numerics.fourth_moments import distribution_free, normal_theory
from dagmodels.numerics.moments import Sample, Structure
from dagmodels.numerics.ordinal.statistics import (
    COVARIANCE,
    LEVEL,
    SLOPE,
    VARIANCE,
    Layout,
    Statistics,
    statistics,
)
from dagmodels.numerics.weights import Dense, Diagonal, NormalTheory, Weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WEIGHTINGS = ("ULS", "GLS", "DWLS", "WLS")
LEAST_TOGETHER = 5  # rows that show two variables, fewer of which tell no correlation
FREE, NORMAL = "free", "normal"  # how the sampling covariance is estimated


@dataclass(frozen=True, slots=True)
class Weighting:
    """kind : of `WEIGHTINGS`. gamma : FREE of distributions, NORMAL, or "" where it is not needed.

    pairwise : rows with gaps count for each statistic that they show, where there are ordered variables.
    """

    kind: str
    gamma: str
    pairwise: bool = False


def build_least_squares(problem: Problem, unit: Unit, weighting: Weighting) -> LeastSquaresForm:
    """The form of complete rows, or of all where `weighting.pairwise`.

    Raises
    ------
    ModelErrors : missing values, pairs of variables that no row shows together, categories that nobody is
        in, correlations at one, weights that are not positive definite.
    """
    template, group_of = template_of(problem, unit)
    return _of_rows(problem, template, group_of, columns_of_units(problem, template), weighting)


def of_values(form: LeastSquaresForm, values: Floats) -> LeastSquaresForm:
    """The form of other rows, (units, p), in the same groups; raises as `build_least_squares`."""
    weighting = Weighting(form.weighting, form.sampling, bool(np.isnan(form.values).any()))
    found = _of_rows(form.problem, form.template, form.group_of, values, weighting)
    return replace(found, constraints=form.constraints)


def of_sample(form: LeastSquaresForm, sample: Sample) -> LeastSquaresForm:
    """The form of other means and covariances alone.

    Raises
    ------
    FitError : weights or errors that take the rows.
    """
    if form.template.thresholds is not None or form.weighting in ("DWLS", "WLS") or form.sampling == FREE:
        raise FitError(f"{form.method} takes rows: means and covariances do not tell its weights or errors")
    weighting = Weighting(form.weighting, form.sampling)
    found = from_covariances(form.problem, form.template, sample, weighting)
    return replace(found, constraints=form.constraints)


def _of_rows(
    problem: Problem, template: Template, group_of: Ints, values: Floats, weighting: Weighting
) -> LeastSquaresForm:
    names = [template.variables[v][0] for v in template.structure.observed.tolist()]
    where = f"the data for model '{problem.graph.name}'"
    gaps = np.isnan(values).any(axis=0)
    hint = "leave these rows out; least squares takes complete rows"
    if weighting.pairwise and template.thresholds is not None:
        gaps &= template.given
        hint = "leave these rows out: covariates are complete"
    raise_all(
        [
            ModelError(f"'{n}' has missing values", node=n, hint=hint)
            for n, g in zip(names, gaps, strict=True)
            if g
        ],
        where,
    )
    if template.thresholds is None:
        return _continuous(problem, template, group_of, values, weighting)
    return _ordered(problem, template, group_of, values, weighting)


# -- numbers alone: means and covariances of all variables


def from_covariances(
    problem: Problem, template: Template, sample: Sample, weighting: Weighting
) -> LeastSquaresForm:
    """The form of means and covariances alone, one cell a group, which tell no fourth moments."""
    none = np.zeros(0, dtype=np.int64)
    return _with_moments(problem, template, none, np.zeros((0, sample.mask.shape[1])), sample, weighting)


def _continuous(
    problem: Problem, template: Template, group_of: Ints, values: Floats, weighting: Weighting
) -> LeastSquaresForm:
    """Covariances are divided by n - 1, as lavaan's are for all but maximum likelihood."""
    means, covs, counts = [], [], []
    for g in range(template.structure.groups):
        rows = values[group_of == g]
        n = len(rows)
        means.append(rows.mean(axis=0))
        away = rows - means[-1]
        covs.append(away.T @ away / max(n - 1, 1))
        counts.append(float(n))
    groups = np.arange(len(counts))
    mask = np.ones((len(counts), values.shape[1]), dtype=bool)
    sample = Sample(groups, np.array(counts), mask, np.stack(means), np.stack(covs))
    return _with_moments(problem, template, group_of, values, sample, weighting)


def _with_moments(
    problem: Problem, template: Template, group_of: Ints, values: Floats, sample: Sample, weighting: Weighting
) -> LeastSquaresForm:
    given = template.given
    space = Space(_moment_layout(given), template.structure.observed, np.zeros(0, dtype=np.int64))
    structure = _with_covariates(problem, template, sample)
    parts = []
    for g in range(len(sample.n)):
        rows = values[group_of == g] if values.size else None
        parts.append(_moment_part(problem, space.parts, sample, g, rows, given, weighting))
    return LeastSquaresForm(
        problem, template, structure, sample, group_of, values, 0.0,
        inner=structure, space=space, parts=tuple(parts), weighting=weighting.kind,
        sampling=weighting.gamma,
    )  # fmt: skip


def _moment_layout(given: NDArray[np.bool_]) -> Layout:
    """Means and covariances but for those that covariates have among themselves."""
    p = given.size
    own = np.flatnonzero(~given).tolist()
    found = [(LEVEL, v, 0) for v in own] + [(VARIANCE, v, v) for v in own]
    found += [(COVARIANCE, i, j) for j in range(p) for i in range(j + 1, p) if not (given[i] and given[j])]
    kind, first, second = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return Layout(np.zeros(p, dtype=np.int64), 0, kind, first, second)


def _moment_part(
    problem: Problem, parts: Layout, sample: Sample, g: int, rows: Floats | None,
    given: NDArray[np.bool_], weighting: Weighting,
) -> Part:  # fmt: skip
    cov, n = sample.cov[g], float(sample.n[g])
    level = parts.kind == LEVEL
    mean = np.where(level, parts.first, -1)
    row, column = np.where(level, -1, parts.first), np.where(level, -1, parts.second)
    value = np.where(level, sample.mean[g][parts.first], cov[parts.first, np.where(level, 0, parts.second)])
    gamma = None
    if weighting.kind in ("WLS", "DWLS") or weighting.gamma:
        if weighting.gamma == NORMAL:
            whole = normal_theory(cov, mean, row, column)
            gamma = whole if not given.any() else _fixed(cov, mean, row, column)
        else:
            assert rows is not None
            centred = Centred.of(rows, given)
            gamma = distribution_free(centred.d, centred.h, mean, row, column)
    if weighting.kind == "ULS":
        return Part(n, value, Diagonal(np.ones(value.size)), gamma)
    if weighting.kind == "GLS":
        inverse = np.linalg.inv(_regular(problem, cov))
        return Part(n, value, NormalTheory(inverse, mean, row, column), gamma)
    assert gamma is not None
    return Part(n, value, _weights(problem, gamma, n, weighting), gamma)


def sampling_covariance(form: LeastSquaresForm, g: int) -> Floats:
    """Gamma of a group, (q, q); of Normal data where the form keeps none."""
    known = form.parts[g].gamma
    if known is not None:
        return known
    normal = Weighting("ULS", NORMAL)
    given, parts = form.template.given, form.space.parts
    found = _moment_part(form.problem, parts, form.sample, g, None, given, normal).gamma
    assert found is not None
    return found


def _fixed(cov: Floats, mean: Ints, row: Ints, column: Ints) -> Floats:
    """The sampling covariance given fixed covariates: inverse of that part of the inverse."""
    weights = NormalTheory(np.linalg.inv(cov), mean, row, column)
    return np.linalg.inv(weights.times(np.eye(mean.size)))


def _regular(problem: Problem, cov: Floats) -> Floats:
    if not np.linalg.eigvalsh(cov)[0] > 1e-12 * np.abs(cov).max():
        told = "the covariance matrix is not positive definite, and estimator 'GLS' needs its inverse"
        hint = "leave a variable out that is a combination of others, or take estimator='ULS'"
        raise_all([ModelError(told, hint=hint)], f"the data for model '{problem.graph.name}'")
    return cov


def _weights(problem: Problem, gamma: Floats, n: float, weighting: Weighting) -> Weights:
    if weighting.kind == "ULS":
        return Diagonal(np.ones(len(gamma)))
    own = np.diag(gamma)
    where = f"the data for model '{problem.graph.name}'"
    if not (own > 0).all():
        raise_all(
            [ModelError("a statistic does not vary from sample to sample", hint="give more rows")], where
        )
    if weighting.kind == "DWLS":
        return Diagonal(1.0 / own)
    size = np.sqrt(own)
    values, vectors = np.linalg.eigh(gamma / np.outer(size, size))
    if not values[0] > 1e-10 * values[-1]:
        told = f"estimator 'WLS' inverts the covariance of {own.size} statistics; {n:g} rows make it singular"
        raise_all([ModelError(told, hint="take estimator='DWLS' (or 'WLSMV'), or give more rows")], where)
    return Dense((vectors / values) @ vectors.T / np.outer(size, size))


def _with_covariates(problem: Problem, template: Template, sample: Sample) -> Structure:
    """The template's structure with the covariates' sample moments."""
    base = template.structure
    if not template.given.any():
        return base
    covariances, means = base.covariances.copy(), base.means.copy()
    try:
        covariates(template, sample, covariances, means)
    except FloatingPointError as error:
        where = f"the data for model '{problem.graph.name}'"
        raise_all([ModelError(str(error), hint="drop one of them")], where)
    return replace(base, covariances=covariances, means=means)


# -- ordered variables: all given the covariates


def _ordered(
    problem: Problem, template: Template, group_of: Ints, values: Floats, weighting: Weighting
) -> LeastSquaresForm:
    given, o = template.given, template.structure.observed
    space = ordered_space(template)
    parts = space.parts
    levels = parts.levels
    names = [template.variables[v][0] for v in o[~given].tolist()]
    titles = _titles(template)
    _check_categories(problem, names, levels, values[:, ~given], group_of, titles)
    _check_shown(problem, names, values[:, ~given], group_of, titles)
    found = [
        statistics(values[group_of == g][:, ~given], values[group_of == g][:, given], parts)
        for g in range(template.structure.groups)
    ]
    _check_pairs(problem, names, found)
    sample = _joint(found, parts, values, group_of, given)
    structure = _with_covariates(problem, template, sample)
    own = tuple(Part(s.n, s.value, _weights(problem, s.gamma, s.n, weighting), s.gamma) for s in found)
    return LeastSquaresForm(
        problem, template, structure, sample, group_of, values, 0.0,
        inner=template.structure, space=space, parts=own, weighting=weighting.kind,
        sampling=weighting.gamma,
    )  # fmt: skip


def _titles(template: Template) -> list[str]:
    """What the groups are called: the elements of the plates that they are."""
    plates = template.small.plates
    parents = [(plates[p], codes) for p, codes in plates[template.units].parents.items()]
    return [
        ", ".join(str(plate.levels[int(codes[g])]) for plate, codes in parents)
        for g in range(template.structure.groups)
    ]


def _check_categories(
    problem: Problem, names: list[str], levels: Ints, values: Floats, group_of: Ints, titles: list[str]
) -> None:
    faults: list[ModelError] = []
    groups = int(group_of.max()) + 1
    for name, k, column in zip(names, levels.tolist(), values.T, strict=True):
        if not k:
            continue
        there = ~np.isnan(column)
        odd = column[there & ((column != np.rint(column)) | (column < 0) | (column > k))]
        if odd.size:
            told = f"'{name}' has the value {odd[0]:g}, which is no category"
            faults.append(ModelError(told, node=name, hint=f"categories are numbered from 0 to {k}"))
            continue
        plate = problem.graph.nodes[name].values_in
        labels = problem.labels[plate] if plate else ()
        for g in range(groups):
            count = np.bincount(column[there & (group_of == g)].astype(np.int64), minlength=k + 1)
            for empty in np.flatnonzero(count == 0).tolist():
                at = f" in group '{titles[g]}'" if groups > 1 else ""
                told = f"no row has category '{labels[empty]}' of '{name}'{at}"
                faults.append(ModelError(told, node=name, hint="merge it with a neighbour in all groups"))
    raise_all(faults, f"the data for model '{problem.graph.name}'")


def _check_shown(
    problem: Problem, names: list[str], values: Floats, group_of: Ints, titles: list[str]
) -> None:
    """Every pair of variables stands together in some rows of each group."""
    there = ~np.isnan(values)
    if there.all():
        return
    faults: list[ModelError] = []
    groups = int(group_of.max()) + 1
    for g in range(groups):
        rows = there[group_of == g].astype(np.float64)
        together = rows.T @ rows
        for b, a in np.argwhere(np.tril(together < LEAST_TOGETHER, -1)).tolist():
            at = f" in group '{titles[g]}'" if groups > 1 else ""
            told = f"{together[a, b]:g} rows show both '{names[a]}' and '{names[b]}'{at}"
            hint = "leave one of them out: their correlation is not told"
            faults.append(ModelError(told, node=names[b], hint=hint))
    raise_all(faults, f"the data for model '{problem.graph.name}'")


def _check_pairs(problem: Problem, names: list[str], found: list[Statistics]) -> None:
    pairs = dict.fromkeys(p for s in found for p in s.lost)
    hint = "they say the same: leave one of them out, or merge categories"
    raise_all(
        [
            ModelError(f"'{names[a]}' and '{names[b]}' are perfectly correlated", node=names[b], hint=hint)
            for a, b in pairs
        ],
        f"the data for model '{problem.graph.name}'",
    )


def _joint(
    found: list[Statistics], parts: Layout, values: Floats, group_of: Ints, given: NDArray[np.bool_]
) -> Sample:
    """Means and covariances of responses and covariates together, for starting values and standardising."""
    p, y, x = given.size, np.flatnonzero(~given), np.flatnonzero(given)
    mean, cov = np.zeros((len(found), p)), np.zeros((len(found), p, p))
    level = np.flatnonzero((parts.kind == LEVEL) & ~parts.ordered[parts.first])
    slope, spread, pair = (np.flatnonzero(parts.kind == k) for k in (SLOPE, VARIANCE, COVARIANCE))
    for g, s in enumerate(found):
        rows = values[group_of == g][:, x]
        centre = rows.mean(axis=0)
        s_x = (rows - centre).T @ (rows - centre) / len(rows)
        beta, own = np.zeros((y.size, x.size)), np.eye(y.size)
        beta[parts.first[slope], parts.second[slope]] = s.value[slope]
        own[parts.first[spread], parts.first[spread]] = s.value[spread]
        own[parts.first[pair], parts.second[pair]] = own[parts.second[pair], parts.first[pair]] = s.value[
            pair
        ]
        mean[g, x] = centre
        mean[g, y] = beta @ centre
        mean[g, y[parts.first[level]]] += s.value[level]
        cov[np.ix_([g], x, x)] = s_x
        cov[np.ix_([g], y, x)] = beta @ s_x
        cov[np.ix_([g], x, y)] = (beta @ s_x).T
        cov[np.ix_([g], y, y)] = own + beta @ s_x @ beta.T
    n = np.array([s.n for s in found])
    return Sample(np.arange(len(found)), n, np.ones((len(found), p), dtype=bool), mean, cov)
