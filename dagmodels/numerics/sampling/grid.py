"""Independent draws from a density of one or two dimensions, by a lattice that refines itself.

The log density is asked for on a lattice along the axes of the Hessian at the mode, at all points where it is
not low and their neighbours, and interpolated by polynomials of degree five.  Each axis has its own step; it
is halved until the interpolation agrees with the density between the points along that axis.  A finer grid of
interpolated values then gives cells in which the density is linear (in two dimensions bilinear), and draws by
inversion: of the cell, and of the place in it.

The stated error bounds the total variation between what is drawn and the density: the distances found between
the points along either axis and amid the cells, what is linear in the cells, what lies where nobody asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.sampling.lattice import (
    Lattice,
    filled,
    first,
    interpolated,
    interpolated_along,
    margins,
)

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

MOST_POINTS = 30_000
SPARED = {1: 3e-3, 2: 0.05}  # of the tolerance: the share of a density that is left out
LOWEST = 30.0  # fall of the log density beyond which no lattice goes
APART = {1: 0.02, 2: 0.5}  # of the tolerance: what the interpolation may be off
SHELL = 2.0  # falls of the log density whose shares tell what lies below
PLACES = 4  # parts of a step that interpolations are looked at
CHECKS = 64  # points that a grid is compared at
FINE = 8.0  # cells for a standard deviation, at least
BEND = 0.25  # of the tolerance: what lines in the cells may add
MOST_CELLS = {1: 100_000, 2: 1000}  # along an axis
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Cells of a density: y = centre + axes z, z at `low + step * index`.

    values : the density at the corners of the cells, (m) or (m, n), up to a factor. mass : its sums over
    the cells so far, row by row. error : see the module; above the tolerance where tails are long.
    log_evidence : of the integral over y. points : at which the density was asked for.
    """

    centre: Floats
    axes: Floats
    low: Floats
    step: Floats
    values: Floats
    mass: Floats
    error: float
    log_evidence: float
    points: int

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Independent draws, one a row."""
        u = rng.random((count, 1 + self.values.ndim))
        cell = np.searchsorted(self.mass, u[:, 0] * self.mass[-1], side="right")
        cell = np.minimum(cell, self.mass.size - 1)
        f = self.values
        if f.ndim == 1:
            z = (cell + inverted(f[cell], f[cell + 1], u[:, 1]))[:, None]
        else:
            i, j = np.divmod(cell, f.shape[1] - 1)
            a, b, c, d = f[i, j], f[i, j + 1], f[i + 1, j], f[i + 1, j + 1]
            s = inverted(a + b, c + d, u[:, 1])
            t = inverted(a + s * (c - a), b + s * (d - b), u[:, 2])
            z = np.column_stack([i + s, j + t])
        return self.centre + (self.low + self.step * z) @ self.axes.T


def inverted(a: Floats, b: Floats, u: Floats) -> Floats:
    """The u quantile of a density on (0, 1) that goes from a to b in a straight line."""
    below = a + np.sqrt(np.maximum(a * a + u * (b * b - a * a), 0.0))
    return np.where(below > 0.0, u * (a + b) / np.where(below > 0.0, below, 1.0), u)


def axes_of(hessian: Floats) -> Floats:
    """Axes as long as the density is wide: from the Hessian of minus the log density at the mode.

    Directions without curvature get a length from the others; the lattice finds what they need.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    values = np.maximum(values, 1e-4 * max(float(values.max(initial=0.0)), 1e-12))
    return scale[:, None] * vectors / np.sqrt(values)


def explored(densities: Densities, centre: Floats, axes: Floats, tolerance: float = TOLERANCE) -> Grid:
    """The grid of a density whose interpolation is off by less than the tolerance.

    centre, axes : where the density lies and how wide it is, roughly: see `axes_of`.

    Raises
    ------
    FitError : the density has no value near the centre, has an infinite one, or needs too many points.
    """
    d = centre.size
    if d not in MOST_CELLS:
        raise ValueError(f"grids have one or two dimensions, not {d}")
    count = 0

    def f(z: Floats) -> Floats:
        nonlocal count
        count += len(z)
        if count > MOST_POINTS:
            raise FitError(
                f"a density of {d} dimensions needs more than {MOST_POINTS} points of a grid; it is rough, "
                "or falls too slowly: draw by NUTS instead"
            )
        value = np.asarray(densities(centre + z @ axes.T), dtype=np.float64)
        if np.isposinf(value).any():
            where = (centre + z[np.isposinf(value).argmax()] @ axes.T).tolist()
            raise FitError(f"the log density is infinite at {where}: it has no integral there")
        return np.where(np.isnan(value), -np.inf, value)

    spared = SPARED[d] * tolerance
    fall = -math.log(spared)  # where a normal law of two dimensions leaves out this share
    now = first(f, d, fall)
    while True:
        full, layers = filled(now)
        beyond = max(sum(layers) + _tail(layers[-1], layers[-2]), _below(now.values, fall))
        if beyond > 2.0 * spared and fall < LOWEST:
            fall += SHELL
            now = now.spread(f, fall)
            continue
        off = [_between(full, axis, f) for axis in range(d)]
        if sum(off) < APART[d] * tolerance:
            found = _cells(centre, axes, full, sum(off) + beyond, tolerance)
            apart = _apart(found, f) if d > 1 else 0.0  # in one dimension that has just been looked at
            if apart < APART[d] * tolerance:
                return replace(found, error=found.error + apart, points=count)
        for axis in range(d):
            if off[axis] >= min(0.5 * APART[d] * tolerance, max(off)):
                now = now.halved(axis)
        now = now.spread(f, fall)


