"""Kernels of integrals over small independent units of a tape; see `forms/units`.

A unit has d elements at `place[g]` of the workspace (-1: fewer) and log density entries: places `entry`,
whose units are `owner` (-1: of none), each counted `times`. All units move at once: one run of the tape
serves a node of every unit's quadrature.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import linked
from dagmodels.numerics.tape_kernels import forward, reverse

_inline = numba.njit(error_model="numpy")
forward, reverse = linked(forward), linked(reverse)

_TAPE = ", ".join(["i8[::1]"] * 10)
_UNITS = "i8[::1], i8[:, ::1], i8[::1], i8[::1], f8[::1], f8[::1], f8[:, ::1]"
_NODES = "f8[:, ::1], f8[::1]"
CLOSE = 1e-2  # Newton decrement after which one more step suffices for the nodes
STEP = 1e-4  # of a standard deviation: differences of gradients
MOST = 60  # Newton steps


@_inline
def _write(w, place, u):
    for g in range(place.shape[0]):
        for j in range(place.shape[1]):
            if place[g, j] >= 0:
                w[place[g, j]] = u[g, j]


@_inline
def _summed(w, entry, owner, times, own):
    """own = log density by unit; returns that of the entries of no unit."""
    own[:] = 0.0
    rest = 0.0
    for i in range(entry.size):
        if owner[i] >= 0:
            own[owner[i]] += times[i] * w[entry[i]]
        else:
            rest += times[i] * w[entry[i]]
    return rest


@_inline
def _slopes(code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, slope):
    """slope = gradient of each unit's log density in its elements, where the tape was run."""
    bar[:] = 0.0
    for i in range(entry.size):
        if owner[i] >= 0:
            bar[entry[i]] += times[i]
    reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
    for g in range(place.shape[0]):
        for j in range(place.shape[1]):
            slope[g, j] = bar[place[g, j]] if place[g, j] >= 0 else 0.0


@_inline
def _root(h, d, L, A, mend=True):
    """L: L L' = inverse of minus h, made definite where it is not, or False; A gets the Cholesky factor."""
    top = 0.0
    for j in range(d):
        top = max(top, abs(h[j, j]))
    ridge = 0.0
    while True:
        good = True
        for i in range(d):
            for j in range(i + 1):
                acc = -0.5 * (h[i, j] + h[j, i])
                if i == j:
                    acc += ridge
                for q in range(j):
                    acc -= A[i, q] * A[j, q]
                if i == j:
                    if not acc > 1e-12 * top:
                        good = False
                        break
                    A[i, i] = math.sqrt(acc)
                else:
                    A[i, j] = acc / A[j, j]
            if not good:
                break
        if good:
            break
        ridge = 2.0 * ridge if ridge > 0.0 else 0.1 * top + 1e-12
        if not (mend and ridge < 1e300):
            return False
    # L = A'^-1 has L L' = (A A')^-1; it is upper, which nodes do not mind
    for k in range(d):
        for i in range(d):
            L[i, k] = 0.0
        L[k, k] = 1.0 / A[k, k]
        for i in range(k - 1, -1, -1):
            acc = 0.0
            for q in range(i + 1, k + 1):
                acc += A[q, i] * L[q, k]
            L[i, k] = -acc / A[i, i]
    return True


