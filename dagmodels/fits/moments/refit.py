"""A fit from moments once more: only statistics change, and the search begins at the old optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.fits.moments.certificate import verdict
from dagmodels.fits.moments.errors import STANDARD, Errors
from dagmodels.fits.moments.layout import Layout
from dagmodels.fits.moments.solve import minimised, solve
from dagmodels.forms.moment_samples import drawn_values
from dagmodels.forms.moments import MomentsForm, MomentsSolution
from dagmodels.numerics.moments import Sample
from dagmodels.results.refitting import Limits, Refitted, Target, responses

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit
    from dagmodels.results.refitting import Influence

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class MomentsAgain:
    """See `results.refitting.Again`.

    beside : what the backend has for influence, None where it has nothing.
    """

    solution: MomentsSolution
    plan: Plan | None
    backend: str
    expected: bool
    errors: Errors = STANDARD
    beside: Callable[[MomentsSolution], Influence] | None = None

    def refitter(self, simulator: Callable[..., Any] | None = None) -> MomentsRefitter:
        """A new one; it draws by itself."""
        return MomentsRefitter(self, simulator)

    def refuses(self, target: Target) -> str | None:
        """Why an estimate has no profile."""
        if not self.solution.form.alone:
            return "profiles are for models of one level"
        from dagmodels.fits.moments.profile import refusal

        return refusal(self.solution, target)

    def influence(self) -> Influence:
        """Of every unit.

        Raises
        ------
        FitError : the backend has none.
        """
        if not self.solution.form.alone:
            raise FitError("influence is that of units that stand alone, and these are clusters")
        if self.beside is None:
            told = f"the '{self.backend}' backend has no closed forms of influence"
            raise FitError(f"{told}; method='laplace' has them")
        return self.beside(self.solution)

    def profile(self, targets: Sequence[Target], level: float) -> list[Limits]:
        """See `profile`."""
        from dagmodels.fits.moments.profile import profiles

        return profiles(self.solution, targets, level)


class MomentsRefitter:
    """See `results.refitting.Refitter`; `solve` takes statistics instead of responses."""

    def __init__(self, again: MomentsAgain, simulator: Callable[..., Any] | None = None) -> None:
        self.again, self.simulator = again, simulator
        self.solution = again.solution
        self.layout = Layout(self.solution)
        problem = self.solution.form.problem
        nodes = problem.graph.nodes
        seen = dict.fromkeys(self.solution.form.variables[v][0] for v in self._observed)
        self.shapes = {n: problem.shape(n) for n in seen if nodes[n].observed and n in problem.values}

    @property
    def _observed(self) -> list[int]:
        return self.solution.form.structure.observed.tolist()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates, in the order of the fit's table."""
        return self.layout.names

    def solve(self, sample: Sample) -> MomentsSolution:
        """The optimum for other statistics of the same variables.

        Raises
        ------
        FitError, FloatingPointError, LinAlgError : there is none.
        """
        return self.solve_form(self.solution.form.with_sample(sample))

    def solve_form(self, form: MomentsForm) -> MomentsSolution:
        """The optimum of the same form with other data; raises as `solve`."""
        began = time.process_time()
        old = self.solution.optimum
        count = 0

        def at(x: Floats) -> Any:
            nonlocal count
            count += 1
            return form.at(x)

        with np.errstate(all="ignore"):
            try:
                optimum, kept = minimised(form, at, old.x, form.template.lower)
            except FloatingPointError:
                return solve(form)
            converged, message = verdict(form, optimum, kept)
            if not converged:
                other = solve(form)
                return other if other.converged else replace(other, message=other.message or message)
            there = form.at(optimum.x)
        seconds = time.process_time() - began
        return MomentsSolution(form, there, optimum, count, converged, message, seconds, kept)

    def values(self, y: Any) -> Floats:
        """Responses by node -> rows of variables, gaps where the fit had gaps."""
        form = self.solution.form
        if not form.alone:
            raise FitError("units in clusters are not refitted to other responses: fit the other data")
        if not form.values.size:
            raise FitError("this fit was made from a covariance matrix, and has no rows to put others in")
        given = responses(y, self.shapes)
        values = form.values.copy()
        for column, v in enumerate(self._observed):
            name, part = form.variables[v]
            if name in given:
                axis = form.problem.graph.nodes[name].plates.index(form.units)
                whole = np.moveaxis(given[name], axis, 0)
                values[:, column] = whole.reshape(whole.shape[0], -1)[:, part]
        gaps = np.isnan(form.values)
        if np.isnan(values[~gaps]).any():
            raise FitError("a new response is missing where the fit had one")
        return np.where(gaps, np.nan, values)

    def solve_responses(self, y: Any) -> MomentsSolution:
        """The optimum for other responses."""
        return self.solve_form(self.solution.form.with_values(self.values(y)))

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses."""
        found = self.solve_responses(y)
        values = self.layout.values(found.optimum.x)
        return Refitted(values, found.optimum.value, found.converged, found.message, found.evaluations)

    def fit(self, y: Any) -> Fit:
        """The whole fit for other responses."""
        return self.reported(self.solution.form.with_values(self.values(y)))

    def reported(self, form: MomentsForm) -> Fit:
        """The whole fit of the same variables with other statistics."""
        from dagmodels.fits.moments.report import report

        problem, values = form.problem, dict(form.problem.values)
        for name in self.shapes if form.values.size and form.alone else ():
            values[name] = self._by_node(form.values)[name]
        problem = replace(problem, values=values)
        found = self.solve_form(replace(form, problem=problem))
        sandwich = found.form.values.size or not found.at.likelihood  # which sums of likelihoods have not
        errors = self.again.errors if sandwich else STANDARD
        again = self.again
        fit = report(
            found, again.plan, again.backend, expected=again.expected, errors=errors, influence=again.beside
        )
        return replace(fit, simulator=self.simulator)

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, one set a stream; gaps stay."""
        if not self.solution.form.alone:
            raise FitError("units in clusters are not drawn from a fit yet")
        if not self.solution.form.values.size:
            raise FitError("this fit was made from a covariance matrix, and has no rows to draw")
        draws = [drawn_values(self.solution, np.random.default_rng(s)) for s in streams]
        return [self._by_node(d) for d in draws]

    def _by_node(self, values: Floats) -> dict[str, Floats]:
        form = self.solution.form
        found: dict[str, Floats] = {}
        columns: Mapping[str, list[int]] = {n: [] for n in self.shapes}
        for column, v in enumerate(self._observed):
            name = form.variables[v][0]
            if name in columns:
                columns[name].append(column)
        for name, at in columns.items():
            shape = self.shapes[name]
            axis = form.problem.graph.nodes[name].plates.index(form.units)
            inner = [s for a, s in enumerate(shape) if a != axis]
            found[name] = np.moveaxis(values[:, at].reshape(-1, *inner), 0, axis)
        return found
