"""Normal laws that bound the log-concave densities of units of several elements; see `unit_steps`."""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.unit_steps import (
    CLOSE,
    START,
    TAPE,
    UNITS,
    root_of,
    run,
    settled,
    slopes,
    summed,
    write,
    write_point,
)


@kernel(f"void({TAPE}, {UNITS}, {START}, f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1])")
def tangents(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    base, begin, lean, spread, quadratic, points, centre, root, top,
):  # fmt: skip
    """For each point and unit the normal law that bounds the unit's density, times exp(top): its centre, a
    root of its covariance, and top; nan where there is no density or no such law. A tape of one copy.

    With log density h = q + l, q the quadratic entries (weights `quadratic`, others 0) of curvature -Q, and l
    concave: l lies below its tangent at any m, so h(u) <= T(u) = h(m) + g'(u - m) - (u - m)'Q(u - m)/2 with
    g the gradient of h at m, for all u. T is largest at m + Q^-1 g, where it is h(m) + g'Q^-1 g/2. Here m is
    the mode, as far as Newton's steps went; Q is had from differences of gradients, exact for quadratics.
    """
    n, d = place.shape
    bar, own, rest, slope = np.zeros(w.size), np.empty(n), np.empty(1), np.empty((n, d))
    moved, low, high = np.empty((n, d)), np.empty((n, d)), np.empty((n, d))
    Q, A, scale, alive = np.empty((n, d, d)), np.zeros((d, d)), np.empty((n, d)), np.empty(1, np.bool_)
    for i in range(points.shape[0]):
        u, L = centre[i], root[i]
        write_point(w, outer, points, i)
        settled(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, base, begin, lean, spread, CLOSE, u, L, own, rest, alive,
        )  # fmt: skip
        if not alive[0]:
            top[i] = np.nan
            continue
        write(w, place, u)
        run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
        summed(w, entry, owner, times, own, rest)
        slopes(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner,
            times, slope,
        )  # fmt: skip
        for g in range(n):
            for j in range(d):
                scale[g, j] = max(abs(L[g, j, j]), 1e-8 * abs(u[g, j]))
        for j in range(d):
            for side in (-1.0, 1.0):
                moved[:] = u
                for g in range(n):
                    moved[g, j] += side * scale[g, j]
                write(w, place, moved)
                run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
                beyond = low if side < 0.0 else high
                slopes(
                    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry,
                    owner, quadratic, beyond,
                )  # fmt: skip
            for g in range(n):
                for q in range(d):
                    Q[g, q, j] = (high[g, q] - low[g, q]) / (2.0 * scale[g, j])
        for g in range(n):
            for j in range(d):
                if place[g, j] < 0:
                    Q[g, j, :] = 0.0
                    Q[g, :, j] = 0.0
                    Q[g, j, j] = -1.0
            top[i, g] = own[g] if root_of(Q[g], d, L[g], A, False) else np.nan
            for q in range(d):
                acc = 0.0
                for r in range(d):
                    acc += L[g, r, q] * slope[g, r]
                top[i, g] += 0.5 * acc * acc
                for r in range(d):
                    u[g, r] += L[g, r, q] * acc
