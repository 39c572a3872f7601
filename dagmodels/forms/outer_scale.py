"""The unconstrained scale of the outer unknowns, on which integrals are taken, and its Jacobian.

A density on the declared scale times |d declared / d unconstrained| is a density in y: the logarithm for
what is positive, the logit between two bounds, log diagonals and plain entries of the Cholesky factor of a
covariance matrix, and atanh of the canonical partial correlations of a correlation matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.triangle import lower_triangle

Floats = NDArray[np.float64]
PLAIN, ABOVE, BELOW, BETWEEN, LOG, PARTIAL = range(6)


class Place(NamedTuple):
    """A point in both sets of coordinates.

    x : the field's coordinates. slope : dx/dy, by coordinate. jacobian : log |d declared / d y|.
    jacobian_slope : its gradient in y.
    """

    x: Floats
    slope: Floats
    jacobian: float
    jacobian_slope: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Scale:
    """How each coordinate is made unconstrained.

    kind : one of the constants above. lower, upper : bounds of x.
    power : the exponent of dx/dy (of 1 - p**2 for partial correlations) in the Jacobian.
    constant : what the log Jacobian has besides.
    """

    kind: NDArray[np.int64]
    lower: Floats
    upper: Floats
    power: Floats
    constant: float

    @classmethod
    def of(cls, field: Field) -> Scale:
        """The scale of a field's outer unknowns, all of which have a prior."""
        parts = [_scale(c) for c in field.coordinates]
        none = np.zeros(0)
        kinds, lower, upper, power, constants = zip(*parts, strict=True) if parts else ([],) * 5
        return cls(
            np.concatenate([none, *kinds]).astype(np.int64),
            np.concatenate([none, *lower]),
            np.concatenate([none, *upper]),
            np.concatenate([none, *power]),
            float(sum(constants)),
        )

    def place(self, y: Floats) -> Place:
        """The point whose unconstrained coordinates are y (overflow gives infinities)."""
        x, slope = y.copy(), np.ones(y.size)
        jacobian, more = self.constant, np.zeros(y.size)
        for i, (kind, t) in enumerate(zip(self.kind.tolist(), y.tolist(), strict=True)):
            if kind == PLAIN:
                continue
            power = self.power[i]
            if kind == LOG:
                jacobian += t
                more[i] = 1.0
            elif kind in (ABOVE, BELOW):
                size = math.exp(t) if t < 709.0 else math.inf
                x[i] = self.lower[i] + size if kind == ABOVE else self.upper[i] - size
                slope[i] = size if kind == ABOVE else -size
                jacobian += power * t
                more[i] = power
            elif kind == BETWEEN:
                share = 1.0 / (1.0 + math.exp(-t)) if t > -709.0 else 0.0
                width = self.upper[i] - self.lower[i]
                x[i] = self.lower[i] + width * share
                slope[i] = width * share * (1.0 - share)
                jacobian += math.log(width) - abs(t) - 2.0 * math.log1p(math.exp(-abs(t)))
                more[i] = 1.0 - 2.0 * share
            else:  # the angle whose sine is tanh(t)
                x[i] = math.asin(math.tanh(t))
                slope[i] = 1.0 / math.cosh(t) if abs(t) < 700.0 else 0.0
                jacobian -= power * (abs(t) + math.log1p(math.exp(-2.0 * abs(t))) - math.log(2.0))
                more[i] = -power * math.tanh(t)
        return Place(x, slope, jacobian, more)

    def points(self, y: Floats) -> tuple[Floats, Floats]:
        """The field's coordinates and the log Jacobian of many points, one a row."""
        x = y.copy()
        jacobian = np.full(len(y), self.constant)
        for i, kind in enumerate(self.kind.tolist()):
            t, power = y[:, i], self.power[i]
            if kind == LOG:
                jacobian += t
            elif kind in (ABOVE, BELOW):
                x[:, i] = self.lower[i] + np.exp(t) if kind == ABOVE else self.upper[i] - np.exp(t)
                jacobian += power * t
            elif kind == BETWEEN:
                width = self.upper[i] - self.lower[i]
                x[:, i] = self.lower[i] + width / (1.0 + np.exp(-t))
                jacobian += math.log(width) - np.abs(t) - 2.0 * np.log1p(np.exp(-np.abs(t)))
            elif kind == PARTIAL:
                x[:, i] = np.arcsin(np.tanh(t))
                jacobian -= power * (np.abs(t) + np.log1p(np.exp(-2.0 * np.abs(t))) - math.log(2.0))
        return x, jacobian

    def unconstrained(self, x: Floats, scale: Floats) -> Floats:
        """The coordinates y of a point x; what stands on a bound is moved inside by a share of its scale."""
        y = x.copy()
        for i, kind in enumerate(self.kind.tolist()):
            low, high = self.lower[i], self.upper[i]
            if kind == ABOVE:
                y[i] = math.log(max(abs(x[i] - low), 0.1 * scale[i]))
            elif kind == BELOW:
                y[i] = math.log(max(high - x[i], 0.1 * scale[i]))
            elif kind == BETWEEN:
                share = min(max((x[i] - low) / (high - low), 0.02), 0.98)
                y[i] = math.log(share / (1.0 - share))
            elif kind == PARTIAL:
                y[i] = math.atanh(min(max(math.sin(x[i]), -0.98), 0.98))
        return y


