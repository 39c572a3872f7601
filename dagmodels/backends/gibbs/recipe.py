"""What decides a chain's draws: enough to make its route again, in another process or on another day."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from dagmodels.analysis.collapsible import collapsible
from dagmodels.analysis.hyperpriors import narrowing
from dagmodels.backends.gibbs.better_by_elements import beside_units, better_by_elements
from dagmodels.backends.gibbs.few_states import by_state
from dagmodels.backends.gibbs.options import Options
from dagmodels.backends.gibbs.route import Route
from dagmodels.backends.gibbs.units import of_units
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.outer_mode import NoMode
from dagmodels.forms.units import Units, units


@dataclass(frozen=True, eq=False, slots=True)
class Recipe:
    """Model, data and the options that draws hang on; see `Options`. The same recipe makes the same draws.

    way : the route asked for, None for the best.
    """

    problem: Problem
    seed: int
    chains: int
    warmup: int
    thin: int
    monitor: tuple[str, ...] | None
    inits: tuple[Mapping[str, Any], ...]
    target: float
    collapse: bool
    way: str | None = None

    @classmethod
    def of(cls, problem: Problem, asked: Options) -> Recipe:
        return cls(
            problem,
            asked.seed,
            asked.chains,
            asked.warmup,
            asked.thin,
            asked.monitor,
            tuple(asked.inits),
            asked.target_accept,
            asked.collapse,
            asked.route,
        )

    def route(self) -> Route:
        """The one asked for; else by the moments of units with loadings; else collapsed where the graph
        allows, exactly or by quadrature, else element by element where that is better (`better_by_elements`,
        and by quadrature draws would be dear) or nothing else is left, else all unknowns together."""
        against = ""
        way = self.way or route_of(self.problem, self.collapse)
        if way == "conditionals":
            from dagmodels.backends.gibbs.conditionals_route import conditionals_route

            return conditionals_route(self.problem, self.warmup, self.monitor, self.inits)
        found = of_units(self.problem.graph)
        if found is not None and self.collapse and self.way != "flat":
            from dagmodels.backends.gibbs.moments_route import moments_route

            return moments_route(self.problem, found, self.seed, self.warmup, self.monitor)
        if way == "collapsed" and collapsible(self.problem.graph, self.problem).accepts:
            from dagmodels.backends.gibbs.collapsed_route import collapsed_route

            try:
                return collapsed_route(self.problem, self.seed, self.warmup, self.monitor)
            except NoMode as error:
                if error.went and not better_by_elements(self.problem):
                    raise
                against = f"not collapsed: {error}"  # kinks, for instance those of Laplace laws
        from dagmodels.backends.gibbs.flat_route import flat_route

        allowed = self.collapse and self.way != "flat"
        if allowed and by_state(self.problem) is not None:
            from dagmodels.backends.gibbs.by_state_route import by_state_route

            try:
                return by_state_route(self.problem, self.seed, self.monitor)
            except FitError as error:  # a posterior that no grid follows: told with the route taken instead
                against = f"not state by state: {error}"
        why = better_by_elements(self.problem) if self.way is None and self.collapse else ""
        made = units(self.problem) if allowed and not against else None
        beside = beside_units(made) if isinstance(made, Units) and why else ""
        if isinstance(made, Units) and not beside:
            from dagmodels.backends.gibbs.collapsed_route import dear_draws, quadrature_route

            try:
                route = quadrature_route(self.problem, self.seed, self.warmup, self.monitor)
            except FitError as error:  # no mode, or too few nodes: told with the route taken instead
                against = f"not by quadrature: {error}"
            else:
                if not why or narrowing(self.problem.graph) or not (dear := dear_draws(route)):
                    return route
                against = f"not by quadrature: {dear}"
        if why:
            from dagmodels.backends.gibbs.conditionals_route import conditionals_route

            found = conditionals_route(self.problem, self.warmup, self.monitor, self.inits)
            return replace(found, because=(*found.because, beside or why, *filter(None, (against,))))
        route = flat_route(self.problem, self.warmup, self.monitor, self.target, self.inits)
        return replace(route, because=(*route.because, against)) if against else route

    def packed(self) -> Packed:
        """For other processes."""
        content = pickle.dumps(self)
        return Packed(hashlib.sha256(content).hexdigest(), content)


def route_of(problem: Problem, collapse: bool = True) -> str:
    """The best route that the graph allows."""
    from dagmodels.analysis.discrete_latents import discrete_latents
    from dagmodels.analysis.facts import facts

    if collapse and collapsible(problem.graph, problem).accepts:
        return "collapsed"
    refused = discrete_latents(problem.graph, problem).refused or facts(problem).unknown_tables
    return "conditionals" if refused else "flat"


@dataclass(frozen=True, eq=False, slots=True)
class Packed:
    """A recipe as bytes; equal where the recipes are."""

    key: str
    content: bytes

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and self.key == other.key


@lru_cache(maxsize=2)
def unpacked(packed: Packed) -> Route:
    """The route, made once in a process: forms hold compiled kernels, which do not travel."""
    recipe: Recipe = pickle.loads(packed.content)
    return recipe.route()
