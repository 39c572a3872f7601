"""Modes of small independent units of a tape, for many points at once; see `forms/units`.

The tape has several copies (`tiling`), each at a point of the outer unknowns, with all units there. Unit g
of copy k has number k n + g among size = copies * n: its d elements lie at `place[k n + g]` of the
workspace (-1: fewer). Log densities lie at `entry`, each counted `times`; `owner` has their units, -1 - k
where they belong to no unit of copy k. The first `fixed` operations, and the first `still` places, hang on
the outer unknowns alone.
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

TAPE = ", ".join(["i8[::1]"] * 10) + ", i8, i8, f8[::1]"
UNITS = "i8[:, ::1], i8[:, ::1], i8[::1], i8[::1], f8[::1]"
START = "f8[::1], f8[:, ::1], f8[:, :, ::1], f8[:, ::1]"
CLOSE = 0.02  # Newton decrement after which one more step suffices for the nodes
STEP = 1e-4  # of a standard deviation: differences of gradients
MOST = 60  # Newton steps


@_inline
def write(w, place, u):
    for g in range(place.shape[0]):
        for j in range(place.shape[1]):
            if place[g, j] >= 0:
                w[place[g, j]] = u[g, j]


@_inline
def write_point(w, outer, points, first):
    """Each copy at a point, from the first one on; copies that are left over at the last."""
    for k in range(outer.shape[0]):
        row = min(first + k, points.shape[0] - 1)
        for j in range(outer.shape[1]):
            w[outer[k, j]] = points[row, j]


@_inline
def run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w):
    """Forward, but for what hangs on the outer unknowns alone."""
    forward(
        *(code[fixed:], out[fixed:], a[fixed:], b[fixed:], c[fixed:], aux[fixed:]),
        *(start, length, ptr, idx, w),
    )


@_inline
def back(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w, bar):
    """Backward, so far."""
    reverse(
        *(code[fixed:], out[fixed:], a[fixed:], b[fixed:], c[fixed:], aux[fixed:]),
        *(start, length, ptr, idx, w, bar),
    )


@_inline
def summed(w, entry, owner, times, own, rest):
    """own, rest = log densities by unit, and by copy of the entries of no unit."""
    own[:] = 0.0
    rest[:] = 0.0
    for i in range(entry.size):
        if owner[i] >= 0:
            own[owner[i]] += times[i] * w[entry[i]]
        else:
            rest[-1 - owner[i]] += times[i] * w[entry[i]]


@_inline
def slopes(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner, times, slope
):
    """slope = gradient of each unit's log density in its elements, where the tape was run."""
    bar[still:] = 0.0
    for i in range(entry.size):
        if owner[i] >= 0:
            bar[entry[i]] += times[i]
    back(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w, bar)
    for g in range(place.shape[0]):
        for j in range(place.shape[1]):
            slope[g, j] = bar[place[g, j]] if place[g, j] >= 0 else 0.0


@_inline
def root_of(h, d, L, A, mend=True):
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


@_inline
def _newton(L, slope, step):
    """step = L L' slope; the decrement."""
    decrement = 0.0
    for i in range(step.size):
        acc = 0.0
        for q in range(step.size):
            for r in range(step.size):
                acc += L[i, q] * L[r, q] * slope[r]
        step[i] = acc
        decrement += acc * slope[i]
    return decrement


@_inline
def _known(value, rest, alive):
    """alive = whether a copy has a density."""
    n = value.size // alive.size
    for k in range(alive.size):
        alive[k] = math.isfinite(rest[k])
        for g in range(k * n, (k + 1) * n):
            alive[k] = alive[k] and math.isfinite(value[g])


@_inline
def begun(w, outer, place, base, begin, lean, spread, u, L, plain, alive):
    """Where Newton's steps begin: the modes at the point `base`, moved linearly (begin + lean (y - base));
    `plain`: as they are, of copies that are not alive. L gets scales, diagonal."""
    n, d = begin.shape
    for k in range(outer.shape[0]):
        if plain and alive[k]:
            continue
        for g in range(n):
            for i in range(d):
                u[k * n + g, i] = begin[g, i]
                if not plain:
                    for j in range(outer.shape[1]):
                        u[k * n + g, i] += lean[g, i, j] * (w[outer[k, j]] - base[j])
                for j in range(d):
                    L[k * n + g, i, j] = spread[g, i] if i == j else 0.0