@kernel(
    f"b1({_TAPE}, f8[::1], f8[::1], i8[:, ::1], i8[::1], i8[::1], f8[::1], f8[:, ::1], f8[:, :, ::1],"
    " f8[::1])"
)
def settle(code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, u, L, own):
    """Mode u and root L of the inverse curvature of every unit, own its log density near there; the tape is
    at a point of the outer unknowns. False where there is no density. L comes with a guess of the scales."""
    n, d = place.shape
    slope, beyond, step = np.empty((n, d)), np.empty((n, d)), np.empty((n, d))
    h, small = np.zeros((n, d, d)), np.empty((n, d))
    value, tried, A = np.empty(n), np.empty((n, d)), np.zeros((d, d))
    share = np.empty(n)
    _write(w, place, u)
    forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
    rest = _summed(w, entry, owner, times, value)
    if not math.isfinite(rest):
        return False
    for g in range(n):
        if not math.isfinite(value[g]):
            return False
    for _ in range(MOST):
        _slopes(code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, slope)
        for j in range(d):
            for g in range(n):
                acc = 0.0
                for q in range(d):
                    acc += L[g, j, q] ** 2
                small[g, j] = STEP * math.sqrt(acc)
                tried[g, :] = u[g, :]
                tried[g, j] += small[g, j]
            _write(w, place, tried)
            forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
            _slopes(
                code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, beyond
            )
            for g in range(n):
                for i in range(d):
                    h[g, i, j] = (beyond[g, i] - slope[g, i]) / small[g, j]
        decrement = 0.0
        for g in range(n):
            for j in range(d):
                if place[g, j] < 0:
                    h[g, j, :] = 0.0
                    h[g, :, j] = 0.0
                    h[g, j, j] = -1.0
            if not _root(h[g], d, L[g], A):
                return False
            own_decrement = 0.0
            for i in range(d):
                acc = 0.0
                for q in range(d):
                    for r in range(d):
                        acc += L[g, i, q] * L[g, r, q] * slope[g, r]
                step[g, i] = acc
                own_decrement += acc * slope[g, i]
            if not math.isfinite(own_decrement):
                return False
            decrement = max(decrement, own_decrement)
        if decrement < CLOSE:
            u += step
            own[:] = value
            return True
        share[:] = 1.0
        for _ in range(40):
            for g in range(n):
                for j in range(d):
                    tried[g, j] = u[g, j] + share[g] * step[g, j]
            _write(w, place, tried)
            forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
            _summed(w, entry, owner, times, own)
            worse = False
            for g in range(n):
                if share[g] > 0.0 and not own[g] >= value[g] - 1e-10 * (1.0 + abs(value[g])):
                    share[g] *= 0.5
                    worse = True
            if not worse:
                break
        u[:] = tried
        value[:] = own
    return False


_settle = linked(settle)


@_inline
def _guess(L):
    for g in range(L.shape[0]):
        for i in range(L.shape[1]):
            for j in range(L.shape[1]):
                L[g, i, j] = 1.0 if i == j else 0.0


@_inline
def _moved(u, L, z, there):
    for g in range(u.shape[0]):
        for i in range(u.shape[1]):
            acc = u[g, i]
            for q in range(u.shape[1]):
                acc += L[g, i, q] * z[q]
            there[g, i] = acc


@_inline
def _volume(L, place, g):
    """log |L| + (d/2) log 2 pi over the elements that the unit has."""
    total = 0.0
    for j in range(place.shape[1]):
        if place[g, j] >= 0:
            total += math.log(abs(L[g, j, j])) + 0.9189385332046727
    return total


@_inline
def _integrated(
    code, out, a, b, c, aux, start, length, ptr, idx, w, bar, outer, place, entry, owner, times, weight,
    begin, nodes, log_weights, y, u, L, own, share,
):  # fmt: skip
    """Log density of y with every unit integrated; share = the part of each node, by node and unit."""
    n = place.shape[0]
    for k in range(outer.size):
        w[outer[k]] = y[k]
    u[:] = begin
    if not _settle(
        code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, u, L, own
    ):
        return -np.inf
    there = np.empty(u.shape)
    rest = 0.0
    for k in range(log_weights.size):
        _moved(u, L, nodes[k], there)
        _write(w, place, there)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        rest = _summed(w, entry, owner, times, own)
        for g in range(n):
            square = 0.0
            for j in range(place.shape[1]):
                if place[g, j] >= 0:
                    square += nodes[k, j] ** 2
            share[k, g] = own[g] + log_weights[k] + 0.5 * square
    total = rest
    for g in range(n):
        top = -np.inf
        for k in range(log_weights.size):
            top = max(top, share[k, g])
        mean = 0.0
        for k in range(log_weights.size):
            share[k, g] = math.exp(share[k, g] - top)
            mean += share[k, g]
        for k in range(log_weights.size):
            share[k, g] /= mean
        total += weight[g] * (top + math.log(mean) + _volume(L, place, g))
    return total if total == total else -np.inf


@kernel(f"void({_TAPE}, f8[::1], {_UNITS}, {_NODES}, f8[:, ::1], f8[::1])")
def values(
    code, out, a, b, c, aux, start, length, ptr, idx, w, outer, place, entry, owner, times, weight, begin,
    nodes, log_weights, points, found,
):  # fmt: skip
    """found = log densities at points of the outer unknowns, one a row."""
    n, d = place.shape
    bar, u, own = np.empty(w.size), np.empty((n, d)), np.empty(n)
    L, share = np.empty((n, d, d)), np.empty((log_weights.size, n))
    for i in range(points.shape[0]):
        _guess(L)
        found[i] = _integrated(
            code, out, a, b, c, aux, start, length, ptr, idx, w, bar, outer, place, entry, owner, times,
            weight, begin, nodes, log_weights, points[i], u, L, own, share,
        )  # fmt: skip


