"""One step of EM on a field: the elements' expected products, then every unknown at its best given them.

Coefficients go first, by one regression on expected products (those solved within the field are at their best
already: Liu and Rubin 1994, Biometrika 81:633, whose steps keep the likelihood from falling), then scales by
expected mean squares and covariances by expected cross-products.  What has no closed form follows by Newton's
steps on the same criterion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.objective import Objective, Space
from dagmodels.fits.field.warm_start import closed_steps, stepped
from dagmodels.forms.complete import complete
from dagmodels.forms.field import Field
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.optimise import descend

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Criterion = Callable[[Floats], tuple[float, Floats]]
STEPS = 6  # Newton's: one is exact for a regression
FEW = 2  # steps on the likelihood itself of what the complete data do not tell
LEAST, MOST = -4.0, 4.0  # the change of a scale's logarithm in one step
SETTLED = 1e-7  # slope in units of a coordinate's size below which nothing is left to be done
POWERS = {"residual": 2.0, "scale": 2.0, "variance": 1.0, "precision": -1.0}  # of a scale in its variance


class Maximiser:
    """The map of EM of one field.

    location : coefficients. power : of scales, by which the variance follows them, 0 for other coordinates.
    matrices : covariances. others : coordinates without a closed form.
    beside : those that move latents which are determined; they are maximised given the data alone.
    """

    def __init__(self, field: Field, f: Objective) -> None:
        self.field, self.f, self.space = field, f, f.space
        self.complete = complete(field)
        self.beside = self.complete.beside
        parts = field.coordinates
        self.power = np.where(self.beside, 0.0, _each(parts, _power))
        self.log = _each(parts, lambda c: c.kind == "log").astype(bool)
        held = self.beside | (self.power != 0)
        self.matrices = [part for part in closed_steps(field) if not held[part[0]].any()]
        for part, _ in self.matrices:
            held[part] = True
        self.location = ~held & _each(parts, _is_location).astype(bool)
        self.others = ~held & ~self.location

    def __call__(self, x: Floats) -> Floats:
        """One step from x, at which the likelihood is finite."""
        evaluator = self.f.evaluator
        evaluator.criterion(x)
        evaluator.gradient()
        q = self.complete.expected(evaluator)
        if self.location.any():
            x = _on(q, x, self.location, self.space, STEPS)
        x = self._scales(q, x)
        gradient = q(x)[1]
        new = stepped(self.matrices, x, gradient)
        left = self.others.copy()
        if self.matrices and not q(new)[0] <= q(x)[0]:
            new = x
        if self.power.any() or left.any():
            slope = np.abs(q(new)[1]) * self.space.scale
            left |= (self.power != 0) & (slope > SETTLED * self.field.n_observations)
        x = _on(q, new, left, self.space, STEPS) if left.any() else new
        if self.beside.any():
            x = _on(self.f, x, self.beside, self.space, FEW)
        return x

    def _scales(self, q: Criterion, x: Floats) -> Floats:
        """Every scale at its expected mean square.

        With v = e^(p l) the criterion in one is n p l + C / v: its slopes at l and l + log 2 tell n and C.
        """
        at = np.flatnonzero((self.power != 0) & (self.log | (x > 0)))
        if not at.size:
            return x
        p, log = self.power[at], self.log[at]
        value, here = q(x)
        far = x.copy()
        far[at] = np.where(log, x[at] + np.log(2.0), 2.0 * x[at])
        there = q(far)[1][at] * np.where(log, 1.0, far[at])
        slope = here[at] * np.where(log, 1.0, x[at])
        over = (there - slope) / (p * (1.0 - 2.0**-p))  # C / v
        move = np.log(over / (slope / p + over)) / p
        move = np.clip(np.where(np.isfinite(move), move, 0.0), LEAST, MOST)
        new = x.copy()
        new[at] = np.where(log, x[at] + move, x[at] * np.exp(move))
        new = np.clip(new, self.space.lower, self.space.upper)
        return new if q(new)[0] <= value else x


def nudged(f: Objective, x: Floats) -> Floats:
    """x off the saddles where nothing tells a coefficient from its negative: there EM would stay."""
    _, gradient = f(x)
    plain = _each(f.evaluator.field.coordinates, _is_location).astype(bool)
    still = plain & (x == 0.0) & (np.abs(gradient) * f.space.scale < SETTLED)
    moved = np.clip(np.where(still, 0.5 * f.space.scale, x), f.space.lower, f.space.upper)
    return moved if still.any() and np.isfinite(f(moved)[0]) else x


def _power(c: Coordinate) -> float:
    scale = c.kind == ("log" if c.use in ("residual", "precision") else "identity")
    return POWERS.get(c.use, 0.0) if scale and c.group is None else 0.0


def _is_location(c: Coordinate) -> bool:
    return c.kind == "identity" and c.use not in POWERS and c.group is None and not c.symmetric.any()


def _each(parts: tuple[Coordinate, ...], told: Callable[[Coordinate], float]) -> Floats:
    return np.concatenate([np.zeros(0), *(np.full(c.length, float(told(c))) for c in parts)])


def _on(q: Criterion, x: Floats, which: Bools, space: Space, limit: int) -> Floats:
    """x after Newton's steps on some of its coordinates."""
    at = np.flatnonzero(which)

    def part(y: Floats) -> tuple[float, Floats]:
        value, gradient = q(_put(x, at, y))
        return value, gradient[at]

    found = descend(part, x[at], space.scale[at], space.lower[at], space.upper[at], limit=limit)
    return _put(x, at, found.x)


def _put(x: Floats, at: NDArray[np.int64], y: Floats) -> Floats:
    found = x.copy()
    found[at] = y
    return found