def _between(full: Lattice, axis: int, f: Densities) -> float:
    """Total variation between the density and its interpolation between the points along an axis.

    By the density at points spread as the greater of the interpolated density and its two neighbours is, lest
    what the interpolation lacks stay unseen.
    """
    guess = interpolated_along(full.values, axis, PLACES)
    left = np.arange(guess.shape[axis]) // PLACES
    right = np.minimum(left + 1, full.values.shape[axis] - 1)
    above = np.maximum(guess, np.maximum(full.values.take(left, axis), full.values.take(right, axis)))
    np.moveaxis(above, axis, 0)[::PLACES] = -np.inf
    mass = np.cumsum(np.exp(above - above.max()).reshape(-1))
    chosen = np.searchsorted(mass, (np.arange(CHECKS) + 0.5) / CHECKS * mass[-1])
    index = np.stack(np.unravel_index(chosen, guess.shape), axis=1).astype(np.float64)
    index[:, axis] /= PLACES
    above = above.reshape(-1)[chosen]
    return _distance(f(full.at(index)) - above, guess.reshape(-1)[chosen] - above)


def _distance(one: Floats, other: Floats) -> float:
    """Total variation of two laws, by log densities relative to that of the points."""
    p, q = np.exp(one - one.max()), np.exp(other - other.max())
    return 0.5 * float(np.abs(p / p.mean() - q / q.mean()).mean())


def _apart(found: Grid, f: Densities) -> float:
    """Total variation between grid and density, by the density amid the cells at even shares of the mass.

    It finds what halving does not show: jumps, about which polynomials swing at every step.
    """
    share = (np.arange(CHECKS) + 0.5) / CHECKS * found.mass[-1]
    cell = np.searchsorted(found.mass, share)
    corners = np.unravel_index(cell, [n - 1 for n in found.values.shape])
    z = np.stack(corners, axis=1) + 0.5
    drawn = np.diff(found.mass, prepend=0.0)[cell]
    return _distance(f(found.low + found.step * z) - np.log(drawn), np.zeros(CHECKS))


def _cells(centre: Floats, axes: Floats, full: Lattice, change: float, tolerance: float) -> Grid:
    """The fine grid from the last lattice, its cells halved until the density is nearly linear in them."""
    low, values, d = full.low, full.values, full.values.ndim
    for axis, share in enumerate(margins(values)):
        kept = np.flatnonzero(share > 1e-5 * tolerance)
        first, last = max(0, int(kept[0]) - 1), min(share.size, int(kept[-1]) + 2)
        values = values.take(range(first, last), axis)
        low = low + full.step * (np.arange(d) == axis) * first
    shares = margins(values)
    most = [max(1, MOST_CELLS[d] // (m.size - 1)) for m in shares]
    parts = [min(math.ceil(FINE / _deviation(m)), limit) for m, limit in zip(shares, most, strict=True)]
    while True:
        fine = interpolated(values, parts)
        f = np.exp(fine - fine.max())
        total = float(f.sum())
        bends = [float(np.abs(np.diff(f, 2, axis)).sum()) / 24.0 / total for axis in range(d)]
        refined = [
            min(2 * p, limit) if bend > BEND * tolerance / d else p
            for p, limit, bend in zip(parts, most, bends, strict=True)
        ]
        if refined == parts:
            break
        parts = refined
    step = full.step / parts
    log_evidence = (
        float(fine.max()) + math.log(total * float(np.prod(step))) + float(np.linalg.slogdet(axes)[1])
    )
    corners = f
    for axis in range(d):
        end = corners.shape[axis] - 1
        corners = 0.5 * (corners.take(range(end), axis) + corners.take(range(1, end + 1), axis))
    mass = np.cumsum(corners.reshape(-1))
    return Grid(centre, axes, low, step, f, mass, change + sum(bends), log_evidence, 0)


def _deviation(shares: Floats) -> float:
    """Standard deviation, in steps."""
    z = np.arange(shares.size)
    return math.sqrt(float(shares @ (z - shares @ z) ** 2))


def _below(values: Floats, fall: float) -> float:
    """The share of the density where it is lower than the peak by more than `fall`, from that just above."""
    down = np.nanmax(values) - values
    down = down[~np.isnan(down)]
    sums = np.histogram(down, fall - SHELL * np.array([2.0, 1.0, 0.0]), weights=np.exp(-down))[0]
    before, last = (float(s) for s in sums / np.exp(-down).sum())
    return _tail(last, before)


def _tail(last: float, before: float) -> float:
    """What lies beyond the last layer, if layers go on falling as there (all, if they do not)."""
    if last < math.exp(-30.0):
        return 0.0
    return last * last / (before - last) if last < before else 1.0
