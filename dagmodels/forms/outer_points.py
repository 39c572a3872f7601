"""Densities, gradients and draws at many points of the outer unknowns, by one compiled call.

For fields whose elements are integrated exactly (no leaf is an approximation).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.outer_scale import Scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PORTION = 4_000_000  # numbers of a table of normals, about 32 MB


class OuterPoints:
    """A field's workspace, visited at points y on the unconstrained scale. One a thread: it is overwritten.

    kept : places of the workspace whose values `visit` returns.
    """

    def __init__(self, field: Field, scale: Scale, kept: Ints) -> None:
        from dagmodels.numerics.posterior_steps import GRADIENT, VALUE, visit

        self.field = field
        self.kept = np.ascontiguousarray(kept, dtype=np.int64)
        self.dimension = int(scale.kind.size)
        self.width = field.pattern.n - 1
        self._visit: Any = visit
        self._value, self._both = VALUE, VALUE | GRADIENT
        self._scale = (scale.kind, scale.lower, scale.upper, scale.power, scale.constant)
        self._evaluator = Evaluator(field)
        self._arguments = self._evaluator.arguments
        self._one = np.empty((1, self.dimension)), np.zeros(1), np.zeros((1, self.dimension))
        self._none = np.zeros((0, 0)), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0))

    def density(self, y: Floats) -> tuple[float, Floats]:
        """Log density in y and its gradient at one point; minus infinity and nan outside."""
        point, value, slope = self._one
        point[0] = y
        normals, kept, values, elements = self._none
        self._visit(
            self._both, point, *self._scale, *self._arguments, normals, kept, value, slope, values, elements
        )
        return float(value[0]), slope[0].copy()

    def unidentified(self) -> str | None:
        """The coefficient without a value of its own at the point visited last, if there is one."""
        return self._evaluator.unidentified()

    def criterion(self, y: Floats) -> tuple[float, Floats]:
        """Minus twice `density`, as minimisers take it: infinite outside."""
        value, slope = self.density(y)
        return -2.0 * value, -2.0 * slope

    def densities(self, y: Floats) -> Floats:
        """Log densities of many points, one a row; over all y the density integrates to the evidence."""
        points = _rows(y, self.dimension)
        value = np.empty(len(points))
        normals, kept, values, elements = self._none
        results = (value, np.zeros((0, 0)), values, elements)
        self._visit(self._value, points, *self._scale, *self._arguments, normals, kept, *results)
        return value

    def visit(self, y: Floats, normals: Floats | None = None) -> tuple[Floats, Floats, Floats]:
        """Log densities, the workspace at `kept`, and the graph's elements drawn at each point.

        normals : standard normals, (points, width); None: no elements.  Elements are by elimination row;
        with all normals zero they are the conditional means.  Equal neighbours share one evaluation.
        """
        points = _rows(y, self.dimension)
        z = np.zeros((0, 0)) if normals is None else np.ascontiguousarray(normals)
        if normals is not None and z.shape != (len(points), self.width):
            raise ValueError(f"normals of shape {z.shape} for {len(points)} points and {self.width} elements")
        value, values = np.empty(len(points)), np.empty((len(points), self.kept.size))
        elements = np.empty((len(z), self.width))
        arguments = (z, self.kept, value, np.zeros((0, 0)), values, elements)
        self._visit(self._value, points, *self._scale, *self._arguments, *arguments)
        elements += self.field.shift
        moves = self.field.moves
        before = {move.by: elements[:, move.by].copy() for move in moves}
        for move in moves:  # as `Field.restored`: centred columns moved back
            elements[:, move.rows] -= move.weights * before[move.by][:, None]
        return value, values, elements


def _rows(y: Floats, dimension: int) -> Floats:
    points = np.ascontiguousarray(y, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != dimension:
        raise ValueError(f"points of shape {points.shape}; one a row of {dimension} coordinates is needed")
    return points
