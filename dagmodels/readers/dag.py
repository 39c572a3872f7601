"""The `.dag` text form."""

from __future__ import annotations

import os

from dagmodels.graph import parsing
from dagmodels.graph.build import from_parse
from dagmodels.graph.dag import Dag


def from_text(text: str, source: str | None = None) -> Dag:
    """The model of a text; `source` is the file's name, for messages."""
    return from_parse(parsing.statements(text, source), source)


def read_dag(source: str | os.PathLike[str]) -> Dag:
    """The model in a `.dag` file or text."""
    from dagmodels.readers import read

    return read(source, "dag")


__all__ = ["from_text", "read_dag"]
