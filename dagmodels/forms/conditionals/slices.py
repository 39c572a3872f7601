"""Slice updates: numbers on a line, or counts, of which only the log density is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.state import COUNTED
from dagmodels.forms.conditionals.target import Target
from dagmodels.graph import expression as ex

name = "slice"
Floats = NDArray[np.float64]


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    if target.units.shape[1] != 1:
        return f"'{target.node}' is {target.kind}, whose entries do not move alone"
    whole = target.kind == COUNTED
    n = len(target.slots)
    lower, upper = ends(target, whole=whole)
    told = "counts" if whole else "a number on a line"
    return Update(
        target.node,
        target.slots,
        "integer slice" if whole else "slice",
        n,
        (board.log_density(target),),
        f"slice: {told}, with no closed full conditional",
        repeated=True,
        numbers=np.concatenate([np.ones(n), np.zeros(n), lower, upper]),
        **counting(board, target),
    )


def ends(target: Target, *, whole: bool) -> tuple[Floats, Floats]:
    """Known ends of the support, by element."""
    n = len(target.slots)
    lower, upper = (np.full(n, 0.0 if whole else -np.inf), np.full(n, np.inf))
    for side, end in ((lower, target.ask.lower), (upper, target.ask.upper)):
        if end is not None and not isinstance(end, ex.Expression):
            side[:] = end[target.at]
    return lower, upper


def counting(board: Board, target: Target) -> dict[str, Any]:
    """Of an update: a place for how many evaluations of the density it took."""
    _, slots = board.auxiliary(f"evaluations of {target.node}", 1)
    return {"extra": int(slots[0]), "statistics": (("evaluations", int(slots[0])),)}


__all__ = ["name", "recognise"]
