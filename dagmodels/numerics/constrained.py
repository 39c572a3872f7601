"""Minimisation under smooth constraints: an augmented Lagrangian whose inner steps are damped scoring.

Powell (1969), Hestenes (1969), Rockafellar (1974) for the inequalities; Nocedal and Wright (2006), chapter
17. Newton steps on the conditions of the first order end it, and the optimum is certified by gradient and
Hessian of the Lagrangian, both projected on the tangent space of the constraints that hold with equality.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.scoring import Point, score

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FIRST = 10.0  # weight of the squares, where a unit of a constraint is its standard error
MOST = 1e7
ROUNDS = 40
FEASIBLE = 1e-9  # in standard errors of the constraints
SADDLE = -1e-9
RANK = 1e-9  # singular value, relative to the largest, below which a gradient depends on the others


class Constraints(Protocol):
    """Functions that are zero (equalities) or not negative (inequalities)."""

    @property
    def equal(self) -> Bools:
        """Which ones are equalities, (q,)."""
        ...

    def values(self, x: Floats) -> Floats:
        """(q,)."""
        ...

    def jacobian(self, x: Floats) -> Floats:
        """(q, k)."""
        ...

    def curvature(self, x: Floats, weights: Floats) -> Floats:
        """Hessian of the weighted sum, (k, k)."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Constrained:
    """An optimum under constraints.

    optimum : its gradient and Hessian are the Lagrangian's; decrement and smallest eigenvalue are projected.
    tangent : (k, r) orthonormal directions along which the binding constraints stay as they are; coordinates
        on bounds have none. binding : (q,) constraints that hold with equality. multipliers : (q,), zero of
        others.
    rank : of the equalities alone. violation : the largest, in standard errors.
    """

    optimum: Optimum
    tangent: Floats
    binding: Bools
    multipliers: Floats
    rank: int
    violation: float


class _Augmented:
    """The augmented Lagrangian at one place, as `score` takes it."""

    def __init__(self, point: Point, c: Constraints, x: Floats, scale: Floats, m: Floats, rho: float) -> None:
        self.point, self.constraints, self.x, self.scale, self.rho = point, c, x, scale, rho
        value = c.values(x) / scale
        self.weights = m - rho * value  # multipliers after this round
        off = ~c.equal & (self.weights < 0)
        self.weights[off] = 0.0
        self.on = ~off
        total = point.value + float(np.sum(self.weights**2 - m**2)) / (2 * rho)
        self.value = total if math.isfinite(total) else math.inf
        self._jacobian: Floats | None = None

    @property
    def jacobian(self) -> Floats:
        if self._jacobian is None:
            self._jacobian = self.constraints.jacobian(self.x) / self.scale[:, None]
        return self._jacobian

    @property
    def gradient(self) -> Floats:
        return self.point.gradient - self.weights @ self.jacobian

    def information(self) -> Floats:
        on = self.jacobian[self.on]
        return self.point.information() + self.rho * on.T @ on

    def hessian(self) -> Floats:
        on = self.jacobian[self.on]
        bent = self.constraints.curvature(self.x, self.weights / self.scale)
        return self.point.hessian() - bent + self.rho * on.T @ on


def constrained(
    at: Callable[[Floats], Point], constraints: Constraints, start: Floats, lower: Floats, upper: Floats
) -> Constrained:
    """Minimise from `start`, where the criterion is finite; arguments as for `score`."""
    x = np.clip(start, lower, upper)
    scale = _scales(at(x), constraints.jacobian(x))
    m, rho, before, iterations = np.zeros(scale.size), FIRST, math.inf, 0
    for _ in range(ROUNDS):
        found = score(
            lambda y, m=m, rho=rho: _Augmented(at(y), constraints, y, scale, m, rho), x, lower, upper
        )
        x, iterations = found.x, iterations + found.iterations
        value = constraints.values(x) / scale
        weights = m - rho * value
        m = np.where(constraints.equal, weights, np.maximum(weights, 0.0))
        off = _violation(value, constraints.equal, m)
        if off < 1e-6:
            break
        if off > 0.25 * before:
            rho = min(10 * rho, MOST)
        before = off
    x, m = _polished(at, constraints, x, m, scale, lower, upper)
    return _certified(at(x), constraints, x, m, scale, (lower, upper), iterations)


