"""Exact draws of units whose log densities are sums of functions of one line: `unit_draws` without the tape.

A draw is made once or twice at a point, so that a bound must be cheap to make: tangents at five of the nodes,
about one and two standard deviations to either side of the mode. Nine in ten proposals are kept.  Tables are
made for many points first, with the coefficients of each unit's log density.
"""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elementary import REACH, exp_all
from dagmodels.numerics.tape_kernels import log_phi, softplus
from dagmodels.numerics.unit_draws import SMALL, _propose
from dagmodels.numerics.unit_steps import CLOSE, START, TAPE, UNITS, _inline, write_point
from dagmodels.numerics.unit_summands import (
    SUMMANDS,
    integrated,
    most,
    nodes_at,
    opened,
    settled,
    unit_at,
)
from dagmodels.numerics.unit_values import NODES

TABLES = "f8[:, :, :, ::1], f8[:, :, ::1], f8[:, :, ::1]"


@_inline
def _bounds(x, h, s, tangents, cut, mass, high, fall, lost, good):
    """As `unit_draws._hull` for all copies side by side.

    cut (tangents + 1, copies) = where neighbouring tangents meet; mass (tangents, copies) = sums of
    exp(T - max h) over the parts; good = whether there are such bounds. high, fall, lost : spare, as mass.
    """
    m, copies = mass.shape
    top = h[tangents[0]].copy()
    for k in range(1, m):
        for q in range(copies):
            top[q] = max(top[q], h[tangents[k], q])
    cut[0], cut[m] = -np.inf, np.inf
    for k in range(1, m):
        i, j = tangents[k - 1], tangents[k]
        for q in range(copies):
            gap, bend = x[j, q] - x[i, q], s[i, q] - s[j, q]
            part = (h[j, q] - h[i, q] - s[j, q] * gap) / bend
            part = part if 0.0 <= part <= gap else 0.5 * gap  # any place does
            cut[k, q] = x[i, q] + part
    for k in range(m):
        j = tangents[k]
        for q in range(copies):
            end = cut[k + 1, q] if s[j, q] > 0.0 else cut[k, q]  # the higher one
            away = s[j, q] * (end - x[j, q]) if s[j, q] != 0.0 else 0.0
            v = h[j, q] - top[q] + away
            good[q] = good[q] and -np.inf <= v <= REACH
            high[k, q] = v if -REACH <= v <= REACH else -REACH
            fall[k, q] = -min(abs(s[j, q]) * (cut[k + 1, q] - cut[k, q]), REACH) if s[j, q] != 0.0 else 0.0
    exp_all(high.reshape(m * copies), mass.reshape(m * copies))
    exp_all(fall.reshape(m * copies), lost.reshape(m * copies))
    for k in range(m):
        j = tangents[k]
        for q in range(copies):
            if fall[k, q] > -SMALL:
                mass[k, q] *= (cut[k + 1, q] - cut[k, q]) * (1.0 + fall[k, q] * (0.5 + fall[k, q] / 6.0))
            else:
                mass[k, q] *= (1.0 - lost[k, q]) / abs(s[j, q])
            if k > 0:
                mass[k, q] += mass[k - 1, q]
    for q in range(copies):
        good[q] = good[q] and s[tangents[0], q] > 0.0 > s[tangents[m - 1], q] and mass[m - 1, q] < np.inf


@kernel(
    f"void({TAPE}, {UNITS}, {SUMMANDS}, f8[::1], {START}, {NODES}, i8[::1], f8[:, ::1], f8[::1], {TABLES})"
)
def line_hulls(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, function, first, weight, base, begin, lean, spread, nodes, log_weights, tangents, points,
    density, table, curves, lines,
):  # fmt: skip
    """Log densities of points, as `unit_summands.line_values` (nan where nothing can be drawn), with tangents
    of all units at nodes of these numbers, as `unit_draws.hulls` has them; curves (points, n, 3) = c0, c1, c2
    and lines (points, summands, 3) = a, b, w."""
    copies, n, m, one, few = outer.shape[0], begin.shape[0], log_weights.size, most(first), tangents.size
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line = np.empty((3, n, copies)), np.empty((3, arg.shape[0], copies))
    u, L, away, t1 = (
        np.empty((1, copies)),
        np.empty(copies),
        np.empty((base.size, copies)),
        np.empty((1, copies)),
    )
    value1, slope1 = np.empty((one, 1, copies)), np.empty((one, 1, copies))
    x, t, h, s = np.empty((m, copies)), np.empty((m, copies)), np.empty((m, copies)), np.empty((m, copies))
    value, slope, share = np.empty((one, m, copies)), np.empty((one, m, copies)), np.empty((m, copies))
    total, logs, own = np.empty(copies), np.empty(copies), np.empty(copies)
    cut, mass, high = np.empty((few + 1, copies)), np.empty((few, copies)), np.empty((few, copies))
    fall, lost = np.empty((few, copies)), np.empty((few, copies))
    heights = np.exp(log_weights + 0.5 * nodes[:, 0] ** 2)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, function, first, base, begin, lean, spread, curve, line, rest, alive,
            away,
        )  # fmt: skip
        last = min(copies, points.shape[0] - i)
        own[:] = rest
        for g in range(n):
            settled(
                curve, line, function, first, g, away, base, begin, lean, spread, CLOSE, t1, value1, slope1,
                u, L, alive,
            )  # fmt: skip
            nodes_at(u, L, nodes, x)
            unit_at(curve, line, function, first, g, x, t, value, slope, h, s)
            integrated(h, heights, L, t, share, total, logs)
            for q in range(copies):
                own[q] += weight[g] * logs[q]
            _bounds(x, h, s, tangents, cut, mass, high, fall, lost, alive)
            for q in range(last):
                to = table[i + q, g]
                for k in range(few):
                    j = tangents[k]
                    to[0, k], to[1, k], to[2, k], to[3, k], to[4, k] = (
                        x[j, q],
                        h[j, q],
                        s[j, q],
                        cut[k, q],
                        mass[k, q],
                    )
                to[3, few] = np.inf
                for k in range(3):
                    curves[i + q, g, k] = curve[k, g, q]
        for q in range(last):
            density[i + q] = own[q] if alive[q] else np.nan
            for e in range(arg.shape[0]):
                for k in range(3):
                    lines[i + q, e, k] = line[k, e, q]


@_inline
def _log_density(c, lines, function, begin, end, u):
    """Of one unit at u."""
    found = c[0] + u * (c[1] + 0.5 * c[2] * u)
    for k in range(begin, end):
        t = lines[k, 0] + lines[k, 1] * u
        value = math.exp(t) if function[k] == 0 else softplus(t) if function[k] == 1 else log_phi(t)
        found += lines[k, 2] * value
    return found


@kernel(f"void({TABLES}, i8[::1], i8[::1], i8[::1], i8[::1], npy_rng, f8[:, ::1])")
def line_draws(table, curves, lines, function, first, rows, kind, rng, found):
    """found = a draw of every unit's element, (rows, units), at the points of that number.

    kind : each unit's number among the distinct ones.
    """
    m = table.shape[3] - 1
    for i in range(rows.size):
        at = rows[i]
        for j in range(kind.size):
            g = kind[j]
            own, curve = table[at, g], curves[at, g]
            while True:
                u, least, sure = _propose(own, m, rng)
                if sure or least <= _log_density(curve, lines[at], function, first[g], first[g + 1], u):
                    found[i, j] = u
                    break
