"""A network made ready for questions: its junction tree with the potentials in it.

Small networks keep one tree for all evidence. Where that is large, a tree is made for the question: nodes
that cannot matter are left out, and nodes whose state is seen no longer join their neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.fits.network.evidence import Cases, Evidence
from dagmodels.forms.tables import Tables
from dagmodels.numerics.junction.tree import CELL, Cliques, Tree, cliques_of, tree_of
from dagmodels.numerics.memory import available, size_text

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Factor = tuple[tuple[int, ...], Floats]
SMALL = 1 << 20  # entries of a tree that serves all evidence
LANES = 16  # rows of evidence that one pass takes
KEPT = 16  # trees of a network that are kept


@dataclass(frozen=True, eq=False)
class Engine:
    """A tree over some nodes of a network.

    nodes : their positions in the network; the tree counts them from 0.
    place : the reverse.
    constant : logarithm of what the evidence already multiplies in.
    """

    nodes: tuple[int, ...]
    place: Mapping[int, int]
    tree: Tree
    potentials: Floats
    constant: float

    @cached_property
    def _links(self) -> tuple[Any, ...]:
        t = self.tree
        return (t.starts, t.parents, t.widths, t.messages, t.maps, t.map_starts)

    @cached_property
    def _homes(self) -> tuple[Any, ...]:
        t = self.tree
        return (t.homes, t.strides, t.sizes, t.offsets)

    def entered(self, weights: Floats, touched: NDArray[np.bool_]) -> Floats:
        """Working entries with evidence."""
        from dagmodels.numerics import junction_steps as steps

        cells = np.empty((self.tree.entries, weights.shape[1]))
        steps.enter(self.potentials, weights, cells, touched, self.tree.starts, *self._homes)
        return cells

    def collected(self, cells: Floats, largest: bool = False) -> tuple[Floats, Floats]:
        """Messages to the roots, in place: the messages, and the logarithm of each row's sum (or maximum)."""
        from dagmodels.numerics import junction_steps as steps

        sent = np.empty((int(self.tree.messages[-1]), cells.shape[1]))
        logs = np.empty(cells.shape[1])
        steps.collect(cells, sent, logs, largest, *self._links)
        return sent, logs + self.constant

    def distributed(self, cells: Floats, sent: Floats) -> None:
        """Messages back to the leaves, in place: entries become probabilities of cliques."""
        from dagmodels.numerics import junction_steps as steps

        steps.distribute(cells, sent, *self._links)

    def margins(self, cells: Floats) -> Floats:
        """Probabilities of all states, (all states, rows)."""
        from dagmodels.numerics import junction_steps as steps

        found = np.empty((int(self.tree.offsets[-1]), cells.shape[1]))
        steps.margins(cells, found, self.tree.starts, *self._homes)
        return found

    def traced(self, cells: Floats) -> Longs:
        """States of the largest product, (nodes, rows)."""
        from dagmodels.numerics import junction_steps as steps

        states = np.empty((len(self.nodes), cells.shape[1]), dtype=np.int64)
        steps.trace_back(cells, states, *self._links, *self._homes[:3])
        return states

    def drawn(self, cells: Floats, rng: np.random.Generator) -> Longs:
        """States drawn jointly by their probabilities, (nodes, rows), after `collected`."""
        from dagmodels.numerics import junction_steps as steps

        states = np.empty((len(self.nodes), cells.shape[1]), dtype=np.int64)
        uniforms = rng.random((len(self.tree.parents), cells.shape[1]))
        steps.draw_back(cells, uniforms, states, *self._links, *self._homes[:3])
        return states

    def weights(self, rows: Sequence[Evidence]) -> tuple[Floats, NDArray[np.bool_]]:
        """Weights of all states by row, and which nodes have evidence."""
        offsets = self.tree.offsets
        found = np.ones((int(offsets[-1]), len(rows)))
        touched = np.zeros(len(self.nodes), dtype=np.bool_)
        for row, evidence in enumerate(rows):
            for node, code in evidence.seen.items():
                at = self.place.get(node)
                if at is not None:
                    touched[at] = True
                    found[offsets[at] : offsets[at + 1], row] = 0.0
                    found[offsets[at] + code, row] = 1.0
            for node, weight in evidence.weights.items():
                at = self.place.get(node)
                if at is not None:
                    touched[at] = True
                    found[offsets[at] : offsets[at + 1], row] *= weight
        return found, touched

    def of_cases(self, cases: Cases) -> tuple[Floats, NDArray[np.bool_]]:
        """The same of rows of one table; its nodes are all in the tree."""
        from dagmodels.numerics import junction_steps as steps

        nodes = np.array([self.place[int(i)] for i in cases.nodes], dtype=np.int64)
        found = np.empty((int(self.tree.offsets[-1]), len(cases.codes)))
        steps.weigh(cases.codes, nodes, found, self.tree.sizes, self.tree.offsets)
        touched = np.zeros(len(self.nodes), dtype=np.bool_)
        touched[nodes] = (cases.codes >= 0).any(axis=0)
        return found, touched


