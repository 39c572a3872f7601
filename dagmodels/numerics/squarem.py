"""Fixed-point iterations of a monotone map, extrapolated: SQUAREM.

Varadhan and Roland (2008, Scand. J. Stat. 35:335), scheme S3: two steps r and v apart give the point
x - 2 a r + a^2 v with a = -|r| / |v|. It is taken only where the criterion is not above that of the two
plain steps; else a goes halfway to -1, which is these two steps themselves. So the criterion never rises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDING = 1e-11  # a rise of the criterion below this share of its size is none
HALVINGS = 4
STALL = 50  # cycles without any change after which the map stands still


class Rise(ArithmeticError):
    """The map raised the criterion, which it must not: from, to."""


@dataclass(frozen=True, slots=True)
class Squared:
    """Where the iterations ended.

    values : the criterion at the start and after each cycle. steps : of the map. finished : the test held.
    """

    x: Floats
    values: tuple[float, ...]
    steps: int
    finished: bool


def squarem(
    step: Callable[[Floats], Floats],
    value: Callable[[Floats], float],
    finished: Callable[[Floats], bool],
    metric: Callable[[Floats], Floats],
    start: Floats,
    lower: Floats,
    upper: Floats,
    limit: int,
) -> Squared:
    """Iterate from `start`.

    step : the map, which does not raise `value` (minus a log likelihood; infinite where not admissible).
    finished : whether a point will do. metric : sizes of the coordinates at a point, for lengths.
    limit : most steps of the map.

    Raises
    ------
    Rise : the map raised the criterion beyond rounding.
    """
    x, f = start, value(start)
    values, steps = [f], 0

    def checked(x: Floats, f: float) -> tuple[Floats, float]:
        nonlocal steps
        steps += 1
        new = step(x)
        height = value(new)
        if not height <= f + ROUNDING * max(abs(f), 1.0):
            raise Rise(f, height)
        return new, height

    while steps < limit and not (len(values) > STALL and values[-STALL] <= values[-1]):
        if finished(x):
            return Squared(x, tuple(values), steps, True)
        one, f_one = checked(x, f)
        two, f_two = checked(one, f_one)
        size = metric(x)
        r, v = (one - x) / size, (two - 2 * one + x) / size
        bend = float(np.linalg.norm(v))
        best, f_best = two, f_two
        a = -float(np.linalg.norm(r)) / bend if bend > 0 else -1.0
        for _ in range(HALVINGS if a < -1.0 else 0):
            far = np.clip(x + size * (-2 * a * r + a * a * v), lower, upper)
            f_far = value(far)
            if math.isfinite(f_far) and f_far <= f_two:
                best, f_best = far, f_far
                break
            a = 0.5 * (a - 1.0)
        x, f = best, f_best
        values.append(f)
    return Squared(x, tuple(values), steps, finished(x))
