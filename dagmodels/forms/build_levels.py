"""Problem + Unit with elements -> LevelsForm: one cluster with one element a group gives the structure."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.build_moments import column, sample_of, template_of
from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moments import Template
from dagmodels.numerics.level_moments import LevelStructure, parts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SAME = 1e-12  # share of a variable's variance below which it does not vary within clusters


def build_levels(problem: Problem, unit: Unit) -> LevelsForm:
    """The form of a problem whose units are clusters of `unit.inner`.

    Raises
    ------
    ModelErrors : data that say nothing of one of the levels: clusters of one element each, variables that
        do not vary within clusters, no more clusters than variables between them; missing values.
    NotLowered : a law that has no such form yet, naming the node.
    """
    template, group_of_cluster = template_of(problem, unit)
    cluster_of = np.asarray(problem.plates[unit.inner].parents[unit.plate], dtype=np.int64)
    where = f"the data for model '{problem.graph.name}'"
    observed = template.structure.observed
    inner = template.inner[observed]
    columns = [column(problem, template, v) for v in observed.tolist()]
    values = np.stack(
        [c if i else c[cluster_of] for c, i in zip(columns, inner.tolist(), strict=True)], axis=1
    )
    names = [template.variables[v][0] for v in observed.tolist()]
    raise_all(_missing(values, names), where)
    raise_all(_empty(problem, unit, cluster_of), where)
    group_of = group_of_cluster[cluster_of]
    raise_all(_one_level(problem, unit, template, values, names, cluster_of, group_of), where)
    try:
        return of_rows(problem, template, values, group_of, cluster_of)
    except FloatingPointError as error:
        raise_all([ModelError(str(error), hint="drop one of them")], where)
        raise


def of_rows(
    problem: Problem, template: Template, values: Floats, group_of: Ints, cluster_of: Ints
) -> LevelsForm:
    """The form of complete rows, which lie in clusters.

    Raises
    ------
    FloatingPointError : covariates that are constant, or combinations of one another, in some group.
    """
    base, density = template.structure, 0.0
    inner = template.inner[base.observed]
    if template.given.any():
        covariances, means = base.covariances.copy(), base.means.copy()
        first = np.unique(cluster_of, return_index=True)[1]
        density = _covariates(template, values, group_of, covariances, means, True)
        density += _covariates(template, values[first], group_of[first], covariances, means, False)
        base = replace(base, covariances=covariances, means=means)
    levels = LevelStructure(base, template.inner, parts(values, inner, group_of, cluster_of))
    return LevelsForm(
        problem, template, base, sample_of(values, group_of), group_of, values, density,
        levels=levels, cluster_of=cluster_of,
    )  # fmt: skip


def _missing(values: Floats, names: list[str]) -> list[ModelError]:
    hint = "leave out the rows with gaps: models of two levels take complete rows"
    gaps = np.isnan(values).any(axis=0).tolist()
    return [
        ModelError(f"'{n}' has missing values", node=n, hint=hint)
        for n, g in zip(names, gaps, strict=True)
        if g
    ]


def _empty(problem: Problem, unit: Unit, cluster_of: Ints) -> list[ModelError]:
    size = problem.plates[unit.plate].size
    lost = np.flatnonzero(np.bincount(cluster_of, minlength=size) == 0)
    if not lost.size:
        return []
    told = f"'{unit.plate}' {problem.labels[unit.plate][int(lost[0])]} has no elements of '{unit.inner}'"
    return [ModelError(told, hint="leave it out")]


def _one_level(
    problem: Problem, unit: Unit, template: Template, values: Floats, names: list[str], cluster_of: Ints,
    group_of: Ints,
) -> list[ModelError]:  # fmt: skip
    """Faults of data that do not show both levels."""
    inner = template.inner[template.structure.observed]
    count = np.bincount(cluster_of)
    if count.max() == 1:
        told = f"every '{unit.plate}' has one element of '{unit.inner}': the two levels are not told apart"
        return [ModelError(told, hint="fit a model of one level, or name the column of larger clusters")]
    found = []
    mean = np.stack([np.bincount(cluster_of, weights=v) for v in values.T], axis=1) / count[:, None]
    within = ((values - mean[cluster_of]) ** 2).sum(axis=0)
    whole = ((values - values.mean(axis=0)) ** 2).sum(axis=0) + SAME * (values**2).sum(axis=0)
    for name, own, part in zip(names, inner.tolist(), (within <= SAME * whole).tolist(), strict=True):
        if own and part:
            told = f"'{name}' does not vary within any '{unit.plate}'"
            hint = "let it stand between clusters only (in lavaan's text under level: 2)"
            found.append(ModelError(told, node=name, hint=hint))
    between = int((~inner).sum())
    group_of_cluster = np.zeros(count.size, dtype=np.int64)
    group_of_cluster[cluster_of] = group_of
    few = int(np.bincount(group_of_cluster).min())
    if few <= max(between, 1):
        told = f"plate '{unit.plate}' has {few} element{'s' * (few != 1)}"
        told += f" for {between} variables that only its elements have" if between else ""
        told += " in a group" if unit.groups else ""
        hint = "take fewer variables of clusters, or fit one level with cluster= for clustered errors"
        found.append(ModelError(told, hint=hint))
    return found


def _covariates(
    template: Template, values: Floats, group_of: Ints, covariances: Floats, means: Floats, inner: bool
) -> float:
    """Covariates of one level keep the moments of its elements, written in place; minus twice the log of
    their density there.

    Raises
    ------
    FloatingPointError : they are constant or combinations of one another in some group.
    """
    s = template.structure
    columns = np.flatnonzero(template.given & (template.inner[s.observed] == inner))
    if not columns.size:
        return 0.0
    at, total = s.observed[columns], 0.0
    for g in range(s.groups):
        part = values[group_of == g][:, columns]
        mean = part.mean(axis=0)
        cov = (part - mean).T @ (part - mean) / len(part)
        covariances[np.ix_([g], at, at)] = cov
        means[g, at] = mean
        sign, logdet = np.linalg.slogdet(cov)
        if not (sign > 0 and math.isfinite(logdet)):
            told = ", ".join(f"'{template.variables[v][0]}'" for v in at.tolist())
            raise FloatingPointError(f"the covariates {told} are constant or combinations of one another")
        total += len(part) * (columns.size * (math.log(2 * math.pi) + 1.0) + float(logdet))
    return total
