"""Rows of data for a network of single nodes: each row is a case of its own."""

from __future__ import annotations

from typing import Any

from dagmodels.data import files, frames
from dagmodels.errors import ModelError
from dagmodels.graph.cases import is_single, on_cases
from dagmodels.graph.dag import Dag


def as_cases(dag: Dag, data: Any) -> tuple[Dag, Any]:
    """A network of single discrete nodes with a plate for the rows of a table; anything else as it is.

    Columns with some entry are observed, all other nodes hidden.
    """
    if not is_single(dag):
        return dag, data
    try:
        table = frames.table(files.read(data) if files.is_file_name(data) else data)
        seen = [n for n in table.names if n in dag.nodes and not table.column(n).missing.all()]
    except ModelError:  # what is no table is told of by the binding
        return dag, data
    return on_cases(dag, seen), table
