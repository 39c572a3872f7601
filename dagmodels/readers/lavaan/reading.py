"""Text -> table, graph and how they belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagmodels.errors import shown_in
from dagmodels.graph.dag import Dag
from dagmodels.readers.lavaan.graph import CLUSTER, GROUP, UNIT, graph
from dagmodels.readers.lavaan.options import preset
from dagmodels.readers.lavaan.parse import parse
from dagmodels.readers.lavaan.provenance import Provenance
from dagmodels.readers.lavaan.rows import Table
from dagmodels.readers.lavaan.table import table


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a lavaan text and its options say.

    table : lavaan's parameter table.
    dag : the graph.
    provenance : where each row of the table is in the graph.
    """

    table: Table
    dag: Dag
    provenance: Provenance


def read(
    text: str,
    *,
    model_type: str = "sem",
    groups: Any = None,
    unit: str = UNIT,
    group: str = GROUP,
    cluster: str = CLUSTER,
    name: str = "sem",
    source: str | None = None,
    **options: Any,
) -> Reading:
    """Read a lavaan model.

    Parameters
    ----------
    text : the model.
    model_type : "sem", "cfa", "growth" or "lavaan": whose defaults hold.
    groups : labels of the groups in order, or how many there are.
    unit, group, cluster : names of the plates of rows, groups and clusters.
    name : of the model.
    source : the text's file, for messages.
    options : lavaan's arguments, dots as underscores; see `Options`.

    Raises
    ------
    ModelErrors : every fault of the text or the options, each with its line and a hint.
    """
    chosen = preset(model_type, groups=groups, **options)
    with shown_in(text):
        made = table(parse(text, source), chosen, source)
        dag, provenance = graph(made, unit, group, name, source, cluster)
    return Reading(made, dag, provenance)
