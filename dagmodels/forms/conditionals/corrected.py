"""Draws given auxiliary variables that are right only nearly, accepted or taken back (Metropolis).

Drawing curves of mixtures given a state, and then a block given the curves, is reversible under the posterior
that has the mixtures for likelihoods. Of the acceptance ratio there is left the ratio of likelihoods
to mixtures, after over before, because all else cancels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Auxiliary
from dagmodels.forms.conditionals.rule import Update


def drawn(a: Auxiliary, *, seldom: bool) -> Update:
    """The draw of auxiliary variables."""
    return Update(
        a.node, a.slots, a.draw, a.count or a.slots.size, a.registers, a.why,
        numbers=a.numbers, extra=a.extra, seldom=seldom,
    )  # fmt: skip


def corrected(board: Board, update: Update, given: Sequence[Auxiliary]) -> Iterator[Update]:
    """An update, the auxiliary variables that it holds before it, and its acceptance after it."""
    n, node = update.slots.size, update.node
    before, slots = board.auxiliary(f"before {node}", n)
    accepted, told = board.auxiliary(f"acceptance of {node}", 1)
    curves = [drawn(a, seldom=update.seldom) for a in given]
    for u in curves:
        yield replace(u, registers=(*u.registers, accepted))
    yield Update(node, slots, "copy", n, (board.entries(update.slots),), "", seldom=update.seldom)
    yield update
    after = []
    for u in curves:
        register, place = board.auxiliary(f"log ratio of {u.node} after", 1)
        after.append(register)
        yield replace(u, slots=place, draw="log gamma ratio")
    old = board.added([a.ratio for a in given if a.ratio is not None])
    yield replace(
        update,
        draw="accept",
        count=n,
        registers=(board.added(after), old, before),
        needs=(),
        pattern=None,
        extra=int(told[0]),
        statistics=(("acceptance_rate", int(told[0])),),
    )


__all__ = ["corrected", "drawn"]
