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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.conjugacy import Conjugate
from dagmodels.analysis.roles import Roles
from dagmodels.bind.problem import Problem
from dagmodels.forms.centre import Move
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.elimination import SCALED, Elimination, Pattern
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
class Curved:
    """A leaf that is not Normal and linear, at any expansion point.

    node : its name. n : rows. latent : the node is a latent, whose law this is.
    eta, load, offset : places in the workspace of its predictors, of extra loads on them, and of what is
        known of them, (K, n).
    density : places of the log density by row. slopes : of its derivatives, by predictor.
    weights : of minus its second derivatives (and the ridge), by pair of predictors.
    loads : of slope + weights @ (eta - offset) + load, by predictor.
    element, source, data : of each piece of each predictor, (pieces, n), elements as elimination rows;
        the last piece is what is known of the predictor (the constant's row).
    """

    node: str
    n: int
    eta: Ints
    load: Ints
    offset: Ints
    density: Ints
    slopes: Mapping[int, Ints]
    weights: Mapping[tuple[int, int], Ints]
    loads: Mapping[int, Ints]
    element: tuple[Ints, ...]
    source: tuple[Ints, ...]
    data: tuple[Floats, ...]
    latent: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Conditional:
    """A latent that was integrated in closed form; see `collapse`.

    pair : the latent and its children. prior, sums : places in the workspace of the kernel's two parameters
        and of what the children add to them, one an element each.
    """

    pair: Conjugate
    prior: tuple[Ints, Ints]
    sums: tuple[Ints, Ints]


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
    order : in words, the order of elimination and why.
    curved : leaves whose quadratic expansion is filled in; the form's mode is looked for (`mode`).
    ridge : place of the weight of a proximal term on their predictors.
    collapsed : latents that were integrated in closed form and are no elements.
    shift : what was taken off each element (elimination order).
    moves : columns that were centred: the kernels' elements are not the graph's, see `restored`.
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
    moves: tuple[Move, ...]
    leaves: tuple[Leaf, ...]
    group_names: tuple[str, ...]
    group_rows: tuple[Ints, ...]
    outer_registers: Mapping[str, int]
    parents: tuple[Ints, Ints]
    order: str = ""
    curved: tuple[Curved, ...] = ()
    ridge: int = -1
    collapsed: tuple[Conditional, ...] = ()

    @property
    def is_shock(self) -> NDArray[np.bool_]:
        """Which rows are unit shocks of vector nodes (the constant is not)."""
        found = np.zeros(self.pattern.n, dtype=bool)
        for name, rows in zip(self.group_names, self.group_rows, strict=True):
            if "#" in name:
                found[rows] = True
        return found

    @property
    def unrestricted(self) -> NDArray[np.bool_]:
        """Which rows have no law: flat and free coefficients, but no latents whose law is a leaf."""
        found = self.pattern.kind[:-1] != SCALED
        for name in self.roles.general:
            found[self.rows[name][self.rows[name] >= 0]] = False
        return found

    def parent_entries(self, w: Floats) -> tuple[Ints, Ints, Floats]:
        """Child, parent and coefficient of every entry of T at a workspace."""
        _, _, source, value, *_ = self.fill
        return *self.parents, value * w[source]

    def restored(self, u: Floats) -> Floats:
        """The graph's elements from the kernels' (without shift): centred columns moved back."""
        found = u.copy()
        for move in self.moves:
            found[move.rows] -= move.weights * u[move.by]
        return found

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


@dataclass(frozen=True, eq=False, slots=True)
class Sensitivity:
    """Derivatives along one direction of the coordinates.

    deviance : of minus twice the log likelihood. means : of the elements' conditional means.
    draw : of a joint draw with fixed normals. variances : of the kernels' conditional variances.
    """

    deviance: float
    means: Floats
    draw: Floats
    variances: Floats


