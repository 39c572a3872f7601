"""The fit once more with other responses: from the old optimum, with its Hessian, in a few evaluations.

Where observed nodes are responses of Gaussian leaves and nothing else (`forms.responses`), only sums of the
response change and the search runs on the kept tape and pattern: BFGS steps to the neighbourhood of
the optimum, one Hessian by differences there (the certificate), Newton steps on it to the end.  A search
that comes near an edge, or does not go down as it should, is done again by the whole of `fit.solve`.
Other graphs are lowered again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.fits.again import problem_with, shapes_of
from dagmodels.fits.field.inside import latent_scales
from dagmodels.fits.field.solve import Solution, solve
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.quadrature import QuadratureEvaluator
from dagmodels.forms.responses import response_alone, with_responses
from dagmodels.results.refitting import Limits, Refitted, Target, responses

if TYPE_CHECKING:
    from dagmodels.fits.field.influence import FieldInfluence
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
NEAR = 0.1  # Newton decrement (deviance scale) from which the certificate's Hessian is taken
DONE = 1e-6  # decrement at which the search ends; estimates are then within 1e-6 standard errors
MOST_STEPS = 25
LONGEST = 3.0  # of a step, in standard errors
EDGE = 1e-2  # scales below this share of their typical size are for the whole search
FAR = 6.0  # as are logarithms of scales that went this far


@dataclass(frozen=True, eq=False, slots=True)
class FieldAgain:
    """See `results.refitting.Again`."""

    solution: Solution
    plan: Plan | None
    joint: bool
    backend: str = "laplace"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the observed nodes."""
        return shapes_of(self.solution.field.problem)

    def refitter(self, simulator: Callable[..., Any] | None = None) -> FieldRefitter:
        """A new one: the lean one where only sums change."""
        field = self.solution.field
        lean = response_alone(field.problem, field.roles)
        return LeanRefitter(self, simulator) if lean else FieldRefitter(self, simulator)

    def refuses(self, target: Target) -> str | None:
        """Why an estimate has no profile; None where it has one."""
        from dagmodels.fits.field.profile import refusal

        return refusal(self.solution, target)

    def influence(self) -> FieldInfluence:
        """See `influence`."""
        from dagmodels.fits.field.influence import FieldInfluence

        return FieldInfluence(self.solution)

    def profile(self, targets: Sequence[Target], level: float) -> list[Limits]:
        """See `profile`."""
        from dagmodels.fits.field.profile import profiles

        return profiles(apart(self.solution), targets, level)


def apart(solution: Solution) -> Solution:
    """The same with a workspace of its own, so that threads, and a fit's latents, do not meet in one."""
    field, e = solution.field, solution.evaluator
    if isinstance(e, QuadratureEvaluator):
        own: Evaluator = QuadratureEvaluator(field, e.order)
    else:
        own = ModeEvaluator(field) if isinstance(e, ModeEvaluator) else Evaluator(field)
    if isinstance(e, ModeEvaluator) and isinstance(own, ModeEvaluator):
        own.begin_at(e)
    own.criterion(solution.optimum.x)
    return replace(solution, evaluator=own)


class FieldRefitter:
    """Refits by lowering the graph again; any graph of the backend."""

    def __init__(self, again: FieldAgain, simulator: Callable[..., Any] | None = None) -> None:
        from dagmodels.fits.field.layout import layout

        self.again = again
        self.simulator = simulator
        self.solution = apart(again.solution)
        self.layout = layout(self.solution)
        self.problem = self.solution.field.problem

    @property
    def names(self) -> tuple[str, ...]:
        """Of the estimates: coefficients, then outer unknowns, then defined quantities."""
        return self.layout.names

    def solve(self, y: Any) -> Solution:
        """The whole search, beginning at the fit."""
        field = build_field(
            problem_with(self.problem, responses(y, self.again.shapes)), self.solution.field.roles
        )
        found = solve(field, near=self.solution)
        if isinstance(self.solution.evaluator, QuadratureEvaluator):
            from dagmodels.fits.field.quadrature import by_quadrature

            found = by_quadrature(found, self.solution.evaluator.order, time.process_time())
        return found

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses; see `results.refitting`."""
        return self.whole(y)

    def whole(self, y: Any) -> Refitted:
        """By the whole search."""
        found = self.solve(y)
        values = self.layout.values(found)
        o = found.optimum
        return Refitted(values, o.value, found.converged, found.message, found.evaluator.evaluations)

    def fit(self, y: Any) -> Fit:
        """The whole fit for other responses."""
        from dagmodels.fits.field.report import report

        fit = report(self.solve(y), self.again.plan, joint=self.again.joint, backend=self.again.backend)
        sizes = {name: plate.size for name, plate in self.problem.plates.items()}
        return replace(fit, plate_sizes=sizes, simulator=self.simulator)

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, new latents included; one set a stream."""
        if self.simulator is None:
            raise FitError(f"nothing draws from '{self.problem.graph.name}': fit it with Graph.fit")
        values = self.layout.by_node(self.solution)
        return [self.simulator(values, stream) for stream in streams]


