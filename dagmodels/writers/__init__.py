"""A Dag to text: one module a format."""

from __future__ import annotations

from dagmodels.writers.dag import to_text
from dagmodels.writers.json import to_json

__all__ = ["to_json", "to_text"]
