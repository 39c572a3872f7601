"""Expected counts of all tables given the cases, by enumeration of hidden states or by a junction tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.table_counts import Group, TableCounts
from dagmodels.numerics import table_steps
from dagmodels.numerics.junction.tree import cliques_of, tree_of

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
MOST = 1 << 12  # joint states of hidden nodes up to which they are enumerated
LANES = 16


@dataclass(frozen=True, eq=False)
class Enumerated:
    """A group with few hidden states: arrays for `numerics.table_steps`."""

    seen: Longs
    weights: Floats
    hidden: Longs

    def expect(self, cells: Floats, logs: Floats, counts: Floats) -> float:
        """Log likelihood; adds expected counts."""
        return float(table_steps.expect(self.seen, self.weights, self.hidden, logs, counts))

    def draw(self, cells: Floats, logs: Floats, counts: Floats, rng: np.random.Generator) -> None:
        """Adds counts of hidden states drawn given what is seen."""
        uniforms = rng.random(int(self.weights.sum()))
        table_steps.draw(self.seen, self.weights, self.hidden, logs, uniforms, counts)

    def spread(self, logs: Floats, place: Longs, covariance: Floats) -> None:
        """Adds the covariance of the counts given the data."""
        table_steps.spread(self.seen, self.weights, self.hidden, logs, place, covariance)


class Joined:
    """A group with many hidden states: messages over a junction tree of its nodes, sixteen rows at a time."""

    def __init__(self, form: TableCounts, group: Group) -> None:
        net = form.tables
        self.form, self.group = form, group
        members = sorted({i for f in group.families for i in net.families[f]})
        place = {node: k for k, node in enumerate(members)}
        self.local = [tuple(place[i] for i in net.families[f]) for f in group.families]
        self.tree = tree_of(cliques_of(self.local, [net.sizes[i] for i in members]))
        self.codes = np.ascontiguousarray(group.seen[:, members])

    def expect(self, cells: Floats, logs: Floats, counts: Floats) -> float:
        """Log likelihood; adds expected counts."""
        from dagmodels.numerics import junction_steps as steps

        t, group = self.tree, self.group
        links = self._links
        potentials = self._potentials(cells)
        found, total = np.zeros(t.entries), 0.0
        for first in range(0, len(self.codes), LANES):
            weights = group.weights[first : first + LANES]
            work, sent, own = self._collected(potentials, self.codes[first : first + LANES])
            if not np.isfinite(own).all():
                return -np.inf
            steps.distribute(work, sent, *links)
            total += float(own @ weights)
            found += work @ weights
        for nodes_of, (a, b), shape in zip(self.local, self._ends, self._shapes, strict=True):
            clique = t.cliques.holder(nodes_of)
            inside = t.cliques.members[clique]
            summed = t.view(found, clique).sum(
                axis=tuple(k for k, m in enumerate(inside) if m not in nodes_of)
            )
            kept = [m for m in inside if m in nodes_of]
            moved = np.transpose(summed, [kept.index(i) for i in nodes_of])
            counts[a:b] += moved.reshape(shape).ravel()
        return total

    def draw(self, cells: Floats, logs: Floats, counts: Floats, rng: np.random.Generator) -> None:
        """Adds counts of hidden states drawn given what is seen."""
        from dagmodels.numerics import junction_steps as steps

        t = self.tree
        potentials = self._potentials(cells)
        codes = np.repeat(self.codes, self.group.weights.astype(np.int64), axis=0)
        for first in range(0, len(codes), LANES):
            work, _, own = self._collected(potentials, codes[first : first + LANES])
            states = np.empty((len(t.sizes), own.size), dtype=np.int64)
            uniforms = rng.random((len(t.parents), own.size))
            steps.draw_back(work, uniforms, states, *self._links, t.homes, t.strides, t.sizes)
            for nodes_of, (a, b), shape in zip(self.local, self._ends, self._shapes, strict=True):
                at = np.ravel_multi_index([states[i] for i in nodes_of], shape)
                counts[a:b] += np.bincount(at, minlength=b - a)

    @cached_property
    def _links(self) -> tuple[Any, ...]:
        t = self.tree
        return (t.starts, t.parents, t.widths, t.messages, t.maps, t.map_starts)

    @cached_property
    def _shapes(self) -> list[list[int]]:
        net = self.form.tables
        return [[net.sizes[i] for i in net.families[f]] for f in self.group.families]

    @cached_property
    def _ends(self) -> list[tuple[int, int]]:
        return [(int(self.form.starts[f]), int(self.form.starts[f + 1])) for f in self.group.families]

    def _potentials(self, cells: Floats) -> Floats:
        tables = [cells[a:b].reshape(s) for (a, b), s in zip(self._ends, self._shapes, strict=True)]
        return self.tree.potentials(zip(self.local, tables, strict=True))

    def _collected(self, potentials: Floats, codes: Longs) -> tuple[Floats, Floats, Floats]:
        """Working entries after messages to the roots, the messages, and each row's log likelihood."""
        from dagmodels.numerics import junction_steps as steps

        t, codes = self.tree, np.ascontiguousarray(codes)
        evidence = np.empty((int(t.offsets[-1]), len(codes)))
        steps.weigh(codes, np.arange(codes.shape[1]), evidence, t.sizes, t.offsets)
        work = np.empty((t.entries, len(codes)))
        sent, own = np.empty((int(t.messages[-1]), len(codes))), np.empty(len(codes))
        steps.enter(
            potentials, evidence, work, self._touched, t.starts, t.homes, t.strides, t.sizes, t.offsets
        )
        steps.collect(work, sent, own, False, *self._links)
        return work, sent, own

    @cached_property
    def _touched(self) -> NDArray[np.bool_]:
        return (self.codes >= 0).any(axis=0)


@dataclass(frozen=True, eq=False)
class Expectation:
    """The E-step of a form."""

    form: TableCounts

    @cached_property
    def parts(self) -> tuple[Enumerated | Joined, ...]:
        """One a group."""
        return tuple(self._part(g) for g in self.form.groups)

    def _part(self, group: Group) -> Enumerated | Joined:
        form = self.form
        if form.configurations(group) > MOST:
            return Joined(form, group)
        return Enumerated(form.seen_cells(group), group.weights, form.hidden_cells(group))

    def __call__(self, cells: Floats) -> tuple[float, Floats]:
        """Log likelihood of all cases, -inf where one cannot be, and expected counts of the cells."""
        with np.errstate(divide="ignore"):
            logs = np.log(cells)
        counts = self.form.whole.copy()
        used = counts > 0
        total = float(counts[used] @ logs[used])
        for part in self.parts:
            if total == -np.inf:
                break
            total += part.expect(cells, logs, counts)
        return total, counts

    def drawn(self, cells: Floats, rng: np.random.Generator) -> Floats:
        """Counts of the cells with hidden states drawn given what is seen of each case."""
        with np.errstate(divide="ignore"):
            logs = np.log(cells)
        counts = self.form.whole.copy()
        for part in self.parts:
            part.draw(cells, logs, counts, rng)
        return counts

    def covariance(self, cells: Floats, place: Longs, size: int) -> Floats | None:
        """Covariance of the complete counts given the data; None where a group is too large for it.

        place : of each cell among `size`, -1 for those left out.
        """
        found = np.zeros((size, size))
        with np.errstate(divide="ignore"):
            logs = np.log(cells)
        for part in self.parts:
            if isinstance(part, Joined):
                return None
            part.spread(logs, place, found)
        return found
