"""Finite discrete elements: their full conditionals by trying every level."""

from __future__ import annotations

import numpy as np

from dagmodels.analysis.laws import unwrapped
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.state import COUNTED
from dagmodels.forms.conditionals.target import Target
from dagmodels.forms.lower import NotLowered
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Stochastic

name = "levels"
MOST = 256  # levels that are all tried


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    if target.kind != COUNTED or not isinstance(target.statement, Stochastic):
        return f"'{target.node}' is not discrete"
    levels = _levels(board, target)
    if levels is None:
        return f"'{target.node}' has no known, finite number of values"
    if levels > MOST:
        return f"'{target.node}' has {levels} possible values, more than {MOST}"
    density = board.log_density(target)
    return Update(
        target.node,
        target.slots,
        "enumerate",
        len(target.slots),
        (density,),
        f"discrete: each of {levels} values by its full conditional probability",
        repeated=True,
        extra=levels,
    )


def _levels(board: Board, target: Target) -> int | None:
    """How many values 0, 1, ... there may be."""
    statement = target.statement
    assert isinstance(statement, Stochastic)
    if statement.values_in is not None:
        return board.builder.problem.plates[statement.values_in].size
    law = unwrapped(statement.distribution)
    if law.family == "Bernoulli":
        return 2
    trials = law.argument("n")
    if law.family not in ("Binomial", "BetaBinomial") or not isinstance(trials, ex.Expression):
        return None
    rows = next(t.factor.site.rows for t in target.touched if t.factor.site.statement == statement)
    try:
        register = board.builder.trees.number(trials, rows).value.register
    except NotLowered:
        return None
    known = board.recorder.constant_value(register)
    return None if known is None or np.isnan(known).any() else int(known.max()) + 1


__all__ = ["name", "recognise"]
