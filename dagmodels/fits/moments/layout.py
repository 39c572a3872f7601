"""Coordinates -> the numbers of a fit's table in its order, without standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.defined import quantities
from dagmodels.fits.unknowns import Unknowns
from dagmodels.forms.cells import element_label
from dagmodels.forms.moments import MomentsForm, MomentsSolution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Places:
    """Where each outer unknown stands in the tape's workspace.

    names, nodes : as users call them, one triangle of symmetric matrices. at : places in the workspace.
    either : those whose sign does not count, told as positive. of : by node the estimate of each element.
    """

    def __init__(self, form: MomentsForm) -> None:
        self.names: list[str] = []
        self.nodes: list[str] = []
        self.of: dict[str, Ints] = {}
        at: list[int] = []
        for c in form.coordinates:
            span = form.tape.place(form.outer_registers[c.node])
            size = span.stop - span.start
            self.of[c.node] = np.full(size, -1, dtype=np.int64)
            for place in range(size):
                i, j = (place // c.order % c.order, place % c.order) if c.order else (0, 0)
                if j < i:
                    continue  # one triangle of a symmetric matrix
                self.of[c.node][place] = len(at)
                if c.order:
                    self.of[c.node][place - i * c.order - j + j * c.order + i] = len(at)
                self.names.append(element_label(form.small, c.node, place))
                self.nodes.append(c.node)
                at.append(span.start + place)
        self.at = np.array(at, dtype=np.int64)
        either = {c.node for c in form.coordinates if not c.order and c.symmetric.any()}
        self.either = np.array([n in either for n in self.nodes], dtype=bool)

    def values(self, w: Floats) -> Floats:
        """The unknowns from the tape's workspace."""
        found = w[self.at]
        return np.where(self.either, np.abs(found), found)

    def by_node(self, form: MomentsForm) -> list[int]:
        """Estimates in the order of the graph's nodes."""
        order = {name: i for i, name in enumerate(form.problem.graph.nodes)}
        return sorted(range(len(self.names)), key=lambda j: order[self.nodes[j]])


class Layout:
    """See the module."""

    def __init__(self, solution: MomentsSolution) -> None:
        self.form = solution.form
        form = self.form
        self.places = Places(form)
        self.order = np.array(self.places.by_node(form), dtype=np.int64)
        k = len(self.places.names)
        values = self.places.values(form.workspace(solution.optimum.x))
        unknowns = Unknowns(
            self.places.names, self.places.nodes, [""] * k, values, np.zeros((k, k)), self.places.of
        )
        self.defined = quantities(form.small, unknowns)
        extra = () if self.defined is None else self.defined.names
        self.names = (*(self.places.names[i] for i in self.order.tolist()), *extra)

    def values(self, x: Floats) -> Floats:
        """At some coordinates."""
        w = self.form.workspace(x)
        own = self.places.values(w)
        if self.defined is None:
            return own[self.order]
        tape = self.defined.tape
        v = tape.initial.copy()
        for node, (start, length) in tape.inputs.items():
            at = self.places.of[node]
            fixed = w[self.form.tape.place(self.form.outer_registers[node])]
            v[start : start + length] = np.where(at >= 0, own[np.maximum(at, 0)], fixed)
        tape.forward(v)
        return np.concatenate([own[self.order], v[self.defined.places]])
