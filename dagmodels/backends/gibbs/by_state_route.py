"""Discrete unknowns with few joint states: the collapsed posterior of all else in each of them.

Trajectories through a density from which a place of change was summed out meet as many separate peaks as
there are places. Where all else has a collapsed posterior of at most two dimensions in every state, grids
give the evidence of each, so that states are drawn by their exact probabilities, and the rest given them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.collapsible import Collapsible, collapsible
from dagmodels.analysis.discrete_latents import DiscreteLatents, discrete_latents
from dagmodels.analysis.forward import drawn_forward
from dagmodels.analysis.laws import families_of
from dagmodels.backends.gibbs.collapsed_route import CHEAP, Independent, collapsed_route
from dagmodels.backends.gibbs.route import Part
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.lower import NotLowered
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
MOST = 128  # joint states, each with a collapsed posterior of its own


@dataclass(frozen=True, eq=False, slots=True)
class ByState:
    """Independent draws: a joint state of the discrete unknowns, then all else from its own posterior.

    routes : of the states that have one, with their log evidence and the discrete nodes' values.
    """

    routes: tuple[tuple[Independent, float, Mapping[str, Floats]], ...]
    nodes: Collection[str] | None
    method: str
    because: tuple[str, ...]
    warmup: int = 0
    unit: int = CHEAP
    independent: bool = True

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        return None

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        logs = np.array([evidence for _, evidence, _ in self.routes])
        share = np.exp(logs - logs.max())
        chosen = rng.choice(len(logs), size=count, p=share / share.sum())
        values: dict[str, NDArray[Any]] = {}
        density = np.empty(count)
        for k in np.unique(chosen).tolist():
            route, _, states = self.routes[k]
            at = np.flatnonzero(chosen == k)
            _, part = route.draw(None, rng, at.size)
            density[at] = part.statistics["lp"]
            own = {n: np.broadcast_to(v, (at.size, *v.shape)) for n, v in states.items()}
            for name, found in {**part.values, **own}.items():
                if self.nodes is None or name in self.nodes:
                    values.setdefault(name, np.empty((count, *found.shape[1:])))[at] = found
        return None, Part(values, {"lp": density})


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
    one = next(_problems(problem, found))[0]
    verdict = collapsible(one.graph, one)
    return (verdict, count) if verdict.accepts else None


def _unknown(problem: Problem, name: str) -> NDArray[np.int64]:
    """Flat places of a node that have no value."""
    if name not in problem.values:
        return np.arange(math.prod(problem.shape(name)))
    return np.flatnonzero(~problem.observed[name].reshape(-1))


def _problems(problem: Problem, found: DiscreteLatents) -> Iterator[tuple[Problem, dict[str, Floats]]]:
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


def by_state_route(problem: Problem, seed: int, nodes: Collection[str] | None) -> ByState:
    """Raises `FitError` where a state has no grid that follows its posterior."""
    found = discrete_latents(problem.graph, problem)
    wanted = None if nodes is None else [n for n in nodes if n not in found.nodes]
    routes: list[tuple[Independent, float, Mapping[str, Floats]]] = []
    for one, values in _problems(problem, found):
        try:
            route = collapsed_route(one, seed, 0, wanted)
        except NotLowered as error:
            raise FitError(str(error)) from error
        if not isinstance(route, Independent):
            raise FitError(f"in a state of {', '.join(values)} all else is not drawn from a grid")
        if route.table is None:
            evidence = float(route.posterior.log_densities(np.zeros((1, 0)))[0])
        else:
            evidence = route.table.log_evidence
        if evidence > -np.inf:
            routes.append((route, evidence, values))
    if not routes:
        raise FitError("no state of the discrete unknowns is possible")
    names = ", ".join(found.nodes)
    logs = np.array([evidence for _, evidence, _ in routes])
    share = np.exp(logs - logs.max())
    best, top = routes[int(np.argmax(logs))][0], float(share.max() / share.sum())
    why = (
        f"{names}: {len(routes)} joint states, the likeliest with probability {top:.2g}; log evidence "
        f"{logs.max() + math.log(share.sum()):.6g}"
    )
    method = f"states of {names} by their evidence, then {best.method} in each"
    return ByState(tuple(routes), nodes, method, (why, *best.because))


__all__ = ["ByState", "by_state", "by_state_route"]
