"""The `.dag` text form."""

from __future__ import annotations

from dagmodels.graph import printing
from dagmodels.graph.dag import Dag


def to_text(dag: Dag) -> str:
    """The model's canonical text; `readers.dag.from_text` gives an equal model back."""
    return printing.text(dag)
