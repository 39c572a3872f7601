"""Where estimates lie in an evaluator, so that their values can be read without tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.defined import quantities
from dagmodels.fits.field.edges import set_edges
from dagmodels.fits.field.report import estimate, symmetric
from dagmodels.fits.unknowns import Unknowns

if TYPE_CHECKING:
    from dagmodels.fits.field.solve import Solution
    from dagmodels.forms.field import Evaluator
    from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """Estimates of a fit by place.

    names : in the order of the fit's table. order : from (coefficients, outer values, defined) to it.
    rows : elimination rows of the coefficients. places : of outer values in the workspace.
    either : outer values whose sign is a convention.
    unknowns : the fit's own, which say what belongs to which node.
    tape, defined : of defined quantities, and their places in its workspace.
    """

    names: tuple[str, ...]
    order: Ints
    rows: Ints
    places: Ints
    either: NDArray[np.bool_]
    unknowns: Unknowns
    tape: Tape | None
    defined: Ints

    def current(self, evaluator: Evaluator) -> Floats:
        """Values of all estimates at the evaluator's last point."""
        means = evaluator.means() if self.rows.size or self.tape is not None else np.zeros(0)
        outer = evaluator.w[self.places]
        if self.either.any():
            outer = np.where(self.either, np.abs(outer), outer)
        value = np.concatenate([means[self.rows], outer])
        if self.tape is not None:
            value = np.concatenate([value, self._defined(evaluator, value, means)])
        return value[self.order]

    def values(self, solution: Solution) -> Floats:
        """The same at a solution: what has no value there, such as correlations beside a zero, is nan."""
        solution.evaluator.criterion(solution.optimum.x)
        found = self.current(solution.evaluator)
        lost = set_edges(solution).valueless
        return np.where([name in lost for name in self.names], np.nan, found) if lost else found

    def by_node(self, solution: Solution) -> dict[str, Floats]:
        """Coefficients and outer unknowns in their nodes' shapes."""
        field = solution.field
        solution.evaluator.criterion(solution.optimum.x)
        means = solution.evaluator.means()
        found = {}
        for c in field.coordinates:
            value = solution.evaluator.w[field.tape.place(field.outer_registers[c.node])]
            own = np.array(
                [e and n == c.node for e, n in zip(self.either, self._outer_nodes, strict=True)], bool
            )
            found[c.node] = (np.abs(value) if own.any() else value).reshape(field.problem.shape(c.node))
        for name in dict.fromkeys(self.unknowns.nodes[: self.rows.size]):
            at = field.rows[name]
            found[name] = means[at].reshape(field.problem.shape(name))
        return found

    @property
    def _outer_nodes(self) -> list[str]:
        return self.unknowns.nodes[self.rows.size :]

    def _defined(self, evaluator: Evaluator, value: Floats, means: Floats) -> Floats:
        assert self.tape is not None
        w = self.tape.initial.copy()
        for node, (start, length) in self.tape.inputs.items():
            at = self.unknowns.places[node]
            part = np.where(at >= 0, value[np.maximum(at, 0)], 0.0)
            if (at < 0).any():  # levels that a statement fixes: their rows hold the number
                part[at < 0] = means[evaluator.field.rows[node][at < 0]]
            w[start : start + length] = part
        self.tape.forward(w)
        return w[self.defined]


def layout(solution: Solution) -> Layout:
    """Of a fit's estimates."""
    field, evaluator = solution.field, solution.evaluator
    evaluator.criterion(solution.optimum.x)
    with np.errstate(all="ignore"):
        unknowns = estimate(solution, evaluator.means())
    rows, places = [], []
    for name in dict.fromkeys(unknowns.nodes):
        if name in field.rows:
            rows.append(field.rows[name][field.rows[name] >= 0])
    for c in field.coordinates:
        at = field.tape.place(field.outer_registers[c.node])
        inner = np.arange(at.stop - at.start)
        if c.order:  # one triangle of a symmetric matrix
            inner = inner[inner % c.order >= 0]
            inner = inner[inner % c.order <= inner // c.order % c.order]
        places.append(at.start + inner)
    found = quantities(solution.field.problem, unknowns)
    position = {name: i for i, name in enumerate(field.problem.graph.nodes)}
    by_node = sorted(range(len(unknowns.names)), key=lambda j: position[unknowns.nodes[j]])
    extra = () if found is None else found.names
    size = len(by_node)
    order = np.array([*by_node, *range(size, size + len(extra))], dtype=np.int64)
    names = (*(unknowns.names[j] for j in by_node), *extra)
    none = np.zeros(0, np.int64)
    return Layout(
        names=names,
        order=order,
        rows=np.concatenate([none, *rows]),
        places=np.concatenate([none, *places]),
        either=np.array(symmetric(solution), dtype=bool),
        unknowns=unknowns,
        tape=None if found is None else found.tape,
        defined=none if found is None else found.places,
    )
