"""Proposals that follow a ridge: one coordinate by its marginal density, the others given it.

Posteriors of scales are skew, with long arms along which the other unknowns change their place and width.
So the coordinate along which the density is least normal is taken through its range; at each of its values
the conditional mode of the others and the curvature there give Laplace's approximation to its marginal
density (Tierney and Kadane 1986, J. Am. Stat. Assoc. 81:82, section 4), and the law of the others. Both
are interpolated, and what is proposed has exactly the density that is stated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.sampling.independence import DEGREES, Densities

Floats = NDArray[np.float64]
Criterion = Callable[[Floats], tuple[Floats, Floats]]  # log densities and gradients of points, one a row

STEP = 0.5  # standard deviations between values of the coordinate
FALL = 14.0  # of the log marginal density, at which its range ends
MOST = 200  # values of the coordinate on either side
NEAR = 1e-4  # Newton decrement at which a conditional mode is found
LOOK = 2.0  # standard deviations at which coordinates are judged


@dataclass(frozen=True, eq=False, slots=True)
class Ridge:
    """The coordinate `axis` has the log density `height` at `knots`, linear between them and beyond; the
    others a multivariate t whose centre (knots, d - 1) and lower root (knots, d - 1, d - 1) are interpolated.

    mass : sums over the stretches between knots, the two ends included.
    """

    axis: int
    knots: Floats
    height: Floats
    centre: Floats
    root: Floats
    mass: Floats
    degrees: float = DEGREES

    @classmethod
    def of(cls, axis: int, knots: Floats, height: Floats, centre: Floats, root: Floats) -> Ridge:
        """With `height` moved so that the density has the integral one."""
        mass = _masses(knots, height)
        total = float(mass.sum())
        return cls(axis, knots, height - math.log(total), centre, root, np.cumsum(mass) / total)

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Points, one a row."""
        d = self.centre.shape[1]
        t = self._along(rng.random((count, 2)))
        z = rng.standard_normal((count, d))
        z *= np.sqrt(self.degrees / rng.chisquare(self.degrees, count))[:, None]
        centre, root = self._others(t)
        y = np.empty((count, d + 1))
        y[:, self.axis] = t
        y[:, self._rest()] = centre + np.einsum("nij,nj->ni", root, z)
        return y

    def log_density(self, y: Floats) -> Floats:
        """At points, one a row."""
        t, nu, d = y[:, self.axis], self.degrees, self.centre.shape[1]
        centre, root = self._others(t)
        away = y[:, self._rest()] - centre
        z = np.empty_like(away)
        for i in range(d):
            z[:, i] = (away[:, i] - (root[:, i, :i] * z[:, :i]).sum(axis=1)) / root[:, i, i]
        constant = math.lgamma((nu + d) / 2.0) - math.lgamma(nu / 2.0) - 0.5 * d * math.log(nu * math.pi)
        volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return self._height(t) + constant - volume - 0.5 * (nu + d) * np.log1p((z**2).sum(axis=1) / nu)

    def _rest(self) -> NDArray[np.int64]:
        return np.delete(np.arange(self.centre.shape[1] + 1), self.axis)

    def _height(self, t: Floats) -> Floats:
        k = np.clip(np.searchsorted(self.knots, t), 1, self.knots.size - 1)
        slope = np.diff(self.height) / np.diff(self.knots)
        return self.height[k - 1] + slope[k - 1] * (t - self.knots[k - 1])

    def _along(self, u: Floats) -> Floats:
        """Values of the coordinate from uniform numbers (n, 2): the stretch, and the place in it."""
        slope = np.diff(self.height) / np.diff(self.knots)
        part = np.minimum(np.searchsorted(self.mass, u[:, 0], side="right"), self.mass.size - 1)
        rate = np.concatenate([slope[:1], slope, slope[-1:]])[part]
        length = np.concatenate([[np.inf], np.diff(self.knots), [np.inf]])[part]
        size = np.maximum(abs(rate), 1e-12)
        away = -np.log1p(u[:, 1] * np.expm1(-size * length)) / size  # from the higher end
        low = np.concatenate([self.knots[:1], self.knots])[part]
        high = np.concatenate([self.knots, self.knots[-1:]])[part]
        return np.where(rate > 0.0, high - away, low + away)

    def _others(self, t: Floats) -> tuple[Floats, Floats]:
        k = np.clip(np.searchsorted(self.knots, t), 1, self.knots.size - 1)
        share = np.clip((t - self.knots[k - 1]) / (self.knots[k] - self.knots[k - 1]), 0.0, 1.0)[:, None]
        centre = self.centre[k - 1] + share * (self.centre[k] - self.centre[k - 1])
        root = self.root[k - 1] + share[:, :, None] * (self.root[k] - self.root[k - 1])
        return centre, root


