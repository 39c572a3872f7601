"""Random-walk Metropolis of many independent numbers at once, real or integer, with learned scales.

One evaluation of the densities an update, where a slice takes about six: for densities that are dear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # of n values, one for each element, the n log densities

TARGET = 0.44  # acceptance for one dimension (Roberts and Rosenthal 2001, Stat. Sci. 16:351)
FADE = 0.6  # steps of the learning fall like a power of their number (Andrieu and Thoms 2008, section 4.2)


@dataclass(frozen=True, eq=False, slots=True)
class Scales:
    """Standard deviations of the moves (n), on the log scale, and the updates they were learned from."""

    log_scale: Floats
    updates: int

    @classmethod
    def of(cls, scale: float | Floats, count: int) -> Scales:
        return cls(np.log(np.full(count, 1.0) * scale), 0)


class Moved(NamedTuple):
    """Log densities (n) at the values kept, probabilities of acceptance (n), and which were accepted."""

    log_density: Floats
    accept: Floats
    accepted: NDArray[np.bool_]


def update(
    densities: Densities,
    x: Floats,
    log_density: Floats,
    scales: Scales,
    rng: np.random.Generator,
    *,
    integer: bool = False,
) -> tuple[Floats, Moved]:
    """One update of every element.

    A real number moves by a normal one; an integer by one rounded away from zero, so that it always moves.
    x, log_density : the present values (n), and their finite log densities.
    """
    move = np.exp(scales.log_scale) * rng.standard_normal(x.size)
    trial = x + (np.copysign(np.ceil(np.abs(move)), move) if integer else move)
    value = np.asarray(densities(trial), dtype=np.float64)
    value = np.where(np.isnan(value), -np.inf, value)
    accept = np.exp(np.minimum(0.0, value - log_density))
    accepted = rng.random(x.size) < accept
    kept = np.where(accepted, value, log_density)
    return np.where(accepted, trial, x), Moved(kept, accept, accepted)


def learned(scales: Scales, accept: Floats, target: float = TARGET, integer: bool = False) -> Scales:
    """Scales after one more update of warm-up: longer where more than the target is accepted.

    (Andrieu and Thoms 2008, Stat. Comput. 18:343, equation 20.)  Those of integers stay above 0.3, below
    which all moves are of one.
    """
    i = scales.updates + 1
    log_scale = scales.log_scale + 2.0 * i**-FADE * (accept - target)
    return Scales(np.maximum(log_scale, np.log(0.3)) if integer else log_scale, i)
