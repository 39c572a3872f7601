"""Many starts of EM, the best of them carried on to a certified optimum."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.backends.em.mixture.closed import Singular, shrunk
from dagmodels.backends.em.mixture.labels import ordered
from dagmodels.backends.em.mixture.starts import start
from dagmodels.backends.em.mixture.steps import Steps
from dagmodels.errors import FitError
from dagmodels.forms.mixture import MixtureForm
from dagmodels.numerics.limited import limited
from dagmodels.numerics.optimise import Optimum, certify, minimise
from dagmodels.numerics.squarem import Rise, squarem

Floats = NDArray[np.float64]
ROUGH = 1e-4  # gain of the log density in a cycle at which a start rests
FINE = 1e-9  # the same for the best one, where no other steps follow
DIGITS = 1e-13  # of the log density, below which no gain is seen
LIMIT = 4000  # steps of one start
SHORT = 60  # steps on the gradient of each of several starts, of which the best is carried on
NEWTON = 120  # unknowns up to which the best one is carried on by Newton's or BFGS steps
SAME = 0.02  # difference of log densities below which two starts reached the same optimum
CLOSE = 1e-4  # Newton decrement of minus twice the log density that counts as converged
FAR, FLAT = 8.0, 1e-3  # an unconstrained number beyond the one, with a curvature below the other, ran off
POLISH = 60  # steps of the last search


@dataclass(frozen=True, eq=False, slots=True)
class Ran:
    """Where one start ended: `y` None where a component was singular, whose name `why` is.

    values : minus the log density after each cycle. ended : not by the limit of steps.
    """

    number: int
    y: Floats | None
    value: float
    values: tuple[float, ...]
    steps: int
    why: str = ""
    ended: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """The best optimum.

    optimum : of minus twice the log density, certified. values : minus the log density along the best start,
    to the end. held : unconstrained numbers at the edge of a domain.
    starts, reached : how many there were, and how many ended at the best. singular : elements that shrank.
    seed : of the starts.
    """

    form: MixtureForm
    optimum: Optimum
    held: NDArray[np.bool_]
    converged: bool
    message: str
    starts: int
    reached: int
    singular: tuple[str, ...]
    values: tuple[float, ...]
    steps: int
    evaluations: int
    seconds: float
    seed: int = 1

    @property
    def y(self) -> Floats:
        """The unconstrained numbers."""
        return self.optimum.x


def solve(
    form: MixtureForm,
    starts: int,
    seed: int,
    executor: Executor | None,
    began: float,
    limit: int = LIMIT,
) -> tuple[Solution, tuple[str, ...]]:
    """Maximise from several starts; also sentences on labels that mean nothing.

    limit : most steps of one start.

    Raises
    ------
    FitError : no start with a finite density; every start singular; a log density that fell, which is a
        defect and never passed over.
    """
    steps = Steps.of(form)
    first = min(SHORT, limit) if steps.by_gradient and starts > 1 else limit
    run: Callable[[int], Ran] = lambda k: _run(steps.fresh(), k, seed, ROUGH, first)  # noqa: E731
    if executor is None:
        ran = [run(k) for k in range(starts)]
    else:
        ran = list(executor.map(_job, [(form, k, seed, first) for k in range(starts)]))
    for r in ran:
        trace.rising("mixture", [-v for v in r.values])
    good = sorted((r for r in ran if r.y is not None), key=lambda r: r.value)
    singular = tuple(dict.fromkeys(r.why for r in ran if r.y is None))
    if not good:
        raise FitError(_none(form, singular))
    while True:
        best = _further(steps, good[0], limit)
        assert best.y is not None
        y, labels = ordered(form, best.y)
        best = replace(best, y=y)
        optimum, held, path = polished(form, best)
        if not (name := shrunk(form, steps.rules, optimum.x)):
            break
        good, singular = good[1:], tuple(dict.fromkeys((*singular, name)))
        if not good:
            raise FitError(_none(form, singular))
    reached = sum(r.value <= 0.5 * optimum.value + SAME for r in good)
    best = replace(best, steps=sum(r.steps for r in ran if r.number != best.number) + best.steps)
    solution = solution_at(steps, replace(best, values=path), optimum, held, began)
    solution = replace(solution, starts=starts, reached=max(reached, 1), singular=singular, seed=seed)
    return solution, labels


def carried(form: MixtureForm, y: Floats, began: float) -> Solution:
    """The optimum that one start leads to: the point of a fit to other data of the same shape.

    Raises
    ------
    FitError : where a component is singular.
    """
    steps = Steps.of(form)
    with np.errstate(all="ignore"):
        ran = _from(steps, 0, y, ROUGH) if np.isfinite(steps.value(y)) else Ran(0, None, np.inf, (), 0)
    if ran.y is None:
        raise FitError(_none(form, (ran.why,)))
    ran = _further(steps, ran)
    optimum, held, path = polished(form, ran)
    if name := shrunk(form, steps.rules, optimum.x):
        raise FitError(_none(form, (name,)))
    return solution_at(steps, replace(ran, values=path), optimum, held, began)


def solution_at(steps: Steps, ran: Ran, optimum: Optimum, held: NDArray[np.bool_], began: float) -> Solution:
    """Of one start."""
    converged = bool(optimum.decrement < CLOSE and optimum.smallest > -1e-7)
    message = "gradient and Hessian certified" if converged else _why(optimum)
    seconds = time.process_time() - began
    return Solution(
        steps.form, optimum, held, converged, message, 1, 1, (), ran.values, ran.steps, steps.evaluations,
        seconds,
    )  # fmt: skip


def _why(optimum: Optimum) -> str:
    if np.isnan(optimum.decrement):
        return optimum.message
    if optimum.smallest <= -1e-7:
        return "the steps ended at a saddle: a symmetric start; ask for more starts (starts=)"
    return (
        f"the gradient is not small (Newton decrement {optimum.decrement:.2g}): the steps of EM hardly go on"
    )


def _none(form: MixtureForm, singular: tuple[str, ...]) -> str:
    if any(singular):
        named = ", ".join(f"'{n}'" for n in singular[:4])
        return (
            "every start ended where the likelihood has no bound: a component shrinks onto its values "
            f"({named}); give it a prior, share the scale between components, or ask for fewer of them"
        )
    return "the log density is not finite at any start; state starting values, or check the data"


def _job(arguments: tuple[MixtureForm, int, int, int]) -> Ran:
    form, k, seed, limit = arguments
    return _run(Steps.of(form), k, seed, ROUGH, limit)


def _run(steps: Steps, number: int, seed: int, tolerance: float, limit: int) -> Ran:
    """One start."""
    with np.errstate(all="ignore"):
        try:
            y = start(steps, number, seed)
        except Singular as found:
            return Ran(number, None, np.inf, (), 0, str(found))
        if not np.isfinite(steps.value(y)):
            return Ran(number, None, np.inf, (), 0, "")
        return _from(steps, number, y, tolerance, limit)


def _from(steps: Steps, number: int, y: Floats, tolerance: float, limit: int = LIMIT) -> Ran:
    if steps.by_gradient:
        way = limited(steps.objective, y, lambda value: tolerance + DIGITS * abs(value), limit)
        return Ran(number, way.x, way.values[-1], way.values, len(way.values) - 1, ended=way.ended)
    size = y.size
    last: list[float] = []

    def finished(x: Floats) -> bool:
        value = steps.value(x)
        done = bool(last) and last[-1] - value <= tolerance + DIGITS * abs(value)
        last.append(value)
        return done

    free = np.full(size, np.inf)
    try:
        found = squarem(steps.step, steps.value, finished, lambda x: np.ones(size), y, -free, free, limit)
    except Singular as shrunk:
        return Ran(number, None, np.inf, tuple(last), 0, str(shrunk))
    except Rise as rise:
        before, after = rise.args
        raise FitError(
            f"em: the log density fell from {-before:.12g} to {-after:.12g} in a step that cannot lower it; "
            "this is a defect: please report it"
        ) from rise
    return Ran(number, found.x, found.values[-1], found.values, found.steps)


def _further(steps: Steps, ran: Ran, limit: int = LIMIT) -> Ran:
    """The best start's point carried on, by EM alone where there are too many unknowns for other steps."""
    assert ran.y is not None
    with np.errstate(all="ignore"):
        if ran.y.size > NEWTON or steps.by_gradient:
            if ran.steps >= limit:
                return ran
            more = _from(steps, ran.number, ran.y, FINE, limit - ran.steps)
            more = replace(more, values=(*ran.values, *more.values), steps=ran.steps + more.steps)
            return more if more.y is not None else ran
    return ran