def _masses(knots: Floats, height: Floats) -> Floats:
    """Integrals of exp(height), linear between the knots, and beyond either end as the stretch before."""
    gap, low, high = np.diff(knots), height[:-1], height[1:]
    change = np.abs(high - low)
    inside = np.exp(np.maximum(low, high)) * gap * np.where(change > 1e-9, -np.expm1(-change), change)
    inside /= np.where(change > 1e-9, change, np.where(change > 0.0, change, 1.0))
    inside = np.where(change > 1e-9, inside, np.exp(low) * gap)
    slope = (high - low) / gap
    ends = np.exp(height[0]) / slope[0], np.exp(height[-1]) / -slope[-1]
    return np.concatenate([[ends[0]], inside, [ends[1]]])


def least_normal(densities: Densities, mode: Floats, covariance: Floats) -> int:
    """The coordinate along which the log density, others following, differs most from a normal one."""
    sd = np.sqrt(np.diagonal(covariance))
    step = LOOK * covariance / sd  # columns: how the others go with a coordinate
    ends = densities(np.concatenate([mode + step.T, mode - step.T])) - densities(mode[None, :])[0]
    away = np.minimum(np.abs(np.nan_to_num(ends, neginf=-1e3) + 0.5 * LOOK**2), 1e3)
    return int(np.argmax(away[: mode.size] + away[mode.size :]))


def followed(f: Criterion, mode: Floats, hessian: Floats, axis: int) -> Ridge:
    """The ridge from the mode along a coordinate, both ways.

    f : log densities with gradients. hessian : of minus the log density at the mode.

    Raises `FitError` where a conditional mode is not found, or the ridge does not fall off.
    """
    rest = np.delete(np.arange(mode.size), axis)
    first = _settled(f, mode.copy(), rest, hessian)
    sd = math.sqrt(np.linalg.inv(hessian)[axis, axis])
    sides = [_side(f, first, rest, axis, way * STEP * sd) for way in (-1.0, 1.0)]
    every = [*sides[0][::-1], first, *sides[1]]
    knots = np.array([y[axis] for y, _, _ in every])
    height = np.array([h for _, h, _ in every])
    roots = np.array([np.linalg.cholesky(np.linalg.inv(curved)) for _, _, curved in every])
    return Ridge.of(axis, knots, height - height.max(), np.array([y[rest] for y, _, _ in every]), roots)


Knot = tuple[Floats, float, Floats]  # conditional mode, log marginal density, Hessian of the others


def _side(f: Criterion, first: Knot, rest: NDArray[np.int64], axis: int, step: float) -> list[Knot]:
    """Conditional modes from the first on, as far as the marginal density matters."""
    found, before, now, top = [], None, first, first[1]
    for _ in range(MOST):
        y = now[0].copy()
        if before is not None:
            y[rest] += now[0][rest] - before[0][rest]
        y[axis] = now[0][axis] + step
        before, now = now, _settled(f, y, rest, now[2], whole=False)
        found.append(now)
        top = max(top, now[1])
        if now[1] < top - FALL and now[1] < before[1]:
            return found
    raise FitError("the density does not fall off along its ridge")


def _settled(f: Criterion, y: Floats, rest: NDArray[np.int64], hessian: Floats, whole: bool = True) -> Knot:
    """Newton's steps of the other coordinates to their mode; `hessian` tells their scales."""
    scale = 1.0 / np.sqrt(np.diagonal(hessian)[rest] if whole else np.diagonal(hessian))
    beside = np.zeros((1 + rest.size, y.size))
    beside[1 + np.arange(rest.size), rest] = 1e-4 * scale
    found, gradients = f(y + beside)
    for _ in range(30):
        if not np.isfinite(found).all():
            break
        value, gradient = float(found[0]), gradients[0, rest]
        curved = (gradient - gradients[1:, rest]) / (1e-4 * scale)[:, None]
        curved = 0.5 * (curved + curved.T)
        try:
            root = np.linalg.cholesky(curved)
        except np.linalg.LinAlgError:
            break
        step = np.linalg.solve(curved, gradient)
        decrement = float(step @ gradient)
        if decrement < NEAR:
            return y, value + 0.5 * decrement - float(np.log(np.diagonal(root)).sum()), curved
        share = 1.0
        for _ in range(20):
            moved = y.copy()
            moved[rest] += share * step
            found, gradients = f(moved + beside)
            if found[0] >= value:
                break
            share *= 0.5
        else:
            break
        y = moved
    raise FitError(f"no mode of the other unknowns was found where another is held at {y.tolist()}")