@kernel(f"void({TAPE}, f8[::1], {UNITS}, {START}, f8, f8[:, ::1], f8[:, :, ::1], f8[::1], f8[::1], b1[::1])")
def settle(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry, owner, times,
    base, begin, lean, spread, close, u, L, own, rest, alive,
):  # fmt: skip
    """Mode u and root L of the inverse curvature of every unit, own its log density near there; the outer
    unknowns are in the workspace. Copies without a density are not alive.

    close : the Newton decrement of all units after which a last step is taken.
    """
    size, d = place.shape
    copies, n = alive.size, size // alive.size
    slope, beyond, step = np.empty((size, d)), np.empty((size, d)), np.empty((size, d))
    h, bends, small = np.zeros((d, d)), np.zeros((size, d, d)), np.empty((size, d))
    value, tried, A = np.empty(size), np.empty((size, d)), np.zeros((d, d))
    share, now, done = np.empty(size), np.empty(size), np.zeros(size, np.bool_)
    for attempt in range(2):
        begun(w, outer, place, base, begin, lean, spread, u, L, attempt == 1, alive)
        write(w, place, u)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        summed(w, entry, owner, times, value, rest)
        _known(value, rest, alive)
        if alive.all():
            break
    if not alive.all():  # others must not suffer: such copies stand at a point that has a density
        for k in range(copies):
            if not alive[k]:
                for j in range(base.size):
                    w[outer[k, j]] = base[j]
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
    for _ in range(MOST):
        slopes(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner,
            times, slope,
        )  # fmt: skip
        for j in range(d):
            for g in range(size):
                acc = 0.0
                for q in range(d):
                    acc += L[g, j, q] ** 2
                small[g, j] = STEP * math.sqrt(acc)
                tried[g, :] = u[g, :]
                tried[g, j] += small[g, j]
            write(w, place, tried)
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            slopes(
                code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner,
                times, beyond,
            )  # fmt: skip
            for g in range(size):
                for i in range(d):
                    bends[g, i, j] = (beyond[g, i] - slope[g, i]) / small[g, j]
        open_ = 0
        for g in range(size):
            share[g] = 0.0
            done[g] = done[g] or not alive[g // n]
            if done[g]:
                continue
            if d == 1 and bends[g, 0, 0] < 0.0:
                good = True
                L[g, 0, 0] = 1.0 / math.sqrt(-bends[g, 0, 0])
                step[g, 0] = -slope[g, 0] / bends[g, 0, 0]
                decrement = step[g, 0] * slope[g, 0]
            else:
                h[:] = bends[g]
                for j in range(d):
                    if place[g, j] < 0:
                        h[j, :] = 0.0
                        h[:, j] = 0.0
                        h[j, j] = -1.0
                good = root_of(h, d, L[g], A)
                decrement = _newton(L[g], slope[g], step[g])
            if not (good and math.isfinite(decrement)):
                alive[g // n] = False
            elif decrement < close:  # the last step; whatever others need, this unit stays where it is then
                u[g] += step[g]
                own[g] = value[g]
                done[g] = True
            else:
                share[g] = 1.0
                open_ += 1
        if open_ == 0:
            return
        for _ in range(40):
            for g in range(size):
                for j in range(d):
                    tried[g, j] = u[g, j] + (share[g] * step[g, j] if share[g] > 0.0 else 0.0)
            write(w, place, tried)
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            summed(w, entry, owner, times, now, rest)
            worse = False
            for g in range(size):
                if share[g] > 0.0 and not now[g] >= value[g] - 1e-10 * (1.0 + abs(value[g])):
                    share[g] *= 0.5
                    worse = True
            if not worse:
                break
        for g in range(size):
            if share[g] > 0.0:
                u[g] = tried[g]
                value[g] = now[g]
    for g in range(size):
        if not done[g]:
            alive[g // n] = False


settled = linked(settle)


@kernel(f"void({TAPE}, {UNITS}, {START}, f8[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1])")
def modes(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    base, begin, lean, spread, points, found, roots,
):  # fmt: skip
    """found = modes of all units at points, one a row: (points, n, d), to more digits than nodes need; nan
    where there are none. roots : of their inverse curvatures."""
    size, d = place.shape
    copies = outer.shape[0]
    n = size // copies
    bar, u, own, rest = np.zeros(w.size), np.empty((size, d)), np.empty(size), np.empty(copies)
    L, alive = np.empty((size, d, d)), np.empty(copies, np.bool_)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        settled(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, base, begin, lean, spread, 1e-6, u, L, own, rest, alive,
        )  # fmt: skip
        for k in range(min(copies, points.shape[0] - i)):
            found[i + k] = u[k * n : (k + 1) * n]
            if not alive[k]:
                found[i + k] = np.nan
            roots[i + k] = L[k * n : (k + 1) * n]


@kernel(f"void({TAPE}, {UNITS}, f8[:, ::1], f8[:, :, ::1], f8[:, ::1])")
def densities(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    points, elements, found,
):  # fmt: skip
    """found = log density by point and unit, at given elements of all units; a tape of one copy."""
    rest = np.empty(1)
    for i in range(points.shape[0]):
        write_point(w, outer, points, i)
        write(w, place, elements[i])
        forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
        summed(w, entry, owner, times, found[i], rest)
