"""Text and data to a bound problem."""

from __future__ import annotations

import pandas as pd

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.readers import read


def problem_of(text: str, data: dict[str, object]) -> Problem:
    """A model's text and one long frame, by its columns, to a Problem."""
    return bind(read(text), pd.DataFrame(data))
