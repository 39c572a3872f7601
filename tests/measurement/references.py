"""Data with known answers for errors in variables; origins and tolerances stand beside each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCES = Path(__file__).parents[1] / "references"


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCES / f"eiv_{name}" / "data.csv")


def answers(name: str) -> dict[str, Any]:
    return json.loads((REFERENCES / f"eiv_{name}" / "reference.json").read_text())
