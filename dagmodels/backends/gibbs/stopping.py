"""When a run has drawn enough: `ess_bulk > 1000 and rhat < 1.01`, looked at after every round."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.chains.diagnose import Diagnosis

GROWING = ("ess_bulk", "ess_tail")
SHRINKING = ("rhat", "mcse")
TIME = "seconds"
EVERY = (*GROWING, *SHRINKING, TIME)
EXAMPLE = "'ess_bulk > 1000', 'rhat < 1.01', 'mcse < 0.02 sd' and 'seconds < 60', joined by 'and'"
_TERM = re.compile(r"(\w+)\s*(<=|>=|<|>|==|=)\s*([-+\w.]+?)\s*(sd)?")


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure that every quantity must reach.

    figure : a field of `Diagnosis`. bound : of it; of mcse as a share of the sd, where `relative`.
    """

    figure: str
    bound: float
    relative: bool = False

    def __str__(self) -> str:
        sign = ">" if self.figure in GROWING else "<"
        return f"{self.figure} {sign} {self.bound:g}" + (" sd" if self.relative else "")

    def short(self, found: Diagnosis) -> NDArray[np.bool_]:
        """The quantities that have not reached it; what never changes has, what cannot be told has not."""
        value = self.values(found)
        reached = value > self.bound if self.figure in GROWING else value < self.bound
        return ~reached & ~(found.sd == 0.0)

    def values(self, found: Diagnosis) -> NDArray[np.float64]:
        """Of all quantities, in the bound's unit."""
        value = getattr(found, self.figure)
        with np.errstate(divide="ignore", invalid="ignore"):
            return value / found.sd if self.relative else value


@dataclass(frozen=True, slots=True)
class Stop:
    """goals : all of them must be reached. seconds : of the clock, after which the run ends anyhow."""

    goals: tuple[Goal, ...] = ()
    seconds: float = math.inf

    def missed(self, names: Sequence[str], found: Diagnosis) -> tuple[str, ...]:
        """Each goal not reached, with the worst quantity: 'ess_bulk > 1000 (tau has 312)'."""
        told = list[str]()
        for goal in self.goals:
            short = np.flatnonzero(goal.short(found))
            if short.size:
                value = goal.values(found)[short]
                order = value if goal.figure in GROWING else -value
                worst = int(np.argmin(np.where(np.isnan(order), -np.inf, order)))
                told.append(f"{goal} ({names[short[worst]]} has {value[worst]:.4g})")
        return tuple(told)


def read_stop(text: str | None) -> Stop:
    """The rules of `until`.

    Raises `FitError` saying which part cannot be read and what would be.
    """
    if text is None:
        return Stop()
    if not isinstance(text, str):
        raise FitError(f"until={text!r} must be text, such as {EXAMPLE}")
    goals, seconds = dict[str, Goal](), math.inf
    for part in re.split(r"\s+and\s+", text.strip()):
        found = _TERM.fullmatch(part.strip())
        if found is None:
            raise FitError(f"until: cannot read {part!r}; write {EXAMPLE}")
        name, sign, number, unit = found.groups()
        bound = _bound(part, name, sign, number)
        if unit and name != "mcse":
            raise FitError(f"until: in {part!r} only mcse may be measured in sd")
        if name in goals or (name == TIME and math.isfinite(seconds)):
            raise FitError(f"until: '{name}' is there twice; keep the stricter one")
        if name == TIME:
            seconds = bound
        else:
            goals[name] = Goal(name, bound, bool(unit))
    return Stop(tuple(goals.values()), seconds)


def _bound(part: str, name: str, sign: str, number: str) -> float:
    if name not in EVERY:
        near = difflib.get_close_matches(name, EVERY, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(EVERY)}"
        raise FitError(f"until: {name!r} in {part!r} is no figure of a run; {hint}")
    wanted = ">" if name in GROWING else "<"
    if sign != wanted:
        way = "grows" if name in GROWING else ("is a limit" if name == TIME else "falls")
        raise FitError(
            f"until: {name} {way} as a run goes on: write '{name} {wanted} {number}', not {part!r}"
        )
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not (math.isfinite(bound) and bound > 0.0):
        raise FitError(f"until: {number!r} in {part!r} is no number above zero")
    if name == "rhat" and bound <= 1.0:
        raise FitError(f"until: rhat is hardly ever below 1; write 'rhat < 1.01', not {part!r}")
    return bound
