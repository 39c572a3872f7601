"""The `field` form: a latent Gaussian field with Gaussian leaves, as arrays only.

Elements are the entries of the block's nodes (and unit shocks of vector nodes), in elimination
order.  Everything that depends on the outer unknowns x is a place in the tape's workspace w:
scales s, parent coefficients T, weights and multipliers of the data's cross-products H.  Twice the
negative log likelihood is

    log det + residual(H, T, s) + sum count * w[place] + constant

(plus twice the negative log prior, which `Field` keeps apart).  The number of rows of the data
does not occur: cross-products are summed once, after a shift of all elements to a provisional
fit that is undone analytically (numerics: sufficient statistics are shifted).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.roles import Roles
from dagmodels.bind.problem import Problem
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.elimination import Elimination, Pattern
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """What is kept of one observed statement for starts, predictions and reports.

    node : its name. n : given cells. scale : root mean square residual of the provisional fit.
    """

    node: str
    n: int
    scale: float


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """See the module. Frozen; `Evaluator` holds the workspaces.

    coordinates : the outer unknowns, whose internal coordinates make up x, in order.
    x_places : places in the workspace of x.
    fill : arguments of the kernels that fill s, T and H.
    linear_places, linear_counts : the terms count * w[place].
    prior_places, prior_counts : the same for minus twice the log prior.
    rows : for each block node, the elimination row of each of its elements (-1: given).
    group_names, group_rows : elements by node (or `nodes#component` for unit shocks), and their rows.
    outer_registers : the tape's register with each outer node's value.
    parents : child and parent rows of the entries that fill T.
    shift : what was taken off each element (elimination order).
    """

    problem: Problem
    roles: Roles
    tape: Tape
    coordinates: tuple[Coordinate, ...]
    x_places: Ints
    pattern: Pattern
    fill: tuple[NDArray[np.generic], ...]
    linear_places: Ints
    linear_counts: Floats
    prior_places: Ints
    prior_counts: Floats
    constant: float
    rows: Mapping[str, Ints]
    shift: Floats
    leaves: tuple[Leaf, ...]
    group_names: tuple[str, ...]
    group_rows: tuple[Ints, ...]
    outer_registers: Mapping[str, int]
    parents: tuple[Ints, Ints]

    @property
    def is_shock(self) -> NDArray[np.bool_]:
        """Which rows are unit shocks of vector nodes (the constant is not)."""
        found = np.zeros(self.pattern.n, dtype=bool)
        for name, rows in zip(self.group_names, self.group_rows, strict=True):
            if "#" in name:
                found[rows] = True
        return found

    def parent_entries(self, w: Floats) -> tuple[Ints, Ints, Floats]:
        """Child, parent and coefficient of every entry of T at a workspace."""
        _, _, source, value, *_ = self.fill
        return *self.parents, value * w[source]

    @property
    def n_observations(self) -> int:
        """Given cells of observed nodes."""
        return sum(leaf.n for leaf in self.leaves)


@dataclass(frozen=True, slots=True)
class Criterion:
    """Minus twice the (restricted) log likelihood, and minus twice the log prior density."""

    deviance: float
    penalty: float

    @property
    def total(self) -> float:
        return self.deviance + self.penalty


class Evaluator:
    """Runs a field at values of x: criterion, exact gradient, moments of the elements."""

    def __init__(self, field: Field) -> None:
        from dagmodels.numerics import objective_kernels as kernels

        self.field = field
        self.elimination = e = Elimination(field.pattern)
        self.w = field.tape.initial.copy()
        self.evaluations = 0
        self._objective, self._value, self._gradient = kernels.objective, kernels.VALUE, kernels.GRADIENT
        self._result = np.zeros(2 + field.x_places.size)
        self._arguments = (
            *(field.x_places, self.w, *field.tape.operations, *field.fill, *field.pattern.arguments),
            *(e.s, e.T, e.H, e.p, field.linear_places, field.linear_counts),
            *(field.prior_places, field.prior_counts, field.constant, np.zeros(self.w.size), self._result),
        )

    def _run(self, want: int, x: Floats) -> Criterion:
        self._objective(want, x, *self._arguments)
        deviance, penalty = float(self._result[0]), float(self._result[1])
        if not math.isfinite(deviance + penalty):
            return Criterion(math.inf, 0.0)
        return Criterion(deviance, penalty)

    def criterion(self, x: Floats) -> Criterion:
        """Value at x; infinite where the point is not admissible."""
        self.evaluations += 1
        return self._run(self._value, x)

    def gradient(self) -> Floats:
        """Exact gradient of the total at the last x, by the adjoints of elimination and tape."""
        self._objective(self._gradient, self._result[2:], *self._arguments)
        return self._result[2:].copy()

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        """The total and its gradient at x (nan where the value is infinite)."""
        self.evaluations += 1
        total = self._run(self._value | self._gradient, x).total
        return total, self._result[2:].copy() if math.isfinite(total) else np.full(x.size, np.nan)

    def means(self) -> Floats:
        """Conditional means (or generalised least squares values) of the elements at the last x."""
        return self.elimination.mean() + self.field.shift
