"""Where a law draws: the rows of one statement's share of a node, and the places of each row's value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import Cells, cells
from dagmodels.forms.lower import NotLowered
from dagmodels.graph.scope import bound, event_plates, head_plates
from dagmodels.graph.statement import Distribution, Joint, Stochastic

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Site:
    """One statement's rows.

    names : the nodes that it gives; several for a joint statement.
    rows : one a value, with the elements of the plates that are bound in the law.
    places : flat places in the nodes' arrays, (rows, entries of one value); of a joint statement the same
        for every node, (rows, 1).
    event : shape of one value.
    head, whole : plates of the head, and those of them that the law takes whole.
    states : levels of the plate in which a discrete value lies, or 0.
    """

    statement: Stochastic | Joint
    names: tuple[str, ...]
    rows: Rows
    places: Ints
    event: tuple[int, ...]
    head: tuple[str, ...]
    whole: tuple[str, ...]
    states: int = 0

    @property
    def law(self) -> Distribution:
        """The distribution."""
        return self.statement.distribution

    @property
    def length(self) -> int:
        """How long a vector argument is."""
        return self.event[-1] if self.event else self.states

    def at(self, chosen: Ints) -> Site:
        """Some of the rows only."""
        rows = Rows(chosen.size, {p: c[chosen] for p, c in self.rows.codes.items()})
        return Site(
            self.statement,
            self.names,
            rows,
            self.places[chosen],
            self.event,
            self.head,
            self.whole,
            self.states,
        )


def sites(problem: Problem, name: str) -> Iterator[Site]:
    """The sites of a node's stochastic statements; a joint statement stands at its first name only.

    Raises `NotLowered` where a statement gives vectors only in part.
    """
    for share in cells(problem, name):
        statement = share.statement
        if isinstance(statement, Stochastic) or (isinstance(statement, Joint) and not share.component):
            yield _site(problem, name, share, statement)


def _site(problem: Problem, name: str, share: Cells, statement: Stochastic | Joint) -> Site:
    dag = problem.graph
    whole = event_plates(statement)
    sizes = tuple(problem.plates[p].size for p in whole)
    entries = int(np.prod(sizes, dtype=np.int64))
    kept = bound(dag.plate, statement)
    if isinstance(statement, Joint) and not share.whole:
        raise NotLowered(f"another statement gives some elements of '{name}', which is of a joint law")
    if entries > 1 and not _in_blocks(share.places, entries):
        raise NotLowered(f"another statement gives some entries of the vectors of '{name}'")
    codes = {p: c[::entries] for p, c in share.rows.codes.items() if p in kept}
    values_in = statement.values_in if isinstance(statement, Stochastic) else None
    places, axes = share.places.reshape(-1, entries), share.rows.axes
    return Site(
        statement=statement,
        names=statement.names if isinstance(statement, Joint) else (name,),
        rows=Rows(places.shape[0], codes, axes[: max(len(axes) - len(whole), 0)]),
        places=places,
        event=(len(statement.names),) if isinstance(statement, Joint) else sizes,
        head=head_plates(statement),
        whole=whole,
        states=problem.plates[values_in].size if values_in is not None else 0,
    )


def _in_blocks(places: Ints, entries: int) -> bool:
    """Whether the places are whole values, one after the other."""
    if places.size % entries:
        return False
    rows = places.reshape(-1, entries)
    return bool((rows[:, 0] % entries == 0).all() and (rows == rows[:, :1] + np.arange(entries)).all())
