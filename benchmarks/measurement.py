"""Whole calls of models with errors in variables: bind, analyse, fit, certify, report."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import ROOT, Row, median_cpu

REFERENCES = ROOT / "tests" / "references"


def scatter(n: int) -> dict[str, Any]:
    """A line with scatter, and errors of known size in both coordinates of every row."""
    rng = np.random.default_rng(20260201)
    sx, sy = rng.uniform(0.2, 0.8, n), rng.uniform(0.2, 0.8, n)
    x = rng.normal(1, 1, n)
    y = 0.5 + 2 * x + 0.7 * rng.normal(size=n) + sy * rng.normal(size=n)
    return {"sx": sx, "sy": sy, "w": x + sx * rng.normal(size=n), "y": y}


def rows() -> Iterator[Row]:
    import pandas as pd

    import dagmodels as dm
    from tests.measurement.test_agreement import SCATTER
    from tests.measurement.test_designs import FRAMINGHAM, framingham
    from tests.measurement.test_readings import YORK

    york, points = dm.read(YORK), pd.read_csv(REFERENCES / "eiv_york1966" / "data.csv")
    for reading in ("structural", "functional", "flat"):
        call = partial(york.fit, points, reading=reading)
        yield Row(f"york1966, {reading}", median_cpu(call, repeats=25), 0.005)
    subjects, columns = dm.read(FRAMINGHAM), framingham()
    used = median_cpu(lambda: subjects.fit(columns), repeats=5)
    yield Row("framingham_like, logistic, 15 nodes", used, 0.5)
    many, line = scatter(1_000_000), dm.read(SCATTER)
    line.fit({k: v[:1000] for k, v in many.items()})
    used = median_cpu(lambda: line.fit(many), repeats=3, warm=0)
    yield Row("1,000,000 rows, errors by row, scatter", used, 3.0, "s", "the field form 13 s")
