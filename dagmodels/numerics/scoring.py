"""Damped scoring: Newton steps on the expected information, then on the exact Hessian, with bounds.

For criteria whose information and Hessian cost little more than their gradient. Steps end where the exact
Hessian certifies the optimum; `numerics.optimise` serves criteria that have gradients alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.optimise import Optimum

Floats = NDArray[np.float64]

NEAR = 4.0  # Newton decrement from which the exact Hessian leads the steps
TOLERANCE = 1e-9
SADDLE = -1e-9


class Point(Protocol):
    """The criterion at one place."""

    value: float
    gradient: Floats

    def information(self) -> Floats: ...

    def hessian(self) -> Floats: ...


def score(
    at: Callable[[Floats], Point], start: Floats, lower: Floats, upper: Floats, *, limit: int = 300
) -> Optimum:
    """Minimise from `start` (where the criterion is finite) and certify.

    at : the criterion at a place; its value is infinite where not admissible, and nothing else is asked
    there.
    lower, upper : closed bounds.
    """
    x = np.minimum(np.maximum(start, lower), upper)
    point = at(x)
    if not math.isfinite(point.value):
        raise FloatingPointError("the criterion is not finite at the starting point")
    damping, exact, message = 0.0, False, "stopped at the limit of iterations"
    iterations = 0
    while iterations < limit:
        iterations += 1
        g = point.gradient
        free = ~_active(x, g, lower, upper)
        model = point.hessian() if exact else point.information()
        if not (np.isfinite(model).all() and np.isfinite(g).all()):
            message = "the criterion has no derivatives here"
            break
        step, decrement, positive = _step(model, g, free, damping)
        if exact and not positive:
            model = point.information()
            step, decrement, _ = _step(model, g, free, damping)
        if exact and decrement < TOLERANCE:
            message = "converged"
            break
        if not exact and decrement < NEAR:
            exact = True
            continue
        found = _search(at, x, point, step, lower, upper)
        if found is None:
            if not exact:
                exact = True
                continue
            if damping > 1e6 or decrement < 1e-6:
                message = "no further descent"
                break
            damping = max(10.0 * damping, 1e-3)
            continue
        x, point, fraction = found
        damping = 0.0 if damping < 1e-6 else damping * 0.1
        if fraction < 0.2:
            damping = max(damping, 1e-3)
    return certified(x, point, lower, upper, iterations, message)


def certified(
    x: Floats, point: Point, lower: Floats, upper: Floats, iterations: int, message: str
) -> Optimum:
    """A place with the exact Hessian's decrement and smallest eigenvalue, active bounds left out."""
    g, hessian = point.gradient, point.hessian()
    active = ((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0)) | (lower == upper)
    at = np.flatnonzero(~active)
    decrement, smallest = 0.0, 1.0
    if not np.isfinite(hessian).all():
        decrement, message = math.inf, "the criterion has no second derivatives here"
    elif at.size:
        part = hessian[np.ix_(at, at)]
        d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(part)), 1e-300))
        eigenvalues, vectors = np.linalg.eigh(part * d[:, None] * d)
        top = max(float(np.abs(eigenvalues).max()), 1e-300)
        along = vectors.T @ (g[at] * d)
        decrement = float(np.sqrt(np.sum(along**2 / np.maximum(np.abs(eigenvalues), 1e-10 * top))))
        smallest = float(eigenvalues[0] / top)
    if smallest < SADDLE:
        message = "stopped at a saddle: the Hessian has a negative eigenvalue"
    return Optimum(x, point.value, g, hessian, decrement, active, smallest, iterations, message)


def _active(x: Floats, g: Floats, lower: Floats, upper: Floats) -> NDArray[np.bool_]:
    return ((x <= lower) & (g >= 0)) | ((x >= upper) & (g <= 0)) | (lower == upper)


def _step(model: Floats, g: Floats, free: NDArray[np.bool_], damping: float) -> tuple[Floats, float, bool]:
    """A descent step, its Newton decrement, and whether the model is positive definite."""
    from scipy.linalg.lapack import dpotrf, dpotrs

    step = np.zeros(g.size)
    at = np.flatnonzero(free)
    if not at.size:
        return step, 0.0, True
    part = model if at.size == g.size else model[np.ix_(at, at)]
    d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(part)), 1e-300))
    scaled = part * d[:, None] * d
    if damping:
        scaled = scaled + damping * np.eye(at.size)
    along = g[at] * d
    root, failed = dpotrf(scaled, lower=1)
    pivots = root.diagonal()
    if failed == 0 and (pivots.min() / pivots.max()) ** 2 > 1e-10:
        found, _ = dpotrs(root, along, lower=1)
        step[at] = -found * d
        return step, math.sqrt(max(float(along @ found), 0.0)), True
    eigenvalues, vectors = np.linalg.eigh(scaled)
    top = max(float(np.abs(eigenvalues).max()), 1e-300)
    turned = vectors.T @ along
    safe = np.maximum(np.abs(eigenvalues), 1e-6 * top)
    step[at] = -(vectors @ (turned / safe)) * d
    decrement = math.sqrt(float(np.sum(turned**2 / safe)))
    return step, decrement, bool(eigenvalues[0] > -1e-9 * top)


def _search(
    at: Callable[[Floats], Point], x: Floats, point: Point, step: Floats, lower: Floats, upper: Floats
) -> tuple[Floats, Point, float] | None:
    """Backtracking to a place that is lower by a share of what the gradient promises."""
    fraction = 1.0
    slack = 1e-13 * max(abs(point.value), 1.0)
    for _ in range(30):
        new = np.minimum(np.maximum(x + fraction * step, lower), upper)
        there = at(new)
        promised = float(point.gradient @ (new - x))
        if math.isfinite(there.value) and there.value <= point.value + 1e-4 * min(promised, 0.0) + slack:
            return new, there, fraction
        fraction *= 0.4
    return None
