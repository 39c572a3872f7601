"""Unknown distributions by EM: the convex programme, whole calls, and counting rows of data in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import dagmodels as dm
from benchmarks.common import Row, median_cpu

MEANS = "model means\nplate unit\ntheta[unit] ~ NPMLE()\nobserved y[unit] ~ Normal(theta, 1)\n"
GRID = np.linspace(-6, 6, 241)


def rows() -> Iterator[Row]:
    """The rows of the table."""
    graph = dm.read(MEANS)
    for n, repeats in ((1_000, 15), (100_000, 3)):
        data = {"y": _means(n)}
        seconds = median_cpu(lambda data=data: graph.fit(data, grid=GRID), repeats, 1)
        yield Row(f"NPMLE of {n:,} normal means, 241 points, a whole fit", seconds)
        likelihood = np.exp(-0.5 * (data["y"] - GRID[:, None]) ** 2)
        seconds = median_cpu(lambda likelihood=likelihood: _weights(likelihood), repeats, 1)
        yield Row(f"NPMLE of {n:,} normal means, the convex programme alone", seconds)
    yield _counting()


def _means(n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.choice([0.0, 2.5, -2.0], n, p=[0.75, 0.15, 0.1]) + rng.normal(size=n)


def _weights(likelihood: np.ndarray) -> object:
    from dagmodels.numerics.mixing_weights import mixing_weights

    return mixing_weights(likelihood, np.ones(likelihood.shape[1]))


def _counting() -> Row:
    from dagmodels.data.partitions import distinct

    rng = np.random.default_rng(2)
    answers = (rng.random((6, 1_000_000)) < 0.5).astype(np.int8)
    piece = {f"y[{i}]": column for i, column in enumerate(answers)}
    parts = dm.partitions([piece])
    return Row(
        "counting equal rows in pieces, 10^6 rows of 6 items",
        median_cpu(lambda: distinct(parts, list(piece)), 7),
    )
