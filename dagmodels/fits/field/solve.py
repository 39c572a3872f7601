"""Maximise the exact marginal criterion of a field, and certify the optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.fits.field.first_stage import first_stage
from dagmodels.fits.field.fixed_point import fixed_point
from dagmodels.fits.field.inside import best_of, settled
from dagmodels.fits.field.objective import Objective, Space
from dagmodels.fits.field.verdict import collapsed, gone, run_off, verdict
from dagmodels.fits.field.warm_start import em_step, warm_start
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.start import starting_points
from dagmodels.numerics.optimise import CONVERGED, Optimum, descend, minimise

Floats = NDArray[np.float64]
ROUGH_STEPS = 40  # before quadrature takes over, where Laplace's criterion does not settle


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """An optimum of a field with its certificate.

    scale : typical size of each coordinate.
    zero : coordinates that ended exactly at zero, where the one-sided test was made.
    converged, message : whether the certificate holds, and which part fails otherwise.
    """

    field: Field
    evaluator: Evaluator
    optimum: Optimum
    scale: Floats
    zero: NDArray[np.bool_]
    converged: bool
    message: str
    seconds: float


def solve(
    field: Field,
    began: float | None = None,
    near: Solution | None = None,
    *,
    rough: bool = False,
    approach: Callable[[Objective, Floats], Floats] | None = None,
) -> Solution:
    """Minimise minus twice the log marginal likelihood (and prior) of a field.

    near : the solution of a field of the same coordinates, from which the search begins.
    rough : the end only begins another search (`by_quadrature`): where Laplace's criterion is not smooth
        (the mode of a squared latent jumps), a few dozen steps must do.
    approach : goes from a start to where Newton's steps take over; None: the steps that are quickest.
    """
    began = time.process_time() if began is None else began
    evaluator = ModeEvaluator(field) if field.curved else Evaluator(field)
    best: tuple[Objective, Optimum, bool, str] | None = None
    refused: list[str | None] = []
    starts = starting_points(field) if near is None else _from(near, starting_points(field))
    for start, scale in starts:
        f = Objective(field, evaluator, Space.of(field, scale))
        if field.curved and not np.isfinite(f(start)[0]) and (staged := first_stage(field, start, scale)):
            start = staged[0]  # coefficients of zero may be no start: a mean of their square, its inverse
        if not np.isfinite(f(start)[0]):
            refused.append(evaluator.unidentified())
            continue
        model = near.optimum.hessian if near is not None and start is near.optimum.x else None
        if approach is not None:
            start, model = np.clip(approach(f, start), f.space.lower, f.space.upper), None
            optimum = _finished(field, f, start)
        else:
            optimum = _search(field, f, start, model, rough)
        converged, message = verdict(field, f, optimum)
        if best is None or converged or (not best[2] and optimum.value < best[1].value):
            best = f, optimum, converged, message
        ended = collapsed(field, f, optimum) or run_off(field, optimum) or gone(field, optimum)
        if converged or ended is not None or (rough and optimum.message != CONVERGED):
            break
    if best is None:
        raise FitError(_impossible(field, evaluator, start) or _no_start(refused))
    f, optimum, converged, message = best
    zero = f.space.symmetric & (optimum.x == 0.0)
    evaluator.criterion(optimum.x)
    seconds = time.process_time() - began
    return Solution(field, evaluator, optimum, f.space.scale, zero, converged, message, seconds)


def _from(near: Solution, others: Iterator[tuple[Floats, Floats]]) -> Iterator[tuple[Floats, Floats]]:
    """The solution's point first, if no scale stands at zero there, then the others."""
    if not near.zero.any() and not near.optimum.active.any() and near.converged:
        yield near.optimum.x, near.scale
    yield from others


def _finished(field: Field, f: Objective, x: Floats) -> Optimum:
    """Newton's steps from a point near an optimum, which are no approach of their own."""
    s = f.space
    return best_of(field, f, settled(f, minimise(f, x, s.scale, s.lower, s.upper)))


def _search(
    field: Field, f: Objective, start: Floats, model: Floats | None = None, rough: bool = False
) -> Optimum:
    """The lowest optimum that is reached from a start; a model says that it is near the optimum already."""
    s = f.space
    if f.curvature is not None:
        x = fixed_point(field, f.evaluator, f, start, em_step(field)) if model is None else start
        x = np.clip(x, s.lower, s.upper)
        optimum = minimise(f, x, s.scale, s.lower, s.upper, model=model, curvature=f.curvature)
        return best_of(field, f, settled(f, optimum))
    x, before = start, 0
    if model is None and f.working is not None:
        found = descend(f, x, s.scale, s.lower, s.upper, curvature=f.working)
        if found.message == CONVERGED:
            x, model, before = found.x, found.model, found.iterations
    if model is None:
        staged = first_stage(field, start, s.scale) if field.curved else None
        if staged is not None and not np.isfinite(f(np.clip(staged[0], s.lower, s.upper))[0]):
            staged = None  # its coefficients suit no point of the whole criterion
        x, model = staged if staged is not None else (warm_start(field, f, start), None)
    x = np.clip(x, s.lower, s.upper)
    limit = ROUGH_STEPS if rough else 200
    optimum = minimise(f, x, s.scale, s.lower, s.upper, limit=limit, model=model)
    if rough and optimum.message != CONVERGED:
        return optimum
    optimum = replace(optimum, iterations=before + optimum.iterations)
    if field.curved and f.separated(optimum.x) is not None:
        return optimum  # no start will do: there is no maximum
    return best_of(field, f, settled(f, optimum))


def _impossible(field: Field, evaluator: Evaluator, x: Floats) -> str | None:
    """The observation that a law cannot produce, whatever its predictors."""
    found = evaluator.impossible(x) if isinstance(evaluator, ModeEvaluator) else None
    if found is None:
        return None
    node, n, row = found
    at = np.flatnonzero(field.problem.observed[node])
    if at.size != n:
        return f"'{node}' has values that its law cannot produce; correct them, or choose another law"
    value = field.problem.values[node].reshape(-1)[at[row]]
    return (
        f"{value:g} in observation {at[row] + 1} of '{node}' has no density under its law at any predictor "
        "that was tried; correct the value, or choose another law"
    )


def _no_start(refused: list[str | None]) -> str:
    """Why there is no fit: a coefficient that failed from every start is not identified."""
    if refused and refused[0] is not None and len(set(refused)) == 1:
        return (
            f"the coefficient '{refused[0]}' is not identified: its column is zero or a combination of "
            "others; drop it, or give it a prior"
        )
    return (
        f"the criterion is not finite at the starting values, nor at {len(refused) - 1} others that were "
        "tried; state starting values ('parameter s > 0 start 1'), or check the data for values that the "
        "model cannot produce"
    )
