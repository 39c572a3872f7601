"""Reference fits of lavaan 0.6-14: data, model texts, calls and results, one folder a case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import dagmodels as dm

FOLDER = Path(__file__).parents[1] / "references"
CASES = sorted(p.name for p in FOLDER.glob("sem_*"))
VERBS = {"cfa": dm.cfa, "sem": dm.sem, "growth": dm.growth}
VALUES = {"TRUE": True, "FALSE": False}


@cache
def reference(case: str) -> dict[str, Any]:
    """The stored fits of a case."""
    return json.loads((FOLDER / case / "reference.json").read_text())["fits"]


def fits() -> Iterator[tuple[str, str]]:
    """Every case with each of its fits."""
    for case in CASES:
        for name in reference(case):
            yield case, name


def data(case: str) -> pd.DataFrame:
    """The case's data."""
    return pd.read_csv(FOLDER / case / "data.csv")


def text(case: str, fit: str) -> str:
    """The model's text."""
    return (FOLDER / case / reference(case)[fit]["model_file"]).read_text()


def arguments(case: str, fit: str) -> tuple[str, dict[str, Any]]:
    """lavaan's function and its arguments, dots as underscores."""
    found = re.fullmatch(r"(\w+)\(model, data=dat(.*)\)", reference(case)[fit]["call"])
    assert found is not None
    pairs = re.findall(r"([\w.]+)=('?[\w.]+'?)", found[2])
    return found[1], {k.replace(".", "_"): VALUES.get(v, v.strip("'")) for k, v in pairs}


def fitted(case: str, fit: str, frame: pd.DataFrame | None = None, **more: Any) -> Any:
    """Our fit of the case."""
    verb, options = arguments(case, fit)
    return VERBS[verb](text(case, fit), data(case) if frame is None else frame, **{**options, **more})
