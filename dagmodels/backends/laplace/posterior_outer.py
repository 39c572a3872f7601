"""Marginal densities of the outer unknowns and of functions of them, from a lattice or a design.

On a lattice the log density along each line of points is interpolated by a cubic spline and the lines are
summed: the trapezoid rule across lines, a spline along them.  For a design each axis has a density with two
normal halves (as Martins et al. 2013, Comput. Stat. Data Anal. 67, 68-83, take for marginals of
hyperparameters), and linear functions are convolutions of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.laplace.posterior_lattice import Frame, Lattice
from dagmodels.results.curves import Curve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = Callable[[Floats], tuple[Floats, Floats]]
GRID = 801
FINE = {1: 128, 2: 32}  # points between two of a line, by dimension
CONVOLVED = 4096


def itself(t: Floats) -> tuple[Floats, Floats]:
    """The quantity is t."""
    return t, np.ones(t.size)


def exponential(t: Floats) -> tuple[Floats, Floats]:
    """The quantity is exp(t)."""
    value = np.exp(t)
    return value, value


class Lines:
    """Lines of a lattice along its axes, with splines of the log density; made when first asked for."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self._known: dict[int, list[tuple[Floats, Ints, Callable[[Floats], Floats]]]] = {}

    def along(self, axis: int) -> list[tuple[Floats, Ints, Callable[[Floats], Floats]]]:
        """Runs of at least four neighbours: z of the first, rows of the lattice, log density by z."""
        if axis not in self._known:
            self._known[axis] = list(self._runs(axis))
        return self._known[axis]

    def _runs(self, axis: int) -> Iterator[tuple[Floats, Ints, Callable[[Floats], Floats]]]:
        from scipy.interpolate import CubicSpline

        lattice = self.lattice
        others = [k for k in range(lattice.index.shape[1]) if k != axis]
        columns = [lattice.index[:, axis], *(lattice.index[:, k] for k in others)]
        order = np.lexsort(columns)
        at = lattice.index[order]
        jump = np.diff(at[:, axis]) != 1
        for k in others:
            jump |= np.diff(at[:, k]) != 0
        for rows in np.split(order, np.flatnonzero(jump) + 1):
            if rows.size >= 4:
                z = lattice.step * lattice.index[rows]
                yield z[0], rows, CubicSpline(z[:, axis], lattice.log_density[rows])

    def linear(self, direction: Floats, centre: float, value: Value) -> Curve:
        """The marginal of centre + direction @ z, mapped by value."""
        axis = int(np.argmax(np.abs(direction)))
        lattice = self.lattice
        every = centre + lattice.step * lattice.index @ direction
        t = np.linspace(every.min(), every.max(), GRID)
        density = np.zeros(GRID)
        for first, rows, spline in self.along(axis):
            rest = centre + direction @ first - direction[axis] * first[axis]
            z = (t - rest) / direction[axis]
            last = first[axis] + (rows.size - 1) * lattice.step
            inside = (z >= first[axis]) & (z <= last)
            density[inside] += np.exp(spline(z[inside]) - lattice.frame.log_peak)
        return Curve.of(t, density, value)

    def function(self, values: Floats) -> Curve:
        """The marginal of a function of the unknowns, known at the lattice's points.

        Its distribution function is summed over fine cells of lines along the axis on which it changes most.
        """
        from scipy.interpolate import CubicSpline

        lattice, d = self.lattice, self.lattice.index.shape[1]
        axis = int(np.argmax([self._change(values, k) for k in range(d)]))
        fine = FINE.get(d, 16)
        parts = []
        for first, rows, spline in self.along(axis):
            z = first[axis] + lattice.step * np.linspace(0, rows.size - 1, (rows.size - 1) * fine + 1)
            nodes = first[axis] + lattice.step * np.arange(rows.size)
            parts.append((CubicSpline(nodes, values[rows])(z), np.exp(spline(z) - lattice.frame.log_peak)))
        low = np.concatenate([np.minimum(g[1:], g[:-1]) for g, _ in parts])
        high = np.concatenate([np.maximum(g[1:], g[:-1]) for g, _ in parts])
        mass = np.concatenate([0.5 * (p[1:] + p[:-1]) for _, p in parts])
        return _from_cells(low, high, mass / mass.sum())

    def _change(self, values: Floats, axis: int) -> float:
        weight = self.lattice.weight
        return float(
            sum(np.sqrt(weight[r[1:]] * weight[r[:-1]]) @ np.abs(np.diff(values[r]))
                for _, r, _ in self.along(axis))
        )  # fmt: skip


