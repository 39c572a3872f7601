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
        numbers=a.numbers, extra=0 if a.numbers is None else a.numbers.size, seldom=seldom,
    )  # fmt: skip


def corrected(board: Board, update: Update, given: Sequence[Auxiliary]) -> Iterator[Update]:
    """An update that holds these auxiliary variables, which have been drawn for it, and its acceptance."""
    r, n, node = board.recorder, update.slots.size, update.node
    before, slots = board.auxiliary(f"before {node}", n)
    _, told = board.auxiliary(f"acceptance of {node}", 1)
    yield Update(node, slots, "copy", n, (board.entries(update.slots),), "", seldom=update.seldom)
    yield update
    after = []
    for a in given:
        register, place = board.auxiliary(f"log ratio of {a.node} after", 1)
        after.append(register)
        yield replace(drawn(a, seldom=update.seldom), slots=place, draw="log gamma ratio")
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
