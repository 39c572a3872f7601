"""Mixtures, latent classes and hidden Markov chains by EM: iterations on large data, whole calls on small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import dagmodels as dm
from benchmarks import deconvolution
from benchmarks.common import Row, median_cpu

VECTORS = """model vectors
plate obs
plate dim
plate dim2 as dim
plate comp = 1..10
parameter w[comp] simplex
parameter mu[comp, dim]
parameter S[comp, dim, dim2] covariance
z[obs] in comp ~ Categorical(w)
observed y[obs, dim] ~ MvNormal(mu[z, dim], S[z, dim, dim2])
"""
CHAIN = """model chain
plate t ordered
plate state = 1..8
plate to as state
parameter first[state], p[state, to] simplex
parameter mu[state]
parameter sigma[state] > 0
z[t first] in state ~ Categorical(first)
z[t] in state ~ Categorical(p[z[t-1], to])
observed y[t] ~ Normal(mu[z], sigma[z])
"""
CLASSES = """model classes
plate unit
plate klass = 1..3
plate item
parameter w[klass] simplex
parameter p[klass, item] in (0, 1)
k[unit] in klass ~ Categorical(w)
observed y[unit, item] ~ Bernoulli(p[k, item])
"""
LCA = Path(__file__).parents[1] / "tests" / "references" / "bn" / "lca3_latent.csv"


def iteration(text: str, data: dict[str, Any]) -> Callable[[], object]:
    """One step of EM, from a first guess."""
    from dagmodels.backends.em.mixture.fit import counts_of
    from dagmodels.backends.em.mixture.starts import start
    from dagmodels.backends.em.mixture.steps import Steps
    from dagmodels.bind.bind import bind
    from dagmodels.forms.build_mixture import build_mixture

    problem = bind(dm.read(text).dag, data)
    steps = Steps.of(build_mixture(problem, counts_of(problem)))
    y = start(steps, 1, 1)
    return lambda: steps.maximised(y, steps.form.expected(y).weights)


def rows() -> Iterator[Row]:
    """The rows of the table."""
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 3, (10, 8))
    y = centres[rng.integers(0, 10, 100_000)] + rng.normal(size=(100_000, 8))
    seconds = median_cpu(iteration(VECTORS, {"y": y}), 7)
    yield Row(
        "Gaussian mixture, 10^5 x 8, 10 components, an iteration", seconds, 0.095, peer="scikit-learn 0.095 s"
    )
    yield from (_chain(rng), _classes())
    yield from deconvolution.rows()


def _chain(rng: np.random.Generator) -> Row:
    n = 1_000_000
    jump, to = rng.random(n) > 0.9, rng.integers(0, 8, n)
    last = np.maximum.accumulate(np.where(jump, np.arange(n), 0))
    y = 3.0 * to[last] + rng.normal(size=n)
    return Row(
        "hidden Markov chain, 10^6 steps, 8 states, an iteration",
        median_cpu(iteration(CHAIN, {"y": y}), 5),
        0.5,
    )


def _classes() -> Row:
    import pandas as pd

    items = (pd.read_csv(LCA) == "yes").astype(int).to_numpy()
    graph = dm.read(CLASSES)
    seconds = median_cpu(lambda: graph.fit({"y": items}, starts=1))
    return Row(
        "latent classes, 2000 x 6 items, a whole fit from one start",
        seconds,
        0.02,
        peer="pgmpy 14 s, pyAgrum 412 s",
    )
