"""Classes of elements that are updated together, because no factor depends on two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_flat import Factor
from dagmodels.forms.flat_plan import Ask
from dagmodels.graph.statement import Statement

Ints = NDArray[np.int64]
COLOURS = 200  # classes that one statement's elements may need


@dataclass(frozen=True, eq=False, slots=True)
class Touched:
    """A factor that depends on a class.

    rows : of the factor, those that do. owner : for each the unit of the class. length : rows of the factor.
    """

    factor: Factor
    rows: Ints
    owner: Ints
    length: int


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """Units of one statement's share of a node that are conditionally independent given everything else.

    statement : that gives them. ask : with their support. at : which values of the ask they are.
    units : their slots, (units, entries of one unit). touched : the factors that depend on them.
    crowded : they are all units of the statement, of which too many depend on one another.
    """

    node: str
    statement: Statement
    ask: Ask
    at: Ints
    units: Ints
    touched: tuple[Touched, ...]
    crowded: bool = False

    @property
    def kind(self) -> str:
        """Of the support."""
        return self.ask.kind

    @property
    def slots(self) -> Ints:
        """All of them."""
        return self.units.reshape(-1)

    def part(self, at: Ints) -> Target:
        """Some of the units alone, with what they touch."""
        return replace(
            self, at=self.at[at], units=self.units[at], touched=parted(self.touched, at, len(self.units))
        )

    def children(self) -> tuple[str, ...]:
        """Nodes whose laws depend on the class, its own left out."""
        names = (n for t in self.touched for n in t.factor.site.names if n != self.node)
        return tuple(dict.fromkeys(names))


def parted(touched: Iterable[Touched], at: Ints, units: int) -> tuple[Touched, ...]:
    """What some of so many units touch, of what all of them do."""
    place = np.full(units, -1)
    place[at] = np.arange(at.size)
    owners = ((t, place[t.owner]) for t in touched)
    return tuple(
        Touched(t.factor, t.rows[mine], owner[mine], t.length)
        for t, owner in owners
        if (mine := owner >= 0).any()
    )


def distinct(rows: Ints, units: Ints, count: int) -> tuple[Ints, Ints]:
    """Pairs of rows and units, of which there are so many, sorted and each once."""
    key = rows * count + units
    if (np.diff(key) > 0).all():
        return rows, units
    return np.divmod(np.unique(key), count)


def coloured(units: int, pairs: Iterable[tuple[Ints, Ints]]) -> Ints | None:
    """A colour for each unit, so that no row depends on two of one colour; None where too many are needed.

    pairs : (row, unit) of each factor. Greedy, in the units' order.
    """
    import scipy.sparse as sp

    conflict = None
    for rows, owner in pairs:
        if not rows.size:
            continue
        n = int(rows.max()) + 1
        table = sp.csr_matrix((np.ones(rows.size), (rows, owner)), shape=(n, units))
        table.data[:] = 1.0
        counts = np.diff(table.indptr)
        if counts.max(initial=0) > COLOURS:
            return None
        shared = table[np.flatnonzero(counts > 1)]
        if shared.shape[0]:
            found = shared.T @ shared
            conflict = found if conflict is None else conflict + found
    colours = np.zeros(units, np.int64)
    if conflict is None:
        return colours
    conflict = sp.csr_matrix(conflict)
    for k in range(units):
        near = conflict.indices[conflict.indptr[k] : conflict.indptr[k + 1]]
        taken = set(colours[near[near < k]].tolist())
        colour = 0
        while colour in taken:
            colour += 1
        colours[k] = colour
    return colours if colours.max(initial=0) < COLOURS else None
