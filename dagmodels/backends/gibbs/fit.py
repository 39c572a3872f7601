"""Problem -> draws: the route that the graph allows, rounds of draws until enough, the table, its verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.collapsible import collapsible
from dagmodels.backends.gibbs.checkpoint import opened
from dagmodels.backends.gibbs.crew import crew
from dagmodels.backends.gibbs.engine import Chain
from dagmodels.backends.gibbs.further import Further
from dagmodels.backends.gibbs.keeping import keeper
from dagmodels.backends.gibbs.options import Options, read_options
from dagmodels.backends.gibbs.reasons import check_inits
from dagmodels.backends.gibbs.recipe import Recipe
from dagmodels.backends.gibbs.rounds import Rounds
from dagmodels.backends.gibbs.route import Learning, Route, Telling
from dagmodels.bind.problem import Problem
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.fit import DrawsFit, draws_fit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> DrawsFit:
    """Draw from the posterior; the options are those of `options.Options`.

    Raises
    ------
    FitError : an unknown option, a density without a mode, initial values where there is no density, or a
        checkpoint that is of another run or cannot be written.
    """
    asked = read_options(problem, options)
    recipe = Recipe.of(problem, asked)
    if asked.inits and asked.collapse and collapsible(problem.graph, problem).accepts:
        check_inits(problem, asked.inits)  # the route does not need them, but a slip is one
    return carried_on(recipe, tuple(Chain(k) for k in range(recipe.chains)), asked, plan)


def carried_on(
    recipe: Recipe,
    chains: tuple[Chain, ...],
    asked: Options,
    plan: Plan,
    before: Draws | None = None,
    spent: float = 0.0,
) -> DrawsFit:
    """The fit of chains after `asked.draws` draws more, or after as many as its stop rule takes.

    before : draws already made, which the chains follow. spent : processor seconds that they took.
    """
    began = time.process_time()
    route = recipe.route()
    again = asked.checkpoint is not None
    keep = None if asked.store is None else keeper(Path(asked.store), recipe, route, before, again=again)
    place = nullcontext()
    if asked.checkpoint is not None:
        place = opened(Path(asked.checkpoint), recipe, *(() if keep is None else (keep.taken,)))
    with place as checkpoint, crew(recipe, route, asked.executor) as submit:
        rounds = Rounds.of(recipe, route, asked, submit, checkpoint, before, keep)
        ended = rounds.run(chains if checkpoint is None else checkpoint.chains)
        sampled, found = ended.known or (rounds.drawn(ended.chains, ended.draws), None)
    seconds = spent + time.process_time() - began
    telling = route if isinstance(route, Telling) else None
    updates = telling.updates(sampled.statistics) if telling else {}
    states = [c.state for c in ended.chains]
    learned = route.learned(states) if isinstance(route, Learning) else ()
    moved = getattr(route, "moved", None)
    if isinstance(route, Learning):
        standard = route.standard(states)
        moved = tuple(n for n in recipe.problem.graph.nodes if n not in standard)
    rest = tuple(c.after_all(ended.draws, stored=keep is not None) for c in ended.chains)
    return draws_fit(
        recipe.problem.graph,
        sampled,
        backend="gibbs",
        method=f"{route.method}; {recipe.chains} chains{_flat(recipe.problem)}",
        independent=getattr(route, "independent", False),
        updates=updates,
        moved=moved,
        blamed=telling.blamed(sampled.statistics) if telling else None,
        diagnostics={
            "seconds": seconds,
            "stopped": ended.because,
            **({"updates": updates} if updates else {}),
        },
        warnings=ended.warnings,
        found=found,
        plan=_told(plan, route, learned),
        further=Further(recipe, rest, plan, seconds, asked.store),
    )


def _flat(problem: Problem) -> str:
    """Which flat priors the draws assume."""
    names = [n for n, node in problem.graph.nodes.items() if node.role == "parameter"]
    return f"; flat priors assumed for {', '.join(names)}" if names else ""


def _told(plan: Plan, route: Route, learned: tuple[str, ...]) -> Plan:
    """The plan with what was found once the density was seen, and in warm-up."""
    because = (*route.because, *learned)
    verdicts = tuple(
        replace(v, method=route.method, because=because) if v.backend == "gibbs" else v for v in plan.verdicts
    )
    return replace(plan, verdicts=verdicts)
