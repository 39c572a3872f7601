"""Draws element by element: every unknown from its full conditional, by the rules of `forms.conditionals`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.gibbs.route import Part
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.conditionals import trajectories
from dagmodels.forms.conditionals.schedule import Schedule, schedule
from dagmodels.forms.conditionals.start import Starter
from dagmodels.forms.conditionals.sweeper import Sweeper
from dagmodels.forms.lower import NotLowered

Floats = NDArray[np.float64]
UNIT = 250  # sweeps of a unit of work
SELDOM = 4  # sweeps of which one has second updates, where scales and locations move without them
HALF = 0.5  # of the work of a sweep, above which second updates are dear
ENOUGH = 0.27  # effective draws a sweep of a trial that say so
SETTLED = 20  # first sweeps of warm-up, without second updates
TRIAL = 400  # sweeps of warm-up, of which the second half is such a trial


@dataclass(frozen=True, eq=False, slots=True)
class Swept:
    """A chain after its warm-up: the state, what updates have learned, and in one of how many sweeps second
    updates are done."""

    state: Floats
    numbers: Floats
    period: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Conditionals:
    """See the module.

    nodes : what is kept of the draws, None for all. inits : the user's, one for each chain.
    """

    schedule: Schedule
    starter: Starter
    nodes: Collection[str] | None
    warmup: int
    inits: Sequence[Mapping[str, Any]]
    method: str
    because: tuple[str, ...]
    unit: int = UNIT

    def begin(self, rng: np.random.Generator, chain: int) -> Any:
        given = self.inits[chain] if chain < len(self.inits) else {}
        state = self.starter.start(rng, given, chain)
        sweeper = Sweeper(self.schedule.walk, state)
        dear = self.schedule.doubled.size and self.schedule.walk.share_seldom() > HALF
        tried = self.warmup // 2 if self.warmup >= TRIAL and dear else 0
        first = min(SETTLED, self.warmup - tried)
        sweeper.run(rng, first, learning=1, period=first + 1)  # latents go near the data before all else
        sweeper.run(rng, self.warmup - tried - first, learning=first + 1)
        period = 1
        if tried:
            kept = sweeper.run(rng, tried, learning=self.warmup - tried + 1, period=SELDOM)
            period = SELDOM if _moves(kept[:, self.schedule.doubled]) else 1
        return Swept(sweeper.state(), sweeper.numbers.copy(), period)

    def draw(self, state: Any, rng: np.random.Generator, count: int) -> tuple[Any, Part]:
        sweeper = Sweeper(self.schedule.walk, state.state, state.numbers)
        kept = sweeper.run(rng, count, period=state.period)
        values = self.schedule.values(kept)
        self.schedule.completion.complete(values, rng)
        problem = self.schedule.problem
        wanted = {
            n: v.reshape(count, *problem.shape(n))
            for n, v in values.items()
            if self.nodes is None or n in self.nodes
        }
        return Swept(sweeper.state(), state.numbers, state.period), Part(
            wanted, self.schedule.statistics(kept)
        )

    def blamed(self, statistics: Mapping[str, Any]) -> dict[str, int]:
        """Divergences by node."""
        count = int(np.count_nonzero(np.asarray(statistics.get("diverging", ()))))
        return {n: count for n, names in self.schedule.rules().items() if trajectories.name in names}

    def updates(self, statistics: Mapping[str, Any]) -> dict[str, str]:
        """For each node what draws it and how that went, in words."""
        found = {}
        for node, names in self.schedule.rules().items():
            told = [" and ".join(names)]
            together = trajectories.name in names
            rate = statistics.get("acceptance_rate" if together else f"acceptance_rate_{node}")
            if rate is not None:
                told.append(f"acceptance {np.mean(np.asarray(rate)):.2f}")
            evaluations = statistics.get(f"evaluations_{node}")
            if evaluations is not None:
                told.append(f"{np.mean(np.asarray(evaluations)):.1f} evaluations a draw")
            found[node] = ", ".join(told)
        return found


def _moves(kept: Floats) -> bool:
    """Whether each of these columns has effective sizes enough without second updates in most sweeps."""
    from dagmodels.numerics.chains.diagnose import diagnose

    return bool((diagnose(kept[None]).ess_bulk >= ENOUGH * len(kept)).all())


def conditionals_route(
    problem: Problem, warmup: int, nodes: Collection[str] | None, inits: Sequence[Mapping[str, Any]]
) -> Conditionals:
    """Raises `FitError` for what the tape cannot hold, for a node that no rule draws, and for data that are
    impossible."""
    try:
        found = schedule(problem)
    except NotLowered as error:
        raise FitError(f"gibbs: {error}") from error
    starter = Starter.of(found)
    starter.refuse_impossible_data()
    because = tuple(f"'{n}' drawn by {why}" for n, why in found.told().items())
    method = f"element by element ({len(found.updates)} updates a sweep)"
    return Conditionals(found, starter, nodes, warmup, inits, method, because)
