"""Slice updates: numbers on a line, or counts, of which only the log density is known."""

from __future__ import annotations

import numpy as np

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.state import COUNTED
from dagmodels.forms.conditionals.target import Target
from dagmodels.graph import expression as ex

name = "slice"


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    if target.units.shape[1] != 1:
        return f"'{target.node}' is {target.kind}, whose entries do not move alone"
    whole = target.kind == COUNTED
    n = len(target.slots)
    lower, upper = (np.full(n, 0.0 if whole else -np.inf), np.full(n, np.inf))
    for side, end in ((lower, target.ask.lower), (upper, target.ask.upper)):
        if end is not None and not isinstance(end, ex.Expression):
            side[:] = end[target.at]
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
    )


__all__ = ["name", "recognise"]