def _from_cells(low: Floats, high: Floats, mass: Floats) -> Curve:
    """The distribution of a quantity that is spread evenly over each of many small cells."""
    order = np.argsort(0.5 * (low + high))
    middle, total = 0.5 * (low + high)[order], np.cumsum(mass[order])
    edges = np.interp([1e-6, 1 - 1e-6], total, middle)
    width = max(float(np.median(high - low)), 1e-3 * float(edges[1] - edges[0]), 1e-300)
    count = int(np.clip((edges[1] - edges[0]) / width, 50, GRID - 1)) + 1
    t = np.linspace(edges[0] - width, edges[1] + width, count)
    ends = np.concatenate([low, high])
    slope = np.concatenate([mass, -mass]) / np.maximum(np.concatenate([high - low] * 2), 1e-300)
    cdf = _ramps(ends, slope, t, low, high, mass)
    density = np.maximum(np.gradient(cdf, t), 0.0)
    return Curve(t, density, cdf / cdf[-1], t, np.ones(t.size))


def _ramps(ends: Floats, slope: Floats, t: Floats, low: Floats, high: Floats, mass: Floats) -> Floats:
    """Sum over cells of mass * clip((t - low)/(high - low), 0, 1), all t at once."""
    steep = high - low <= 1e-12 * max(float(np.ptp(t)), 1e-300)
    kept = np.concatenate([~steep] * 2)
    ends, slope = ends[kept], slope[kept]
    order = np.argsort(ends)
    ends, slope = ends[order], slope[order]
    rate, offset = np.cumsum(slope), np.cumsum(slope * ends)
    at = np.searchsorted(ends, t, side="right") - 1
    found = np.where(at >= 0, rate[at] * t - offset[at], 0.0)
    if steep.any():
        order = np.argsort(low[steep])
        jumps = np.concatenate([[0.0], np.cumsum(mass[steep][order])])
        found = found + jumps[np.searchsorted(low[steep][order], t, side="right")]
    return np.maximum.accumulate(np.maximum(found, 0.0))


def convolved(frame: Frame, direction: Floats, centre: float, value: Value) -> Curve:
    """The marginal of centre + direction @ z where the axes are independent with two normal halves each."""
    widest = np.maximum(frame.up, frame.down)
    spread = float(np.sqrt((direction**2) @ (widest**2)))
    step = 20.0 * spread / CONVOLVED
    t = step * (np.arange(CONVOLVED) - CONVOLVED // 2)
    product = np.ones(CONVOLVED, dtype=np.complex128)
    for a, up, down in zip(direction.tolist(), frame.up.tolist(), frame.down.tolist(), strict=True):
        up, down = (abs(a) * up, abs(a) * down) if a > 0 else (abs(a) * down, abs(a) * up)
        if max(up, down) < 2.0 * step:
            continue
        half = np.exp(-0.5 * (t / np.where(t > 0, up, down)) ** 2)
        product *= np.fft.fft(np.fft.ifftshift(half / half.sum()))
    density = np.maximum(np.fft.fftshift(np.fft.ifft(product).real), 0.0)
    kept = np.abs(t) <= 8.0 * spread
    return Curve.of(centre + t[kept], density[kept], value)
