"""lavaan's model text from a parameter table or a graph.

What is written says everything: lavaan's `lavaan()`, or `read(text, model_type="lavaan")`, adds nothing
to it but the moments of exogenous variables.
"""

from __future__ import annotations

from dagmodels.writers.lavaan.from_dag import dag_to_lavaan
from dagmodels.writers.lavaan.from_table import table_to_lavaan

__all__ = ["dag_to_lavaan", "table_to_lavaan"]
