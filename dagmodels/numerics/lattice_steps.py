"""Values between the points of an even lattice, what they sum to in each cell, and draws from them.

Polynomials of degree five pass through the six nearest points along each axis, the first axis before the
second; they leave the range of the two neighbours by `SWING` at most, lest a polynomial swing at a jump.
A lattice of one dimension is one with a single point along its second axis.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel

_inline = numba.njit(error_model="numpy")

DEGREE = 5
SWING = 1.0  # by which an interpolated log density may leave the range of its neighbours
LOW = 32.0  # cells with corners so far below the peak weigh nothing
COARSEST, FINEST = 4, 64  # parts of a cell's side in Simpson's rule


@_inline
def _stencil(at, left, count, weights):
    """Lagrange's weights of the six points nearest to `at`, which lies to the right of point `left`; the
    first of the six is returned. One point alone has all weight."""
    if count == 1:
        weights[:] = 0.0
        weights[0] = 1.0
        return 0
    first = min(max(left - DEGREE // 2, 0), count - 1 - DEGREE)
    x = at - first
    product = 1.0
    for i in range(DEGREE + 1):
        weights[i] = product
        product *= x - i
    product = 1.0
    for i in range(DEGREE, -1, -1):
        weights[i] *= product
        product *= x - i
    weights[0] /= -120.0
    weights[1] /= 24.0
    weights[2] /= -12.0
    weights[3] /= 12.0
    weights[4] /= -24.0
    weights[5] /= 120.0
    return first


@_inline
def _within(found, a, b):
    """No further than SWING from the range of a and b."""
    return min(max(found, min(a, b) - SWING), max(a, b) + SWING)


@_inline
def _column(values, i, first, weights, j):
    """The value in column j between rows i and i + 1."""
    found = 0.0
    for k in range(DEGREE + 1):
        found += weights[k] * values[first + k, j]
    return _within(found, values[i, j], values[i + 1, j])


@_inline
def _between(row, begin, j, first, weights, count):
    """The value between columns j and j + 1, from a row whose entry 0 is that of column `begin`."""
    if count == 1:
        return row[0]
    found = 0.0
    for k in range(DEGREE + 1):
        found += weights[k] * row[first - begin + k]
    return _within(found, row[j - begin], row[j + 1 - begin])


@_inline
def _value(values, i, s, j, t, one, other, row):
    """At (i + s, j + t)."""
    m, n = values.shape
    first = _stencil(i + s, i, m, one)
    begin = _stencil(j + t, j, n, other)
    for k in range(min(n, DEGREE + 1)):
        row[k] = _column(values, i, first, one, begin + k)
    return _between(row, begin, j, begin, other, n)


@kernel("void(f8[:, ::1], f8[:, ::1], f8[::1])")
def at_points(values, places, found):
    """Values at places (points, 2), in steps from the first point; minus infinity outside."""
    m, n = values.shape
    one, other, row = np.empty(DEGREE + 1), np.empty(DEGREE + 1), np.empty(DEGREE + 1)
    for r in range(places.shape[0]):
        s, t = places[r, 0], places[r, 1]
        found[r] = -np.inf
        if s >= 0.0 and s <= m - 1.0 and t >= 0.0 and t <= n - 1.0:
            i, j = min(int(s), m - 2), max(0, min(int(t), n - 2))
            found[r] = _value(values, i, s - i, j, t - j, one, other, row)


@kernel("f8[:, ::1](f8[:, ::1], i8)")
def along(values, parts):
    """Values with so many steps for one along the first axis."""
    m, n = values.shape
    fine = np.empty(((m - 1) * parts + 1, n))
    weights = np.empty(DEGREE + 1)
    for k in range(fine.shape[0]):
        i = min(k // parts, m - 2)
        first = _stencil(k / parts, i, m, weights)
        for j in range(n):
            fine[k, j] = _column(values, i, first, weights, j)
    return fine


@_inline
def _fill(values, i, j, parts, fine, one, others, row):
    """Values at all (parts + 1) x (parts + 1) places of a cell; a single column in one dimension."""
    m, n = values.shape
    across = 1 if n == 1 else parts + 1
    begin = 0
    for b in range(across):
        begin = _stencil(j + b / parts, j, n, others[b])
    for a in range(parts + 1):
        first = _stencil(i + a / parts, i, m, one)
        for k in range(min(n, DEGREE + 1)):
            row[k] = _column(values, i, first, one, begin + k)
        for b in range(across):
            fine[a, b] = _between(row, begin, j, begin, others[b], n)
    return across


@_inline
def _simpson(fine, parts, across, every, peak):
    """The mean of exp(values - peak) over a cell, by every so manieth place along each side."""
    total = 0.0
    for a in range(0, parts + 1, every):
        weight = 1.0 if a == 0 or a == parts else (4.0 if (a // every) % 2 else 2.0)
        inner = 0.0
        for b in range(0, across, every):
            end = b == 0 or b == across - 1
            inner += (1.0 if end else (4.0 if (b // every) % 2 else 2.0)) * math.exp(fine[a, b] - peak)
        total += weight * inner
    steps = 3.0 * (parts // every)
    return total / steps if across == 1 else total / steps**2


@_inline
def _bound(fine, parts, across):
    """What the values in a cell do not exceed: the highest, and twice what parabolas may rise above it."""
    top, bend, other = -np.inf, 0.0, 0.0
    for a in range(parts + 1):
        for b in range(across):
            top = max(top, fine[a, b])
            if 0 < a < parts:
                bend = max(bend, abs(fine[a - 1, b] - 2.0 * fine[a, b] + fine[a + 1, b]))
            if 0 < b < across - 1:
                other = max(other, abs(fine[a, b - 1] - 2.0 * fine[a, b] + fine[a, b + 1]))
    return top + 0.25 * (bend + other)


@kernel("f8(f8[:, ::1], f8, f8[:, ::1], f8[:, ::1])")
def cells(values, tolerance, mass, top):
    """mass : the mean of exp(values - peak) over each cell, by Simpson's rule with as many parts as it needs.
    top : a bound of the values there.

    Returns what the masses may be off together, as a share of their sum; the tolerance where it is reached.
    """
    m, n = values.shape
    peak = values.max()
    fine = np.empty((FINEST + 1, FINEST + 1))
    one, others, row = np.empty(DEGREE + 1), np.empty((FINEST + 1, DEGREE + 1)), np.empty(DEGREE + 1)
    some = 0.0
    for i in range(m):
        for j in range(n):
            some += math.exp(values[i, j] - peak)
    some /= values.size
    total, off = 0.0, 0.0
    for i in range(m - 1):
        for j in range(max(1, n - 1)):
            right = min(j + 1, n - 1)
            corner = max(max(values[i, j], values[i + 1, j]), max(values[i, right], values[i + 1, right]))
            mass[i, j] = 0.0
            top[i, j] = corner + 2.0 * SWING
            if corner < peak - LOW:
                continue
            parts = COARSEST
            while True:
                across = _fill(values, i, j, parts, fine, one, others, row)
                found = _simpson(fine, parts, across, 1, peak)
                apart = abs(found - _simpson(fine, parts, across, 2, peak)) / 3.0
                if apart <= 0.5 * tolerance * (found + some) or parts == FINEST:
                    break
                parts *= 2
            mass[i, j] = found
            top[i, j] = _bound(fine, parts, across)
            total += found
            off += apart
    return off / total


@kernel("void(f8[:, ::1], f8[::1], f8[:, ::1], npy_rng, f8[:, ::1])")
def draw(values, mass, top, rng, drawn):
    """Independent draws (draws, 2) from exp(values), in steps from the first point.

    mass : of the cells up to each, row by row. A cell is drawn by its mass, a place in it by rejection.
    """
    n = values.shape[1]
    wide = max(1, n - 1)
    one, other, row = np.empty(DEGREE + 1), np.empty(DEGREE + 1), np.empty(DEGREE + 1)
    for r in range(drawn.shape[0]):
        cell = min(np.searchsorted(mass, rng.random() * mass[-1], side="right"), mass.size - 1)
        i, j = cell // wide, cell % wide
        while True:
            s = rng.random()
            t = rng.random() if n > 1 else 0.0
            if math.log(1.0 - rng.random()) < _value(values, i, s, j, t, one, other, row) - top[i, j]:
                break
        drawn[r, 0], drawn[r, 1] = i + s, j + t
