"""Means and standard deviations of expected values: the fitted field once more, new elements in it.

Beside the observed node stands a copy of it with the same mean, no noise and no data; its conditional
mean and variance, at the fitted outer unknowns, are those of the expected value.  New elements are
latents without data: beyond the end of a chain they make the forecast, between its elements the
interpolation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import BoundPlate, Problem
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Covariance, Distribution, Stochastic

if TYPE_CHECKING:
    from dagmodels.fits.new_rows import NewRows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def moments(
    fitted: Problem, rows: NewRows | None, outer: Mapping[str, Floats], name: str, places: Ints
) -> tuple[Floats, Floats]:
    """Means and standard deviations of a Normal node's expected values, given the outer unknowns.

    Parameters
    ----------
    fitted : data of the fit. rows : new data, None for those of the fit.
    outer : internal coordinates of the outer unknowns, by node.
    places : flat places of the elements asked for, in the new data.

    Raises FitError for a node that is not Normal by itself, and where new data change what was fitted.
    """
    from dagmodels.analysis.roles import roles
    from dagmodels.forms.build_field import build_field
    from dagmodels.forms.field import Evaluator

    copy = f"{name}\0mean"
    dag = _with_copy(fitted.graph, name, copy)
    problem, at = _joined(fitted, rows, dag, name)
    field = build_field(problem, roles(dag, problem))
    if field.curved or {c.node: c.length for c in field.coordinates} != {n: v.size for n, v in outer.items()}:
        raise FitError(f"{_refusal(name)}: with these data the model has other unknowns than the fit")
    x = np.concatenate([outer[c.node] for c in field.coordinates]) if outer else np.zeros(0)
    evaluator = Evaluator(field)
    finite = np.isfinite(evaluator.criterion(x).total)
    chosen = field.rows[copy][at[places]]
    mean, spread = evaluator.means()[chosen], np.sqrt(evaluator.variances()[chosen])
    if not finite or np.isnan(mean).any() or np.isnan(spread).any():
        raise FitError(f"'{name}' cannot be predicted: some new elements have no proper law and no data")
    return mean, spread


def _refusal(name: str) -> str:
    return f"'{name}' has no sd, and no mean before or between elements of a chain"


def _with_copy(dag: Dag, name: str, copy: str) -> Dag:
    """The graph with a copy of the node that has its mean and no noise."""
    node = dag.nodes[name]
    tied = any(isinstance(s, Covariance) and name in (s.left.name, s.right.name) for s in dag.statements)
    added: list[Stochastic] = []
    for s in node.statements:
        mu = s.distribution.argument("mu") if isinstance(s, Stochastic) else None
        if tied or not isinstance(s, Stochastic) or s.distribution.family != "Normal" or mu is None:
            raise FitError(f"{_refusal(name)}: that is for Normal outcomes, each with a law by itself")
        law = Distribution("Normal", (("mu", mu), ("sigma", ex.Number(0))))
        added.append(replace(s, head=replace(s.head, name=copy), distribution=law, observed=False))
    return replace(dag, statements=(*dag.statements, *added))


def _joined(fitted: Problem, rows: NewRows | None, dag: Dag, name: str) -> tuple[Problem, Ints]:
    """The data of the fit with the new elements, and where the new data's elements of the node are in it."""
    if rows is None:
        size = int(np.prod(fitted.shape(name), dtype=np.int64))
        return Problem(dag, fitted.plates, fitted.values, fitted.observed), np.arange(size)
    offset = {p: 0 if rows.known(p).size else fitted.plates[p].size for p in fitted.plates}
    plates = {p: _plate(fitted.plates[p], rows.problem.plates[p], offset, p, name) for p in fitted.plates}
    values: dict[str, Floats] = {}
    for n, before in fitted.values.items():
        node = dag.nodes[n]
        full = np.full(tuple(plates[p].size for p in node.plates), np.nan)
        if node.role != "observed" and n in rows.problem.values:
            full[_box(rows.problem, node.plates, offset)] = rows.problem.values[n]
            inside = full[tuple(slice(0, k) for k in before.shape)]
            if (~np.isnan(inside) & ~np.isnan(before) & (inside != before)).any():
                raise FitError(
                    f"{_refusal(name)}, where '{n}' of known elements differs from the fit's data; "
                    "give these elements names of their own"
                )
        full[tuple(slice(0, k) for k in before.shape)] = before
        values[n] = full
    problem = Problem(dag, plates, values, {n: ~np.isnan(v) for n, v in values.items()})
    own = dag.nodes[name].plates
    numbers = np.arange(int(np.prod([plates[p].size for p in own], dtype=np.int64)))
    grid = numbers.reshape(tuple(plates[p].size for p in own))
    return problem, grid[_box(rows.problem, own, offset)].reshape(-1)


def _box(new: Problem, plates: tuple[str, ...], offset: Mapping[str, int]) -> tuple[Ints, ...]:
    """Where the new data's elements stand among all."""
    return np.ix_(*(offset[p] + np.arange(new.plates[p].size) for p in plates))


def _plate(
    before: BoundPlate, new: BoundPlate, offset: Mapping[str, int], name: str, node: str
) -> BoundPlate:
    """Elements of the fit, then the new ones; rows without labels are all new."""
    shift = offset[name]
    if not shift:
        if any(offset[p] for p in new.parents):
            raise FitError(f"{_refusal(node)}, where '{name}' goes on within new rows without labels")
        return new
    n = before.size + new.size
    parents = {p: np.concatenate([codes, new.parents[p] + offset[p]]) for p, codes in before.parents.items()}
    order = None
    if before.order is not None and new.order is not None:
        order = np.concatenate([before.order, np.where(new.order >= 0, new.order + shift, -1)])
    return BoundPlate(name, tuple(range(n)), parents, before.base, order, labelled=False)
