"""lavaan's model text to a parameter table and a graph.

    reading = read("f =~ x1 + x2 + x3", model_type="cfa")
    reading.table; reading.dag; reading.provenance

`tokens`, `expressions`, `modifiers` and `parse` read the text; `blocks`, `defaults` and `equality` make
the rows of `table`; `parameters`, `linear`, `equations` and `cycles` the statements of `graph`.
"""

from __future__ import annotations

from dagmodels.readers.lavaan.explain import explain
from dagmodels.readers.lavaan.graph import graph
from dagmodels.readers.lavaan.options import Options, cfa, growth, lavaan, preset, sem
from dagmodels.readers.lavaan.parse import parse
from dagmodels.readers.lavaan.provenance import Held, Provenance
from dagmodels.readers.lavaan.reading import Reading, read
from dagmodels.readers.lavaan.rows import Row, Table
from dagmodels.readers.lavaan.table import table

__all__ = [
    "Held",
    "Options",
    "Provenance",
    "Reading",
    "Row",
    "Table",
    "cfa",
    "explain",
    "graph",
    "growth",
    "lavaan",
    "parse",
    "preset",
    "read",
    "sem",
    "table",
]
