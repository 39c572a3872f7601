"""Whole calls of models with errors in variables: bind, analyse, fit, certify, report."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import ROOT, Row, median_cpu

REFERENCES = ROOT / "tests" / "references"
YORK = """
model york
plate point
covariate sd_x[point], sd_y[point]
parameter a, b, mu
parameter s > 0
xi[point] ~ Normal(mu, s)
observed x[point] ~ Normal(xi, sd_x)
observed y[point] ~ Normal(a + b*xi, sd_y)
"""
SCATTER = """
model scatter
plate row
covariate sx[row], sy[row]
parameter a, b, mu
parameter s, t > 0
x[row] ~ Normal(mu, t)
observed w[row] ~ Normal(x, sx)
observed y[row] ~ Normal(a + b*x, sqrt(s**2 + sy**2))
"""
FRAMINGHAM = """
model framingham
plate subject
plate replicate = "w1", "w2"
covariate z[subject]
parameter b0, b_x, b_z, gamma0, gamma1
parameter s_x, s_u > 0
x[subject] ~ Normal(gamma0 + gamma1*z, s_x)
observed w[subject, replicate] ~ Normal(x[subject], s_u)
observed y[subject] ~ Bernoulli(expit(b0 + b_x*x + b_z*z))
"""


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

    york, points = dm.read(YORK), pd.read_csv(REFERENCES / "eiv_york1966" / "data.csv")
    for reading in ("structural", "functional", "flat"):
        call = partial(york.fit, points, reading=reading)
        yield Row(f"york1966, {reading}", median_cpu(call, repeats=25), 0.005)
    d = pd.read_csv(REFERENCES / "eiv_framingham_like" / "data.csv")
    columns = {"subject": np.arange(len(d)), "z": d.z, "y": d.y, "w": d[["w1", "w2"]].to_numpy()}
    subjects = dm.read(FRAMINGHAM)
    used = median_cpu(lambda: subjects.fit(columns), repeats=5)
    yield Row("framingham_like, logistic, 15 nodes", used, 0.5)
    many, line = scatter(1_000_000), dm.read(SCATTER)
    line.fit({k: v[:1000] for k, v in many.items()})
    used = median_cpu(lambda: line.fit(many), repeats=3, warm=0)
    yield Row("1,000,000 rows, errors by row, scatter", used, 3.0, "s", "the field form 13 s")
