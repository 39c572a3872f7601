"""A mixture once more: other responses in the same cells, or its units drawn again; labels stay.

The search begins at the optimum of the fit, where labels are known, and is made with the fit's number of
starts where it does not end at a certified optimum.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.labels import matched
from dagmodels.backends.em.mixture.loop import Solution, carried, solve
from dagmodels.backends.em.mixture.table import Table
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError, ModelError, raise_all
from dagmodels.fits.again import problem_with, shapes_of
from dagmodels.forms.build_mixture import build_mixture
from dagmodels.forms.mixture import MixtureForm
from dagmodels.forms.resample import resampled, units
from dagmodels.results.refitting import Influence, Limits, Refitted, Target, responses

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.mixture_fit import MixtureFit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
AWAY = 4.0  # unconstrained numbers at the edge of a domain begin no further out: from there EM never returns


@dataclass(frozen=True, eq=False, slots=True)
class MixtureAgain:
    """See `results.refitting.Again`.

    units : the plate whose elements `refitter`
        draws again; None for responses drawn from the fit, "" for the finest units there are.
    finish : what a fit of the form becomes.
    """

    solution: Solution
    plan: Plan
    units: str | None = None
    finish: Callable[[MixtureFit], MixtureFit] | None = None

    def refitter(self, simulator: Callable[..., Any] | None = None) -> MixtureRefitter:
        """A new one."""
        return MixtureRefitter(self, simulator) if self.units is None else UnitRefitter(self, simulator)

    def refuses(self, target: Target) -> str | None:
        """Why an estimate has no profile; None where it has one."""
        from dagmodels.backends.em.mixture.profile import refusal

        return refusal(self.solution, target)

    def influence(self) -> Influence:
        """Has no closed form."""
        raise FitError("mixtures have no closed form of influence")

    def profile(self, targets: Sequence[Target], level: float) -> list[Limits]:
        """Profile limits of functions of the estimates."""
        from dagmodels.backends.em.mixture.profile import profiles

        return profiles(self.solution, targets, level)


class MixtureRefitter:
    """Refits to other responses; see `results.refitting.Refitter`."""

    def __init__(self, again: MixtureAgain, simulator: Callable[..., Any] | None = None) -> None:
        self.again, self.simulator = again, simulator
        old = again.solution
        self.form = old.form
        self.problem = old.form.flat.problem
        self.shapes = shapes_of(self.problem)
        self.to = old.form.flat.constrain(old.y)
        self.table = Table(self.form)
        self._start = np.where(old.held, np.clip(old.y, -AWAY, AWAY), old.y)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates, in the order of the fit's table."""
        return self.table.names

    def form_with(self, y: Any) -> MixtureForm:
        """The form with other responses: numbers, or levels of nodes that have them."""
        given = responses(_coded(self.problem, y), self.shapes)
        return build_mixture(problem_with(self.problem, given), self.form.latents.count)

    def solve(self, form: MixtureForm) -> Solution:
        """The optimum for other data, its labels those of the fit."""
        began = time.process_time()
        old = self.again.solution
        solution = None
        try:
            solution = carried(form, self._start, began)
        except FitError:
            if old.starts == 1:
                raise
        if solution is None or not (solution.converged or old.starts == 1):
            solution, _ = solve(form, old.starts, old.seed, None, began)
        y = matched(form, solution.y, self.to)
        return solution if y is solution.y else carried(form, y, began)

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses."""
        found = self.solve(self.form_with(y))
        o = found.optimum
        values = self.table.values(found.form.flat.constrain(found.y))
        return Refitted(values, o.value, found.converged, found.message, found.evaluations)

    def fit(self, y: Any) -> MixtureFit:
        """The whole fit for other responses."""
        return self._reported(self.solve(self.form_with(y)))

    def _reported(self, found: Solution) -> MixtureFit:
        from dagmodels.backends.em.mixture.report import report

        again = self.again
        fit = report(found, again.plan, (), again.finish)
        return replace(fit if again.finish is None else again.finish(fit), simulator=self.simulator)

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, new states included; one set a stream."""
        if self.simulator is None:
            raise FitError(f"nothing draws from '{self.problem.graph.name}': fit it with Graph.fit")
        return [self.simulator(self.to, stream) for stream in streams]


class UnitRefitter(MixtureRefitter):
    """The same for units drawn again: what is drawn and refitted is how often each is there."""

    def __init__(self, again: MixtureAgain, simulator: Callable[..., Any] | None = None) -> None:
        super().__init__(again, simulator)
        self.units = units(self.form, again.units or None)

    def form_with(self, y: Any) -> MixtureForm:
        """y : {plate: how often each of its elements is there}."""
        return resampled(self.form, self.units, np.asarray(y[self.units.plate]).astype(np.int64))

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Multinomial counts of the units."""
        n = self.units.size
        share = np.full(n, 1.0 / n)
        draws = (np.random.default_rng(s).multinomial(n, share) for s in streams)
        return [{self.units.plate: d.astype(np.float64)} for d in draws]


def _coded(problem: Problem, y: Any) -> Any:
    """Responses with levels as codes: of nodes that take values in a plate."""
    if not isinstance(y, Mapping):
        names = list(shapes_of(problem))
        return _codes(problem, names[0], y) if len(names) == 1 else y
    return {n: _codes(problem, n, v) for n, v in y.items()}


def _codes(problem: Problem, name: str, given: Any) -> Any:
    node = problem.graph.nodes.get(name)
    array = np.asarray(given)
    if node is None or node.values_in is None or array.dtype.kind not in "OUS":
        return given
    levels = [str(level) for level in problem.plates[node.values_in].levels]
    index = {level: i for i, level in enumerate(levels)}
    flat = [str(v) for v in array.reshape(-1).tolist()]
    known = problem.observed[name].reshape(-1)
    wrong = next((v for v, k in zip(flat, known, strict=False) if k and v not in index), None)
    if wrong is not None:
        fault = ModelError(
            f"'{wrong}' is no level of '{name}'", node=name, hint=f"there are {', '.join(levels)}"
        )
        raise_all([fault], "the new responses")
    return np.array([index.get(v, np.nan) for v in flat]).reshape(array.shape)
