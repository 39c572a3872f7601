"""The criterion as a function of the coordinates: last points remembered, slopes true at singular roots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.separation import Separation, separated
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.information import average_information, has_average_information, is_costly
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.working_information import has_working_information, working_information
from dagmodels.numerics.optimise import NEWTON_LIMIT
from dagmodels.numerics.tape import CODES, Tape

Floats = NDArray[np.float64]
REMEMBERED = 8


@dataclass(frozen=True, eq=False, slots=True)
class Space:
    """Typical sizes, closed bounds, whether the criterion takes either sign, and which coordinates are
    elements of matrices' factors."""

    scale: Floats
    lower: Floats
    upper: Floats
    symmetric: NDArray[np.bool_]
    factor: NDArray[np.bool_]

    @classmethod
    def of(cls, field: Field, scale: Floats) -> Space:
        """The coordinates of a field."""
        parts = field.coordinates
        none, nowhere = np.zeros(0), np.zeros(0, dtype=bool)
        return cls(
            scale,
            np.concatenate([none, *(c.lower for c in parts)]),
            np.concatenate([none, *(c.upper for c in parts)]),
            np.concatenate([nowhere, *(c.symmetric for c in parts)]),
            np.concatenate([nowhere, *(np.full(c.length, c.kind == "cholesky") for c in parts)]),
        )

    def on_edge(self, x: Floats) -> NDArray[np.bool_]:
        """Coordinates on a bound that they could leave."""
        return ((x <= self.lower) | (x >= self.upper)) & (self.lower < self.upper)


class Objective:
    """Value and exact gradient at x; infinite and nan where x is not admissible.

    Where a covariance matrix that was factored on the tape is singular, its last pivot gives no adjoint:
    there the slope of coordinates on a bound is taken from values on their inner side.
    """

    def __init__(self, field: Field, evaluator: Evaluator, space: Space) -> None:
        self.space = space
        self.evaluator = evaluator
        self._known: dict[bytes, tuple[float, Floats]] = {}
        self._columns = _last_columns(field.tape)
        self._field = field
        self._separation: tuple[bytes, Separation | None] | None = None
        informed = is_costly(field) and has_average_information(field)
        self.curvature = self._curvature if informed else None
        few = field.x_places.size <= NEWTON_LIMIT  # with more a search takes no models
        self.working = self._working if few and has_working_information(field) else None

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        key = x.tobytes()
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            found = value, gradient = self.evaluator.value_and_gradient(x)
            if self._columns and np.isfinite(value) and self._singular():
                for i in np.flatnonzero(self.space.on_edge(x)):
                    slope = self._slope(x, value, int(i))
                    gradient[i] = slope if np.isfinite(slope) else gradient[i]
            if not np.isfinite(gradient).all():  # such as x**0.5 at zero: no step can leave such a point
                found = math.inf, gradient
            self._known[key] = found
        return found

    def _curvature(self, x: Floats) -> Floats | None:
        """A model of the Hessian at x for steps: see `forms.information`."""
        _, gradient = self(x)
        if not np.array_equal(self.evaluator.w[self._field.x_places], x):
            self.evaluator.criterion(x)
        return average_information(self.evaluator, x, gradient)

    def _working(self, x: Floats) -> Floats | None:
        """The same for curved leaves, by their expansion at the mode: see `forms.working_information`."""
        assert isinstance(self.evaluator, ModeEvaluator)
        _, gradient = self(x)
        if not self.evaluator.stands_at(x):
            self.evaluator.criterion(x)
        return working_information(self.evaluator, x, gradient)

    def separated(self, x: Floats) -> Separation | None:
        """The first separation at x, if any; see `separation`."""
        key = x.tobytes()
        if self._separation is None or self._separation[0] != key:
            self._separation = key, separated(self._field, self.evaluator, x)
        return self._separation[1]

    def workspace(self, x: Floats) -> Floats:
        """All values on the tape at x."""
        self.evaluator.criterion(x)
        return self.evaluator.w

    def singular(self, x: Floats) -> bool:
        """Whether a matrix that is factored on the tape is singular at x."""
        if not self._columns:
            return False
        self.evaluator.criterion(x)
        return self._singular()

    def kinked(self, x: Floats) -> bool:
        """Whether slopes by differences deny the gradient, in coordinates that are on no bound."""
        value, gradient = self(x)
        for i in np.flatnonzero(~self.space.on_edge(x)):
            step = np.zeros(x.size)
            step[i] = 1e-5 * max(abs(x[i]), self.space.scale[i])
            up, down = (self.evaluator.criterion(x + signed * step).total for signed in (1.0, -1.0))
            noise = 1e-13 * max(1.0, abs(value)) / step[i] + 1e-3 * abs(gradient[i])
            bend = 1e-3 / self.space.scale[i]
            if not abs((up - down) / (2 * step[i]) - gradient[i]) <= noise + bend:
                return True
        return False

    def _singular(self) -> bool:
        w = self.evaluator.w
        return any(not w[places].any(axis=1).all() for places in self._columns)

    def _slope(self, x: Floats, value: float, i: int) -> float:
        """One-sided difference of second order at a bound."""
        inward = 1.0 if x[i] <= self.space.lower[i] else -1.0
        step = np.zeros(x.size)
        step[i] = inward * 1e-5 * self.space.scale[i]
        near, far = (self.evaluator.criterion(x + k * step).total for k in (1, 2))
        return (4 * near - far - 3 * value) / (2 * step[i])


def _last_columns(tape: Tape) -> list[NDArray[np.int64]]:
    """Places of the last column of every matrix root on the tape, (matrices, order) an operation."""
    code, out, _, _, _, aux, start, length, _, _ = tape.operations
    found = []
    for op in np.flatnonzero(code == CODES["root"]):
        d = int(aux[op])
        first = int(start[out[op]]) + np.arange(int(length[out[op]]) // (d * d)) * d * d
        found.append(first[:, None] + np.arange(d) * d + d - 1)
    return found
