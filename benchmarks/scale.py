"""Rows do not enter an iteration: 10^4 and 10^6 rows in the same number of groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import Row, median_cpu, side_by_side

if TYPE_CHECKING:
    import pandas as pd

    from dagmodels.forms.field import Evaluator

GROUPS = 1_000
TEXT = """
model slopes
plate g
plate row in g
covariate x[row]
a[g] ~ Normal(a0, s_a)
b[g] ~ Normal(b0, s_b)
a ~~ b = rho*s_a*s_b
observed y[row] ~ Normal(a[g] + b[g]*x, sigma)
a0, b0 ~ Flat()
parameter s_a, s_b, sigma > 0
parameter rho in (-1, 1)
"""


def data(rows: int) -> pd.DataFrame:
    """Simulated by numpy alone, so that nothing of the package is warmed."""
    import pandas as pd

    rng = np.random.default_rng(20260101)
    g = np.arange(rows) % GROUPS
    x = rng.normal(size=rows)
    pair = rng.multivariate_normal([1.0, 0.5], [[0.25, 0.06], [0.06, 0.09]], size=GROUPS)
    y = pair[g, 0] + pair[g, 1] * x + rng.normal(scale=0.8, size=rows)
    return pd.DataFrame({"g": g, "x": x, "y": y})


def evaluator(frame: pd.DataFrame) -> tuple[Evaluator, np.ndarray]:
    """The criterion of the model bound to a frame, and a point away from the optimum."""
    import dagmodels as dm
    from dagmodels.analysis.roles import roles
    from dagmodels.bind.bind import bind
    from dagmodels.forms.build_field import build_field
    from dagmodels.forms.field import Evaluator
    from dagmodels.forms.start import starting_point

    problem = bind(dm.read(TEXT).dag, frame)
    field = build_field(problem, roles(problem.graph, problem))
    return Evaluator(field), starting_point(field)[0]


def rows() -> Iterator[Row]:
    import dagmodels as dm

    sizes = (10_000, 1_000_000)
    found = [evaluator(data(n)) for n in sizes]
    calls = [lambda run=run, x=x: run.value_and_gradient(x) for run, x in found]
    costs = side_by_side(calls, repeats=501, warm=50)
    for n, cost in zip(sizes, costs, strict=True):
        yield Row(f"one evaluation with gradient, {n:,} rows, {GROUPS:,} groups", cost)
    yield Row("ratio of the two", costs[1] / costs[0], 1.2, "x")
    graph, frame = dm.read(TEXT), data(1_000_000)
    fit = graph.fit(frame)
    if not fit.converged:
        raise RuntimeError(f"slopes: {fit.message}")
    yield Row("bind and fit 1,000,000 rows", median_cpu(lambda: graph.fit(frame), repeats=3, warm=0), 1.5)
