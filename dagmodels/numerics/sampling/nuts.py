"""The no-U-turn sampler: draws of y in R^d from a log density with a gradient.

The algorithm is in `trajectory_steps`, with its sources.  A density is held by a tape, and then no Python
runs between the leapfrog steps and other threads go on meanwhile; or it is any function.  The same density
gives the same draws both ways, as far as the digits of its values agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics import trajectory_steps as steps
from dagmodels.numerics.sampling import adaptation
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Function = Callable[[Floats], tuple[float, Floats]]  # log density and gradient at one y
Change = Callable[[Floats], "tuple[Sampler, Floats, float] | None"]
"""Given a window's draws (n, d): the sampler in other coordinates, the draws there and the acceptance to aim
at from now on; or None to stay."""

DEPTH = 10  # at most 2^10 - 1 gradients a draw
SMALLEST, LARGEST = 1e-300, 1e7  # steps at which the search for a first one gives up


@dataclass(frozen=True, eq=False, slots=True)
class TapeDensity:
    """A log density on a tape.

    places : of y in the workspace. total : place of the log density.
    """

    tape: Tape
    places: Ints
    total: int


@dataclass(frozen=True, eq=False, slots=True)
class Point:
    """Where a chain is: y (d), its log density and gradient (d)."""

    y: Floats
    log_density: float
    gradient: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Transitions:
    """What is known of each draw (n).

    accept : mean probability of acceptance over the trajectory. depth : doublings that were completed.
    gradients : leapfrog steps. divergent : the energy rose by more than 1000. energy : of the draw with
    its momentum. log_density : of the draw.
    """

    accept: Floats
    depth: Ints
    gradients: Ints
    divergent: NDArray[np.bool_]
    energy: Floats
    log_density: Floats

    @classmethod
    def of(cls, rows: Floats) -> Transitions:
        accept, depth, gradients, divergent, energy, log_density = np.ascontiguousarray(rows.T)
        return cls(
            accept,
            depth.astype(np.int64),
            gradients.astype(np.int64),
            divergent > 0.0,
            energy,
            log_density,
        )

    @property
    def e_bfmi(self) -> float:
        """Share of the energy's variation that one momentum renews (Betancourt 2016, arXiv:1604.00695,
        equation 7): below 0.3 the tails are reached slowly; nan for fewer than three draws."""
        about = self.energy - self.energy.mean() if self.energy.size else self.energy
        if self.energy.size < 3 or not (about**2).sum() > 0.0:
            return math.nan
        return float((np.diff(self.energy) ** 2).sum() / (about**2).sum())


@dataclass(frozen=True, eq=False, slots=True)
class Sampler:
    """A density with the memory that drawing from it needs: one a chain, for one thread at a time.

    Nothing of the memory enters later draws.  A tape's workspace is the caller's to write other inputs
    into between calls.
    """

    density: TapeDensity | Function
    dimension: int
    workspace: Floats
    bar: Floats
    scratch: tuple[Floats, Floats, Floats, Floats, Ints]

    def at(self, y: Floats) -> Point:
        """The point y, wherever it lies.

        Raises
        ------
        FitError : the log density or its gradient is not finite there.
        """
        y = np.array(y, dtype=np.float64)
        value, gradient = self.evaluated(y)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            bad = np.flatnonzero(~np.isfinite(gradient)).tolist()
            raise FitError(
                f"a chain cannot start where the log density is {value}"
                + (f" and its gradient not finite in coordinates {bad}" if bad else "")
                + "; give other initial values"
            )
        return Point(y, value, gradient)

    def evaluated(self, y: Floats) -> tuple[float, Floats]:
        """Log density and gradient."""
        density = self.density
        if not isinstance(density, TapeDensity):
            value, gradient = density(y)
            return float(value), np.array(gradient, dtype=np.float64)
        self.workspace[density.places] = y
        density.tape.forward(self.workspace)
        self.bar[:] = 0.0
        self.bar[density.total] = 1.0
        density.tape.reverse(self.workspace, self.bar)
        return float(self.workspace[density.total]), self.bar[density.places]

    def draws(
        self, point: Point, step: StepSize, metric: Metric, rng: np.random.Generator, count: int = 1
    ) -> tuple[Point, Floats, Transitions, StepSize]:
        """So many draws from a point on; the step is learned where its target is not zero.

        Returns
        -------
        The last point, the draws (count, d), what is known of them, and the state of the step.
        """
        v, _, _, s, _ = self.scratch
        v[steps.CHOSEN], v[steps.CHOSEN_G] = point.y, point.gradient
        s[steps.CHOSEN_LOG], s[steps.STEP] = point.log_density, step.step
        kept, rows = np.empty((count, self.dimension)), np.empty((count, steps.STATISTICS))
        dual = np.array(step)
        if isinstance(self.density, TapeDensity):
            tape, places, total = self.density.tape, self.density.places, self.density.total
            memory = (self.workspace, self.bar, places, total, *self.scratch)
            steps.draws(*tape.operations, *memory, metric.inverse, metric.root, rng, dual, kept, rows)
        else:
            self._draw_by_function(metric, rng, dual, kept, rows)
        last = Point(v[steps.CHOSEN].copy(), float(s[steps.CHOSEN_LOG]), v[steps.CHOSEN_G].copy())
        return last, kept, Transitions.of(rows), StepSize(*dual.tolist())

    def _draw_by_function(
        self, metric: Metric, rng: np.random.Generator, dual: Floats, kept: Floats, rows: Floats
    ) -> None:
        """What `trajectory_steps.draws` does, with gradients from Python."""
        v, _, _, s, _ = self.scratch
        arguments = (*self.scratch, metric.inverse, metric.root, rng)
        for draw, row in zip(kept, rows, strict=True):
            steps.begin(*arguments)
            going = True
            while going:
                s[steps.LOG_DENSITY], v[steps.G] = self.evaluated(v[steps.Y].copy())
                going = steps.advance(*arguments)
            steps.note(*self.scratch, dual, draw, row)


def sampler(
    density: TapeDensity | Function, dimension: int, workspace: Floats | None = None, depth: int = DEPTH
) -> Sampler:
    """Set a sampler up.

    workspace : of the tape, with other inputs written; by default its initial one.
    depth : doublings after which a trajectory ends.
    """
    if isinstance(density, TapeDensity):
        w = density.tape.initial.copy() if workspace is None else workspace
    else:
        w = np.empty(0)
    k = np.zeros(7, dtype=np.int64)
    k[steps.MOST] = depth
    v, s = np.zeros((steps.ROWS, dimension)), np.zeros(7)
    scratch = (v, np.zeros((depth + 1, 7, dimension)), np.zeros((depth + 1, 3)), s, k)
    return Sampler(density, dimension, w, np.empty(w.size), scratch)


def leapfrog(
    sampler: Sampler, point: Point, p: Floats, step: float, metric: Metric
) -> tuple[Point, Floats, float]:
    """One step of a trajectory: the point, the momentum and the energy there (infinite where undefined)."""
    p = p + 0.5 * step * point.gradient
    y = point.y + step * metric.velocity(p)
    value, gradient = sampler.evaluated(y)
    p = p + 0.5 * step * gradient
    with np.errstate(over="ignore", invalid="ignore"):  # a step far too long
        energy = 0.5 * float(p @ metric.velocity(p)) - value
    return Point(y, value, gradient), p, energy if math.isfinite(energy) else math.inf


def first_step(
    sampler: Sampler, point: Point, metric: Metric, rng: np.random.Generator, guess: float = 1.0
) -> float:
    """A step of which one leapfrog step is accepted with probability near 0.8.

    Doubled or halved from the guess until that is crossed, with a new momentum each time (Hoffman and
    Gelman 2014, algorithm 4, where the probability is one half; 0.8 is Stan's).

    Raises
    ------
    FitError : no step is small, or large, enough.
    """
    step, way = guess, 0
    while SMALLEST < step < LARGEST:
        p = metric.momentum(rng)
        before = 0.5 * float(p @ metric.velocity(p)) - point.log_density
        loss = leapfrog(sampler, point, p, step, metric)[2] - before
        now = 1 if -loss > math.log(adaptation.TARGET) else -1
        if way not in (0, now):
            return step
        way = now
        step *= 2.0**way
    if way > 0 or guess >= LARGEST:
        raise FitError(
            "trajectories of any length are accepted: the density is flat, so that it has no integral"
        )
    raise FitError(
        "no leapfrog step is short enough to be accepted; the density has a jump at the initial values"
    )


@dataclass(frozen=True, eq=False, slots=True)
class Warmed:
    """The end of a warm-up: where the chain is, what it learned, and its draws with what is known of them."""

    point: Point
    step: StepSize
    metric: Metric
    y: Floats
    transitions: tuple[Transitions, ...]


def warm_up(
    sampler: Sampler,
    y: Floats,
    rng: np.random.Generator,
    draws: int = 1000,
    *,
    dense: bool | None = False,
    metric: Metric | None = None,
    target: float = adaptation.TARGET,
    change: Change | None = None,
) -> Warmed:
    """Learn step and metric on so many draws from y, by the schedule of `adaptation`; dense : see `begin`.

    change : asked at the end of each window that gives a metric, which then is that of the coordinates to
        come. Of `Warmed.y` each window is in those in which the chain went on after it.
    """
    point = sampler.at(y)
    metric = Metric.identity(sampler.dimension) if metric is None else metric
    state = adaptation.begin(metric, draws, first_step(sampler, point, metric, rng), dense, target)
    kept: list[Floats] = [np.empty((0, sampler.dimension))]
    transitions: list[Transitions] = []
    while state.until > 0:
        point, drawn, known, step = sampler.draws(point, state.step, state.metric, rng, state.until)
        if change is not None and state.renews and (other := change(drawn)) is not None:
            sampler, drawn, target = other
            point = sampler.at(drawn[-1])
        state, renewed = adaptation.adapt(state, drawn, step)
        if renewed:
            guess = state.step.step
            state = adaptation.restarted(state, first_step(sampler, point, state.metric, rng, guess), target)
        kept.append(drawn)
        transitions.append(known)
    return Warmed(point, state.step.final, state.metric, np.concatenate(kept), tuple(transitions))
