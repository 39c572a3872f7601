"""Positions along ordered plates: how far an element is from its chain's first, and what came before."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.problem import Codes, Problem


def rank(problem: Problem, plate: str) -> Codes:
    """Each element's position from the first of its chain, counted from 0.

    By pointer doubling: as many passes as the longest chain's length has binary digits.
    """
    previous = problem.plates[plate].order
    if previous is None:
        return np.arange(problem.plates[plate].size)
    steps = (previous >= 0).astype(np.int64)
    jump = previous.copy()
    while (live := np.flatnonzero(jump >= 0)).size:
        steps[live], jump[live] = steps[live] + steps[jump[live]], jump[jump[live]]
    return steps


def lagged(problem: Problem, plate: str, lag: int, codes: Codes) -> Codes:
    """The element `lag` places before each of these, -1 where there is none."""
    previous = problem.plates[plate].order
    assert previous is not None, "a model with a lag on a plate without order is refused when it is read"
    at = codes
    for _ in range(lag):
        at = np.where(at >= 0, previous[at], -1)
    return at
