"""Rows of data for a network of single nodes: each row is a case of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagmodels.data import files, frames
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.cases import case_plate, is_single, on_cases
from dagmodels.graph.dag import Dag


def as_cases(dag: Dag, data: Any) -> tuple[Dag, Any]:
    """A network of single discrete nodes with a plate for the rows of a table; anything else as it is.

    Columns with some entry are observed, all other nodes hidden.
    """
    if not is_single(dag):
        return dag, data
    data = _alone(dag, data)
    try:
        table = frames.table(files.read(data) if files.is_file_name(data) else data)
        seen = [n for n in table.names if n in dag.nodes and not table.column(n).missing.all()]
    except ModelError:  # what is no table is told of by the binding
        return dag, data
    if not seen:
        raise_all([_nothing(dag, table)], f"the data for model '{dag.name}'")
    empty = [n for n in table.names if n in dag.nodes and n not in seen]
    return on_cases(dag, seen), table.without(empty) if empty else table


def _alone(dag: Dag, data: Any) -> Any:
    """The frame of cases as `Fit.impute` hands it back, under the name of their plate."""
    if not isinstance(data, Mapping) or len(data) != 1:
        return data
    name, only = next(iter(data.items()))
    return only if name == case_plate(dag) and frames.is_frame(only) else data


def _nothing(dag: Dag, table: frames.Table) -> ModelError:
    """Why a table holds no cases."""
    nodes = [n for n, node in dag.nodes.items() if node.kind == "stochastic"]
    some = ", ".join(nodes[:8]) + (", ..." if len(nodes) > 8 else "")
    if not table.n:
        return ModelError("the table has no rows", hint="each row is a case of the network")
    if any(n in dag.nodes for n in table.names):
        return ModelError(
            "the columns of the network's nodes are all empty", hint="one of them needs an entry"
        )
    told = (
        f"no column bears the name of a node (the columns are {', '.join(map(str, table.names)) or 'none'})"
    )
    return ModelError(told, hint=f"each row is a case of the network, whose nodes are {some}")
