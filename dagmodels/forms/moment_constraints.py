"""Constraints between unknowns of a graph, which the graph itself cannot say, as functions of coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Rows
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.forms.moments import Template
from dagmodels.graph import expression as ex
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
STEP = 1e-5  # of differences of exact first derivatives, in units of a coordinate


@dataclass(frozen=True, slots=True)
class Constraint:
    """A tree over the graph's unknowns that is zero (`equal`) or not negative; told as the user wrote it."""

    tree: ex.Expression
    equal: bool
    told: str


class TapeConstraints:
    """See `numerics.constrained.Constraints`; derivatives by reverse sweeps, exact."""

    def __init__(self, template: Template, constraints: Sequence[Constraint]) -> None:
        self.template, self.constraints = template, tuple(constraints)
        self.equal = np.array([c.equal for c in constraints], dtype=bool)
        recorder = Recorder()
        problem = template.small

        def unknown(name: str) -> int:
            if name not in template.outer_registers:
                raise NotLowered(f"a constraint names '{name}', which is no unknown of the model")
            return recorder.input(name, int(np.prod(problem.shape(name) or (1,))))

        lowering = Lowering(problem, recorder, unknown)
        one = Rows(1, {})
        registers = [lowering.full(lowering.value(c.tree, one), one) for c in constraints]
        for register in registers:
            recorder.start(register)
        self.tape = recorder.finish()
        self.places = np.array([self.tape.place(r).start for r in registers], dtype=np.int64)
        outer = template.tape
        self.spans = [
            (start, length, outer.place(template.outer_registers[name]))
            for name, (start, length) in self.tape.inputs.items()
        ]

    def _numbers(self, x: Floats) -> tuple[Floats, Floats]:
        """The workspaces of the form's tape and of this one."""
        outer = self.template.tape.initial.copy()
        outer[self.template.x_places] = x
        self.template.tape.forward(outer)
        own = self.tape.initial.copy()
        for start, length, span in self.spans:
            own[start : start + length] = outer[span]
        self.tape.forward(own)
        return outer, own

    def values(self, x: Floats) -> Floats:
        """(q,)."""
        return self._numbers(x)[1][self.places]

    def _slope(self, outer: Floats, own: Floats, weights: Floats) -> Floats:
        """Gradient of the weighted sum in the coordinates."""
        bar = np.zeros(own.size)
        np.add.at(bar, self.places, weights)
        self.tape.reverse(own, bar)
        whole = np.zeros(outer.size)
        for start, length, span in self.spans:
            whole[span] += bar[start : start + length]
        self.template.tape.reverse(outer, whole)
        return whole[self.template.x_places]

    def jacobian(self, x: Floats) -> Floats:
        """(q, k)."""
        outer, own = self._numbers(x)
        rows = [self._slope(outer, own, unit) for unit in np.eye(self.places.size)]
        return np.stack(rows) if rows else np.zeros((0, x.size))

    def curvature(self, x: Floats, weights: Floats) -> Floats:
        """Hessian of the weighted sum, by differences of its exact gradient."""
        found = np.empty((x.size, x.size))
        for i in range(x.size):
            h = STEP * max(1.0, abs(x[i]))
            sides = []
            for sign in (1.0, -1.0):
                near = x.copy()
                near[i] += sign * h
                sides.append(self._slope(*self._numbers(near), weights))
            found[i] = (sides[0] - sides[1]) / (2 * h)
        return 0.5 * (found + found.T)
