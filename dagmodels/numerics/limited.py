"""Minimisation in many coordinates: limited memory (Byrd, Lu, Nocedal and Zhu 1995, L-BFGS-B), by scipy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEMORY = 20  # pairs of steps that make the model
QUIET = 3  # steps in a row with little gain that end the search


@dataclass(frozen=True, eq=False, slots=True)
class Limited:
    """x : the lowest point. values : after each step, never rising. ended : little was left to gain."""

    x: Floats
    values: tuple[float, ...]
    evaluations: int
    ended: bool


def limited(
    f: Callable[[Floats], tuple[float, Floats]], x: Floats, gain: Callable[[float], float], limit: int
) -> Limited:
    """Steps downhill until three in a row gained less than `gain` of the value, or the limit.

    f : value and exact gradient, infinite where not admissible.
    """
    from scipy.optimize import minimize

    values: list[float] = [f(x)[0]]  # as they come: whoever asks for them holds them to never rise
    quiet = 0

    def after(intermediate_result: Any) -> None:
        nonlocal quiet
        value = float(intermediate_result.fun)
        quiet = quiet + 1 if values[-1] - value <= gain(value) else 0
        values.append(value)
        if quiet >= QUIET:
            raise StopIteration

    options = {"maxiter": limit, "maxfun": 20 * limit, "maxcor": MEMORY, "ftol": 0.0, "gtol": 0.0}
    found = minimize(f, x, jac=True, method="L-BFGS-B", callback=after, options=options)
    stopped = quiet >= QUIET or found.nit < limit
    return Limited(np.asarray(found.x), tuple(values), int(found.nfev), bool(stopped))