@kernel(f"f8({_TAPE}, f8[::1], {_UNITS}, {_NODES}, f8[::1], f8[::1])")
def value_and_gradient(
    code, out, a, b, c, aux, start, length, ptr, idx, w, outer, place, entry, owner, times, weight, begin,
    nodes, log_weights, y, gradient,
):  # fmt: skip
    """Log density and its gradient: by Fisher's identity the mean of the joint one over the units' nodes.

    (Nodes move with y as well, which an exact integral does not notice.)
    """
    n, d = place.shape
    bar, u, own = np.empty(w.size), np.empty((n, d)), np.empty(n)
    L, share = np.empty((n, d, d)), np.empty((log_weights.size, n))
    _guess(L)
    total = _integrated(
        code, out, a, b, c, aux, start, length, ptr, idx, w, bar, outer, place, entry, owner, times,
        weight, begin, nodes, log_weights, y, u, L, own, share,
    )  # fmt: skip
    gradient[:] = 0.0 if math.isfinite(total) else np.nan
    if not math.isfinite(total):
        return -np.inf
    there = np.empty((n, d))
    for k in range(log_weights.size):
        _moved(u, L, nodes[k], there)
        _write(w, place, there)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        bar[:] = 0.0
        for i in range(entry.size):
            if owner[i] >= 0:
                bar[entry[i]] += times[i] * weight[owner[i]] * share[k, owner[i]]
            elif k == 0:
                bar[entry[i]] += times[i]
        reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
        for j in range(outer.size):
            gradient[j] += bar[outer[j]]
    return total


@kernel(f"void({_TAPE}, f8[::1], {_UNITS}, f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1], f8[:, ::1])")
def tangents(
    code, out, a, b, c, aux, start, length, ptr, idx, w, outer, place, entry, owner, times, weight, begin,
    quadratic, points, centre, root, top,
):  # fmt: skip
    """For each point and unit the normal law that bounds the unit's density, times exp(top): its centre, a
    root of its covariance, and top; nan where there is no density or no such law.

    With log density h = q + l, q the quadratic entries (weights `quadratic`, others 0) of curvature -Q, and l
    concave: l lies below its tangent at any m, so h(u) <= T(u) = h(m) + g'(u - m) - (u - m)'Q(u - m)/2 with
    g the gradient of h at m, for all u. T is largest at m + Q^-1 g, where it is h(m) + g'Q^-1 g/2. Here m is
    the mode, as far as Newton's steps went; Q is had from differences of gradients, exact for quadratics.
    """
    n, d = place.shape
    bar, own, moved, slope = np.empty(w.size), np.empty(n), np.empty((n, d)), np.empty((n, d))
    low, high, Q, A = np.empty((n, d)), np.empty((n, d)), np.empty((n, d, d)), np.zeros((d, d))
    scale = np.empty((n, d))
    for i in range(points.shape[0]):
        u, L = centre[i], root[i]
        _guess(L)
        u[:] = begin
        for k in range(outer.size):
            w[outer[k]] = points[i, k]
        if not _settle(
            code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, u, L, own
        ):
            top[i] = np.nan
            continue
        _write(w, place, u)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        _summed(w, entry, owner, times, own)
        _slopes(code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, times, slope)
        for g in range(n):
            for j in range(d):
                scale[g, j] = max(abs(L[g, j, j]), 1e-8 * abs(u[g, j]))
        for j in range(d):
            for side in (-1.0, 1.0):
                moved[:] = u
                for g in range(n):
                    moved[g, j] += side * scale[g, j]
                _write(w, place, moved)
                forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
                beyond = low if side < 0.0 else high
                _slopes(
                    code, out, a, b, c, aux, start, length, ptr, idx, w, bar, place, entry, owner, quadratic,
                    beyond,
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
            top[i, g] = own[g] if _root(Q[g], d, L[g], A, False) else np.nan
            for q in range(d):
                acc = 0.0
                for r in range(d):
                    acc += L[g, r, q] * slope[g, r]
                top[i, g] += 0.5 * acc * acc
                for r in range(d):
                    u[g, r] += L[g, r, q] * acc


@kernel(
    f"void({_TAPE}, f8[::1], i8[::1], i8[:, ::1], i8[::1], i8[::1], f8[::1], f8[:, ::1], f8[:, :, ::1],"
    " f8[:, ::1])"
)
def densities(
    code, out, a, b, c, aux, start, length, ptr, idx, w, outer, place, entry, owner, times, points, elements,
    found,
):  # fmt: skip
    """found = log density by point and unit, at given elements of all units."""
    for i in range(points.shape[0]):
        for k in range(outer.size):
            w[outer[k]] = points[i, k]
        _write(w, place, elements[i])
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        _summed(w, entry, owner, times, found[i])
