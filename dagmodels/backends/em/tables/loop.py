"""Expectation and maximisation of tables: accelerated steps, then Newton's steps, from several starts.

Complete counts make every row a share of counts (Lauritzen 1995, "The EM algorithm for graphical
association models with missing data"). SQUAREM goes from there as long as the steps promise more than
rounding; Newton's steps with the observed information (Louis 1982) end what converges slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.backends.em.tables.expectation import Expectation
from dagmodels.backends.em.tables.information import EDGE, FLAT, Information, information
from dagmodels.backends.em.tables.layout import Layout
from dagmodels.errors import FitError
from dagmodels.numerics.squarem import Rise, squarem

Floats = NDArray[np.float64]
LIMIT = 2000  # steps of EM from one start
SHORT = 60  # and from each of several starts, before the best ones go on
PROMISE = 1e-7  # gain of the log likelihood that a step must promise for the search to go on
NEWTON = 30  # steps
LEAST = 1e-12  # of an extrapolated cell: zero would stay zero
CLOSE = 1e-4  # Newton decrement at which an optimum is certified
POWER, DIFFERENCE = 25, 1e-3  # iterations for the rate of the steps, and the relative size of differences
ASIDE = 0.05  # share of random tables in a start beside a point of symmetry
SAME = 1e-12  # share of the log posterior by which two searches of one optimum may differ
BEST = 1e-4  # of the log posterior, within which two optima are one


@dataclass(frozen=True, eq=False, slots=True)
class Optimum:
    """Where a search ended.

    cells : all tables. value : log likelihood plus the prior's counts times the logarithms of the cells.
    log_likelihood : of the cases. counts : expected, by cell.
    steps : of EM and of Newton. path : the value at the start and after the first step, each cycle of two
        steps and each step of Newton.
    information : at the end; None where it cannot be had. decrement : Newton's, or a bound of it from the
        rate of the steps. own : whether the start was that of the numbers stated.
    """

    cells: Floats
    value: float
    log_likelihood: float
    counts: Floats
    steps: int
    path: tuple[float, ...]
    information: Information | None
    decrement: float
    own: bool = True


class Ascent:
    """One search: evaluations are remembered, because a step and its value need the same counts."""

    def __init__(self, expectation: Expectation, layout: Layout) -> None:
        self.expectation, self.layout = expectation, layout
        self.evaluations = 0
        self._last: tuple[Floats, float, float, Floats] | None = None

    def at(self, cells: Floats) -> tuple[float, float, Floats]:
        """Value, log likelihood and expected counts."""
        if self._last is None or not np.array_equal(self._last[0], cells):
            self.evaluations += 1
            log, counts = self.expectation(cells)
            prior, used = self.layout.prior, self.layout.prior > 0
            with np.errstate(divide="ignore"):
                value = log + float(prior[used] @ np.log(cells[used]))
            self._last = (cells.copy(), value, log, counts)
        return self._last[1:]

    def full(self, part: Floats, cells: Floats) -> Floats:
        """All cells, the coupled ones from a vector that need not sum to one in each row."""
        found = cells.copy()
        found[self.layout.coupled] = np.maximum(part, 0.0)
        return np.where(self.layout.coupled, self.layout.normal(found), cells)

    def step(self, cells: Floats) -> Floats:
        """One step of EM."""
        return self.layout.maximised(self.at(cells)[2], cells)

    def accelerated(
        self, cells: Floats, limit: int, promise: float = PROMISE
    ) -> tuple[Floats, int, tuple[float, ...]]:
        """SQUAREM over the coupled cells, after the others have their shares."""
        layout, start = self.layout, self.at(cells)[0]
        cells = self.step(cells)  # cells that nothing hidden depends on are at their optimum now
        if not layout.coupled.any():
            return cells, 1, trace.rising("tables", (start, self.at(cells)[0]))
        begin = cells[layout.coupled]
        try:
            found = squarem(
                lambda x: self.step(self.full(x, cells))[layout.coupled],
                lambda x: -self.at(self.full(x, cells))[0],
                lambda x: self.promised(self.full(x, cells)) < promise,
                np.ones_like,
                begin,
                np.full(begin.shape, LEAST),
                np.ones(begin.shape),
                limit,
            )
        except Rise as rise:
            before, after = rise.args
            raise FitError(
                f"em: the log likelihood fell from {-before:.12g} to {-after:.12g} in a step that cannot "
                "lower it; this is a defect: please report it"
            ) from rise
        path = trace.rising("tables", (start, *(-v for v in found.values)))
        return self.full(found.x, cells), found.steps, path

    def promised(self, cells: Floats) -> float:
        """About twice the gain of one step of EM: squared changes of rows in the metric of their counts."""
        new = self.step(cells)
        counts = self.at(cells)[2] + self.layout.prior
        totals = np.add.reduceat(counts, self.layout.firsts)[self.layout.rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            change = np.where(new > 0, totals * (new - cells) ** 2 / new, 0.0)
        return float(change[self.layout.coupled].sum())

    def polished(self, cells: Floats) -> tuple[Floats, list[float], Information | None, float]:
        """Newton's steps to the optimum, as long as probabilities stay positive and the value rises."""
        path: list[float] = []
        for _ in range(NEWTON):
            value, _, counts = self.at(cells)
            found = information(self.expectation, self.layout, cells, counts)
            if found is None:
                return cells, path, None, np.nan
            direction, decrement = found.step()
            if decrement < CLOSE * 1e-2:
                return cells, path, found, decrement
            moved = np.zeros_like(cells)
            moved[found.cells] = direction
            falling = moved < 0
            length = min(1.0, float(np.min(-0.99 * cells[falling] / moved[falling], initial=1.0)))
            for _ in range(30):
                new = cells + length * moved
                if self.at(new)[0] > value:
                    break
                length /= 2
            else:
                self.at(cells)
                return cells, path, found, decrement
            cells = self.step(new)  # EM sends what a short step left near the edge on its way
            path.append(self.at(cells)[0])
        counts = self.at(cells)[2]
        found = information(self.expectation, self.layout, cells, counts)
        return cells, path, found, np.nan if found is None else found.step()[1]

    def slowness(self, cells: Floats) -> float:
        """Largest share of the information that is hidden: the rate of the steps of EM (Louis 1982; Meng and
        Rubin 1991), by power iterations in the metric of the complete counts, with differences of steps.
        """
        layout = self.layout
        counts = self.at(cells)[2] + layout.prior
        inside = layout.coupled & (cells > EDGE)
        metric = np.where(inside, counts / np.maximum(cells, EDGE) ** 2, 0.0)
        v, found = np.random.default_rng(0).standard_normal(cells.size) * cells, 0.0
        for _ in range(POWER):
            v = np.where(inside, v, 0.0)
            v = np.where(inside, v - cells * np.add.reduceat(v, layout.firsts)[layout.rows], 0.0)
            size = float(np.max(np.abs(v[inside]) / cells[inside], initial=0.0))
            if size == 0.0:
                return 0.0
            v *= DIFFERENCE / size
            w = np.where(inside, (self.step(cells + v) - self.step(cells - v)) / 2, 0.0)
            found = float(v @ (metric * w)) / float(v @ (metric * v))
            v = w
        return found

    def bounded(self, optimum: Optimum) -> Optimum:
        """An optimum without information, with a bound of Newton's decrement from the rate of EM's steps."""
        cells, steps, path = self.accelerated(optimum.cells, LIMIT, PROMISE * CLOSE)
        hidden = self.slowness(cells)
        bound = np.sqrt(self.promised(cells) / (1 - hidden)) if hidden < 1 else np.inf
        value, log, counts = self.at(cells)
        path = trace.rising("tables", (*optimum.path, *path, value))
        return Optimum(cells, value, log, counts, optimum.steps + steps, path, None, float(bound))

    def ended(self, cells: Floats, limit: int = LIMIT) -> Optimum:
        """The optimum from a point."""
        cells, steps, path = self.accelerated(cells, limit)
        information, decrement, more = None, 0.0, list[float]()
        if self.layout.coupled.any():
            cells, more, information, decrement = self.polished(cells)
        value, log, counts = self.at(cells)
        path = trace.rising("tables", (*path, *more, value))
        return Optimum(cells, value, log, counts, steps + len(more), path, information, decrement)


