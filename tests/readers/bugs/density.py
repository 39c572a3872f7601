"""The joint log density of a bound graph at given values of all its stochastic nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dagmodels.bind.bind import bind
from dagmodels.distributions import _numeric
from dagmodels.errors import ModelError
from dagmodels.graph.statement import Stochastic
from dagmodels.readers.bugs import Reading
from dagmodels.simulate.ancestral import prepare
from dagmodels.simulate.arguments import law
from dagmodels.simulate.draw import _Run
from dagmodels.simulate.evaluate import Scope


def drawn(reading: Reading, values: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Values of every node: data where they are given, else `values`, else draws; labels as codes."""
    return _run(reading, values, seed)[0]


def log_density(reading: Reading, values: Mapping[str, Any]) -> float:
    """The sum over all laws, at values that leave nothing to draw."""
    state, run = _run(reading, values, 0)
    total = 0.0
    for job in run.prepared.jobs.values():
        if not isinstance(job.statement, Stochastic):
            continue
        found = law(job.statement.distribution, run.evaluator, Scope(job.rows, job.head), job.target)
        x = state[job.names[0]].reshape(-1)[job.places]
        x = x.reshape(-1, *job.target.sizes) if job.target.sizes else x[:, 0]
        total += float(
            np.sum(_numeric.quietly(found.family.log_density, x, *found.arguments) * np.ones(job.rows.n))
        )
    return total


def _run(reading: Reading, values: Mapping[str, Any], seed: int) -> tuple[dict[str, np.ndarray], _Run]:
    problem = bind(reading.dag, reading.data, require_observed=True)
    given = {k: np.asarray(v, dtype=float) for k, v in values.items()}
    for name, node in problem.graph.nodes.items():
        if node.observed:
            own = problem.values[name]
            if node.values_in is not None:
                own = own + 1
            given[name] = np.where(np.isnan(own), given.get(name, np.full(own.shape, np.nan)), own)
    errors: list[ModelError] = []
    prepared = prepare(problem, given, errors)
    assert not errors, errors
    assert prepared is not None
    run = _Run(prepared, np.random.SeedSequence(seed))
    run.steps(prepared.steps, {})
    assert not run.errors, run.errors
    shaped = {n: run.values[n].reshape(problem.shape(n)) for n in problem.graph.nodes}
    return shaped, run
