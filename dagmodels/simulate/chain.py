"""Positions along ordered plates: how far an element is from its chain's first, and what came before."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.problem import Codes, Problem


def lagged(problem: Problem, plate: str, lag: int, codes: Codes) -> Codes:
    """The element `lag` places before each of these, -1 where there is none."""
    previous = problem.plates[plate].order
    assert previous is not None, "a model with a lag on a plate without order is refused when it is read"
    at = codes
    for _ in range(lag):
        at = np.where(at >= 0, previous[at], -1)
    return at
