"""Independent draws from a density of one or two dimensions, by a lattice that refines itself.

The log density is asked for on a lattice along the axes of the Hessian at the mode, at all points where it is
not low and their neighbours, and interpolated by polynomials of degree five.  Each axis has its own step; it
is halved until the interpolation agrees with the density between the points along that axis.  Draws follow
the interpolated density: a cell is drawn by its integral, the place in it by rejection.

The stated error bounds the total variation between what is drawn and the density: the distances found between
the points along either axis and amid the cells, the error of the cells' integrals, what lies where nobody
asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.sampling.lattice import Lattice, filled, first

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

MOST_POINTS = 30_000
SPARED = {1: 3e-3, 2: 0.05}  # of the tolerance: the share of a density that is left out
LOWEST = 30.0  # fall of the log density beyond which no lattice goes
LOST = 1000.0  # a log density so far above that of the mode is nothing but lost digits, far out on an arm
APART = {1: 0.02, 2: 0.5}  # of the tolerance: what the interpolation may be off
SHELL = 2.0  # falls of the log density whose shares tell what lies below
PLACES = 4  # parts of a step that interpolations are looked at
CHECKS = 64  # points that a grid is compared at
SUMS = 0.1  # of the tolerance: what the cells' integrals may add
GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
EVEN = (np.arange(CHECKS) + 0.5) / CHECKS
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Cells of a density: y = centre + axes z, z at `low + step * index`.

    values : log densities at the corners of the cells, (m, n), with n = 1 in one dimension. mass : sums of
    the density over the cells so far, row by row. top : bounds of the values in each cell.
    error : see the module; above the tolerance where tails are long. log_evidence : of the integral over y.
    points : at which the density was asked for.
    """

    centre: Floats
    axes: Floats
    low: Floats
    step: Floats
    values: Floats
    mass: Floats
    top: Floats
    error: float
    log_evidence: float
    points: int

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Independent draws, one a row; the first of them do not hang on how many there are."""
        from dagmodels.numerics.lattice_steps import draw

        places = np.empty((count, 2))
        draw(self.values, self.mass, self.top, rng, places)
        return self.centre + (self.low + self.step * places[:, : self.centre.size]) @ self.axes.T

    def log_densities(self, y: Floats) -> Floats:
        """Of what is drawn, at points one a row, with the integral that the density has."""
        z = np.linalg.solve(self.axes, (y - self.centre).T).T
        return interpolated(self.values, (z - self.low) / self.step)


def interpolated(values: Floats, places: Floats) -> Floats:
    """Values of a lattice (m, n) at places, in steps from its first point; see `lattice_steps`."""
    from dagmodels.numerics.lattice_steps import at_points

    both, found = np.zeros((len(places), 2)), np.empty(len(places))
    both[:, : places.shape[1]] = places
    at_points(values, both, found)
    return found


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
    if d not in APART:
        raise ValueError(f"grids have one or two dimensions, not {d}")
    count = 0
    peak = float(np.asarray(densities(centre[None, :]), dtype=np.float64)[0])
    highest = peak + LOST if math.isfinite(peak) else math.inf

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
        return np.where(np.isnan(value) | (value > highest), -np.inf, value)

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
            found = integrated(centre, axes, full, sum(off) + beyond, tolerance)
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
    from dagmodels.numerics.lattice_steps import along

    given = np.moveaxis(np.atleast_2d(full.values.T).T, axis, 0)
    guess = along(np.ascontiguousarray(given), PLACES)
    above = np.maximum(guess[:-1], np.repeat(np.maximum(given[:-1], given[1:]), PLACES, axis=0))
    above[::PLACES] = -np.inf
    mass = np.cumsum(np.exp(above - above.max()).reshape(-1))
    chosen = np.searchsorted(mass, EVEN * mass[-1])
    index = np.stack(np.divmod(chosen, given.shape[1]), axis=1).astype(np.float64)
    index[:, 0] /= PLACES
    if full.values.ndim == 1:
        index = index[:, :1]
    elif axis == 1:
        index = index[:, ::-1]
    above = above.reshape(-1)[chosen]
    return _distance(f(full.at(index)) - above, guess.reshape(-1)[chosen] - above)


def _distance(one: Floats, other: Floats) -> float:
    """Total variation of two laws, by log densities relative to that of the points."""
    p, q = np.exp(one - one.max()), np.exp(other - other.max())
    return 0.5 * float(np.abs(p / p.mean() - q / q.mean()).mean())


def _apart(found: Grid, f: Densities) -> float:
    """Total variation between grid and density, by points in cells at even shares of the mass.

    It finds what halving does not show: jumps, about which polynomials swing at every step.
    """
    mass = np.diff(found.mass, prepend=0.0)
    cell = np.searchsorted(found.mass, EVEN * found.mass[-1])
    inside = np.stack([(np.arange(CHECKS) * GOLDEN) % 1.0, (np.arange(CHECKS) * GOLDEN**2 + 0.5) % 1.0])
    places = (np.stack(np.divmod(cell, found.top.shape[1])) + inside).T[:, : found.centre.size]
    drawn = np.log(mass[cell])
    return _distance(f(found.low + found.step * places) - drawn, interpolated(found.values, places) - drawn)


def integrated(
    centre: Floats, axes: Floats, full: Lattice, change: float = 0.0, tolerance: float = TOLERANCE
) -> Grid:
    """The cells of a lattice without gaps, with the integral of the interpolated density over each.

    change : the error that is known already.
    """
    from dagmodels.numerics.lattice_steps import cells

    values = np.ascontiguousarray(np.atleast_2d(full.values.T).T)
    mass = np.empty((values.shape[0] - 1, max(1, values.shape[1] - 1)))
    top = np.empty(mass.shape)
    off = cells(values, SUMS * tolerance, mass, top)
    sums = np.cumsum(mass.reshape(-1))
    size = float(np.prod(full.step)) * abs(float(np.linalg.det(axes)))
    log_evidence = float(values.max()) + math.log(float(sums[-1]) * size)
    return Grid(centre, axes, full.low, full.step, values, sums, top, change + off, log_evidence, 0)


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
