"""The `.dag` text form."""

from __future__ import annotations

import os

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import parsing
from dagmodels.graph.build import from_parse
from dagmodels.graph.dag import Dag


def from_text(text: str, source: str | None = None) -> Dag:
    """The model of a text; `source` is the file's name, for messages."""
    refuse_nul(text, source)
    return from_parse(parsing.statements(text, source), source)


def refuse_nul(text: str, source: str | None) -> None:
    """A NUL byte is in no text: such a file is binary, or in UTF-16."""
    at = text.find("\0")
    if at >= 0:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        hint = "save the model as UTF-8 text; UTF-16 and binary files hold such bytes"
        message = "The text holds a NUL byte, which no model has."
        error = ModelError(message, line=line, column=column, hint=hint, source=source)
        raise_all([error], source or "the text")


def read_dag(source: str | os.PathLike[str]) -> Dag:
    """The model in a `.dag` file or text."""
    from dagmodels.readers import read

    return read(source, "dag")


__all__ = ["from_text", "read_dag", "refuse_nul"]
