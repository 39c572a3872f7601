"""Expected counts of all tables given the cases, by enumeration of hidden states or by a junction tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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

        t, form, group = self.tree, self.form, self.group
        shapes = [[form.tables.sizes[i] for i in form.tables.families[f]] for f in group.families]
        ends = [(int(form.starts[f]), int(form.starts[f + 1])) for f in group.families]
        tables = [cells[a:b].reshape(shape) for (a, b), shape in zip(ends, shapes, strict=True)]
        potentials = t.potentials(zip(self.local, tables, strict=True))
        links = (t.starts, t.parents, t.widths, t.messages, t.maps, t.map_starts)
        homes = (t.homes, t.strides, t.sizes, t.offsets)
        touched = (self.codes >= 0).any(axis=0)
        nodes = np.arange(self.codes.shape[1])
        found, total = np.zeros(t.entries), 0.0
        for first in range(0, len(self.codes), LANES):
            codes = np.ascontiguousarray(self.codes[first : first + LANES])
            weights = group.weights[first : first + LANES]
            evidence = np.empty((int(t.offsets[-1]), len(codes)))
            steps.weigh(codes, nodes, evidence, t.sizes, t.offsets)
            work = np.empty((t.entries, len(codes)))
            sent, own = np.empty((int(t.messages[-1]), len(codes))), np.empty(len(codes))
            steps.enter(potentials, evidence, work, touched, t.starts, *homes)
            steps.collect(work, sent, own, False, *links)
            if not np.isfinite(own).all():
                return -np.inf
            steps.distribute(work, sent, *links)
            total += float(own @ weights)
            found += work @ weights
        for nodes_of, (a, b), shape in zip(self.local, ends, shapes, strict=True):
            clique = t.cliques.holder(nodes_of)
            inside = t.cliques.members[clique]
            summed = t.view(found, clique).sum(
                axis=tuple(k for k, m in enumerate(inside) if m not in nodes_of)
            )
            kept = [m for m in inside if m in nodes_of]
            moved = np.transpose(summed, [kept.index(i) for i in nodes_of])
            counts[a:b] += moved.reshape(shape).ravel()
        return total


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
