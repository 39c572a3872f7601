"""Network tables: rows of probabilities by the parents' states, stated or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import level_code
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Distribution, Rows, Stochastic
from dagmodels.simulate.evaluate import Evaluator, Scope

Floats = NDArray[np.float64]


def table_keys(dag: Dag) -> dict[str, Stochastic]:
    """Tables without numbers by the name under which they are given and told: `Table(x)`."""
    found: dict[str, Stochastic] = {}
    for statement in dag.statements:
        if not isinstance(statement, Stochastic):
            continue
        law = statement.distribution
        if law.family == "Table" and law.argument("rows") is None:
            found[_key(statement, found)] = statement
    return found


def _key(statement: Stochastic, taken: Mapping[str, object]) -> str:
    """Several statements of one node without numbers are told apart by their levels."""
    name = statement.head.name
    if f"Table({name})" not in taken:
        return f"Table({name})"
    slots = (
        f"{s.plate} first" if s.first else str(s.plate if s.label is None else s.label)
        for s in statement.head.slots
    )
    return f"Table({name}[{', '.join(slots)}])"


def parents_of(table: Distribution) -> list[ex.Reference]:
    """The parents in the order written."""
    return [v for k, v in table.arguments if k != "rows" and isinstance(v, ex.Reference)]


def table_shape(problem: Problem, statement: Stochastic) -> tuple[int, ...]:
    """Numbers of states of the parents in order, then of the node."""
    plates = [problem.graph.nodes[r.name].values_in for r in parents_of(statement.distribution)]
    return tuple(problem.plates[str(p)].size for p in (*plates, statement.values_in))


def drawn_table(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Rows from a Dirichlet(1), uniform on the simplex."""
    weights = rng.standard_exponential(shape)
    return weights / weights.sum(axis=-1, keepdims=True)


def read_table(problem: Problem, key: str, statement: Stochastic, value: Any) -> Floats:
    """Probabilities given for a table without numbers; axes are the parents' states, then the node's."""
    shape = table_shape(problem, statement)
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape != shape:
        needed = " x ".join(map(str, shape))
        parents = (f"states of {r.name}" for r in parents_of(statement.distribution))
        axes = ", ".join([*parents, "its own states"])
        message = f"values: '{key}' must be an array of {needed}"
        raise ModelError(message, node=statement.head.name, hint=f"its axes are: {axes}")
    wrong = bool((array < 0).any()) or bool((np.abs(array.sum(axis=-1) - 1) > 1e-6).any())
    if wrong or not np.isfinite(array).all():
        message = f"values: the rows of '{key}' must be probabilities that sum to 1"
        raise ModelError(message, node=statement.head.name, hint="divide each row by its sum")
    return array


def probabilities(evaluator: Evaluator, statement: Stochastic, scope: Scope, drawn: Floats | None) -> Floats:
    """The node's probabilities on each row, (rows or 1, states).

    drawn : the table's numbers where it states none.

    Raises `ModelError` where the parents take states for which the table has no row.
    """
    table, problem = statement.distribution, evaluator.problem
    parents = parents_of(table)
    shape = table_shape(problem, statement)
    flat = np.zeros(1, dtype=np.int64)
    for reference, size in zip(parents, shape[:-1], strict=True):
        flat = flat * size + evaluator.codes(reference, scope).array
    if drawn is not None:
        return drawn.reshape(-1, shape[-1])[flat]
    rows = table.argument("rows")
    if isinstance(rows, ex.Vector):
        return _entries(evaluator, rows.items, scope)
    assert isinstance(rows, Rows)
    place = _places(evaluator, parents, rows, shape)
    entries = [_entries(evaluator, row.entries, scope) for row in rows.rows]
    row = place[flat]
    if (row < 0).any():
        lost = np.unravel_index(int(flat[int(np.argmax(row < 0))]), shape[:-1])
        states = (
            str(problem.plates[str(problem.graph.nodes[r.name].values_in)].levels[int(c)])
            for r, c in zip(parents, lost, strict=True)
        )
        message = f"the Table of '{statement.head.name}' has no row for ({', '.join(states)})"
        raise ModelError(message, node=statement.head.name, hint="add the row")
    stacked = np.stack(np.broadcast_arrays(*entries), axis=1)  # (rows or 1, rows of the table, states)
    return stacked[np.arange(row.size) if stacked.shape[0] > 1 else np.zeros(row.size, dtype=np.int64), row]


def _places(
    evaluator: Evaluator, parents: list[ex.Reference], rows: Rows, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """For each combination of the parents' states the row that states it, or -1."""
    place = np.full(int(np.prod(shape[:-1], dtype=np.int64)), -1)
    plates = [str(evaluator.graph.nodes[r.name].values_in) for r in parents]
    for number, row in enumerate(rows.rows):
        codes = [level_code(evaluator.problem, p, label) for p, label in zip(plates, row.labels, strict=True)]
        place[np.ravel_multi_index(codes, shape[:-1])] = number
    return place


def _entries(evaluator: Evaluator, entries: tuple[ex.Expression, ...], scope: Scope) -> Floats:
    values = np.broadcast_arrays(*(evaluator.value(e, scope).array for e in entries))
    return np.stack(values, axis=-1)
