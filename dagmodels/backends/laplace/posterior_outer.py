"""Marginal densities of the outer unknowns and of functions of them, from a lattice or a design.

On a lattice the log density along each line of points is interpolated by a cubic spline and the lines are
summed: the trapezoid rule across lines, a spline along them.  For a design each axis has a density with two
normal halves (as Martins et al. 2013, Comput. Stat. Data Anal. 67, 68-83, take for marginals of
hyperparameters), and linear functions are convolutions of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.quadrature_lattice import Frame, QuadratureLattice
from dagmodels.results.curves import Curve

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = Callable[[Floats], tuple[Floats, Floats]]
GRID = 1001
NEGLIGIBLE = 15.0  # fall of the log density from which a marginal's grid does not go on
LEAST = 4  # points of a run that takes part
FINE = {1: 128, 2: 32}  # points between two of a line, by dimension
CONVOLVED = 4096
SPREAD, KNOTS = 8192, 129  # points of a design's surrogate, and of the spline of their distribution


def itself(t: Floats) -> tuple[Floats, Floats]:
    """The quantity is t."""
    return t, np.ones(t.size)


def exponential(t: Floats) -> tuple[Floats, Floats]:
    """The quantity is exp(t)."""
    value = np.exp(t)
    return value, value


def logistic(t: Floats) -> tuple[Floats, Floats]:
    """The quantity is 1/(1 + exp(-t))."""
    value = 1.0 / (1.0 + np.exp(-t))
    return value, value * (1.0 - value)


@dataclass(frozen=True, eq=False, slots=True)
class _Runs:
    """Runs of neighbours along one axis of a lattice, one after the other.

    rows : the lattice's rows in that order. start, size : of each run among them (four points at least).
    first : index of each run's first point. bend : second derivatives of the log density's cubic spline, in
        units of the step.
    """

    rows: Ints
    start: Ints
    size: Ints
    first: Ints
    bend: Floats


class Lines:
    """Lines of a lattice along its axes, with splines of the log density; made when first asked for."""

    def __init__(self, lattice: QuadratureLattice) -> None:
        self.lattice = lattice
        self.height = lattice.log_density - lattice.frame.log_peak
        self._known: dict[int, _Runs] = {}

    def linear(self, direction: Floats, centre: float, value: Value) -> Curve:
        """The marginal of centre + direction @ z, mapped by value."""
        lattice = self.lattice
        axis = int(np.argmax(np.abs(direction)))
        runs = self._along(axis)
        steps = lattice.step * direction
        every = centre + lattice.index @ steps
        high = every[self.height > -NEGLIGIBLE]
        t = np.linspace(high.min(), high.max(), GRID)
        rest = centre + runs.first @ steps
        at = (t[None, :] - rest[:, None]) / steps[axis]  # in steps from each run's first point
        inside = (at >= 0) & (at <= runs.size[:, None] - 1)
        k = np.clip(at, 0, runs.size[:, None] - 2).astype(np.int64)
        found = _spline(self.height[runs.rows], runs.bend, runs.start[:, None] + k, at - k)
        density = np.where(inside, np.exp(np.minimum(found, 10.0)), 0.0).sum(axis=0)
        return Curve.of(t, density, value)

    def function(self, values: Floats) -> Curve:
        """The marginal of a function of the unknowns, known at the lattice's points.

        Its distribution function is summed over fine cells of lines along the axis on which it changes most.
        """
        d = self.lattice.index.shape[1]
        axis = int(np.argmax([self._change(values, k) for k in range(d)]))
        runs, fine = self._along(axis), FINE.get(d, 16)
        forward, value = _scale_for(values)
        own = forward(values)[runs.rows]
        low = np.flatnonzero(_inner(runs))
        part = np.tile(np.linspace(0.0, 1.0, fine + 1), (low.size, 1))
        g = _spline(own, _bends(own, runs.start, runs.size), low[:, None], part)
        p = np.exp(np.minimum(_spline(self.height[runs.rows], runs.bend, low[:, None], part), 10.0))
        mass = 0.5 * (p[:, 1:] + p[:, :-1]).ravel()
        ends = g[:, :-1].ravel(), g[:, 1:].ravel()
        return _from_cells(np.minimum(*ends), np.maximum(*ends), mass / mass.sum(), value)

    def _change(self, values: Floats, axis: int) -> float:
        runs, weight = self._along(axis), self.lattice.weight
        low = np.flatnonzero(_inner(runs))
        a, b = runs.rows[low], runs.rows[low + 1]
        return float(np.sqrt(weight[a] * weight[b]) @ np.abs(values[b] - values[a]))

    def _along(self, axis: int) -> _Runs:
        if axis not in self._known:
            index = self.lattice.index
            others = [k for k in range(index.shape[1]) if k != axis]
            order = np.lexsort([index[:, axis], *(index[:, k] for k in others)])
            at = index[order]
            jump = np.diff(at[:, axis]) != 1
            for k in others:
                jump |= np.diff(at[:, k]) != 0
            start = np.concatenate([[0], np.flatnonzero(jump) + 1])
            size = np.diff(np.append(start, order.size))
            long = size >= LEAST
            order = order[np.repeat(long, size)]
            size = size[long]
            start = np.cumsum(size) - size
            bend = _bends(self.height[order], start, size)
            self._known[axis] = _Runs(order, start, size, index[order[start]], bend)
        return self._known[axis]


def _inner(runs: _Runs) -> NDArray[np.bool_]:
    """Which rows have a next one in their run."""
    found = np.ones(runs.rows.size, dtype=bool)
    found[runs.start + runs.size - 1] = False
    return found


def _bends(values: Floats, start: Ints, size: Ints) -> Floats:
    """Second derivatives at the knots of natural cubic splines, one a run, for knots one apart."""
    from scipy.linalg import solve_banded

    n = values.size
    inner = np.ones(n, dtype=bool)
    inner[start] = inner[start + size - 1] = False
    rows = np.flatnonzero(inner)
    bands, right = np.zeros((3, n)), np.zeros(n)
    bands[1] = np.where(inner, 4.0, 1.0)
    bands[0, rows + 1] = bands[2, rows - 1] = 1.0
    right[rows] = 6.0 * (values[rows + 1] - 2.0 * values[rows] + values[rows - 1])
    return solve_banded((1, 1), bands, right)


def _spline(values: Floats, bend: Floats, k: Ints, part: Floats) -> Floats:
    """Cubic splines between knots k and k + 1, a part of the way."""
    rest = 1.0 - part
    linear = rest * values[k] + part * values[k + 1]
    return linear + ((rest**3 - rest) * bend[k] + (part**3 - part) * bend[k + 1]) / 6.0


def _from_cells(low: Floats, high: Floats, mass: Floats, value: Value) -> Curve:
    """The distribution of a t that is spread evenly over each of many small cells."""
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
    return Curve(t, density / cdf[-1], cdf / cdf[-1], *value(t))


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


def of_function(frame: Frame, z: Floats, weight: Floats, values: Floats) -> Curve:
    """The marginal of a function of the unknowns, known at a design's points z.

    Its logarithm (or logit, where all values lie between 0 and 1) is a quadratic in z, fitted by weighted
    least squares; its law is that of the quadratic at evenly spread points of the axes' product density.
    """
    from scipy.interpolate import PchipInterpolator
    from scipy.stats import qmc

    forward, value = _scale_for(values)
    root = np.sqrt(weight)[:, None]
    fitted = np.linalg.lstsq(root * _quadratic(z), root[:, 0] * forward(values), rcond=None)[0]
    even = qmc.Halton(z.shape[1], scramble=False).random(SPREAD + 1)[1:]
    g = np.sort(_quadratic(_halves(even, frame)) @ fitted)
    p = (np.arange(SPREAD) + 0.5) / SPREAD
    knots = np.unique(np.rint(np.linspace(0, SPREAD - 1, KNOTS)).astype(np.int64))
    t, first = np.unique(g[knots], return_index=True)
    cdf = PchipInterpolator(t, p[knots][first])
    fine = np.linspace(t[0], t[-1], GRID)
    return Curve.of(fine, np.maximum(cdf.derivative()(fine), 0.0), value)


def _halves(u: Floats, frame: Frame) -> Floats:
    """Points with two normal halves along each axis, from uniform ones."""
    from scipy.special import ndtri

    share = frame.up / (frame.up + frame.down)  # of probability above the mode
    below = u < 1.0 - share
    low = frame.down * ndtri(np.clip(u / (2.0 * (1.0 - share)), 1e-12, 0.5))
    high = frame.up * ndtri(np.clip(1.0 - (1.0 - u) / (2.0 * share), 0.5, 1.0 - 1e-12))
    return np.where(below, low, high)


def _quadratic(z: Floats) -> Floats:
    """Columns 1, z_k and z_k z_m."""
    pairs = [z[:, k : k + 1] * z[:, k:] for k in range(z.shape[1])]
    return np.concatenate([np.ones((len(z), 1)), z, *pairs], axis=1)


def _scale_for(values: Floats) -> tuple[Callable[[Floats], Floats], Value]:
    """A map of such values to the whole line, and back."""
    if (values > 0).all() and (values < 1).all():
        return lambda v: np.log(v) - np.log1p(-v), logistic
    if (values > 0).all():
        return np.log, exponential
    return lambda v: v, itself
