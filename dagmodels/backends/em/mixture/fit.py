"""Problem -> Fit of graphs with discrete latents: build the form, maximise from many starts, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.discrete_latents import discrete_latents
from dagmodels.backends.em.executor import executor_of
from dagmodels.backends.em.mixture.loop import LIMIT, solve
from dagmodels.backends.em.mixture.report import report
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_mixture import build_mixture

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixture_fit import MixtureFit

STARTS = 8
OPTIONS = ("seed", "starts", "steps", "executor")


def counts_of(problem: Problem) -> dict[str, int]:
    """How many states the elements of each discrete latent have."""
    found = discrete_latents(problem.graph, problem)
    return {n: node.states for n, node in found.nodes.items() if node.states is not None}


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> MixtureFit:
    """Options: `starts` (how many, the best is reported), `steps` (most of one start), `seed` (of all random
    numbers), `executor` (of `concurrent.futures`, for the starts).

    Raises
    ------
    FitError : an unknown option; what the form cannot hold; no start with a finite density.
    """
    from dagmodels.numerics import tape_kernels as _kernels  # loaded before the clock starts

    del _kernels
    starts, steps, executor = options_of(options)
    began = time.process_time()
    form = build_mixture(problem, counts_of(problem))
    solution, labels = solve(form, starts, int(options.get("seed", 1)), executor, began, steps)
    return report(solution, plan, labels)


def options_of(options: Mapping[str, Any], of: str = "discrete latents") -> tuple[int, int, Executor | None]:
    """The number of starts, the most steps of one, and the executor.

    Raises `FitError` for others.
    """
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise FitError(
            f"em has no option {', '.join(map(repr, unknown))} for {of}; it has starts=, steps=, "
            "seed= and executor="
        )
    numbers: dict[str, int] = {}
    for name, default in (("starts", STARTS), ("steps", LIMIT)):
        value = options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FitError(f"{name}={value!r} is not a number of {name}")
        numbers[name] = value
    return numbers["starts"], numbers["steps"], executor_of(options)
