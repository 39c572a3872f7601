"""Exact draws of units whose log densities are sums of functions of one line: `unit_draws` without the tape.

Tables of tangents are made for many points first, with the numbers of each unit's log density, so that what a
chord does not decide costs the unit's own functions.
"""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.tape_kernels import log_phi, softplus
from dagmodels.numerics.unit_draws import _hull, _propose
from dagmodels.numerics.unit_steps import CLOSE, START, TAPE, UNITS, _inline, write_point
from dagmodels.numerics.unit_summands import HALF_LOG, SUMMANDS, opened, settled, sums
from dagmodels.numerics.unit_values import NODES, shared

TABLES = "f8[:, :, :, ::1], f8[:, :, ::1], f8[:, :, ::1]"


@kernel(f"void({TAPE}, {UNITS}, {SUMMANDS}, f8[::1], {START}, {NODES}, f8[:, ::1], f8[::1], {TABLES})")
def line_hulls(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, mine, slot, ends, weight, base, begin, lean, spread, nodes, log_weights, points, density,
    table, curves, lines,
):  # fmt: skip
    """As `unit_draws.hulls`; curves (points, n, 3) = c0, c1, c2 and lines (points, summands, 3) = a, b, w,
    ordered by unit."""
    size, copies, m = place.shape[0], outer.shape[0], log_weights.size
    n, of_one = size // copies, arg.size // copies
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line, u, L = np.empty((3, size)), np.empty((3, arg.size)), np.empty(size), np.empty(size)
    t, value, rate = np.empty(arg.size), np.empty(arg.size), np.empty(arg.size)
    there, h, slope, high, fall = np.empty(size), np.empty(size), np.empty(size), np.empty(m), np.empty(m)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, mine, slot, ends, base, begin, lean, spread, curve, line, rest, alive,
        )  # fmt: skip
        settled(curve, line, mine, ends, outer, w, base, begin, lean, spread, CLOSE, u, L, alive)
        last = min(copies, points.shape[0] - i)
        for k in range(m):
            for g in range(size):
                there[g] = u[g] + L[g] * nodes[k, 0]
            sums(curve, line, mine, ends, there, t, value, rate, h, slope)
            for g in range(last * n):
                own = table[i + g // n, g % n]
                own[0, k], own[1, k], own[2, k] = there[g], h[g], slope[g]
        for q in range(last):
            density[i + q] = rest[q] if alive[q] else np.nan
        for q in range(arg.size):
            if slot[q] < last * of_one:
                to = lines[i + slot[q] // of_one, slot[q] % of_one]
                to[0], to[1], to[2] = line[0, q], line[1, q], line[2, q]
        for g in range(last * n):
            at, of = i + g // n, g % n
            curves[at, of, 0], curves[at, of, 1], curves[at, of, 2] = curve[0, g], curve[1, g], curve[2, g]
            own = table[at, of]
            if not _hull(own[0, :m], own[1, :m], own[2, :m], own[3], own[4, :m], high, fall):
                density[at] = np.nan
            for k in range(m):
                high[k] = own[1, k] + log_weights[k] + 0.5 * nodes[k, 0] ** 2
            density[at] += weight[of] * (shared(high) + math.log(L[g]) + HALF_LOG)


@_inline
def _log_density(c, lines, kind, u):
    """Of one unit at u."""
    found = c[0] + u * (c[1] + 0.5 * c[2] * u)
    for k in range(kind.size):
        t = lines[k, 0] + lines[k, 1] * u
        value = math.exp(t) if kind[k] == 0 else softplus(t) if kind[k] == 1 else log_phi(t)
        found += lines[k, 2] * value
    return found


@kernel(f"void({TABLES}, i8[::1], i8[::1], i8, i8[::1], i8[::1], npy_rng, f8[:, ::1])")
def line_draws(table, curves, lines, function, first, m, rows, kind, rng, found):
    """found = a draw of every unit's element, (rows, units), at the points of that number.

    function : 0, 1, 2 for exp, softplus, log Phi of each summand, ordered by unit; those of unit g begin at
    first[g]. m : nodes. kind : each unit's number among the distinct ones.
    """
    for i in range(rows.size):
        for j in range(kind.size):
            g = kind[j]
            own, part = table[rows[i], g], slice(first[g], first[g + 1])
            while True:
                u, least, sure = _propose(own, m, rng)
                if sure or least <= _log_density(curves[rows[i], g], lines[rows[i], part], function[part], u):
                    found[i, j] = u
                    break
