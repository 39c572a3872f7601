"""Reference data sets with lme4's formulas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dagmodels as dm

REFERENCES = Path(__file__).parents[1] / "references"

# name: (data set, fit of the reference, formula, REML)
LMM = {
    "sleepstudy": ("sleepstudy", "REML", "Reaction ~ Days + (Days | Subject)", True),
    "sleepstudy_ml": ("sleepstudy", "ML", "Reaction ~ Days + (Days | Subject)", False),
    "sleepstudy_zerocorr": ("sleepstudy", "REML_zerocorr", "Reaction ~ Days + (Days || Subject)", True),
    "sleepstudy_intercept": ("sleepstudy", "ML_intercept", "Reaction ~ Days + (1 | Subject)", False),
    "penicillin": ("penicillin", "REML", "diameter ~ 1 + (1 | plate) + (1 | sample)", True),
    "penicillin_ml": ("penicillin", "ML", "diameter ~ 1 + (1 | plate) + (1 | sample)", False),
    "pastes": ("pastes", "REML", "strength ~ 1 + (1 | batch/cask)", True),
    "pastes_ml": ("pastes", "ML", "strength ~ 1 + (1 | batch/cask)", False),
    "radon": ("radon_minnesota", "REML", "log_radon ~ floor + u + (floor | county)", True),
    "radon_ml": ("radon_minnesota", "ML", "log_radon ~ floor + u + (floor | county)", False),
    "radon_intercept": ("radon_minnesota", "REML_intercept", "log_radon ~ floor + u + (1 | county)", True),
}
INSTEVAL = {
    "insteval": ("insteval", "REML", "y ~ service + (1 | s) + (1 | d) + (1 | dept)", True),
    "insteval_ml": ("insteval", "ML", "y ~ service + (1 | s) + (1 | d) + (1 | dept)", False),
}


@cache
def reference(name: str) -> dict[str, Any]:
    """All that is stored of a data set; its `software` and `fits.*.call` say where it comes from."""
    return json.loads((REFERENCES / name / "reference.json").read_text())


@cache
def stored(name: str) -> pd.DataFrame:
    folder = REFERENCES / name
    found = pd.read_csv(next(folder.glob("data.csv*")))
    if name == "insteval":
        found["service"] = found["service"].astype("category")
    if name == "cbpp":
        found["period"] = found["period"].astype("category")
    return found


def data(name: str) -> pd.DataFrame:
    return stored(name).copy()


@contextmanager
def refused(*parts: str) -> Iterator[list[dm.ModelError]]:
    """The block raises ModelErrors with one problem for each part, which its text holds."""
    found: list[dm.ModelError] = []
    with pytest.raises(dm.ModelErrors) as caught:
        yield found
    errors = [str(e) for e in caught.value.exceptions]
    found.extend(caught.value.exceptions)
    assert len(errors) == len(parts), errors
    for part in parts:
        assert any(part in e for e in errors), (part, errors)
