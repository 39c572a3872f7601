"""Discrete unknowns with few joint states: the collapsed posterior of all else in each of them.

Trajectories through a density from which a place of change was summed out meet as many separate peaks as
there are places. Where all else has a collapsed posterior of at most two dimensions in every state, grids
give the evidence of each, so that states are drawn by their exact probabilities, and the rest given them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.backends.gibbs.collapsed_route import Independent, Unchained, collapsed_route
from dagmodels.backends.gibbs.few_states import problems
from dagmodels.backends.gibbs.route import Part
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.lower import NotLowered

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ByState(Unchained):
    """A joint state of the discrete unknowns, then all else from its own posterior.

    routes : of the states that have one, with their log evidence and the discrete nodes' values.
    """

    routes: tuple[tuple[Independent, float, Mapping[str, Floats]], ...]

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


def by_state_route(problem: Problem, seed: int, nodes: Collection[str] | None) -> ByState:
    """Raises `FitError` where a state has no grid that follows its posterior."""
    found = discrete_latents(problem.graph, problem)
    wanted = None if nodes is None else [n for n in nodes if n not in found.nodes]
    routes: list[tuple[Independent, float, Mapping[str, Floats]]] = []
    for one, values in problems(problem, found):
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
    return ByState(routes=tuple(routes), nodes=nodes, method=method, because=(why, *best.because))


__all__ = ["ByState", "by_state_route"]