def _scale(c: Coordinate) -> tuple[list[int], Floats, Floats, Floats, float]:
    if c.kind == "cholesky":
        return _cholesky(c)
    if c.kind == "partial":
        return _partial(c)
    if c.kind == "log":
        return [LOG] * c.length, c.lower, c.upper, np.ones(c.length), 0.0
    lower = np.where(c.symmetric, 0.0, c.lower)
    below, above = np.isfinite(lower).tolist(), np.isfinite(c.upper).tolist()
    table = {(False, False): PLAIN, (True, False): ABOVE, (False, True): BELOW, (True, True): BETWEEN}
    kinds = [table[b, a] for b, a in zip(below, above, strict=True)]
    return kinds, lower, c.upper, np.ones(c.length), 0.0


def _cholesky(c: Coordinate) -> tuple[list[int], Floats, Floats, Floats, float]:
    """Sigma = L L': |dSigma/dL| = 2^d prod L_ii^(d - i + 1), i from 1 (Muirhead 1982, theorem 2.1.9), and
    dL_ii/dy = L_ii."""
    d, batch = c.order, c.batch
    i, j = lower_triangle(d)
    kinds = np.where(i == j, ABOVE, PLAIN)
    power = np.where(i == j, d + 1.0 - i, 0.0)
    zero, free = np.zeros(c.length), np.full(c.length, np.inf)
    return np.tile(kinds, batch).tolist(), zero, free, np.tile(power, batch), batch * d * math.log(2.0)


def _partial(c: Coordinate) -> tuple[list[int], Floats, Floats, Floats, float]:
    """R from partial correlations p = tanh(y): the Jacobian is the product of (1 - p_ik^2)^((d - k + 1)/2),
    k the column from 1 (Lewandowski et al. 2009, J. Multiv. Anal. 100, section 2)."""
    d, batch = c.order, c.batch
    column = np.array([k for i in range(d) for k in range(i)], dtype=np.float64)
    right = np.full(c.length, math.pi / 2)
    return [PARTIAL] * c.length, -right, right, np.tile(d - column, batch), 0.0


class LogPosterior:
    """Minus twice the log of (marginal likelihood times prior times Jacobian), in y; exact gradient."""

    def __init__(self, field: Field, evaluator: Evaluator) -> None:
        self.scale = Scale.of(field)
        self.evaluator = evaluator

    def __call__(self, y: Floats) -> tuple[float, Floats]:
        at = self.scale.place(y)
        if not np.isfinite(at.x).all():
            return math.inf, np.full(y.size, np.nan)
        value, gradient = self.evaluator.value_and_gradient(at.x)
        return value - 2.0 * at.jacobian, gradient * at.slope - 2.0 * at.jacobian_slope

    def log_density(self, y: Floats) -> float:
        """The log density in y, not normalised: over all y it integrates to the evidence."""
        return float(self.log_densities(y[None, :])[0])

    def log_densities(self, y: Floats) -> Floats:
        """Of many points, one a row."""
        with np.errstate(over="ignore"):
            x, jacobian = self.scale.points(y)
        found = np.array([self.value(row) for row in x])
        return found + jacobian

    def value(self, x: Floats) -> float:
        """The log density at the field's coordinates, without Jacobian."""
        if not all(map(math.isfinite, x.tolist())):
            return -math.inf
        total = self.evaluator.criterion(x).total
        return -0.5 * total if math.isfinite(total) else -math.inf
