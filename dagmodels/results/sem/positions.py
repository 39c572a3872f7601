"""Rows of the parameter table as entries of the path, covariance and mean structure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.numerics.moments import COVARIANCE, MEAN, PATH
from dagmodels.results.sem.naming import SemNaming, SemRow

if TYPE_CHECKING:
    from dagmodels.forms.least_squares import LeastSquares

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
KINDS = {"=~": PATH, "~": PATH, "~~": COVARIANCE, "~1": MEAN}
THRESHOLD, SCALE = 3, 4  # rows of ordered variables that are no entries of the structure
APART = {"|": THRESHOLD, "~*~": SCALE}


@dataclass(frozen=True, eq=False, slots=True)
class Positions:
    """Where rows stand in the structure.

    kind, group, row, column : (r,) as in `numerics.moments`, or THRESHOLD and SCALE; kind -1 for rows that
        stand nowhere (`:=`).
    first, second : (r,) the variables that lavaan's row names, which differ from `row` and `column` where an
        indicator carries the law of its latent variable.
    held : (r,) rows that say so: a loading of one and no residual variance.
    value : (r,) estimates, nan for the latter. jacobian : (r, k) derivatives in the coordinates.
    """

    kind: Ints
    group: Ints
    row: Ints
    column: Ints
    first: Ints
    second: Ints
    held: NDArray[np.bool_]
    value: Floats
    jacobian: Floats


def variable_numbers(form: MomentsForm) -> dict[str, int]:
    """The number of each variable, by its node."""
    return {name: v for v, (name, _) in enumerate(form.variables)}


def positions(solution: MomentsSolution, naming: SemNaming) -> Positions:
    """Of a fit."""
    rows, swapped = naming.rows, dict(naming.swapped)
    form, s = solution.form, solution.form.structure
    number = variable_numbers(form)
    t = s.order
    kind = np.array([{**KINDS, **APART}.get(r.op, -1) for r in rows], dtype=np.int64)
    group = np.array([r.group for r in rows], dtype=np.int64)
    first, second = np.array([_pair(r, number, naming) for r in rows], dtype=np.int64).reshape(-1, 2).T
    carrier = {number[f]: number[x] for f, x in swapped.items()}
    held = np.array([_held(r, swapped, naming) for r in rows], dtype=bool)
    row = np.array([carrier.get(v, v) for v in first.tolist()], dtype=np.int64)
    column = second.copy()
    both = np.flatnonzero(kind == COVARIANCE)
    column[both] = [carrier.get(v, v) for v in second[both].tolist()]
    value = _values(solution, kind, group, row, column)
    jacobian = np.zeros((len(rows), solution.optimum.x.size))
    entry = _place(s.kind, s.group, s.row, s.column, t)
    wanted = _place(kind, group, row, column, t)
    order = np.argsort(entry, kind="stable")
    left = np.searchsorted(entry[order], wanted, "left")
    right = np.searchsorted(entry[order], wanted, "right")
    slopes = solution.at.jacobian
    for r in np.flatnonzero((right > left) & (kind >= 0) & (kind < THRESHOLD)).tolist():
        jacobian[r] = slopes[order[left[r] : right[r]]].sum(axis=0)
    for r in np.flatnonzero(kind >= THRESHOLD).tolist():
        jacobian[r] = _slope_apart(solution, int(kind[r]), int(group[r]), int(row[r]), int(column[r]))
    value[held] = [r.value for r, h in zip(rows, held.tolist(), strict=True) if h]
    jacobian[held] = 0.0
    return Positions(kind, group, row, column, first, second, held, value, jacobian)


def _values(solution: MomentsSolution, kind: Ints, group: Ints, row: Ints, column: Ints) -> Floats:
    matrices = solution.at.moments.structure.filled(solution.at.entries)
    value = np.full(kind.size, np.nan)
    for k, matrix in zip((PATH, COVARIANCE, MEAN), matrices, strict=True):
        at = np.flatnonzero(kind == k)
        value[at] = matrix[group[at], row[at]] if k == MEAN else matrix[group[at], row[at], column[at]]
    for r in np.flatnonzero(kind >= THRESHOLD).tolist():
        value[r] = _value_apart(solution, int(kind[r]), int(group[r]), int(row[r]), int(column[r]))
    return value


def _value_apart(solution: MomentsSolution, kind: int, group: int, variable: int, number: int) -> float:
    """A threshold, or one over the standard deviation of a latent response given the covariates."""
    at = cast("LeastSquares", solution.at)
    if kind == THRESHOLD:
        return float(at.thresholds[group, _slot(solution, variable, number)])
    place = int(np.flatnonzero(at.form.space.y == variable)[0])
    return float(at.implied[group].scale[place])


def _slope_apart(solution: MomentsSolution, kind: int, group: int, variable: int, number: int) -> Floats:
    at = cast("LeastSquares", solution.at)
    if kind == THRESHOLD:
        return at.threshold_jacobian[group, _slot(solution, variable, number)]
    place = int(np.flatnonzero(at.form.space.y == variable)[0])
    implied = at.implied[group]
    return implied.scale[place] * implied.shrink[place] @ at.jacobian[at.form.inner.members[group]]


def _slot(solution: MomentsSolution, variable: int, number: int) -> int:
    t = solution.form.template.thresholds
    assert t is not None
    return int(np.flatnonzero((t.variable == variable) & (t.which == number))[0])


def moved(at: Positions, solution: MomentsSolution) -> Positions:
    """The same rows with the values of another solution of the same model; their slopes are not."""
    value = _values(solution, at.kind, at.group, at.row, at.column)
    return replace(at, value=np.where(at.held, at.value, value))


def _held(r: SemRow, swapped: dict[str, str], naming: SemNaming) -> bool:
    """A number that an indicator does not have itself because it carries its latent variable's law: the
    loading of one, its residual variance, and whichever of the two means is fixed."""
    if not swapped:
        return False
    lhs, rhs = naming.node(r.lhs, r.level), naming.node(r.rhs, r.level)
    if r.op == "=~":
        return swapped.get(lhs) == rhs
    if r.op == "~1":
        return not (r.free or r.exogenous) and (lhs in swapped or lhs in swapped.values())
    return r.op == "~~" and lhs == rhs and lhs in swapped.values()


def _pair(r: SemRow, number: dict[str, int], naming: SemNaming) -> tuple[int, int]:
    if r.op in APART:
        return number[r.lhs], int(r.rhs[1:]) - 1 if r.op == "|" else number[r.lhs]
    if r.op not in KINDS:
        return 0, 0
    lhs, rhs = naming.node(r.lhs, r.level), naming.node(r.rhs, r.level)
    if r.op == "=~":
        return number[rhs], number[lhs]
    return number[lhs], number.get(rhs, 0)


def _place(kind: Ints, group: Ints, row: Ints, column: Ints, t: int) -> Ints:
    """One number for each place; both triangles of a covariance are one."""
    low = np.where(kind == COVARIANCE, np.minimum(row, column), column)
    high = np.where(kind == COVARIANCE, np.maximum(row, column), row)
    low = np.where(kind == MEAN, 0, low)
    return ((kind * 4096 + group) * t + high) * t + low