def _violation(value: Floats, equal: Bools, m: Floats) -> float:
    """Of feasibility, and of complementarity."""
    slack = np.where(equal, np.abs(value), np.where(m > 0, np.abs(value), np.maximum(-value, 0.0)))
    return float(slack.max(initial=0.0))


def _scales(point: Point, jacobian: Floats) -> Floats:
    """Standard errors of the constraints at the start, so that one weight suits all."""
    information = point.information()
    d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    found = np.sqrt(np.sum((jacobian * d) ** 2, axis=1))
    return np.where(np.isfinite(found) & (found > 0), found, 1.0)


def _polished(
    at: Callable[[Floats], Point], c: Constraints, x: Floats, m: Floats, scale: Floats,
    lower: Floats, upper: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Newton steps on the conditions of the first order, the binding set held, while they draw nearer."""
    on = np.flatnonzero(c.equal | (m > 0))
    best, best_x, best_m = math.inf, x, m
    for _ in range(8):
        point = at(x)
        if not math.isfinite(point.value):
            break
        jacobian, value = c.jacobian(x)[on] / scale[on, None], c.values(x)[on] / scale[on]
        g = point.gradient - m[on] @ jacobian
        active = ((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)) | (lower == upper)
        free = np.flatnonzero(~active)
        hessian = point.hessian() - c.curvature(x, m / scale)
        d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(point.information())), 1e-300))
        gap = float(np.hypot(np.linalg.norm((g * d)[free]), np.linalg.norm(value)))
        if not gap < best:
            break
        best, best_x, best_m = gap, x.copy(), m.copy()
        part = jacobian[:, free] * d[free]
        whole = np.block(
            [
                [hessian[np.ix_(free, free)] * d[free, None] * d[free], -part.T],
                [part, np.zeros((on.size, on.size))],
            ]
        )
        step = np.linalg.lstsq(whole, -np.concatenate([(g * d)[free], value]), rcond=1e-13)[0]
        x, m = x.copy(), m.copy()
        x[free] = np.clip(x[free] + d[free] * step[: free.size], lower[free], upper[free])
        m[on] += step[free.size :]
    return best_x, best_m


def _certified(
    point: Point, c: Constraints, x: Floats, m: Floats, scale: Floats, bounds: tuple[Floats, Floats],
    iterations: int,
) -> Constrained:  # fmt: skip
    value = c.values(x) / scale
    binding = c.equal | (m > 0)
    jacobian = c.jacobian(x) / scale[:, None]
    g = point.gradient - m @ jacobian
    hessian = point.hessian() - c.curvature(x, m / scale)
    lower, upper = bounds
    active = ((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)) | (lower == upper)
    free = np.flatnonzero(~active)
    d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(point.information())), 1e-300))[free]
    basis = null_space(jacobian[binding][:, free] * d)
    rank = int(c.equal.sum()) and free.size - null_space(jacobian[c.equal][:, free] * d).shape[1]
    tangent = np.zeros((x.size, basis.shape[1]))
    tangent[free] = np.linalg.qr(basis * d[:, None])[0] if basis.size else basis
    decrement, smallest = 0.0, 1.0
    if basis.shape[1]:
        part = basis.T @ (hessian[np.ix_(free, free)] * d[:, None] * d) @ basis
        eigenvalues, vectors = np.linalg.eigh(part)
        top = max(float(np.abs(eigenvalues).max()), 1e-300)
        along = vectors.T @ (basis.T @ (g[free] * d))
        decrement = float(np.sqrt(np.sum(along**2 / np.maximum(np.abs(eigenvalues), 1e-10 * top))))
        smallest = float(eigenvalues[0] / top)
    violation = _violation(value, c.equal, np.zeros_like(m))
    message = "converged" if smallest >= SADDLE else "stopped at a saddle of the Lagrangian"
    found = Optimum(x, point.value, g, hessian, decrement, active, smallest, iterations, message)
    return Constrained(found, tangent, binding, m / scale, rank, violation)


def null_space(rows: Floats) -> Floats:
    """Orthonormal columns that the rows are orthogonal to."""
    if not rows.size:
        return np.eye(rows.shape[1])
    _, singular, right = np.linalg.svd(rows)
    rank = int((singular > RANK * max(float(singular.max(initial=0.0)), 1e-300)).sum())
    return right[rank:].T
