"""Maxima of the joint density of values: Newton's steps on the flat form, damped where it curves up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.flat import Flat, Workspace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS = 60
CLOSE = 1e-6  # of the log density: what a further step would gain
LARGEST = 1200  # coordinates: the Hessian is dense and costs two gradients each


@dataclass(frozen=True, eq=False, slots=True)
class Top:
    """Where a climb ended: the point, its log density, and whether a further step would gain nothing."""

    y: Floats
    value: float
    settled: bool


def climb(flat: Flat, y: Floats, free: Ints, space: Workspace | None = None) -> Top:
    """Maximise the log joint density of all values (no Jacobian) over some coordinates, from y.

    The Hessian comes from central differences of the exact gradient; diagonal damping as Levenberg and
    Marquardt, in the scale of the diagonal, until a step gains.
    """
    at = flat.workspace() if space is None else space
    y = y.copy()
    value, gradient = flat.value_and_gradient(y, jacobian=False, at=at)
    damping = 0.0
    for _ in range(STEPS):
        g = gradient[free]
        step, gain, damping = _gaining(flat, y, value, g, _hessian(flat, y, free, at), free, at, damping)
        if step is None:
            return Top(y, value, gain < CLOSE)
        y[free] += step
        value, gradient = flat.value_and_gradient(y, jacobian=False, at=at)
        if gain < CLOSE:
            return Top(y, value, True)
    return Top(y, value, False)


def _gaining(
    flat: Flat, y: Floats, value: float, g: Floats, h: Floats, free: Ints, at: Workspace, damping: float
) -> tuple[Floats | None, float, float]:
    """A step that raises the density, what it was to gain, and the damping for the next."""
    scale = np.maximum(np.abs(np.diag(h)), 1e-12)
    gain = np.inf
    for _ in range(60):
        try:
            factor = np.linalg.cholesky(-h + np.diag(damping * scale))
        except np.linalg.LinAlgError:
            damping = max(10.0 * damping, 1e-10)
            continue
        step = np.linalg.solve(factor.T, np.linalg.solve(factor, g))
        gain = 0.5 * float(g @ step)
        trial = y.copy()
        trial[free] += step
        found = flat.log_density(trial, jacobian=False, at=at)
        if found > value or gain < CLOSE:
            return (step if found >= value else None), gain, (0.0 if damping < 1e-9 else 0.1 * damping)
        damping = max(10.0 * damping, 1e-10)
    return None, gain, damping


def _hessian(flat: Flat, y: Floats, free: Ints, at: Workspace) -> Floats:
    """Central differences of the gradient, symmetric."""
    found = np.empty((free.size, free.size))
    for row, k in enumerate(free.tolist()):
        step = 1e-5 * max(1.0, abs(y[k]))
        ends = []
        for sign in (1.0, -1.0):
            moved = y.copy()
            moved[k] += sign * step
            ends.append(flat.gradient(moved, jacobian=False, at=at)[free])
        found[row] = (ends[0] - ends[1]) / (2.0 * step)
    return 0.5 * (found + found.T)
