"""Where a chain starts: the user's values, numbers near zero on the unconstrained scale, possible levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import level_code
from dagmodels.distributions import Support
from dagmodels.distributions.supports import bijection
from dagmodels.errors import FitError
from dagmodels.forms.conditionals.check import Check
from dagmodels.forms.conditionals.schedule import Schedule
from dagmodels.forms.conditionals.state import COUNTED
from dagmodels.forms.flat_plan import Ask

Floats = NDArray[np.float64]
TRIES = 100  # random starts of a chain before it gives up
WIDTH = 2.0  # continuous values are uniform on (-2, 2), unconstrained
COUNTS = np.concatenate([np.arange(64.0), 2.0 ** np.arange(6, 31)])  # values that counts may start at


@dataclass(frozen=True, eq=False, slots=True)
class Starter:
    """Makes states with positive density."""

    schedule: Schedule
    check: Check

    @classmethod
    def of(cls, schedule: Schedule) -> Starter:
        return cls(schedule, Check.of(schedule.board))

    def refuse_impossible_data(self) -> None:
        """Raise `FitError` naming observed values that have probability zero whatever is unknown."""
        found = self.check.impossible(np.ones(self.schedule.board.builder.size), known=True)
        if found:
            raise FitError("; ".join(found))

    def start(self, rng: np.random.Generator, inits: Mapping[str, Any], chain: int) -> Floats:
        """A state; raises `FitError` saying what has probability zero where none is found."""
        builder = self.schedule.board.builder
        for _ in range(TRIES):
            state = np.zeros(builder.size)
            for name, plan in builder.plans.items():
                at = 0
                for ask in plan.asks:
                    slots = builder.holdings[name].slots[at : at + ask.places.size]
                    at += ask.places.size
                    state[slots] = self._drawn(ask, rng, state)
                if name in inits and plan.asks:
                    self._given(name, inits[name], state)
            state = self._possible(state, inits, rng)
            if np.isfinite(self.check.log_density(state)):
                return np.concatenate([state, np.ones(self.schedule.walk.size - state.size)])
        why = "; ".join(self.check.impossible(state)) or "its log density is not finite"
        hint = "change the initial values" if inits else "give initial values by inits="
        raise FitError(f"chain {chain + 1} has no place to start: {why}; {hint}")

    def _given(self, name: str, stated: Any, state: Floats) -> None:
        """Write a user's values, where there are any."""
        builder = self.schedule.board.builder
        shape = builder.problem.shape(name)
        values = self._codes(name, stated)
        if values.shape not in (shape, ()):
            raise FitError(f"inits: '{name}' has shape {values.shape}, its plates need {shape}")
        held = builder.holdings[name]
        mine = np.broadcast_to(values, shape).reshape(-1)[held.places]
        state[held.slots] = np.where(np.isnan(mine), state[held.slots], mine)

    def _codes(self, name: str, stated: Any) -> Floats:
        """Values as numbers; of a node whose values lie in a plate, its levels by their labels."""
        problem = self.schedule.problem
        plate = problem.graph.nodes[name].values_in
        if plate is None:
            return np.asarray(stated, dtype=np.float64)
        found = np.asarray(stated, dtype=object)
        gaps = np.array([x is None or x != x for x in found.reshape(-1)]).reshape(found.shape)
        codes = np.full(found.shape, np.nan)
        for place in zip(*np.nonzero(~gaps), strict=True):
            label = found[place]
            whole = isinstance(label, float) and label.is_integer()
            codes[place] = level_code(problem, plate, int(label) if whole else label)
        return codes

    def _drawn(self, ask: Ask, rng: np.random.Generator, state: Floats) -> Floats:
        """First values of one ask."""
        if ask.kind == COUNTED:
            return np.zeros(ask.places.size)
        y = rng.uniform(-WIDTH, WIDTH, ask.length)
        if ask.kind not in ("real", "lower", "upper", "interval"):
            return bijection(Support(ask.kind)).inverse(y.reshape(len(ask.places), -1)).reshape(-1)
        ends = [None if e is None else (lambda f, e=e: e) for e in self.check.ends(ask, state)]
        return np.asarray(bijection(Support("interval", *ends)).inverse(y), dtype=float)

    def _possible(self, state: Floats, inits: Mapping[str, Any], rng: np.random.Generator) -> Floats:
        """Discrete elements without initial values at values that leave all factors possible, parents first.

        Each class is drawn by its full conditional among some values; twice, since later ones may free
        earlier ones.
        """
        for _ in range(2):
            for target, chosen in reversed(
                list(zip(self.schedule.targets, self.schedule.updates, strict=True))
            ):
                if target.kind != COUNTED or target.node in inits:
                    continue
                update = chosen.update
                values = np.arange(float(update.extra)) if update.draw == "enumerate" else COUNTS
                scores = np.empty((values.size, len(target.units)))
                for k, value in enumerate(values):
                    trial = state.copy()
                    trial[target.slots] = value
                    scores[k] = self.check.by_unit(target, trial)
                pick = np.argmax(scores + rng.gumbel(size=scores.shape), axis=0)
                state = state.copy()
                state[target.slots] = values[pick]
        return state
