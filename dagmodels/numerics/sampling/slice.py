"""Slice sampling of many independent numbers at once, real or integer.

Each element has its own density, a function of it alone given everything else; all are updated together
by stepping out and shrinking (Neal 2003, Ann. Stat. 31:705, figures 3 and 5).  An integer k stands for the
interval [k, k + 1), over which its probability is spread evenly: a uniform number is added, the sum is
updated as a real number, and rounded down, which leaves the law of k as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Densities = Callable[[Floats], Floats]  # of n values, one for each element, the n log densities

STEPS = 32  # widths that an interval may grow to
SHRINKS = 200  # by then an interval has no length left
SPREAD = 2.5  # width for a mean move of one: for a normal law about three standard deviations


@dataclass(frozen=True, eq=False, slots=True)
class Widths:
    """First widths of the intervals (n), and what they are learned from.

    moves : sum of i |x_i - x_(i-1)| over the updates i of warm-up, so that early ones fade.
    """

    width: Floats
    moves: Floats
    updates: int

    @classmethod
    def of(cls, width: float | Floats, count: int) -> Widths:
        return cls(np.full(count, 1.0) * width, np.zeros(count), 0)


class Sliced(NamedTuple):
    """The log densities (n) at the values kept, and how often the densities were asked for."""

    log_density: Floats
    evaluations: int


def update(
    densities: Densities,
    x: Floats,
    widths: Widths,
    rng: np.random.Generator,
    *,
    integer: bool = False,
    lower: float | Floats = -np.inf,
    upper: float | Floats = np.inf,
) -> tuple[Floats, Sliced]:
    """One update of every element.

    densities : called with all n values each time, also of elements that are settled; outside of the
        support minus infinity, and what is not a number counts as that.
    x : the present values (n); integers as floats.
    lower, upper : the support, where known: intervals end there (for integers both values are possible).

    Returns
    -------
    The new values, and what is known of the update; `widths` is unchanged (see `learned`).

    Raises
    ------
    FitError : a present value has no finite log density.
    """
    calls = 0

    def f(values: Floats) -> Floats:
        nonlocal calls
        calls += 1
        found = np.asarray(densities(np.floor(values) if integer else values), dtype=np.float64)
        return np.where(np.isnan(found), -np.inf, found)

    present = f(x)
    if not np.isfinite(present).all():
        bad = np.flatnonzero(~np.isfinite(present)).tolist()
        raise FitError(
            f"a slice needs a present value of finite log density, and elements {bad[:10]} have "
            f"{present[bad[0]]} at {x[bad[0]]}; give other initial values"
        )
    start = x + rng.random(x.size) if integer else x
    height = present - rng.standard_exponential(x.size)
    top = np.asarray(upper) + 1.0 if integer else upper
    left, right = _stepped_out(f, start, height, widths.width, rng, lower, top)
    new, log_density = _shrunk(f, start, present, height, left, right, rng)
    return (np.floor(new) if integer else new), Sliced(log_density, calls)


def _stepped_out(
    f: Densities,
    x: Floats,
    height: Floats,
    width: Floats,
    rng: np.random.Generator,
    lower: float | Floats,
    upper: float | Floats,
) -> tuple[Floats, Floats]:
    """Intervals about x with ends outside of the slice, or STEPS widths long, or at a bound.

    The steps are shared out between the two sides at random, without which the limit would favour some
    values of x over others.
    """
    left = x - width * rng.random(x.size)
    right = left + width
    downward = np.floor(STEPS * rng.random(x.size))
    upward = STEPS - 1.0 - downward
    left, right = np.maximum(left, lower), np.minimum(right, upper)
    growing = (downward > 0) & (left > lower)
    while growing.any():
        growing &= f(np.where(growing, left, x)) > height
        left = np.maximum(np.where(growing, left - width, left), lower)
        downward -= growing
        growing &= (downward > 0) & (left > lower)
    growing = (upward > 0) & (right < upper)
    while growing.any():
        growing &= f(np.where(growing, right, x)) > height
        right = np.minimum(np.where(growing, right + width, right), upper)
        upward -= growing
        growing &= (upward > 0) & (right < upper)
    return left, right


def _shrunk(
    f: Densities,
    x: Floats,
    present: Floats,
    height: Floats,
    left: Floats,
    right: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Points drawn evenly from the intervals until they lie in the slice; those outside become ends."""
    new, log_density = x.copy(), present.copy()
    open_ = np.ones(x.size, dtype=np.bool_)
    for _ in range(SHRINKS):
        trial = np.where(open_, left + (right - left) * rng.random(x.size), new)
        value = f(trial)
        inside = open_ & (value > height)
        new, log_density = np.where(inside, trial, new), np.where(inside, value, log_density)
        open_ &= ~inside
        if not open_.any():
            break
        left = np.where(open_ & (trial < x), trial, left)
        right = np.where(open_ & (trial >= x), trial, right)
    return new, log_density  # what is still open has shrunk to x itself


def learned(widths: Widths, before: Floats, after: Floats, integer: bool = False) -> Widths:
    """Widths after one more update of warm-up: 2.5 times the mean move, later moves counting more.

    Until an element has moved its width doubles; the width of an integer is one at least.
    """
    i = widths.updates + 1
    moves = widths.moves + i * np.abs(after - before)
    width = np.where(moves > 0.0, SPREAD * moves / (0.5 * i * (i + 1)), 2.0 * widths.width)
    return replace(widths, width=np.maximum(width, 1.0) if integer else width, moves=moves, updates=i)
