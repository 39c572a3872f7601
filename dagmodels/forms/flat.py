"""The `flat` form: one unconstrained vector, and the log density of everything unknown as one number.

The tape holds all factors: run it forward and the register `total` has the log density, backward from there
and the first `size` adjoints are its gradient. A compiled sampler needs no more than `tape`, `size`, `total`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.cells import element_label
from dagmodels.forms.stretches import Stretch
from dagmodels.numerics.tape import Tape

if TYPE_CHECKING:
    from dagmodels.forms.state_draws import StateDraws

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class OnEdge(FitError):
    """A value on the edge of its domain; `name` is the element's."""

    def __init__(self, name: str, told: str) -> None:
        super().__init__(told)
        self.name = name

    def __reduce__(self) -> tuple[type[OnEdge], tuple[str, str]]:
        return OnEdge, (self.name, str(self))


@dataclass(frozen=True, eq=False, slots=True)
class Given:
    """What is neither unknown nor data: a stretch of the workspace that may be written before any run.

    place : in the workspace. elements : the flat places of the node's array that it holds.
    """

    place: slice
    elements: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Workspace:
    """What one chain writes to: values and adjoints of the tape, in its layout."""

    values: Floats
    adjoints: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Flat:
    """A log density over unconstrained numbers.

    Attributes
    ----------
    problem : graph and data.
    chosen : the names that were asked for, None for all.
    unknown : names of the unknown nodes, parents first.
    size : length of the unconstrained vector, which stands at the start of the workspace.
    tape : values of all nodes, all factors and log Jacobians, and their sums.
    values : the part of it that gives the nodes' values alone.
    joint, jacobian, total : places of the log joint density, of the log Jacobian, and of their sum.
    nodes : where the elements of each unknown node stand, observed and fixed ones included.
    stretches : how the vector becomes values.
    given : nodes (or missing entries) that are neither unknown nor data.
    without_prior : unknowns that are flat on their declared scale, so that the density may be improper.
    left_out : observed nodes without children whose missing entries are discrete or censored: their factors
        sum to one.
    summed : how discrete unknowns that were summed out are drawn, None where there are none.
    forward : nodes that nothing observed depends on, which are left to be drawn from their parents.
    """

    problem: Problem
    chosen: tuple[str, ...] | None
    unknown: tuple[str, ...]
    size: int
    tape: Tape
    values: Tape
    joint: int
    jacobian: int
    total: int
    nodes: Mapping[str, slice]
    stretches: tuple[Stretch, ...]
    given: Mapping[str, Given]
    without_prior: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    summed: StateDraws | None = None
    forward: tuple[str, ...] = ()

    @property
    def standard(self) -> dict[str, NDArray[np.bool_]]:
        """Of nodes with elements in standard units, which these are, by flat place."""
        found: dict[str, NDArray[np.bool_]] = {}
        for s in self.stretches:
            if s.kind == "standard":
                size = int(np.prod(self.problem.shape(s.node), dtype=np.int64))
                found.setdefault(s.node, np.zeros(size, dtype=bool))[s.places[:, 0]] = True
        return found

    # -- running -----------------------------------------------------------------------------------

    def workspace(self, given: Mapping[str, Any] | None = None) -> Workspace:
        """A fresh workspace.

        given : values of `given` nodes, by name, over their plates (or in the order of `Given.elements`).

        Raises `FitError` for names that are not given, and for wrong shapes.
        """
        w = self.tape.initial.copy()
        space = Workspace(w, np.zeros_like(w))
        for name, value in (given or {}).items():
            self.write(space, name, value)
        return space

    def write(self, space: Workspace, name: str, value: Any) -> None:
        """Write a given node's values into a workspace."""
        if name not in self.given:
            known = ", ".join(f"'{n}'" for n in self.given) or "nothing is"
            raise FitError(f"'{name}' is not given here (given: {known})")
        at, shape = self.given[name], self.problem.shape(name)
        values = np.asarray(value, dtype=np.float64)
        if values.shape != shape and values.shape != at.elements.shape:
            raise FitError(f"'{name}' has shape {values.shape}, its plates need {shape}")
        space.values[at.place] = values.reshape(-1)[at.elements] if values.shape == shape else values

    def log_density(self, y: Floats, *, jacobian: bool = True, at: Workspace | None = None) -> float:
        """Log joint density of all unknowns and of what is observed given them, at an unconstrained point.

        Parameters
        ----------
        jacobian : add log |dx/dy|, which makes it the density of y; without it is that of the values, whose
            mode is theirs.
        at : a workspace to use again; by default a fresh one.

        Returns
        -------
        Minus infinity outside a support, and where a factor is no number; `why` says which.

        Raises `FitError` for a wrong length, or where a given value was never written.
        """
        space = self._run(y, at)
        return self._checked(space, space.values[self.total if jacobian else self.joint])

    def value_and_gradient(
        self, y: Floats, *, jacobian: bool = True, at: Workspace | None = None
    ) -> tuple[float, Floats]:
        """The log density and its exact gradient in y, by one pass forward and one back."""
        space = self._run(y, at)
        place = self.total if jacobian else self.joint
        value = self._checked(space, space.values[place])
        space.adjoints[:] = 0.0
        space.adjoints[place] = 1.0
        self.tape.reverse(space.values, space.adjoints)
        return value, space.adjoints[: self.size].copy()

    def gradient(self, y: Floats, *, jacobian: bool = True, at: Workspace | None = None) -> Floats:
        """The gradient of `log_density`."""
        return self.value_and_gradient(y, jacobian=jacobian, at=at)[1]

    def _run(self, y: Floats, at: Workspace | None) -> Workspace:
        space = self.workspace() if at is None else at
        space.values[: self.size] = self._vector(y)
        self.tape.forward(space.values)
        return space

    def _vector(self, y: Floats) -> Floats:
        y = np.asarray(y, dtype=np.float64)
        if y.shape[-1:] != (self.size,) or y.ndim > 2:
            raise FitError(f"an unconstrained point has {self.size} numbers here, not shape {y.shape}")
        return y

    def _checked(self, space: Workspace, value: float) -> float:
        if np.isfinite(value):
            return float(value)
        self._no_gaps(space)
        return -np.inf if np.isnan(value) or value < 0 else float(value)

    def _no_gaps(self, space: Workspace) -> None:
        """Refuse a workspace in which a given value was never written."""
        for name, given in self.given.items():
            if np.isnan(space.values[given.place]).any():
                raise FitError(f"'{name}' is given but has no value yet: write it into the workspace")

    def why(self, y: Floats, *, at: Workspace | None = None) -> tuple[str, ...]:
        """Which nodes' factors are not finite at y, with the values of their parents; empty if none is."""
        from dagmodels.forms.flat_reasons import reasons

        return reasons(self, self._vector(y), self.workspace() if at is None else at)

    # -- between the vector and the nodes ------------------------------------------------------------

    def constrain(self, y: Floats, *, at: Workspace | None = None) -> dict[str, Floats]:
        """Values of the unknown nodes over their plates, observed and fixed elements included.

        y : one point (size,), or many (n, size): then arrays have a first axis of n.
        """
        y = self._vector(y)
        found = self._sweep(np.atleast_2d(y), [np.arange(s.start, s.stop) for s in self.nodes.values()], at)
        shapes = (self.problem.shape(name) for name in self.nodes)
        return {
            name: part.reshape((*y.shape[:-1], *shape))
            for name, part, shape in zip(self.nodes, found, shapes, strict=True)
        }

    def log_scales(self, y: Floats) -> Floats:
        """Of points (n, size) the logarithms of all scales in whose units elements stand, summed: what the
        log density has more than that of the same values in their own units."""
        found = np.zeros(len(y))
        for s in self.stretches:
            if s.kind == "standard":
                scale = self._ends(s.upper, y, None)
                assert scale is not None
                found += np.log(np.broadcast_to(scale, (len(y), s.length))).sum(axis=1)
        return found

    def _sweep(self, points: Floats, places: list[Ints], at: Workspace | None) -> list[Floats]:
        from dagmodels.numerics.many_points import sweep

        w = (self.tape.initial if at is None else at.values).copy()
        every = np.concatenate([np.zeros(0, np.int64), *places])
        found = np.empty((len(points), every.size))
        sweep(*self.values.operations, w, np.ascontiguousarray(points), every, found)
        return np.split(found, np.cumsum([p.size for p in places])[:-1], axis=1) if places else []

    def unconstrain(
        self, values: Mapping[str, Any], *, at: Workspace | None = None, inside: bool = True
    ) -> Floats:
        """The point at which the unknown nodes have these values; the inverse of `constrain`.

        values : by node over its plates, or with a first axis of n for n points; fixed and observed elements
            are not read. inside : refuse values on the edge of a support or beyond; else their numbers, and
            those that hang on them, are not finite.

        Returns
        -------
        (size,) or (n, size).

        Raises `FitError` naming nodes that are missing, of wrong shape, or outside their support.
        """
        arrays = {name: self._elements(values, name) for name in self.nodes}
        many = any(a.ndim == 2 for a in arrays.values())
        n = max((len(a) for a in arrays.values() if a.ndim == 2), default=1)
        points = np.zeros((n, self.size))
        for s in self.stretches:
            given = np.broadcast_to(arrays[s.node], (n, arrays[s.node].shape[-1]))[:, s.places]
            part = s.points(given, self._ends(s.lower, points, at), self._ends(s.upper, points, at))
            if inside and not np.isfinite(part).all():
                raise OnEdge(*self._outside(s, part, given))
            points[:, s.start : s.start + s.length] = part
        return points if many else points[0]

    def _ends(self, end: Floats | slice | None, points: Floats, at: Workspace | None) -> Floats | None:
        if not isinstance(end, slice):
            return end
        return self._sweep(points, [np.arange(end.start, end.stop)], at)[0]

    def _elements(self, values: Mapping[str, Any], name: str) -> Floats:
        if name not in values:
            raise FitError(f"'{name}' has no value: every unknown node needs one ({', '.join(self.nodes)})")
        array, shape = np.asarray(values[name], dtype=np.float64), self.problem.shape(name)
        if array.shape == shape:
            return array.reshape(-1)
        if array.shape[1:] == shape and array.ndim == len(shape) + 1:
            return array.reshape(len(array), -1)
        raise FitError(f"'{name}' has shape {array.shape}, its plates need {shape}")

    def _outside(self, s: Stretch, part: Floats, given: Floats) -> tuple[str, str]:
        draw, k = np.argwhere(~np.isfinite(part))[0]
        place = int(s.entries()[k])
        value = given[draw].reshape(-1)[s.places.reshape(-1) == place][0]
        kind = {"lower": "bound", "upper": "bound", "interval": "interval"}.get(s.kind, s.kind)
        name = element_label(self.problem, s.node, place)
        return name, (
            f"'{name}' is {value:g}, which is not inside its {kind}: give a value inside (those on its edge "
            "have no unconstrained numbers)"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """For each unconstrained number the element that it moves (of a simplex all but the last)."""
        return tuple(element_label(self.problem, s.node, int(p)) for s in self.stretches for p in s.entries())