class Evaluator:
    """Runs a field at values of x: criterion, exact gradient, moments of the elements."""

    def __init__(self, field: Field) -> None:
        from dagmodels.numerics import objective_kernels as kernels

        self.field = field
        self.elimination = e = Elimination(field.pattern)
        self.w = field.tape.initial.copy()
        self.evaluations = 0
        self._last: bytes | None = None
        self._objective, self._value, self._gradient = kernels.objective, kernels.VALUE, kernels.GRADIENT
        self._both = self._value | self._gradient
        self._result = np.zeros(2 + field.x_places.size)
        self._arguments = (
            *(field.x_places, self.w, *field.tape.operations, *field.fill, *field.pattern.arguments),
            *(e.s, e.T, e.H, e.p, field.linear_places, field.linear_counts),
            *(field.prior_places, field.prior_counts, field.constant),
            *(np.zeros(e.H.size), np.zeros(e.T.size), np.zeros(self.w.size), self._result),
        )

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What `objective` takes after x: for kernels that call it."""
        return self._arguments

    def _run(self, want: int, x: Floats) -> Criterion:
        self._last = None
        self._objective(want, x, *self._arguments)
        deviance, penalty = float(self._result[0]), float(self._result[1])
        if not math.isfinite(deviance + penalty):
            return Criterion(math.inf, 0.0)
        self._last = x.tobytes()
        return Criterion(deviance, penalty)

    def criterion(self, x: Floats) -> Criterion:
        """Value at x; infinite where the point is not admissible.

        Costs nothing where the last evaluation was at x: its factor is still there.
        """
        if x.tobytes() == self._last:
            return Criterion(float(self._result[0]), float(self._result[1]))
        self.evaluations += 1
        return self._run(self._value, x)

    def unidentified(self) -> str | None:
        """The coefficient whose pivot vanished in the elimination that was tried last, if one did."""
        bad = np.flatnonzero(self.field.unrestricted & ~(self.elimination.p[:-1] > 0))
        for name, rows in self.field.rows.items():
            if bad.size and bad[0] in rows:
                return name
        return None

    def forget(self) -> None:
        """What was evaluated last holds no longer: the field's data or held inputs were changed."""
        self._last = None

    def gradient(self) -> Floats:
        """Exact gradient of the total at the last x, by the adjoints of elimination and tape."""
        self._objective(self._gradient, self._result[2:], *self._arguments)
        return self._result[2:].copy()

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        """The total and its gradient at x (nan where the value is infinite)."""
        self.evaluations += 1
        self._objective(self._both, x, *self._arguments)
        result = self._result
        total = float(result[0] + result[1])
        if not math.isfinite(total):
            self._last = None
            return math.inf, np.full(x.size, np.nan)
        self._last = x.tobytes()
        return total, result[2:].copy()

    def products(self) -> Floats:
        """E[u_i u_j] at the places of H (off-diagonal ones twice), of the kernels' elements given the data.

        The adjoint of the criterion in H: free elements are integrated, those that are solved stand at their
        best. Only right after `gradient` or `value_and_gradient`; overwritten by what is asked next.
        """
        return self._arguments[-4]

    def means(self) -> Floats:
        """Conditional means (or generalised least squares values) of the elements at the last x."""
        return self.field.restored(self.elimination.mean() + self.field.shift)

    def covariance(self, rows: Ints) -> Floats:
        """Conditional covariance of some elements given the outer unknowns, at the last x."""
        from dagmodels.numerics.tail_kernels import LONG

        pattern = self.field.pattern
        if not self.field.moves and rows.size and rows.min() >= pattern.ts >= pattern.n - LONG:
            places = pattern.place(rows.repeat(rows.size), np.tile(rows, rows.size))
            return self.elimination.selected_inverse()[places].reshape(rows.size, rows.size)
        every, chosen = self.with_moves(rows)
        if every.size and every.min() >= pattern.ts >= pattern.n - LONG:
            i, j = np.meshgrid(every, every, indexing="ij")
            places = pattern.place(i.ravel(), j.ravel())
            inner = self.elimination.selected_inverse()[places].reshape(every.size, every.size)
        else:
            inner = self.columns(every)[every]
            inner = 0.5 * (inner + inner.T)
        return chosen @ inner @ chosen.T

    def variances(self) -> Floats:
        """Conditional variances of all elements given the outer unknowns, at the last x."""
        pattern = self.field.pattern
        every = np.arange(pattern.n - 1)
        covariances = self.elimination.selected_inverse(into=self._arguments[-4])
        found = covariances[pattern.place(every, every)]
        if self.field.moves:
            by = np.unique([m.by for m in self.field.moves]).astype(np.int64)
            weight = np.zeros((every.size, by.size))
            for move in self.field.moves:
                weight[move.rows, np.searchsorted(by, move.by)] += move.weights
            columns = self.columns(by)
            found = found - 2 * (weight * columns).sum(axis=1)
            found = found + np.einsum("ij,jk,ik->i", weight, columns[by], weight)
        return np.maximum(found, 0.0)

    def columns(self, rows: Ints) -> Floats:
        """Columns of the kernels' covariance: the response of all means to a unit load on each row."""
        loads = np.zeros((rows.size, self.field.pattern.n - 1))
        loads[np.arange(rows.size), rows] = -1.0
        return self.elimination.responses(loads).T

    def sensitivity(self, x: Floats, direction: Floats, normals: Floats | None = None) -> Sensitivity:
        """Exact derivatives at x, along a direction of x, of every answer about the elements."""
        field = self.field
        step = 1e-30
        e, w = self._stepped(x, step * direction)
        logdet, residual = e.eliminate()
        rows = np.arange(field.pattern.n - 1)
        z = np.zeros(rows.size) if normals is None else normals
        deviance = logdet + residual + field.linear_counts @ w[field.linear_places]
        answers = (deviance, e.mean(), e.sample(z), e.selected_inverse()[field.pattern.place(rows, rows)])
        logs, means, draw, variances = (np.imag(a) / step for a in answers)
        return Sensitivity(float(logs), field.restored(means), field.restored(draw), variances)

    def _stepped(self, x: Floats, step: Floats) -> tuple[Elimination, NDArray[np.complex128]]:
        """The system at x + i*step, filled in, and the workspace behind it."""
        return self._complex_system(self._complex_inputs(x, step))

    def _complex_inputs(self, x: Floats, step: Floats) -> dict[str, NDArray[Any]]:
        """The tape's inputs at x + i*step; others than coordinates as they stand."""
        raw: dict[str, NDArray[Any]] = {
            name: self.w[start : start + length] for name, (start, length) in self.field.tape.inputs.items()
        }
        position = 0
        for c in self.field.coordinates:
            part = slice(position, position + c.length)
            raw[c.node] = x[part] + 1j * step[part]
            position += c.length
        return raw

    def _complex_system(self, raw: Mapping[str, NDArray[Any]]) -> tuple[Elimination, NDArray[np.complex128]]:
        """The system at complex inputs, filled in, and the workspace behind it."""
        w = self.field.tape.values(dict(raw))
        s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value = self.field.fill
        e = Elimination(self.field.pattern, complex_steps=True)
        e.s[:] = w[s_from]
        np.add.at(e.T, t_place, t_value * w[t_from])
        np.add.at(e.H, h_place, h_value * w[h_weight] * w[h_left] * w[h_right])
        return e, w

    def with_moves(self, rows: Ints) -> tuple[Ints, Floats]:
        """The kernels' rows that some of the graph's elements are made of, and by which numbers."""
        by = np.unique([m.by for m in self.field.moves]).astype(np.int64)
        every = np.unique(np.concatenate([rows, by]))
        back = np.eye(every.size)
        at = {int(row): k for k, row in enumerate(every)}
        for move in self.field.moves:
            for row, weight in zip(move.rows, move.weights, strict=True):
                if int(row) in at:
                    back[at[int(row)], at[move.by]] -= weight
        return every, back[[at[int(r)] for r in rows]]
