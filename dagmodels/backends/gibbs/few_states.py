"""Whether discrete unknowns have few joint states, and the problem in each of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.collapsible import Collapsible, collapsible
from dagmodels.analysis.discrete_latents import DiscreteLatents, discrete_latents
from dagmodels.analysis.forward import drawn_forward
from dagmodels.analysis.laws import families_of
from dagmodels.bind.problem import Problem
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
MOST = 128  # joint states, each with a collapsed posterior of its own


def by_state(problem: Problem) -> tuple[Collapsible, int] | None:
    """What a state leaves to be drawn, and how many states there are; None where there is no such route."""
    found = discrete_latents(problem.graph, problem)
    if not found.nodes or found.refused or drawn_forward(problem.graph):
        return None
    nodes = problem.graph.nodes
    if any("Table" in families_of(node) for node in nodes.values()) or not any(
        node.role in ("latent", "parameter") and name not in found.nodes for name, node in nodes.items()
    ):
        return None  # a network of discrete nodes is summed over as a whole
    count = 1
    for name, node in found.nodes.items():
        if node.states is None:
            return None
        unknown = _unknown(problem, name)
        if unknown.size * math.log(max(node.states, 1)) > math.log(MOST) + 1e-9:
            return None
        count *= node.states**unknown.size
    if count > MOST:
        return None
    one = next(problems(problem, found))[0]
    verdict = collapsible(one.graph, one)
    return (verdict, count) if verdict.accepts else None


def _unknown(problem: Problem, name: str) -> NDArray[np.int64]:
    """Flat places of a node that have no value."""
    if name not in problem.values:
        return np.arange(math.prod(problem.shape(name)))
    return np.flatnonzero(~problem.observed[name].reshape(-1))


def problems(problem: Problem, found: DiscreteLatents) -> Iterator[tuple[Problem, dict[str, Floats]]]:
    """The problem with the discrete unknowns given, in each of their joint states."""
    graph = problem.graph
    statements = tuple(
        replace(s, observed=True) if isinstance(s, Stochastic) and s.head.name in found.nodes else s
        for s in graph.statements
    )
    given = replace(graph, statements=statements)
    places = {n: _unknown(problem, n) for n in found.nodes}
    sizes = [found.nodes[n].states or 1 for n, at in places.items() for _ in at]
    for state in np.ndindex(*sizes):
        values, at = dict[str, Floats](), 0
        for name, own in places.items():
            shape = problem.shape(name)
            value = problem.values.get(name, np.full(shape, np.nan)).astype(np.float64).reshape(-1).copy()
            value[own] = state[at : at + own.size]
            at += own.size
            values[name] = value.reshape(shape)
        seen = {n: np.ones(v.shape, dtype=bool) for n, v in values.items()}
        whole = replace(
            problem,
            graph=given,
            values={**problem.values, **values},
            observed={**problem.observed, **seen},
            memo={},
        )
        yield whole, values
