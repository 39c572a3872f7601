"""A lattice of log densities that spreads over a density, and becomes finer: see `grid`.

A dense table, to draw from; integrals by weighted points are those of `numerics.quadrature_lattice`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

LADDER = 2.0 ** np.arange(-8, 9)  # distances from the centre, in axes, at which the width is looked for
WIDTH = 0.499  # fall of the log density to either side that makes a width: of one sd in a normal law
SIDE = {1: 256, 2: 64}  # points along an axis beyond which the first lattice is made coarser
MOST_SIZE = 1_000_000  # of a lattice, the points where nothing was asked included
LAYERS = 3  # of points beyond the known ones, extrapolated: what polynomials of degree five reach
DEEPEST = 60.0  # values further below the peak than this count as this far


@dataclass(frozen=True, eq=False, slots=True)
class Lattice:
    """Log densities at `low + step * index`, NaN where nobody asked."""

    low: Floats
    step: Floats
    values: Floats

    def at(self, index: Floats) -> Floats:
        """Points, one a row."""
        return self.low + self.step * index

    def padded(self, before: list[int], after: list[int]) -> Lattice:
        """More room, nothing asked there."""
        values = np.pad(self.values, list(zip(before, after, strict=True)), constant_values=np.nan)
        if values.size > MOST_SIZE:
            raise FitError(
                f"a density of {values.ndim} dimensions has a peak too narrow, and tails too wide, for one "
                "grid: draw by NUTS instead"
            )
        return Lattice(self.low - self.step * before, self.step, values)

    def halved(self, axis: int) -> Lattice:
        """Half the step along one axis, nothing asked yet in between."""
        shape = list(self.values.shape)
        shape[axis] = 2 * shape[axis] - 1
        values = np.full(shape, np.nan)
        np.moveaxis(values, axis, 0)[::2] = np.moveaxis(self.values, axis, 0)
        step = self.step.copy()
        step[axis] /= 2.0
        return replace(self, step=step, values=values)

    def coarser(self, axis: int) -> Lattice:
        """Twice the step along one axis; the highest point stays."""
        first = int(np.unravel_index(np.nanargmax(self.values), self.values.shape)[axis]) % 2
        low, step = self.low.copy(), self.step.copy()
        low[axis] += first * step[axis]
        step[axis] *= 2.0
        values = np.moveaxis(np.moveaxis(self.values, axis, 0)[first::2], 0, axis)
        return Lattice(low, step, values)

    def spread(self, f: Densities, fall: float, side: float = np.inf) -> Lattice:
        """All neighbours asked of all points that are not below the peak by `fall`.

        Steps along an axis are doubled where it gets more than `side` points.
        """
        now = self
        while True:
            high = now.values > np.nanmax(now.values) - fall
            room = [np.flatnonzero(_any(high, axis)) for axis in range(high.ndim)]
            before = [max(0, 2 - int(r[0])) for r in room]
            after = [max(0, int(r[-1]) + 3 - n) for r, n in zip(room, high.shape, strict=True)]
            if any(before) or any(after):
                now = now.padded(before, after)
                long = int(np.argmax(now.values.shape))
                if now.values.shape[long] > side:
                    now = now.coarser(long)
                continue
            wanted = np.isnan(now.values) & _dilated(high)
            if not wanted.any():
                return now
            now.values[wanted] = f(now.at(np.argwhere(wanted).astype(np.float64)))


def first(f: Densities, d: int, fall: float) -> Lattice:
    """A lattice about the centre (or a higher point found near it) with steps of about one sd."""
    about, step = np.zeros(d), np.ones(d)
    ladder = np.concatenate([-LADDER[::-1], [0.0], LADDER])
    for axis in range(d):
        z = np.tile(about, (ladder.size, 1))
        z[:, axis] += ladder
        v = f(z)
        if not np.isfinite(v).any():
            raise FitError("the density has no value near its stated mode; give other initial values")
        top = int(v.argmax())
        about[axis] = z[top, axis]
        fallen = v[top] - v
        ends = [np.flatnonzero(fallen[:top] >= WIDTH)[-1:], top + np.flatnonzero(fallen[top:] >= WIDTH)[:1]]
        # the parabola through the first rung that is low; one rung less is not low
        widths = [
            abs(ladder[k] - ladder[top]) * max(0.5, float(np.sqrt(WIDTH / fallen[k])))
            for k in np.concatenate(ends)
        ]
        step[axis] = min(widths, default=float(LADDER[-1]))
    shape = (7,) * d
    start = about - 3.0 * step
    values = f(start + step * np.indices(shape).reshape(d, -1).T).reshape(shape)
    if not np.isfinite(values).any():
        raise FitError("the density has no value near its stated mode; give other initial values")
    return Lattice(start, step, values.copy()).spread(f, fall, SIDE[d])


def filled(now: Lattice) -> tuple[Lattice, list[float]]:
    """No gaps: layers of extrapolated points around the known ones, and what is lowest elsewhere.

    Returns as well the share of the sum of densities in each layer.
    """
    room = [LAYERS] * now.values.ndim
    now = now.padded(room, room)
    peak = float(np.nanmax(now.values))
    values = np.maximum(now.values, peak - DEEPEST)
    sums = [float(np.exp(values[~np.isnan(values)] - peak).sum())]
    for _ in range(LAYERS):
        guess = np.full(values.shape, np.nan)
        for axis in range(values.ndim):
            for side in (1, -1):
                along = np.moveaxis(values, axis, 0)[::side]
                a, b, c = along[2:-1], along[1:-2], along[:-3]
                onto = np.moveaxis(guess, axis, 0)[::side][3:]
                np.fmax(onto, np.minimum(a, 3.0 * (a - b) + c), out=onto)
        new = np.isnan(values) & ~np.isnan(guess)
        values[new] = np.maximum(guess[new], peak - DEEPEST)
        sums.append(float(np.exp(values[new] - peak).sum()))
    values[np.isnan(values)] = peak - DEEPEST
    total = sum(sums)
    return replace(now, values=values), [s / total for s in sums[1:]]


def _any(high: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    return high if high.ndim == 1 else np.asarray(high.any(axis=1 - axis))


def _dilated(high: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Together with all neighbours, those across a corner as well."""
    for axis in range(high.ndim):
        along = np.moveaxis(high, axis, 0)
        wide = along.copy()
        wide[1:] |= along[:-1]
        wide[:-1] |= along[1:]
        high = np.moveaxis(wide, 0, axis)
    return high