def random_start(layout: Layout, rng: np.random.Generator) -> Floats:
    """Coupled rows uniform on the simplex, others as stated."""
    drawn = layout.normal(rng.standard_exponential(layout.start.size) + 1e-3)
    return np.where(layout.coupled, drawn, layout.start)


def _off_ties(ascent: Ascent, optimum: Optimum, rng: np.random.Generator) -> Optimum:
    """An optimum with flat directions may be a point of symmetry, which steps do not leave by themselves.

    A start a little beside it leads away from there, or back where other tables just fit as well.
    """
    inside = optimum.information
    if inside is None or not len(inside.matrix) or inside.smallest > FLAT:
        return optimum
    aside = (1 - ASIDE) * optimum.cells + ASIDE * random_start(ascent.layout, rng)
    layout = ascent.layout
    other = ascent.ended(layout.normal(np.where(layout.coupled, aside, optimum.cells)))
    return other if other.value > optimum.value + BEST else optimum


Job = tuple[Expectation, Layout, Floats]


def _short(job: Job) -> tuple[Floats, float, int]:
    """A short way from a start: where it led, the value there, evaluations."""
    ascent = Ascent(*job[:2])
    cells = ascent.accelerated(job[2], SHORT)[0]
    return cells, ascent.at(cells)[0], ascent.evaluations


