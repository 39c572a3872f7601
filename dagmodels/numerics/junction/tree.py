"""From the families of a network to a junction tree, as arrays for the passes of messages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.junction.order import Elimination, bits, elimination

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
CELL = 8  # bytes of an entry


@dataclass(frozen=True, slots=True)
class Cliques:
    """A junction tree without its arrays, so that its size is known before anything is allocated.

    sizes : numbers of states of the nodes.
    members : nodes of each clique; those shared with the parent (the separator) come first.
    shared : how many these are.
    parents : clique above each one, -1 for roots; parents stand before their children.
    home : for each node the first clique, from the roots, with it; for a set see `holder`.
    """

    sizes: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]
    parents: tuple[int, ...]
    eliminated: tuple[int, ...]
    home: tuple[int, ...]

    def cells(self, clique: int) -> int:
        """Entries of one clique."""
        return math.prod(self.sizes[i] for i in self.members[clique])

    @property
    def largest(self) -> int:
        """The clique with most entries."""
        return max(range(len(self.members)), key=self.cells)

    @property
    def total(self) -> int:
        """Entries of all cliques."""
        return sum(map(self.cells, range(len(self.members))))

    @property
    def memory(self) -> int:
        """Bytes that one row's pass takes: potentials, a working copy and the maps of separators."""
        maps = sum(4 * self.cells(p) for p in self.parents if p >= 0)
        return 2 * CELL * self.total + maps

    def holder(self, nodes: Iterable[int]) -> int:
        """A clique that has all these nodes, which must be neighbours of one another."""
        return self.home[min(nodes, key=self.eliminated.__getitem__)]


def cliques_of(
    families: Iterable[Sequence[int]], sizes: Sequence[int], together: Sequence[int] = (), last: int = 0
) -> Cliques:
    """The junction tree of a network.

    Parameters
    ----------
    families : each node with its parents.
    sizes : numbers of states.
    together : nodes that must share a clique.
    last : mask of nodes eliminated after all others; they then stand at the roots.
    """
    near = [0] * len(sizes)
    for family in (*families, tuple(together)):
        mask = sum(1 << i for i in set(family))
        for i in family:
            near[i] |= mask
    found = elimination([m & ~(1 << i) for i, m in enumerate(near)], sizes, last)
    return _joined(found, tuple(sizes))


def _joined(found: Elimination, sizes: tuple[int, ...]) -> Cliques:
    """Cliques that lie in others are merged, from the last eliminated node back."""
    place = {node: k for k, node in enumerate(found.order)}
    home = [-1] * len(sizes)
    members: list[int] = []
    shared: list[int] = []
    parents: list[int] = []
    for node, clique in zip(reversed(found.order), reversed(found.cliques), strict=True):
        separator = clique & ~(1 << node)
        above = home[min(bits(separator), key=place.__getitem__)] if separator else -1
        if above >= 0 and members[above] == separator:
            members[above] = clique
            home[node] = above
        else:
            home[node] = len(members)
            members.append(clique)
            shared.append(separator)
            parents.append(above)
    ordered = [(*bits(s), *bits(m & ~s)) for m, s in zip(members, shared, strict=True)]
    return Cliques(
        sizes,
        tuple(ordered),
        tuple(s.bit_count() for s in shared),
        tuple(parents),
        tuple(place[i] for i in range(len(sizes))),
        tuple(home),
    )


@dataclass(frozen=True, eq=False)
class Tree:
    """The arrays of a junction tree.

    starts : where each clique's entries begin, with the end last.
    parents : clique above, -1 for roots.
    widths : entries of each separator; a clique's entries are (separator, rest), the rest running fastest.
    messages : where each separator's entries begin, with the end last.
    maps : for each clique and entry of its parent the entry of the separator; `map_starts` where they begin.
    homes, strides : for each node its smallest clique and the step of its state there.
    offsets : where each node's states begin in a list of all states, with the end last.
    """

    cliques: Cliques
    starts: Longs
    parents: Longs
    widths: Longs
    messages: Longs
    maps: NDArray[np.int32]
    map_starts: Longs
    homes: Longs
    strides: Longs
    sizes: Longs
    offsets: Longs

    @cached_property
    def entries(self) -> int:
        """Entries of all cliques."""
        return int(self.starts[-1])

    def potentials(self, factors: Iterable[tuple[Sequence[int], Floats]]) -> Floats:
        """The product of factors, each in one clique that has its nodes; shape (entries,).

        factors : nodes of the axes, and the numbers.
        """
        found = np.ones(self.entries)
        for nodes, table in factors:
            clique = self.cliques.holder(nodes)
            view = self.view(found, clique)
            view *= _aligned(table, nodes, self.cliques.members[clique])
        return found

    def view(self, entries: Floats, clique: int) -> Floats:
        """One clique's entries with an axis a member."""
        shape = [self.cliques.sizes[i] for i in self.cliques.members[clique]]
        return entries[self.starts[clique] : self.starts[clique + 1]].reshape(shape)


def tree_of(cliques: Cliques) -> Tree:
    """Allocate the arrays of a junction tree."""
    number, sizes = len(cliques.members), cliques.sizes
    cells = [cliques.cells(c) for c in range(number)]
    widths = [
        math.prod(sizes[i] for i in m[:s]) for m, s in zip(cliques.members, cliques.shared, strict=True)
    ]
    maps = [_map(cliques, c) for c in range(number)]
    homes, strides = [0] * len(sizes), [0] * len(sizes)
    smallest: dict[int, int] = {}
    for c in range(number):
        step = 1
        for node in reversed(cliques.members[c]):
            if node not in smallest or cells[c] < smallest[node]:
                smallest[node], homes[node], strides[node] = cells[c], c, step
            step *= sizes[node]
    return Tree(
        cliques,
        _ends(cells),
        np.array(cliques.parents, dtype=np.int64),
        np.array(widths, dtype=np.int64),
        _ends(widths),
        np.concatenate(maps) if maps else np.zeros(0, dtype=np.int32),
        _ends([len(m) for m in maps]),
        np.array(homes, dtype=np.int64),
        np.array(strides, dtype=np.int64),
        np.array(sizes, dtype=np.int64),
        _ends(sizes),
    )


def _map(cliques: Cliques, clique: int) -> NDArray[np.int32]:
    """For each entry of the parent the entry of the separator."""
    above = cliques.parents[clique]
    if above < 0:
        return np.zeros(0, dtype=np.int32)
    outer, sizes = cliques.members[above], cliques.sizes
    found = np.zeros((1,) * len(outer), dtype=np.int32)
    step = 1
    for node in reversed(cliques.members[clique][: cliques.shared[clique]]):
        axis = outer.index(node)
        shape = [1] * len(outer)
        shape[axis] = sizes[node]
        found = found + (np.arange(sizes[node], dtype=np.int32) * step).reshape(shape)
        step *= sizes[node]
    return np.ascontiguousarray(np.broadcast_to(found, [sizes[i] for i in outer])).ravel()


def _aligned(table: Floats, nodes: Sequence[int], members: Sequence[int]) -> Floats:
    """A factor's numbers with an axis for each member of a clique."""
    order = sorted(range(len(nodes)), key=lambda k: members.index(nodes[k]))
    moved = np.transpose(table, order)
    within = set(nodes)
    where = iter(moved.shape)
    return moved.reshape([next(where) if m in within else 1 for m in members])


def _ends(lengths: Iterable[int]) -> Longs:
    return np.concatenate([[0], np.cumsum(np.array(list(lengths), dtype=np.int64))]).astype(np.int64)