def criterion(form: MixtureForm) -> Callable[[Floats], tuple[float, Floats]]:
    """Minus twice the log density and its gradient; infinite where it is not finite."""

    def f(y: Floats) -> tuple[float, Floats]:
        value, gradient = form.value_and_gradient(y)
        if not np.isfinite(value):
            return np.inf, np.zeros_like(y)
        return -2 * value, -2 * gradient

    return f


def polished(form: MixtureForm, ran: Ran) -> tuple[Optimum, NDArray[np.bool_], tuple[float, ...]]:
    """Newton's steps from where EM rests, and the certificate; minus the log density along the whole way."""
    y, path = ran.y, list(ran.values)
    assert y is not None
    watch: Callable[[float], None] = lambda value: path.append(0.5 * value)  # noqa: E731
    f = criterion(form)
    free, size = np.full(y.size, np.inf), np.full(y.size, 0.1)
    if (
        not ran.ended and y.size > NEWTON
    ):  # by far no optimum: a Hessian of so many unknowns would tell nothing
        value, gradient = f(y)
        unknown = np.full((y.size, y.size), np.nan)
        none = np.zeros(y.size, dtype=bool)
        told = f"the steps ended at their limit, {ran.steps}: ask for more (steps=)"
        trace.rising("mixture", [-v for v in path])
        return Optimum(y, value, gradient, unknown, np.nan, none, np.nan, ran.steps, told), none, tuple(path)
    with np.errstate(all="ignore"):
        if y.size <= NEWTON:
            found = minimise(f, y, np.ones(y.size), -free, free, limit=POLISH, watch=watch)
        else:
            found = certify(f, y, size, -free, free, 0, "converged", dear=True)
        held = at_edge(form, found)
        if held.any():
            low, high = np.where(held, found.x, -np.inf), np.where(held, found.x, np.inf)
            if y.size <= NEWTON:
                found = minimise(f, found.x, np.ones(y.size), low, high, limit=POLISH, watch=watch)
            else:
                found = certify(f, found.x, size, low, high, found.iterations, found.message, dear=True)
    watch(found.value)
    trace.rising("mixture", [-v for v in path])
    return found, held, tuple(path)


def at_edge(form: MixtureForm, found: Optimum) -> NDArray[np.bool_]:
    """Unconstrained numbers that ran off: the criterion hardly knows them any more, as where a probability
    is zero or a positive number is at the end of its domain."""
    bounded = np.zeros(found.x.size, dtype=bool)
    for s in form.flat.stretches:
        bounded[s.start : s.start + s.length] = s.kind in ("interval", "simplex", "lower", "upper", "ordered")
    still = (np.abs(np.diag(found.hessian)) < FLAT) & (np.abs(found.gradient) < FLAT)
    return bounded & still & (np.abs(found.x) > FAR)


__all__ = ["Any", "Ran", "Solution", "at_edge", "carried", "criterion", "solve"]