class LeanRefitter(FieldRefitter):
    """Refits on the kept field; see the module."""

    def __init__(self, again: FieldAgain, simulator: Callable[..., Any] | None = None) -> None:
        super().__init__(again, simulator)
        field = self.solution.field
        self.sums = with_responses(self.problem, field.roles)
        self.evaluator = Evaluator(self.sums.field)
        o = self.solution.optimum
        self._x, self._hessian = o.x, o.hessian
        self._last: Floats | None = None
        parts = field.coordinates
        none = np.zeros(0)
        self._lower = np.concatenate([none, *(c.lower for c in parts)])
        self._upper = np.concatenate([none, *(c.upper for c in parts)])
        self._log = np.concatenate([none, *(np.full(c.length, c.kind == "log") for c in parts)]).astype(bool)
        scales, prior = latent_scales(field)
        self._edge = np.where(scales, EDGE * self.solution.scale, 0.0)
        bounded = bool((np.isfinite(self._lower) | np.isfinite(self._upper)).any())
        inside = not (self.solution.zero | o.active).any() and bool((np.abs(o.x) > self._edge)[scales].all())
        eigenvalues = np.linalg.eigvalsh(_unit(o.hessian)) if o.x.size else np.ones(1)
        self._regular = (
            inside and not prior.any() and not bounded and eigenvalues[0] > 1e-8 and self.solution.converged
        )
        self._scales = np.flatnonzero(scales)

    def refit(self, y: Any) -> Refitted:
        """Estimates for other responses, by the short search where it holds."""
        return self.refit_stacked(self.sums.stacked(self._checked(y)), y)

    def _checked(self, y: Any) -> dict[str, Floats]:
        found = responses(y, self.again.shapes)
        for c in self.sums.cells:
            if not np.isfinite(found[c.node].reshape(-1)[c.places]).all():
                raise FitError(f"a new response of '{c.node}' is missing where the fit had one")
        return found

    def refit_stacked(self, stacked: Floats, y: Any = None, sums: Floats | None = None) -> Refitted:
        """The same for a stacked response (`forms.responses`), with its sums where they are known."""
        self.sums.set(self.sums.sums(stacked) if sums is None else sums)
        before = self.evaluator.evaluations
        found = self._search() if self._regular else None
        if found is None:
            return self.whole(self.sums.unstacked(stacked) if y is None else y)
        values = self.layout.current(self.evaluator)
        count = self.evaluator.evaluations - before
        return Refitted(values, found, True, "gradient and Hessian certified", count)

    def _search(self) -> float | None:
        """The least value, the evaluator being left there; None where the short search does not hold."""
        f = self.evaluator.value_and_gradient
        x = self._x
        value, g = f(x)
        self._last = x
        if not x.size:
            return value if math.isfinite(value) else None
        found = self._descent(x, value, g, np.linalg.inv(self._hessian), NEAR)
        if found is None:
            return None
        x, value, g = found
        model, self._last = _forward(f, x, g, self._hessian), None
        try:
            np.linalg.cholesky(model)
        except np.linalg.LinAlgError:
            return None
        found = self._descent(x, value, g, np.linalg.inv(model), DONE)
        if found is None or not self._inside(found[0]):
            return None
        if self._last is not found[0]:  # the evaluator answers for the point that it saw last
            f(found[0])
        return found[1]

    def _descent(
        self, x: Floats, value: float, g: Floats, inverse: Floats, enough: float
    ) -> tuple[Floats, float, Floats] | None:
        """BFGS steps until the decrement is small; None where they do not go down."""
        f = self.evaluator.value_and_gradient
        for _ in range(MOST_STEPS):
            step = -(inverse @ g)
            slope = float(g @ step)
            if not slope < 0:
                return (x, value, g) if slope == 0 else None
            if -slope < enough**2:
                return x, value, g
            if -slope > LONGEST**2:
                step *= LONGEST / math.sqrt(-slope)
                slope = float(g @ step)
            for _ in range(6):
                new = x + step
                new_value, new_g = f(new)
                if new_value <= value + 1e-4 * slope + 1e-13 * abs(value):
                    break
                step, slope = 0.4 * step, 0.4 * slope
            else:
                return None
            self._last = new
            y = new_g - g
            sy = float(step @ y)
            if sy > 0.05 * -slope:
                iy = inverse @ y
                outer = iy[:, None] * step
                weight = (1 + float(y @ iy) / sy) / sy
                inverse = inverse + weight * (step[:, None] * step) - (outer + outer.T) / sy
            x, value, g = new, new_value, new_g
        return None

    def _inside(self, x: Floats) -> bool:
        away = (np.abs(x) > self._edge)[self._scales].all()
        return bool(away) and bool((np.abs(x - self._x)[self._log] < FAR).all())

    def simulate(self, streams: Sequence[np.random.SeedSequence]) -> list[dict[str, Floats]]:
        """Responses drawn from the fit, new latents included; one set a stream."""
        drawn = self.draw(streams)
        return [self.sums.unstacked(drawn[:, k]) for k in range(drawn.shape[1])]

    def draw(self, streams: Sequence[np.random.SeedSequence]) -> Floats:
        """Stacked responses, one a column."""
        evaluator = self.solution.evaluator
        evaluator.forget()
        evaluator.criterion(self._x)
        sampler = self.sums.sampler(evaluator.w, evaluator.elimination.mean())
        z = np.stack([np.random.default_rng(s).standard_normal(sampler.normals) for s in streams], axis=1)
        return sampler.draw(z)


def _unit(hessian: Floats) -> Floats:
    d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    return hessian * np.outer(d, d)


def _forward(f: Any, x: Floats, g: Floats, scale: Floats) -> Floats:
    """Hessian by forward differences of the gradient, in steps of 1e-4 standard errors."""
    k = x.size
    hessian = np.empty((k, k))
    for i in range(k):
        h = 1e-4 / math.sqrt(scale[i, i])
        near = x.copy()
        near[i] += h
        hessian[i] = (f(near)[1] - g) / h
    return 0.5 * (hessian + hessian.T)
