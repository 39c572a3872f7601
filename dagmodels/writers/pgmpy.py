"""A discrete network as a `DiscreteBayesianNetwork` of pgmpy."""

from __future__ import annotations

from typing import Any

from dagmodels.forms.pgmpy_model import pgmpy_model
from dagmodels.forms.tables import tables
from dagmodels.graph.dag import Dag


def to_pgmpy(dag: Dag) -> Any:
    """The network with its tables.

    Raises
    ------
    ModelErrors : the graph is no network of known tables.
    NotInstalled : pgmpy is not.
    """
    return pgmpy_model(tables(dag), "Graph.to_pgmpy")
