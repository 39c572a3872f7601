"""What the no-U-turn sampler learns in warm-up: its step and its metric, as frozen values.

The step by dual averaging (Hoffman and Gelman 2014, J. Mach. Learn. Res. 15:1593, section 3.2; gamma 0.05,
t0 10, kappa 0.75).  The metric from the draws of windows, each twice as long as the one before, between a
first and a last phase in which only the step is learned (Stan Reference Manual, "Automatic parameter
tuning": 75, 25, 50, ... and 50 draws); a shorter warm-up gives them 15, 75 and 10 % of its draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.sampling.metric import Metric

Floats = NDArray[np.float64]

TARGET = 0.8
FIRST, WINDOW, LAST = 75, 25, 50  # draws
SHORTEST = 20  # draws below which only the step is learned
OWN = 5.0  # observations that the regularising value is worth
MOST_DENSE = 50  # numbers of which correlations are looked at, where it is left open
ENOUGH = 10  # draws for each number, from which correlations are believed
LONG = 200.0  # ratio of the correlations' eigenvalues that makes trajectories long: its root in steps
UNIT = 1e-3  # and that value: a small variance, so that steps rather fail than leave the region


class StepSize(NamedTuple):
    """The state of dual averaging: all on the log scale; a target of zero means that nothing is learned."""

    towards: float
    error: float
    log_step: float
    log_average: float
    trajectories: float
    target: float

    @classmethod
    def fixed(cls, step: float) -> StepSize:
        return cls(math.log(step), 0.0, math.log(step), math.log(step), 0.0, 0.0)

    @classmethod
    def learning(cls, step: float, target: float = TARGET) -> StepSize:
        """Begin from a step; trials are drawn towards ten times as much."""
        return cls(math.log(10.0 * step), 0.0, math.log(step), math.log(step), 0.0, target)

    @property
    def step(self) -> float:
        """The step of the next trajectory."""
        return math.exp(self.log_step)

    @property
    def final(self) -> StepSize:
        """The averaged step, learned no more."""
        return StepSize.fixed(math.exp(self.log_average))

    def after(self, accept: float) -> StepSize:
        """The state after a trajectory with this accept statistic; unchanged if nothing is learned."""
        from dagmodels.numerics.trajectory_steps import learn

        if self.target == 0.0:
            return self
        state = np.array(self)
        learn(state, accept)
        return StepSize(*state.tolist())


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """Count, mean (d) and sums of squares (d) or of products (d, d) about the mean.

    undecided : whether the metric is dense is for the draws to say.
    """

    count: int
    mean: Floats
    scatter: Floats
    undecided: bool = False

    @classmethod
    def none(cls, dimension: int, dense: bool, undecided: bool = False) -> Moments:
        return cls(0, np.zeros(dimension), np.zeros((dimension,) * (2 if dense else 1)), undecided)

    def after(self, y: Floats) -> Moments:
        """With the rows of y (n, d) added (Chan, Golub and LeVeque 1983, Am. Stat. 37:242)."""
        n, total = len(y), self.count + len(y)
        if n == 0:
            return self
        mean = y.mean(axis=0)
        deviations, move = y - mean, mean - self.mean
        share = self.count * n / total
        if self.scatter.ndim == 2:
            scatter = self.scatter + deviations.T @ deviations + share * np.outer(move, move)
        else:
            scatter = self.scatter + (deviations**2).sum(axis=0) + share * move**2
        return Moments(total, self.mean + move * (n / total), scatter, self.undecided)

    @property
    def metric(self) -> Metric:
        """(n S + 5 * 0.001 I)/(n + 5), S the sample covariance."""
        n = float(self.count)
        estimate = self.scatter / (n - 1.0)
        if estimate.ndim == 1:
            return Metric.diagonal((n * estimate + OWN * UNIT) / (n + OWN))
        found = (n * estimate + OWN * UNIT * np.eye(len(estimate))) / (n + OWN)
        if self.undecided and not (n >= ENOUGH * len(found) and _is_long(found)):
            return Metric.diagonal(np.diag(found))
        return Metric.dense(found)


def _is_long(covariance: Floats) -> bool:
    """Whether trajectories by a diagonal metric would be long, for correlations alone."""
    sd = np.sqrt(np.diag(covariance))
    values = np.linalg.eigvalsh(covariance / np.outer(sd, sd))
    return bool(values[-1] > LONG * values[0])


def window_ends(draws: int) -> tuple[int, ...]:
    """Draws of warm-up after which the metric is renewed; the first phase ends at the first number.

    The last window takes what would not fill one of twice its length.
    """
    if draws < SHORTEST:
        return ()
    if draws < FIRST + WINDOW + LAST:
        return int(0.15 * draws), draws - int(0.1 * draws)
    end = draws - LAST
    ends, width = [FIRST], WINDOW
    while ends[-1] < end:
        following = ends[-1] + width
        ends.append(following if following + 2 * width <= end else end)
        width *= 2
    return tuple(ends)


@dataclass(frozen=True, eq=False, slots=True)
class Adaptation:
    """A warm-up after so many of its draws.

    ends : as `window_ends` gives them. moments : of the draws since the last of them.
    """

    done: int
    draws: int
    ends: tuple[int, ...]
    step: StepSize
    metric: Metric
    moments: Moments

    @property
    def until(self) -> int:
        """Draws to the next change of metric, or to the end."""
        return (
            min((end for end in (*self.ends, self.draws) if end > self.done), default=self.done) - self.done
        )

    @property
    def renews(self) -> bool:
        """Whether the metric is renewed after `until` more draws."""
        return self.done in self.ends[:-1]


def begin(
    metric: Metric, draws: int, step: float, dense: bool | None = False, target: float = TARGET
) -> Adaptation:
    """A warm-up of so many draws, from a metric and a step that suits it.

    dense : whether later metrics have all covariances; None: where there are few numbers, and correlations
        make trajectories long.  (In narrowing regions covariances are no help: centred groups have some.)
    """
    dimension = metric.inverse.shape[1]
    step_size = StepSize.learning(step, target)
    undecided = dense is None and dimension <= MOST_DENSE
    return Adaptation(
        0,
        draws,
        window_ends(draws),
        step_size,
        metric,
        Moments.none(dimension, bool(dense) or undecided, undecided),
    )


def adapt(state: Adaptation, y: Floats, step: StepSize) -> tuple[Adaptation, bool]:
    """The state after draws y (n, d), n <= state.until, through which the step was learned.

    Returns
    -------
    The new state, and whether its metric is new: then a step that suits it is to be found, and given to
    `restarted`.
    """
    done = state.done + len(y)
    if len(y) > state.until:
        raise ValueError(f"{len(y)} draws given, but the metric changes after {state.until}")
    inside = bool(state.ends) and state.ends[0] < done <= state.ends[-1]
    moments = state.moments.after(y) if inside else state.moments
    if not (inside and done in state.ends):
        return replace(state, done=done, step=step, moments=moments), False
    nothing = Moments.none(y.shape[1], moments.scatter.ndim == 2, moments.undecided)
    return replace(state, done=done, step=step, metric=moments.metric, moments=nothing), True


def restarted(state: Adaptation, step: float, target: float) -> Adaptation:
    """Learn the step anew from this one."""
    return replace(state, step=StepSize.learning(step, target))
