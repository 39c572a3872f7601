"""A lattice of log densities that grows, becomes finer, and is interpolated: see `grid`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

FALL = {1: 18.0, 2: 14.0}  # of the log density, at which the lattice ends
SIDE = {1: 512, 2: 80}  # points along an axis beyond which the first lattice is made coarser
NARROW = 1.8  # points, by 1/sum of squared shares, below which it is made finer: 3.5 for steps of one sd
RESTARTS = 100  # of the first lattice
DEGREE = 5
SWING = 1.0  # by which an interpolated log density may leave the range of its neighbours


def box(f: Densities, d: int) -> tuple[Floats, Floats, Floats]:
    """A first lattice that reaches to where the log density has fallen: its low corner, steps and values."""
    step, about = np.ones(d), np.zeros(d)
    for _ in range(RESTARTS):
        low = about - 4.0 * step
        values = f(low + step * _index((9,) * d)).reshape((9,) * d)
        if not np.isfinite(values).any():
            raise FitError("the density has no value near its stated mode; give other initial values")
        low, values = grown(f, low, step, values, SIDE[d])
        long = np.array(values.shape) > SIDE[d]
        narrow = np.array([1.0 / float(m @ m) for m in margins(values)]) < NARROW
        about = low + step * np.array(np.unravel_index(values.argmax(), values.shape))
        if long.any():
            step = np.where(long, 2.0 * step, step)
        elif narrow.any():
            step = np.where(narrow, 0.5 * step, step)
        else:
            return low, step, values
    raise FitError(
        "the density has a peak too narrow, and tails too wide, for one grid: draw by NUTS instead"
    )


def margins(values: Floats) -> list[Floats]:
    """Shares of the points along either axis."""
    w = np.exp(values - values.max())
    w /= w.sum()
    return [w] if w.ndim == 1 else [w.sum(axis=1), w.sum(axis=0)]


def grown(
    f: Densities, low: Floats, step: Floats, values: Floats, side: float = math.inf
) -> tuple[Floats, Floats]:
    """More points wherever an end of the lattice is not low, until an axis has more than `side`."""
    growing = True
    while growing:
        growing = False
        for axis in range(values.ndim):
            for end in (0, -1):
                high = values.take(end, axis).max() > values.max() - FALL[values.ndim]
                if not high or max(values.shape) > side:
                    continue
                growing = True
                shape = list(values.shape)
                more = shape[axis] = max(2, shape[axis] // 4)
                corner = low.copy()
                corner[axis] += step[axis] * (-more if end == 0 else values.shape[axis])
                slab = f(corner + step * _index(shape)).reshape(shape)
                values = np.concatenate([slab, values] if end == 0 else [values, slab], axis)
                low = corner if end == 0 else low
    return low, values


def _index(shape: tuple[int, ...] | list[int]) -> Floats:
    return np.indices(shape).reshape(len(shape), -1).T.astype(np.float64)


def halved(f: Densities, low: Floats, step: Floats, values: Floats, guess: Floats, spared: float) -> Floats:
    """Values on the lattice of half the step.

    The guess stays where all neighbours are below the ends, and at the lowest points that together have the
    spared share.
    """
    found, near = guess.copy(), values
    for axis in range(values.ndim):
        near = _spread(near, axis)
    wanted = near > values.max() - FALL[guess.ndim] - 5.0
    if spared > 0.0:
        w = np.exp(near - near.max())
        order = np.sort(w.reshape(-1))
        place = int(np.searchsorted(np.cumsum(order), spared * order.sum()))
        wanted &= w >= order[place]
    known = tuple(slice(None, None, 2) for _ in guess.shape)
    found[known] = values
    wanted[known] = False
    index = np.argwhere(wanted).astype(np.float64)
    if len(index):
        found[wanted] = f(low + step * index)
    return found


def _spread(values: Floats, axis: int) -> Floats:
    """On the lattice of half the step along one axis: the greater of the two neighbours."""
    along = np.moveaxis(values, axis, 0)
    fine = np.repeat(along, 2, axis=0)[:-1]
    fine[1::2] = np.maximum(along[:-1], along[1:])
    return np.moveaxis(fine, 0, axis)


def interpolated(values: Floats, parts: int | list[int]) -> Floats:
    """Values on a lattice with so many steps for one (along each axis).

    They leave the range of the two neighbours by one at most, lest a polynomial swing at a jump.
    """
    for axis in range(values.ndim):
        n = values.shape[axis]
        p = parts if isinstance(parts, int) else parts[axis]
        along = np.moveaxis(values, axis, 0)
        left = np.arange((n - 1) * p + 1) // p
        a, b = along[left], along[np.minimum(left + 1, n - 1)]
        found = np.tensordot(_weights(n, p), along, (1, 0))
        values = np.moveaxis(np.clip(found, np.minimum(a, b) - SWING, np.maximum(a, b) + SWING), 0, axis)
    return values


def _weights(count: int, parts: int) -> Floats:
    """Lagrange polynomials through the nearest points of an even lattice: (fine, coarse)."""
    t = np.arange((count - 1) * parts + 1) / parts
    first = np.clip(np.floor(t).astype(np.int64) - DEGREE // 2, 0, count - 1 - DEGREE)
    weights = np.zeros((t.size, count))
    rows = np.arange(t.size)
    for i in range(DEGREE + 1):
        product = np.ones(t.size)
        for j in range(DEGREE + 1):
            if j != i:
                product *= (t - first - j) / (i - j)
        weights[rows, first + i] = product
    return weights