@dataclass(frozen=True, eq=False)
class Network:
    """Tables with the trees made for them; see `network`."""

    tables: Tables
    _trees: OrderedDict[object, Engine] = field(default_factory=OrderedDict[object, Engine])

    @cached_property
    def whole(self) -> Cliques:
        """The junction tree of all nodes without its arrays."""
        return cliques_of(self.tables.families, self.tables.sizes)

    @property
    def is_small(self) -> bool:
        """Whether one tree serves all evidence."""
        return self.whole.total <= SMALL

    def engine(
        self,
        evidence: Evidence,
        about: Iterable[int] | None = None,
        together: tuple[int, ...] = (),
        more: Sequence[Factor] = (),
    ) -> Engine:
        """The tree for one set of evidence.

        about : the nodes asked for; None for all. together : nodes whose joint distribution is asked for.
        more : factors beside the tables, of nodes that are not seen; such a tree is not kept.

        Raises FitError where its largest clique takes more memory than there is.
        """
        if more:
            wanted = (*(about or ()), *together, *(i for nodes, _ in more for i in nodes))
            relevant = tuple(sorted(self.ancestors((*wanted, *evidence.nodes))))
            seen = {i: c for i, c in evidence.seen.items() if i not in together}
            return self._made(relevant, seen, together, more)
        if self.is_small and not together:
            return self._kept("whole", lambda: self._made(range(len(self.tables.names)), {}, ()))
        everything = range(len(self.tables.names))
        wanted = everything if about is None else (*about, *together)
        relevant = tuple(sorted(self.ancestors((*wanted, *evidence.nodes))))
        seen = {i: c for i, c in evidence.seen.items() if i not in together}
        key = (relevant, tuple(sorted(seen.items())), together)
        return self._kept(key, lambda: self._made(relevant, seen, together))

    def ancestors(self, nodes: Iterable[int]) -> set[int]:
        """The nodes with all on which they depend; others are barren: their tables sum to one."""
        found: set[int] = set()
        queue = list(nodes)
        while queue:
            node = queue.pop()
            if node not in found:
                found.add(node)
                queue.extend(self.tables.parents[node])
        return found

    def _kept(self, key: object, make: Callable[[], Engine]) -> Engine:
        found = self._trees.get(key)
        if found is None:
            found = self._trees[key] = make()
            while len(self._trees) > KEPT:
                self._trees.popitem(last=False)
        else:
            self._trees.move_to_end(key)
        return found

    def factors(self, relevant: Iterable[int], seen: Mapping[int, int]) -> list[Factor]:
        """The tables of some nodes, at the states that are seen."""
        found: list[Factor] = []
        for node in relevant:
            family, table = self.tables.families[node], self.tables.known[node]
            rest = tuple(i for i in family if i not in seen)
            found.append((rest, table[tuple(seen.get(i, slice(None)) for i in family)]))
        return found

    def _made(
        self,
        relevant: Iterable[int],
        seen: Mapping[int, int],
        together: tuple[int, ...],
        more: Sequence[Factor] = (),
    ) -> Engine:
        relevant = tuple(relevant)
        factors = [*self.factors(relevant, seen), *more]
        nodes = tuple(i for i in relevant if i not in seen)
        place = {node: k for k, node in enumerate(nodes)}
        local = [tuple(place[i] for i in rest) for rest, _ in factors]
        sizes = [self.tables.sizes[i] for i in nodes]
        joint = tuple(place[i] for i in together)
        plain = not seen and not together and not more
        cliques = self.whole if plain and len(nodes) == len(self.tables.names) else None
        cliques = cliques or cliques_of(local, sizes, joint)
        refuse_large(cliques, [self.tables.names[i] for i in nodes])
        tree = tree_of(cliques)
        potentials = tree.potentials((n, t) for n, (_, t) in zip(local, factors, strict=True) if n)
        with np.errstate(divide="ignore"):
            constant = sum(float(np.log(t)) for n, (_, t) in zip(local, factors, strict=True) if not n)
        return Engine(nodes, place, tree, potentials, constant)


def refuse_large(cliques: Cliques, names: Sequence[str]) -> None:
    """Say how much memory the largest clique takes, where the tree takes more than there is."""
    free = available()
    if (
        not cliques.members
        or (cliques.memory <= SMALL * CELL)
        or (free is not None and cliques.memory <= free)
    ):
        return
    if free is None and cliques.memory <= 1 << 34:
        return
    at = cliques.largest
    members = [names[i] for i in cliques.members[at]]
    some = ", ".join(members[:6]) + (", ..." if len(members) > 6 else "")
    there = f", and {size_text(free)} are free" if free is not None else ""
    size = size_text(cliques.cells(at) * CELL)
    if cliques.memory >= 1.1 * cliques.cells(at) * CELL:
        size = f"{size}, all tables {size_text(cliques.memory)}"
    raise FitError(
        f"the exact answer needs a table of {len(members)} nodes ({some}) with {size}{there}; evidence on "
        "some of them makes it smaller, and query(..., method='draws') estimates it from draws"
    )
