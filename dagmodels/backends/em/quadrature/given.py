"""Means and standard deviations of latents on nodes, given the data of their units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.forms.alike import alike
from dagmodels.forms.build_mixture import MixtureBuilder
from dagmodels.forms.cells import element_label
from dagmodels.forms.mixture import MixtureForm
from dagmodels.forms.sites import Site
from dagmodels.forms.states import Expanded
from dagmodels.forms.touches import touches
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Distribution, Head, Slot, Stochastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class _Values:
    """A node's values: rows, the latents that they touch, their kinds, a register by kind and state."""

    rows: Ints
    touched: Ints
    kind: Ints
    expanded: Expanded
    register: int


class _ValueBuilder(MixtureBuilder):
    """The mixture form with the values of one deterministic node on its tape."""

    def __init__(self, problem: Problem, states: dict[str, int], name: str) -> None:
        super().__init__(problem, states)
        self.name = name
        self.found: list[_Values] = []

    def record(self) -> None:
        super().record()
        plates = self.graph.nodes[self.name].plates
        tree = ex.Reference(self.name, tuple(ex.PlateIndex(p) for p in plates))
        law = Distribution("Normal", (("mu", tree), ("sigma", ex.Number(1))))  # whose mean is the node
        head = Head(self.name, tuple(Slot(p) for p in plates))
        rows = self.problem.rows(plates)
        site = Site(Stochastic(head, law), (self.name,), rows, np.arange(rows.n)[:, None], (), plates, ())
        reads = touches(self.lowering, site)
        for at, touched, names in self.patterns(site):
            own = [c[at] for c in reads.reads]
            first, kind = alike(own, at.size) if reads.alike else (np.arange(at.size), np.arange(at.size))
            expanded = Expanded.of(touched[first], tuple(self.latents.count[n] for n in names))
            self.lowering.expanded = expanded
            try:
                register = self.trees.number(tree, expanded.site(site.at(at[first])).rows).value.register
            finally:
                self.lowering.expanded = None
            self.recorder.start(register)
            self.found.append(_Values(at, touched, kind, expanded, register))

    def kept(self) -> list[int]:
        return [*super().kept(), *(v.register for v in self.found)]


def posterior_moments(form: MixtureForm, y: Floats, name: str) -> tuple[list[str], Floats, Floats]:
    """Labels, means and standard deviations of a node that depends on states, given the data."""
    problem = form.flat.problem
    builder = _ValueBuilder(problem, dict(form.latents.count), name)
    other = builder.build_form()
    w, expected = other.workspace(y), other.expected(y)
    size = int(np.prod(problem.shape(name), dtype=np.int64))
    mean, square = np.full(size, np.nan), np.full(size, np.nan)
    for found in builder.found:
        value = w[other.flat.tape.place(found.register)]
        shape = (len(found.expanded.touched), found.expanded.states)
        value = np.broadcast_to(value.reshape(shape) if value.size > 1 else value, shape)
        for sums, posterior in zip(other.sums, expected.posterior, strict=True):
            slots, distinct, mine = _slots(other, sums, found.touched)
            first, which = alike(slots.T, len(slots))
            for k, pattern in enumerate(slots[first]):
                rows = mine[which == k]
                counts = tuple((found.expanded.digits.max(axis=0) + 1).tolist())
                to = np.ravel_multi_index(tuple(sums.slices.digits[:, pattern].T), counts)
                share = np.zeros((found.expanded.states, len(posterior)))
                np.add.at(share, to, posterior.T)
                chosen = share.T[distinct[which == k]]
                values = value[found.kind[rows]]
                mean[found.rows[rows]] = (chosen * values).sum(axis=1)
                square[found.rows[rows]] = (chosen * values**2).sum(axis=1)
    live = np.flatnonzero(np.isfinite(mean))
    labels = [element_label(problem, name, int(i)) for i in live]
    return labels, mean[live], np.sqrt(np.maximum(square - mean**2, 0.0))[live]


def _slots(form: MixtureForm, sums: object, touched: Ints) -> tuple[Ints, Ints, Ints]:
    """Of the rows that lie in a class: the members that they touch, their distinct slices, which they are."""
    group = sums.slices  # type: ignore[attr-defined]
    row, slot = np.full(form.latents.total, -1), np.full(form.latents.total, -1)
    row[group.members], slot[group.members] = np.arange(group.size)[:, None], np.arange(len(group.counts))
    mine = np.flatnonzero(row[touched[:, 0]] >= 0)
    return slot[touched[mine]], sums.distinct[row[touched[mine, 0]]], mine  # type: ignore[attr-defined]
