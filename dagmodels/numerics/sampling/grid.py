"""Independent draws from a density of one or two dimensions, by a lattice that refines itself.

The log density is asked for on a lattice along the axes of the Hessian at the mode, wide enough that what
lies beyond is stated, and interpolated by polynomials of degree five.  The step is halved until the density
so interpolated agrees with the density itself at all new points.  A finer grid of interpolated values then
gives cells in which the density is linear (in two dimensions bilinear), and draws by inversion: of the cell,
and of the place in it.

The stated error bounds the total variation between what is drawn and the density: the change at the last
halving (the remaining one is about 2^-6 of it), what is linear in the cells, and the tails; or the distance
found at points amid the cells, if that is more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.sampling.lattice import box, grown, halved, interpolated, margins

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

DEEPEST = 60.0  # values further below the peak than this count as this far
MOST_POINTS = 30_000
MOST_SIZE = 1_000_000  # of a lattice, the points where nothing was asked included
SPARED = 0.1  # of the tolerance: the share of a density at whose lowest points an interpolation is trusted
CHECKS = 64  # points that a finished grid is compared at
FINE = 20.0  # cells for a standard deviation
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
    """The grid of a density whose interpolation changed by less than the tolerance on halving.

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

    low, step, values = box(f, d)
    spared = 0.0
    while True:
        if 2**d * values.size > MOST_SIZE:
            raise FitError(
                f"a density of {d} dimensions has a peak too narrow, and tails too wide, for one grid: "
                "draw by NUTS instead"
            )
        guess = interpolated(np.maximum(values, values.max() - DEEPEST), 2)
        step = step / 2.0
        values = halved(f, low, step, values, guess, spared)
        change = _total_variation(guess, values)
        size = values.size
        low, values = grown(f, low, step, values)  # a ridge may have left between the wider points
        if change < tolerance and size == values.size:
            found = _cells(centre, axes, low, step, values, change + spared, tolerance)
            apart = _apart(found, f)
            if apart < tolerance:
                return replace(found, error=max(found.error, apart), points=count)
        spared = SPARED * tolerance


def _apart(found: Grid, f: Densities) -> float:
    """Total variation between grid and density, by the density amid the cells at even shares of the mass.

    It finds what halving does not show: jumps, about which polynomials swing at every step.
    """
    share = (np.arange(CHECKS) + 0.5) / CHECKS * found.mass[-1]
    cell = np.searchsorted(found.mass, share)
    corners = np.unravel_index(cell, [n - 1 for n in found.values.shape])
    z = np.stack(corners, axis=1) + 0.5
    drawn = np.diff(found.mass, prepend=0.0)[cell]
    value = f(found.low + found.step * z)
    ratio = np.exp(value - value.max()) / drawn
    return 0.5 * float(np.abs(ratio / ratio.mean() - 1.0).mean())


def _total_variation(guess: Floats, values: Floats) -> float:
    """Half the sum of differences of two log densities on the same lattice, either made to sum to one."""
    p, q = np.exp(guess - guess.max()), np.exp(values - values.max())
    return 0.5 * float(np.abs(p / p.sum() - q / q.sum()).sum())


def _cells(
    centre: Floats,
    axes: Floats,
    low: Floats,
    step: Floats,
    values: Floats,
    change: float,
    tolerance: float,
) -> Grid:
    """The fine grid from the last lattice, its cells halved until the density is nearly linear in them."""
    d, peak = values.ndim, float(values.max())
    total = float(np.exp(values - peak).sum())
    log_evidence = peak + math.log(total * float(np.prod(step))) + float(np.linalg.slogdet(axes)[1])
    shares = margins(values)
    tails = sum(_tail(m[0], m[1]) + _tail(m[-1], m[-2]) for m in shares)
    most = [max(1, MOST_CELLS[d] // (m.size - 1)) for m in shares]
    parts = [min(math.ceil(FINE / _deviation(m)), limit) for m, limit in zip(shares, most, strict=True)]
    clipped = np.maximum(values, peak - DEEPEST)
    while True:
        fine = interpolated(clipped, parts)
        f = np.exp(fine - fine.max())
        bend = sum(float(np.abs(np.diff(f, 2, axis)).sum()) for axis in range(d)) / 24.0 / float(f.sum())
        if bend < 0.2 * tolerance or parts == most:
            break
        parts = [min(2 * p, limit) for p, limit in zip(parts, most, strict=True)]
    corners = f
    for axis in range(d):
        end = corners.shape[axis] - 1
        corners = 0.5 * (corners.take(range(end), axis) + corners.take(range(1, end + 1), axis))
    mass = np.cumsum(corners.reshape(-1))
    return Grid(centre, axes, low, step / parts, f, mass, change + bend + tails, log_evidence, 0)


def _deviation(shares: Floats) -> float:
    """Standard deviation, in steps."""
    z = np.arange(shares.size)
    return math.sqrt(float(shares @ (z - shares @ z) ** 2))


def _tail(last: float, before: float) -> float:
    """What lies beyond the last of the margins, if they go on falling as there (all, if they do not)."""
    if last < math.exp(-0.5 * DEEPEST):
        return 0.0
    return last * last / (before - last) if last < before else 1.0
