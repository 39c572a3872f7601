"""Slices of numbers with a jointly drawn block integrated out, which is drawn right after.

Where u is normal given all else, with log density D(u) - v'Qv/2 - L'v at u + v, a number s on which the laws
inside the block hang has the density, whatever u is,

    log p(s | all but u) = D(u) + L'inv(Q)L/2 - log |Q|/2

(Chib 1995, J. Amer. Stat. Assoc. 90:1313, section 2): an elimination for each value that is tried. Scales of
crossed effects, and scale and coefficient of a hidden chain, mix so as if the block were not there. Auxiliary
variables given which u is normal are drawn before, and what they stand for must not hang on s.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from dagmodels.forms.conditionals import blocks, interweaving, slices
from dagmodels.forms.conditionals.blocks import System
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.interweaving import Moved
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.target import Target

name = "marginal slice"
MOST = 6  # numbers that are drawn so before a block


def movers(board: Board, classes: Sequence[Target], block: Collection[int]) -> dict[int, list[Target]]:
    """By place of its class, single numbers on which laws of the block's own elements hang.

    block : places of its classes.
    """
    members = [classes[i] for i in block]
    nodes = {t.node for t in members}
    own = {x.factor.register for x in blocks.leaves(board, members) if nodes.issuperset(x.factor.site.names)}
    given = {a.factor for a in blocks.needs(board, members)}
    found: dict[int, list[Target]] = {}
    for k, target in enumerate(classes):
        touched = {t.factor.register for t in target.touched}
        if k not in block and interweaving.moves(target) and touched & own and not touched & given:
            found[k] = [target.part(np.array([i])) for i in range(len(target.units))]
    return found if sum(map(len, found.values())) <= MOST else {}


def before(board: Board, target: Target, present: System, update: Update) -> tuple[Update, ...]:
    """The slice of one number. present : the block's numbers at the present u; update : its draw, which
    follows."""
    r = board.recorder
    lower, upper, logarithm = interweaving.line(board, target)
    line, at_line = board.auxiliary(f"line of {target.node}", 1)
    here = board.entries(target.slots)
    moved = Moved.begun(board)
    moved.put(target.slots, r.apply("exp", line) if logarithm else line)
    density, values = (moved.replaced().of(x) for x in (board.log_density(target), present[0]))
    if logarithm:
        density = r.apply("+", density, line)
    told = ", ".join(f"'{n}'" for n in update.every)
    seldom = not update.needs  # auxiliary variables must be the same for both
    copied = interweaving.copied
    into = copied(board, target.node, at_line, [r.apply("log", here) if logarithm else here])
    move = Update(
        target.node, at_line, "marginal slice", 1, (density, values),
        f"then by a slice with {told} integrated out, drawn right after",
        repeated=True, numbers=np.concatenate([np.ones(1), np.zeros(1), lower, upper]), pattern=present[1],
        **slices.counting(board, target),
    )  # fmt: skip
    back = copied(board, target.node, target.slots, [moved.values[-1][1]])
    return tuple(replace(u, seldom=seldom) for u in (into, move, back))


__all__ = ["before", "movers", "name"]
