"""Integrals over small independent units of a tape by adaptive quadrature: see `unit_steps`."""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elementary import REACH, exp_all
from dagmodels.numerics.unit_steps import (
    CLOSE,
    START,
    TAPE,
    UNITS,
    _inline,
    back,
    reverse,
    run,
    settled,
    summed,
    write,
    write_point,
)

NODES = "f8[:, ::1], f8[::1]"


@_inline
def moved(u, L, z, there):
    """there = u + L z."""
    for g in range(u.shape[0]):
        for i in range(u.shape[1]):
            acc = u[g, i]
            for q in range(u.shape[1]):
                acc += L[g, i, q] * z[q]
            there[g, i] = acc


@_inline
def volume(L, place, g):
    """log |L| + (d/2) log 2 pi over the elements that the unit has."""
    total = 0.0
    for j in range(place.shape[1]):
        if place[g, j] >= 0:
            total += math.log(abs(L[g, j, j])) + 0.9189385332046727
    return total


@_inline
def shared(part):
    """Log of the sum of exponentials; part = the share of each."""
    top, mean = -np.inf, 0.0
    for k in range(part.size):
        if part[k] != part[k]:
            return np.nan
        top = max(top, part[k])
    for k in range(part.size):
        part[k] = max(part[k] - top, -REACH)
    exp_all(part, part)
    for k in range(part.size):
        mean += part[k]
    for k in range(part.size):
        part[k] /= mean
    return top + math.log(mean)


@kernel(f"void({TAPE}, {UNITS}, f8[::1], {START}, {NODES}, f8[:, ::1], f8[::1], b1, f8[:, ::1])")
def values(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    weight, base, begin, lean, spread, nodes, log_weights, points, found, sloped, gradient,
):  # fmt: skip
    """found = log densities at points of the outer unknowns, one a row; minus infinity where there is none.

    sloped : whether gradients are asked for, (points, outer): by Fisher's identity the mean of the joint one
    over the units' nodes. (Nodes move with the point as well, which an exact integral does not notice.)
    """
    size, d = place.shape
    copies, m = outer.shape[0], log_weights.size
    n = size // copies
    bar, u, own, rest = np.zeros(w.size), np.empty((size, d)), np.empty(size), np.empty(copies)
    L, share, there = np.empty((size, d, d)), np.empty((size, m)), np.empty((size, d))
    alive, total, sent = np.empty(copies, np.bool_), np.empty(copies), np.empty(outer.shape)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        settled(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, base, begin, lean, spread, CLOSE, u, L, own, rest, alive,
        )  # fmt: skip
        for k in range(m):
            moved(u, L, nodes[k], there)
            write(w, place, there)
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            summed(w, entry, owner, times, own, rest)
            for g in range(size):
                square = 0.0
                for j in range(d):
                    if place[g, j] >= 0:
                        square += nodes[k, j] ** 2
                share[g, k] = own[g] + log_weights[k] + 0.5 * square
        total[:] = rest
        for g in range(size):
            total[g // n] += weight[g % n] * (shared(share[g]) + volume(L, place, g))
        last = min(copies, points.shape[0] - i)
        for k in range(last):
            found[i + k] = total[k] if alive[k] and total[k] == total[k] else -np.inf
        if not sloped:
            continue
        bar[:] = 0.0
        sent[:] = 0.0
        for k in range(m):
            moved(u, L, nodes[k], there)
            write(w, place, there)
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            bar[still:] = 0.0
            for e in range(entry.size):
                if owner[e] >= 0:
                    bar[entry[e]] += times[e] * weight[owner[e] % n] * share[owner[e], k]
                elif k == 0:
                    bar[entry[e]] += times[e]
            back(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w, bar)
            for q in range(copies if still == 0 else 0):  # of a tape that is not in two parts
                for j in range(outer.shape[1]):
                    sent[q, j] += bar[outer[q, j]]
        reverse(
            *(code[:fixed], out[:fixed], a[:fixed], b[:fixed], c[:fixed], aux[:fixed]),
            *(start, length, ptr, idx, w, bar),
        )
        for k in range(last):
            for j in range(outer.shape[1]):
                slope = bar[outer[k, j]] if still > 0 else sent[k, j]
                gradient[i + k, j] = slope if math.isfinite(found[i + k]) else np.nan
