"""A problem's data as BUGS has them: numbers and arrays by name, places from 1, None where missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.forms.cells import cells
from dagmodels.graph.statement import Deterministic
from dagmodels.writers.bugs.names import Names


def bugs_data(problem: Problem) -> dict[str, Any]:
    """Sizes, covariates, memberships of nested plates and observed nodes, ready for `json.dumps`."""
    dag = problem.graph
    names = Names.of(dag, levels_of(problem))
    found: dict[str, Any] = {}
    for plate in dag.plates:
        bound = problem.plates[plate.name]
        if not names.bounds[plate.name].isdigit():
            found[names.bounds[plate.name]] = bound.size
        if plate.alias_of is None:
            for parent, codes in bound.parents.items():
                found[names.member(parent, plate.name)] = (codes + 1).tolist()
    for name, node in dag.nodes.items():
        if name not in problem.values or node.kind in ("deterministic", "constant"):
            continue
        values = np.asarray(problem.values[name], dtype=np.float64)
        if node.values_in is not None:
            values = values + 1
        if any(isinstance(s, Deterministic) for s in node.statements):
            values = np.where(_defined(problem, name), np.nan, values)
        found[names.nodes[name]] = _listed(values)
    return found


def _defined(problem: Problem, name: str) -> np.ndarray:
    """Elements that a definition gives, and no data."""
    found = np.zeros(problem.shape(name), dtype=bool).reshape(-1)
    for share in cells(problem, name):
        if isinstance(share.statement, Deterministic):
            found[share.places] = True
    return found.reshape(problem.shape(name))


def levels_of(problem: Problem) -> dict[str, tuple[object, ...]]:
    """Levels of all plates, in the order of their elements."""
    stated = {p.name for p in problem.graph.plates if p.levels is not None}
    return {n: tuple(p.levels) for n, p in problem.plates.items() if n not in stated}


def _listed(values: np.ndarray) -> Any:
    if values.ndim:
        return [_listed(v) for v in values]
    value = float(values)
    if np.isnan(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
