"""lme4's formulas: text and data to a graph, with the names that lme4 users know its numbers by.

    reading = read("Reaction ~ Days + (Days | Subject)", df, reml=True)
    reading.dag; reading.table; reading.naming; reading.replay(new)

`syntax` reads the text, `algebra` and `bars` take it apart, `evaluate` and `columns` make the design,
`graph` the statements.
"""

from __future__ import annotations

from dagmodels.readers.formula.formula import Formula, read_formula
from dagmodels.readers.formula.reading import Reading, read

__all__ = ["Formula", "Reading", "read", "read_formula"]
