"""Dirichlet full conditionals: probabilities of categorical and multinomial children."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.target import Target, Touched
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Stochastic
from dagmodels.numerics.tape import NAMES

name = "dirichlet"
Ints = NDArray[np.int64]


def recognise(board: Board, target: Target) -> Update | str:
    """See the module."""
    statement = target.statement
    if target.kind != "simplex" or not isinstance(statement, Stochastic):
        return f"'{target.node}' is no vector of probabilities"
    if statement.distribution.family != "Dirichlet":
        return f"its prior is {statement.distribution.family}, not Dirichlet"
    r, size = board.recorder, target.units.shape[1]
    total = r.constant(np.zeros(target.slots.size))
    choices: list[int] = []
    for touched in target.touched:
        site = touched.factor.site
        if site.names == (target.node,) and site.statement == statement:
            total = r.apply("+", total, _concentrations(board, touched, target))
            continue
        found = _child(board, touched, target)
        if isinstance(found, str):
            return found
        kind, register = found
        if kind == "counts":
            total = r.apply("+", total, register)
        else:
            choices.append(register)
    children = ", ".join(f"'{c}'" for c in target.children()) or "nothing"
    registers = (total, *([_joined(board, choices)] if choices else []))
    why = f"Dirichlet: prior Dirichlet, and {children} of these probabilities"
    return Update(target.node, target.slots, "dirichlet", len(target.units), registers, why, extra=size)


def _joined(board: Board, parts: list[int]) -> int:
    r = board.recorder
    if len(parts) == 1:
        return parts[0]
    lengths = np.array([r.length(p) for p in parts])
    starts = np.cumsum(lengths) - lengths
    return r.assemble(
        int(lengths.sum()), [(p, s + np.arange(n)) for p, s, n in zip(parts, starts, lengths, strict=True)]
    )


def _concentrations(board: Board, touched: Touched, target: Target) -> int:
    """The prior's numbers for every entry of the class, in the units' order."""
    r, size = board.recorder, target.units.shape[1]
    _, (a,) = board.builder.law_of(touched.factor.site)
    register = a.value.register
    d = r.length(register)
    if d == 1:
        return register
    places = touched.rows[np.argsort(touched.owner)][:, None] * size + np.arange(size)
    if d == size:
        places = np.broadcast_to(np.arange(size), (len(target.units), size))
    return r.gather(register, np.ascontiguousarray(places.reshape(-1)))


def _child(board: Board, touched: Touched, target: Target) -> tuple[str, int] | str:
    """Counts by entry, or a list of chosen entries, from one factor."""
    factor, builder, r = touched.factor, board.builder, board.recorder
    law, node = factor.site.law, factor.site.names[0]
    tree = law.argument("p")
    if law.family not in ("Categorical", "Multinomial") or not isinstance(tree, ex.Expression):
        return f"'{node}' is {law.family}, which has no conjugate pair with Dirichlet"
    vector = builder.trees.vector(tree, factor.site).value.register
    chosen = selected(board, vector, target)
    if chosen is None:
        return f"the probabilities of '{node}' are not those of '{target.node}' themselves"
    size, n = factor.site.length, factor.site.rows.n
    x = builder.value(factor.site).value.register
    if r.length(chosen) != n * size:
        chosen = r.gather(chosen, np.tile(np.arange(size), n))
    if law.family == "Categorical":
        at = r.apply("+", x, r.constant(np.arange(n) * float(size)))
        return "choices", r.take(chosen, at)
    known = r.constant_value(chosen)
    if known is None:
        return f"which of the probabilities '{node}' has is itself unknown"
    inside = np.flatnonzero(known >= 0)
    counts = r.gather(x, inside)
    return "counts", r.segment_sum(counts, known[inside].astype(np.int64), target.slots.size)


def selected(board: Board, register: int, target: Target) -> int | None:
    """A register with each entry's place in the class, -1 where it is none; None where entries are
    computed.
    """
    r, influence = board.recorder, board.influence
    if not influence.depends(register, target.slots):
        return r.constant(np.full(r.length(register), -1.0))
    start = influence.inputs.get(register)
    if start is not None:
        order = {int(s): k for k, s in enumerate(target.slots)}
        return r.constant([float(order.get(start + k, -1)) for k in range(r.length(register))])
    operations = influence.operations(register)
    code, _, a, b, _, aux = operations[0]
    match NAMES[code]:
        case "gather":
            inner = selected(board, a, target)
            return None if inner is None else r.gather(inner, r.index(aux))
        case "take":
            inner = selected(board, a, target)
            return None if inner is None or influence.depends(b, target.slots) else r.take(inner, b)
        case "put":
            parts: list[Any] = []
            for op in operations:
                places = r.index(op[5])
                inner = selected(board, op[2], target)
                if inner is None:
                    return None
                if r.length(inner) != places.size:
                    inner = r.gather(inner, np.zeros(places.size, np.int64))
                parts.append((inner, places))
            return r.assemble(r.length(register), parts)
    return None


__all__ = ["name", "recognise", "selected"]
