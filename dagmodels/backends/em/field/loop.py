"""Steps of EM on a field, extrapolated, from each start that is tried to where Newton's steps take over."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.backends.em.field.maximise import Maximiser, nudged
from dagmodels.errors import FitError
from dagmodels.fits.field.objective import Objective
from dagmodels.fits.field.solve import Solution, solve
from dagmodels.forms.field import Field
from dagmodels.numerics.squarem import Rise, squarem

Floats = NDArray[np.float64]
LIMIT = 4000  # steps of one start
REST = 1e-7  # gain of the log likelihood in a cycle at which EM's own steps end


@dataclass(frozen=True, eq=False, slots=True)
class EmSolution:
    """The certified optimum.

    steps : of EM, all starts together. paths : of each start minus twice the log likelihood (and log prior)
    at the start and after each cycle.
    """

    solution: Solution
    steps: int
    paths: tuple[tuple[float, ...], ...]


class Approach:
    """From a start to the neighbourhood of an optimum, by steps of EM that never raise the criterion."""

    def __init__(self, field: Field) -> None:
        self.field, self.steps, self.paths = field, 0, list[tuple[float, ...]]()

    def __call__(self, f: Objective, start: Floats) -> Floats:
        """Raises `FitError` where a step raised the criterion, which is a defect and never passed over."""
        s, start = f.space, nudged(f, start)
        step, before = Maximiser(self.field, f), [np.inf]

        def value(x: Floats) -> float:
            return f.evaluator.criterion(x).total

        def finished(x: Floats) -> bool:
            gain, before[0] = before[0] - value(x), value(x)
            return gain < 2 * REST

        try:
            with np.errstate(all="ignore"):  # what is not finite is never accepted
                found = squarem(step, value, finished, lambda _: s.scale, start, s.lower, s.upper, LIMIT)
        except Rise as rise:
            raise FitError(
                "em: minus twice the log likelihood rose from {:.12g} to {:.12g} in a step that cannot raise "
                "it; this is a defect: please report it, and take method='laplace'".format(*rise.args)
            ) from rise
        self.steps += found.steps
        self.paths.append(found.values)
        trace.rising("field", [-0.5 * v for v in (*found.values, value(found.x))])
        return found.x


def run(field: Field, began: float | None = None) -> EmSolution:
    """Maximise; raises what `fits.field.solve` raises, and as `Approach`."""
    approach = Approach(field)
    solution = solve(field, time.process_time() if began is None else began, approach=approach)
    return EmSolution(solution, approach.steps, tuple(approach.paths))
