"""Starts of EM, the best carried on by Newton's steps to a certified optimum."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.backends.em.linear.expectation import Expectation, Expected, Numbers
from dagmodels.backends.em.linear.maximise import Maximisation, Shrunk
from dagmodels.errors import FitError
from dagmodels.forms.linear_cases import LinearCases
from dagmodels.numerics.optimise import Optimum, minimise
from dagmodels.numerics.squarem import Rise, Squared, squarem

Floats = NDArray[np.float64]
ROUGH = 1e-5  # gain of the log likelihood in a cycle at which a start rests
LIMIT = 2000  # steps of one start
SAME = 0.02  # difference of log likelihoods of one optimum
EDGE = 14.0  # a logit beyond it: the probability is at its end
POLISH = 100


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """The optimum of minus twice the log likelihood in free numbers.

    held : numbers at an edge. values : minus the log likelihood along the best start, to the end.
    reached : starts that ended there. shrunk : scales that ran to zero in other starts.
    """

    maximisation: Maximisation
    optimum: Optimum
    held: NDArray[np.bool_]
    values: tuple[float, ...]
    starts: int
    reached: int
    shrunk: tuple[str, ...]
    evaluations: int

    @property
    def numbers(self) -> Numbers:
        """The estimates."""
        return self.maximisation.numbers(self.optimum.x)


def solve(form: LinearCases, starts: int, seed: int, executor: Executor | None = None) -> Solution:
    """Maximise from several starts.

    Raises
    ------
    FitError : every start singular or impossible; a likelihood that fell, which is a defect.
    """
    expectation = Expectation.of(form)
    step = Maximisation.of(form, expectation)
    ran: list[tuple[float, Floats, tuple[float, ...]]] = []
    shrunk: list[str] = []
    steps = 0
    with np.errstate(all="ignore"):
        each: Callable[..., Any] = map if executor is None else executor.map
        for found in each(_tried, [(expectation, step, seed, number) for number in range(starts)]):
            if isinstance(found, str):
                shrunk.append(found)
                continue
            ran.append((found.values[-1], found.x, found.values))
            steps += found.steps
        if not ran:
            raise FitError(_none(shrunk))
        ran.sort(key=lambda r: r[0])
        for _, _, values in ran:
            trace.rising("linear", [-v for v in values])
        path = list(ran[0][2])
        optimum, held = _polished(expectation, step, ran[0][1], path)
        trace.rising("linear", [-v for v in path])
    reached = sum(value <= 0.5 * optimum.value + SAME for value, _, _ in ran)
    names = tuple(dict.fromkeys(n for n in shrunk if n))
    return Solution(step, optimum, held, tuple(path), starts, max(reached, 1), names, steps)


def _none(shrunk: list[str]) -> str:
    named = ", ".join(f"'{n}'" for n in dict.fromkeys(shrunk) if n)
    if named:
        return (
            f"em: every start ended where {named} runs to zero, where the likelihood has no bound: share "
            "the scale between states, or fix it"
        )
    return "em: the log likelihood is not finite at any start; check the data"


def _tried(job: tuple[Expectation, Maximisation, int, int]) -> Squared | str:
    """Where a start ended, or the name of the scale that ran to zero ("" where the density was none)."""
    expectation, step, seed, number = job
    with np.errstate(all="ignore"):
        try:
            return _run(expectation, step, np.random.default_rng((seed, number)))
        except Shrunk as error:
            return str(error)
        except np.linalg.LinAlgError:
            return ""


def _run(expectation: Expectation, step: Maximisation, rng: np.random.Generator) -> Squared:
    start = step.free(_start(expectation, step, rng))
    last: list[float] = []

    def value(y: Floats) -> float:
        return -expectation(step.numbers(y)).log_likelihood

    def move(y: Floats) -> Floats:
        at = step.numbers(y)
        return step.free(step(expectation(at), at))

    def finished(y: Floats) -> bool:
        now = value(y)
        done = bool(last) and last[-1] - now <= ROUGH
        last.append(now)
        return done

    if not np.isfinite(value(start)):
        raise np.linalg.LinAlgError("no finite start")
    wide = np.full(start.size, np.inf)
    try:
        return squarem(move, value, finished, lambda y: np.ones(y.size), start, -wide, wide, LIMIT)
    except Rise as rise:
        before, after = rise.args
        raise FitError(
            f"em: the log likelihood fell from {-before:.12g} to {-after:.12g} in a step that cannot lower "
            "it; this is a defect: please report it"
        ) from rise


def _start(expectation: Expectation, step: Maximisation, rng: np.random.Generator) -> Numbers:
    """Maximised from states at random and from missing values drawn about their means."""
    form = expectation.form
    n, s = expectation.allowed.shape
    weight = np.where(np.isfinite(expectation.allowed), rng.standard_exponential((n, s)) ** 2 + 1e-3, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    u = form.values.copy()
    for j in range(form.first, u.shape[1]):
        seen = u[~np.isnan(u[:, j]), j]
        centre, sd = (seen.mean(), seen.std() or 1.0) if seen.size else (0.0, 1.0)
        gaps = np.isnan(u[:, j])
        u[gaps, j] = rng.normal(centre, sd, int(gaps.sum()))
    moments = np.einsum("ns,ni,nj->sij", weight, u, u, optimize=True)
    cells = np.ones(len(form.cells))
    for row in form.rows:
        cells[list(row)] = 1 / len(row)
    old = Numbers(np.zeros(len(form.locations)), np.full(len(form.scales), step.spread), cells)
    return step(Expected(0.0, moments, weight.sum(axis=0), weight), old)


def _polished(
    expectation: Expectation, step: Maximisation, y: Floats, path: list[float]
) -> tuple[Optimum, NDArray[np.bool_]]:
    """Newton's steps, added to the path; logits at an edge are held."""

    def f(x: Floats) -> tuple[float, Floats]:
        at = step.numbers(x)
        try:
            found = expectation(at)
        except np.linalg.LinAlgError:
            return np.inf, np.zeros_like(x)
        if not np.isfinite(found.log_likelihood):
            return np.inf, np.zeros_like(x)
        return -2 * found.log_likelihood, -2 * step.gradient(found, at)

    logits = np.arange(y.size) >= len(step.form.locations) + len(step.form.scales)
    held = logits & (np.abs(y) > EDGE)
    low, high = np.where(held, y, -np.inf), np.where(held, y, np.inf)
    watch = lambda value: path.append(0.5 * value)  # noqa: E731
    return minimise(f, y, np.ones(y.size), low, high, limit=POLISH, watch=watch), held
