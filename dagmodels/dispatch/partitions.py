"""Fits of data in pieces: equal rows are counted in one pass, or every evaluation goes through all pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.bind.bind import bind
from dagmodels.bind.cases import as_cases
from dagmodels.bind.problem import Problem
from dagmodels.data.frames import Table, table
from dagmodels.data.partitions import MOST, Partitions, distinct, read
from dagmodels.dispatch.fitting import fit_known, known
from dagmodels.dispatch.plan import make_plan
from dagmodels.dispatch.registry import backends
from dagmodels.errors import FitError, ModelError, raise_all

if TYPE_CHECKING:
    from dagmodels.graph.dag import Dag
    from dagmodels.results.fit import Fit


def fit_partitions(
    dag: Dag, parts: Partitions, method: str, seed: int, check: bool, options: Mapping[str, Any]
) -> Fit:
    """The fit of all pieces; arguments as of `Graph.fit`.

    Raises
    ------
    ModelErrors : pieces that do not fit the model. FitError : a backend that needs the data in one piece.
    """
    first = _first(dag, parts)
    found = distinct(parts, _used(dag, first), MOST)
    if found is None:
        return _by_pieces(dag, parts, first, method, seed, options)
    columns, counts = found
    problem = counted(dag, columns, counts)
    plan = make_plan(known(problem), method, options)
    if plan.backend not in (None, "em"):
        raise FitError(
            f"data in pieces are fitted by 'em' alone, and '{plan.backend}' would fit '{dag.name}': "
            "give the data as one frame"
        )
    made = fit_known(known(problem), method, seed, check, options)
    told = {**made.diagnostics, "different_rows": int(counts.size), "rows": int(counts.sum())}
    return replace(made, diagnostics=told)


def counted(dag: Dag, columns: dict[str, list[Any]], counts: Any) -> Problem:
    """The different rows bound to the graph, with how often each element of the rows' plate occurs."""
    cases, data = as_cases(dag, table(columns))
    problem = bind(cases, data, require_observed=True)
    plates = [
        name
        for name, plate in problem.plates.items()
        if (plate.base or name) == name and not plate.labelled and plate.size == counts.size
    ]
    if len(plates) != 1:
        told = "the rows of the pieces are not the elements of one plate"
        hint = "equal rows are counted where each row is a unit of its own; leave names of units out"
        raise_all([ModelError(told, hint=hint)], f"the partitions for model {dag.name!r}")
    return replace(problem, repeats={plates[0]: np.asarray(counts, dtype=np.float64)}, memo={})


def _first(dag: Dag, parts: Partitions) -> Table:
    for piece in parts:
        found = read(piece)
        if found.n:
            return found
    told = f"the partitions for model {dag.name!r}"
    raise_all([ModelError("there are no rows in any piece", hint="check the source")], told)
    raise AssertionError(told)


def _used(dag: Dag, first: Table) -> list[str]:
    """Columns that some node takes, by the binding of one piece."""
    unused = set(bind(*as_cases(dag, first)).unused)
    return [n for n in first.names if n not in unused]


def _by_pieces(
    dag: Dag, parts: Partitions, first: Table, method: str, seed: int, options: Mapping[str, Any]
) -> Fit:
    """Every evaluation goes through all pieces, where the backend can do that."""
    problem = bind(*as_cases(dag, first), require_observed=True)
    plan = make_plan(known(problem), method, options)
    if plan.backend is None:
        raise FitError(str(plan))
    by_pieces = getattr(backends()[plan.backend], "fit_pieces", None)
    if by_pieces is None:
        raise FitError(
            f"the rows differ too much to be counted, and '{plan.backend}' needs them in one piece: "
            "give the data as one frame"
        )
    return by_pieces(problem, parts, plan, {"seed": seed, **options})
