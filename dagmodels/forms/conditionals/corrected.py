"""Draws given auxiliary variables that are right only nearly, accepted or taken back (Metropolis).

Drawing curves of mixtures given a state, and then a block given the curves, is reversible under the posterior
that has the mixtures for likelihoods. Of the acceptance ratio there is left the ratio of likelihoods
to mixtures, after over before, because all else cancels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Auxiliary
from dagmodels.forms.conditionals.rule import Update


def drawn(a: Auxiliary, *, seldom: bool) -> Update:
    """The draw of auxiliary variables."""
    return Update(
        a.node, a.slots, a.draw, a.count or a.slots.size, a.registers, a.why,
        numbers=a.numbers, extra=a.extra, seldom=seldom,
    )  # fmt: skip


def corrected(board: Board, updates: Sequence[Update], given: Sequence[Auxiliary]) -> Iterator[Update]:
    """Updates that are accepted together, the auxiliary variables that they hold before them, and their
    acceptance after them. The last is what `given` serves; all draw one block of the state."""
    update, first = updates[-1], board.builder.size
    places = np.unique(np.concatenate([u.slots for u in updates]))
    places = places[places < first]
    n, node = places.size, update.node
    before, slots = board.auxiliary(f"before {node}", n)
    accepted, told = board.auxiliary(f"acceptance of {node}", 1)
    curves = [drawn(a, seldom=update.seldom) for a in given]
    for u in curves:
        yield replace(u, registers=(*u.registers, accepted))
    yield Update(node, slots, "copy", n, (board.entries(places),), "", seldom=update.seldom)
    yield from updates
    after = []
    for u in curves:
        register, place = board.auxiliary(f"log ratio of {u.node} after", 1)
        after.append(register)
        yield replace(u, slots=place, draw="log gamma ratio")
    old = board.added([a.ratio for a in given if a.ratio is not None])
    yield replace(
        update,
        slots=places,
        draw="accept",
        count=n,
        registers=(board.added(after), old, before),
        needs=(),
        pattern=None,
        extra=int(told[0]),
        statistics=(("acceptance_rate", int(told[0])),),
    )


__all__ = ["corrected", "drawn"]
