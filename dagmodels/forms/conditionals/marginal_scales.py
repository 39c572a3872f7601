"""Slices of scales with what they scale integrated out, where that is drawn right after.

Where theta has a Normal law with an unknown scale s, and a normal full conditional with precision P and mean
m, then whatever theta is

    p(s | all but theta) = p(s, theta | all else) / p(theta | s, all else)

(Chib 1995, J. Amer. Stat. Assoc. 90:1313, section 2): log p(s, theta) plus the sum of P (theta - m)**2/2 -
log(P)/2 over elements is the log density of s with theta integrated out. A slice of it and then theta's own
update draw both at once, which leaves nothing of their dependence. Nothing may be drawn given the old theta
in between (partially collapsed Gibbs, van Dyk and Park 2008, J. Amer. Stat. Assoc. 103:790).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals import interweaving, slices
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.interweaving import Moved, Second
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.target import Target

name = "marginal slice"
Ints = NDArray[np.int64]


def marginal(
    board: Board, classes: Sequence[Target], updates: Sequence[Update], blocks: Sequence[frozenset[int]]
) -> dict[int, tuple[int, Second]]:
    """By the place of theta's class that of the scale's, and what is to be done right before theta is drawn.

    updates : of the classes. blocks : places of classes that are drawn jointly.
    """
    standards = interweaving.standards(board, classes)
    found: dict[int, tuple[int, Second]] = {}
    for k, target in enumerate(classes):
        scaled = [s for s in standards if board.influence.depends(s.scale, target.slots)]
        if not interweaving.moves(target) or len(scaled) != 1 or any(k in block for block in blocks):
            continue
        slots = np.sort(scaled[0].slots)
        for j, other in enumerate(classes):
            alone = j not in found and not any(j in block for block in blocks)
            if alone and updates[j].draw == "normal" and np.array_equal(np.sort(other.slots), slots):
                made = _before(board, target, other, updates[j])
                if made:
                    found[j] = k, made
    return found


def _before(board: Board, target: Target, other: Target, update: Update) -> Second:
    """The slice of a class of scales; () where some element hangs on two of them, or on auxiliary ones."""
    of = _owner(board, target, update)
    if of is None or update.needs:
        return ()
    r, n = board.recorder, len(target.units)
    lower, upper, logarithm = interweaving.line(board, target)
    line, at_line = board.auxiliary(f"line of {target.node}", n)
    here = board.entries(target.slots)
    moved = Moved.begun(board)
    moved.put(target.slots, r.apply("exp", line) if logarithm else line)
    density = r.apply("+", board.log_density(target), _less_conditional(board, target, other, update, of))
    density = moved.replaced().of(density)
    if logarithm:
        density = r.apply("+", density, line)
    numbers = np.concatenate([np.ones(n), np.zeros(n), lower, upper])
    why = f"then by a slice with '{other.node}' integrated out, which is drawn right after"
    own = slices.counting(board, target)
    into = interweaving.copied(board, target.node, at_line, [r.apply("log", here) if logarithm else here])
    move = Update(
        target.node, at_line, "slice", n, (density,), why, repeated=True, numbers=numbers, seldom=True, **own
    )  # fmt: skip
    back = interweaving.copied(board, target.node, target.slots, [moved.values[-1][1]])
    return (into, ()), (move, target.touched), (back, ())


def _owner(board: Board, target: Target, update: Update) -> Ints | None:
    """For each element that is drawn right after the unit of the scales that its law hangs on, -1 where none;
    None where several.
    """
    n = update.slots.size
    found = np.full(n, -1)
    for register in update.registers:
        of = interweaving.owners(board, register, target, n)
        if of is None or ((of >= 0) & (found >= 0) & (of != found)).any():
            return None
        found = np.where(of >= 0, of, found)
    return found


def _less_conditional(board: Board, target: Target, other: Target, update: Update, of: Ints) -> int:
    """By unit minus the log density of what is drawn right after, at its present values."""
    r, count = board.recorder, len(target.units)
    at = np.flatnonzero(of >= 0)
    whole = at.size == of.size

    def part(register: int) -> int:
        return register if whole or r.length(register) == 1 else r.gather(register, at)

    def summed(register: int) -> int:
        if r.length(register) == 1 and at.size > 1:
            share = np.bincount(of[at], minlength=count).astype(float)
            return r.apply("*", register, r.constant(share if count > 1 else share[0]))
        return r.segment_sum(register, of[at], count)

    linear, precision = (part(x) for x in update.registers)
    slope = r.apply("+", r.apply("*", precision, part(board.entries(update.slots))), linear)
    if r.length(precision) == 1:
        squares = r.apply("/", summed(r.apply("*", slope, slope)), precision)
    else:
        squares = summed(r.apply("/", r.apply("*", slope, slope), precision))
    gap = r.apply("-", squares, summed(r.apply("log", precision)))
    return r.apply("*", r.constant(0.5), gap)


__all__ = ["marginal", "name"]
