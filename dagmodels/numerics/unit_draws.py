"""Exact draws of units with one element each, whose log densities are concave: see `forms/units`.

Adaptive rejection (Gilks and Wild 1992, Applied Statistics 41:337) with the tangents at the nodes of the
unit's quadrature, which are known anyway. A concave h lies below each of its tangents and above its chords.
So proposals have the density exp(T), T the lower of two neighbouring tangents, and are kept with probability
exp(h - T); a chord above the uniform saves the evaluation of h. Any place may be taken for where neighbouring
tangents meet: each is a bound everywhere. Nothing is added to the tangents: with a node for each standard
deviation 95 of 100 proposals are kept, and 9 of 10 without an evaluation.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.unit_steps import (
    _NODES,
    _TAPE,
    _UNITS,
    _guess,
    _moved,
    _settle,
    _slopes,
    _summed,
    _volume,
    _write,
    forward,
)

_inline = numba.njit(error_model="numpy")


@_inline
def _hull(x, h, slope, cut, mass):
    """Where neighbouring tangents meet (cut, one more than nodes) and sums of exp(T - max h) over the parts;
    False where the outermost tangents do not fall, so that nothing bounds the tails."""
    m = x.size
    if not (slope[0] > 0.0 and slope[m - 1] < 0.0):
        return False
    cut[0], cut[m] = -np.inf, np.inf
    top = h[0]
    for k in range(1, m):
        top = max(top, h[k])
        gap, bend = x[k] - x[k - 1], slope[k - 1] - slope[k]
        part = (h[k] - h[k - 1] - slope[k] * gap) / bend if bend > 0.0 else 0.5 * gap
        cut[k] = x[k - 1] + (min(max(part, 0.0), gap) if part == part else 0.5 * gap)
    total = 0.0
    for k in range(m):
        rate, length = abs(slope[k]), cut[k + 1] - cut[k]
        end = cut[k + 1] if slope[k] > 0.0 else cut[k]  # the higher one
        if rate * length < 1e-9:
            total += math.exp(h[k] - top) * length
        else:
            total += math.exp(h[k] + slope[k] * (end - x[k]) - top) * -math.expm1(-rate * length) / rate
        mass[k] = total
    return total < np.inf


@_inline
def _part(mass, share):
    """The first part whose sum of masses exceeds that share of all."""
    low, high = 0, mass.size - 1
    goal = share * mass[high]
    while low < high:
        middle = (low + high) // 2
        if mass[middle] > goal:
            high = middle
        else:
            low = middle + 1
    return low


@_inline
def _propose(x, h, slope, cut, mass, rng):
    """A place by the density exp(T), T there less the exponential that decides, and whether a chord does."""
    k = _part(mass, rng.random())
    v, rate, length = rng.random(), abs(slope[k]), cut[k + 1] - cut[k]
    if rate * length < 1e-9:
        place = cut[k] + v * length
    else:
        away = -math.log1p(v * math.expm1(-rate * length)) / rate
        place = cut[k + 1] - away if slope[k] > 0.0 else cut[k] + away
    least = h[k] + slope[k] * (place - x[k]) + math.log(rng.random())
    other = k - 1 if place < x[k] else k + 1
    sure = False
    if 0 <= other < x.size:
        sure = least <= h[k] + (h[other] - h[k]) * (place - x[k]) / (x[other] - x[k])
    return place, least, sure


@kernel(f"void({_TAPE}, f8[::1], {_UNITS}, {_NODES}, i8[::1], npy_rng, f8[:, ::1], f8[:, ::1], f8[::1])")
def draws(
    code, out, a, b, c, aux, start, length, ptr, idx, w, outer, place, entry, owner, times, weight, begin,
    nodes, log_weights, kind, rng, points, found, density,
):  # fmt: skip
    """found = a draw of every unit's element at each point, (points, units); kind : each unit's number among
    the distinct ones. density = log density of each point, nan where nothing can be drawn.

    A point equal to the one before it costs no evaluation of nodes.
    """
    n, d = place.shape
    m = log_weights.size
    bar, u, own, slope = np.empty(w.size), np.empty((n, d)), np.empty(n), np.empty((n, d))
    L, there = np.empty((n, d, d)), np.empty((n, d))
    x, h, tilt = np.empty((n, m)), np.empty((n, m)), np.empty((n, m))
    cut, mass = np.empty((n, m + 1)), np.empty((n, m))
    waiting, least = np.empty(kind.size, np.int64), np.empty(kind.size)
    asked = np.empty(n, np.int64)
    for i in range(points.shape[0]):
        same = i > 0
        for k in range(outer.size):
            same = same and points[i, k] == points[i - 1, k]
        if same:
            density[i] = density[i - 1]
        else:
            for k in range(outer.size):
                w[outer[k]] = points[i, k]
            _guess(L)
            u[:] = begin
            density[i] = np.nan
            if _settle(
                code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, u, L,
                own,
            ):  # fmt: skip
                rest = 0.0
                for k in range(m):
                    _moved(u, L, nodes[k], there)
                    _write(w, place, there)
                    forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
                    rest = _summed(w, entry, owner, times, own)
                    _slopes(
                        code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times,
                        slope,
                    )  # fmt: skip
                    for g in range(n):
                        x[g, k], h[g, k], tilt[g, k] = there[g, 0], own[g], slope[g, 0]
                total = rest
                for g in range(n):
                    if not _hull(x[g], h[g], tilt[g], cut[g], mass[g]):
                        total = np.nan
                    top, mean = -np.inf, 0.0
                    for k in range(m):
                        top = max(top, h[g, k] + log_weights[k] + 0.5 * nodes[k, 0] ** 2)
                    for k in range(m):
                        mean += math.exp(h[g, k] + log_weights[k] + 0.5 * nodes[k, 0] ** 2 - top)
                    total += weight[g] * (top + math.log(mean) + _volume(L, place, g))
                density[i] = total
        if math.isnan(density[i]):
            continue
        left = 0
        for j in range(kind.size):
            g = kind[j]
            found[i, j], least[j], sure = _propose(x[g], h[g], tilt[g], cut[g], mass[g], rng)
            if not sure:
                waiting[left] = j
                left += 1
        while left > 0:  # one of each kind at a time, as the tape has room for
            asked[:] = -1
            for q in range(left):
                g = kind[waiting[q]]
                if asked[g] < 0:
                    asked[g] = q
                    w[place[g, 0]] = found[i, waiting[q]]
            forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
            _summed(w, entry, owner, times, own)
            kept = 0
            for q in range(left):
                j = waiting[q]
                g = kind[j]
                done = False
                if asked[g] == q:
                    done = least[j] <= own[g]
                    if not done:
                        found[i, j], least[j], done = _propose(x[g], h[g], tilt[g], cut[g], mass[g], rng)
                if not done:
                    waiting[kept] = j
                    kept += 1
            left = kept