def _long(job: Job) -> tuple[Optimum, int]:
    """To the end, and evaluations."""
    ascent = Ascent(*job[:2])
    return ascent.ended(job[2]), ascent.evaluations


def solve(
    expectation: Expectation,
    layout: Layout,
    starts: int,
    rng: np.random.Generator,
    executor: Executor | None = None,
) -> tuple[Optimum, list[float], int]:
    """The best optimum from the stated numbers and from random ones, the values of all searches, and how many
    evaluations these took.

    Random starts go a short way first; those that are then among the best half go on to the end. An executor
    runs them elsewhere, with the same answer.

    Raises
    ------
    FitError : cases that the fixed tables make impossible; a step that lowered the likelihood.
    """
    ascent = Ascent(expectation, layout)
    each: Callable[..., Any] = map if executor is None else executor.map
    if not np.isfinite(ascent.at(layout.start)[0]):
        raise FitError(
            "em: some cases cannot be by the tables that are fixed; fix fewer of them, or check the data"
        )
    found = [_off_ties(ascent, ascent.ended(layout.start), rng)]
    if layout.coupled.any():
        begun = [(expectation, layout, random_start(layout, rng)) for _ in range(starts - 1)]
        tried = sorted(each(_short, begun), key=lambda t: -t[1])
        half = (len(tried) + 1) // 2
        ended = list(each(_long, [(expectation, layout, cells) for cells, _, _ in tried[:half]]))
        found += [optimum for optimum, _ in ended]
        rest = [value for _, value, _ in tried[half:]]
        ascent.evaluations += sum(n for _, _, n in tried) + sum(n for _, n in ended)
    else:
        rest = []
    best = max(found, key=lambda o: o.value)
    if best.value - found[0].value < SAME * max(abs(best.value), 1.0):
        best = found[0]  # of states that may change places the order of the numbers stated is kept
    own = best is found[0]
    if best.information is None and layout.coupled.any():
        best = ascent.bounded(best)
    return replace(best, own=own), [o.value for o in found] + rest, ascent.evaluations
