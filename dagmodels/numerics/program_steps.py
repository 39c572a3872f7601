"""The kernel that runs the steps of a program (see `program`), or some of them.

Whole numbers are unsigned, so that no place needs a test whether it counts from the end, and loops become
vector code. Nothing here takes a part of an array: that costs as much as a dozen steps.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics import tape_kernels
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import linked
from dagmodels.numerics.program import (
    COUNT,
    DX,
    DY,
    DZ,
    KIND,
    LESS_TIMES,
    OPERATION,
    OTHER,
    OUT,
    PRODUCT_SUM,
    SQUARE_SUM,
    SUM,
    TIMES_LESS,
    TIMES_PLUS,
    X,
    Y,
    Z,
)

_inline = numba.njit(error_model="numpy")
forward = linked(tape_kernels.forward)
TAPE = ", ".join(["i8[::1]"] * 10)
_0, _1, _2, _3, _4 = (np.uint64(k) for k in range(5))


@_inline
def _alone(k, u, v, z):
    """A function of single numbers, kinds below `CODES["gather"]` and those of three operands."""
    if k == 0:
        return u + v
    if k == 1:
        return u - v
    if k == 2:
        return u * v
    if k == 3:
        return u / v
    if k == TIMES_PLUS:
        return u * v + z
    if k == TIMES_LESS:
        return u * v - z
    if k == LESS_TIMES:
        return z - u * v
    if k == 4:
        return u**v
    if k == 5:
        return min(u, v)
    if k == 6:
        return max(u, v)
    if k == 7:
        return 1.0 if u == v else 0.0
    if k == 8:
        return 1.0 if u != v else 0.0
    if k == 9:
        return 1.0 if u < v else 0.0
    if k == 10:
        return 1.0 if u <= v else 0.0
    if k == 11:
        return v if u != 0.0 else z
    if k == 20:
        return -u
    if k == 21:
        return math.exp(u)
    if k == 22:
        return math.log(u)
    if k == 23:
        return math.sqrt(u)
    if k == 24:
        return math.log1p(u)
    if k == 25:
        return math.expm1(u)
    if k == 26:
        return tape_kernels.softplus(u)
    if k == 27:
        return tape_kernels.expit(u)
    if k == 28:
        return math.log(u) - math.log1p(-u)
    if k == 29:
        return 0.5 * math.erfc(-u / math.sqrt(2.0))
    if k == 31:
        return abs(u)
    if k == 32:
        return math.lgamma(u)
    return tape_kernels.binet(k - 39, u)


@_inline
def _sum(w, x, n):
    """In four partial sums: no addition waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = n & ~_3
    for i in range(_0, whole, _4):
        a += w[x + i]
        b += w[x + i + _1]
        c += w[x + i + _2]
        d += w[x + i + _3]
    for i in range(whole, n):
        a += w[x + i]
    return (a + c) + (b + d)


@_inline
def _product_sum(w, x, dx, y, dy, n):
    if n == 0:
        return 0.0
    if dx == 0 or dy == 0:
        one, many = (x, y) if dx == 0 else (y, x)
        if dx == dy:
            return w[x] * w[y] * n
        return w[one] * _sum(w, many, n)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = n & ~_3
    for i in range(_0, whole, _4):
        a += w[x + i] * w[y + i]
        b += w[x + i + _1] * w[y + i + _1]
        c += w[x + i + _2] * w[y + i + _2]
        d += w[x + i + _3] * w[y + i + _3]
    for i in range(whole, n):
        a += w[x + i] * w[y + i]
    return (a + c) + (b + d)


@_inline
def _square_sum(w, x, dx, y, dy, n):
    """Strides in the loop: one operand may be a single number."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = n & ~_3
    if dx == 1 and dy == 1:
        for i in range(_0, whole, _4):
            a += (w[x + i] - w[y + i]) ** 2
            b += (w[x + i + _1] - w[y + i + _1]) ** 2
            c += (w[x + i + _2] - w[y + i + _2]) ** 2
            d += (w[x + i + _3] - w[y + i + _3]) ** 2
        for i in range(whole, n):
            a += (w[x + i] - w[y + i]) ** 2
        return (a + c) + (b + d)
    one, many = (w[x], y) if dx == 0 else (w[y], x)
    for i in range(_0, whole, _4):
        a += (w[many + i] - one) ** 2
        b += (w[many + i + _1] - one) ** 2
        c += (w[many + i + _2] - one) ** 2
        d += (w[many + i + _3] - one) ** 2
    for i in range(whole, n):
        a += (w[many + i] - one) ** 2
    return (a + c) + (b + d)


@_inline
def _basic(k, w, o, x, dx, y, dy, n):
    """x + y, x - y, x y or x / y of many numbers, one of the operands perhaps a single one."""
    if dx == 1 and dy == 1:
        if k == 0:
            for i in range(n):
                w[o + i] = w[x + i] + w[y + i]
        elif k == 1:
            for i in range(n):
                w[o + i] = w[x + i] - w[y + i]
        elif k == 2:
            for i in range(n):
                w[o + i] = w[x + i] * w[y + i]
        else:
            for i in range(n):
                w[o + i] = w[x + i] / w[y + i]
    elif dx == 1:
        v = w[y]
        if k == 0:
            for i in range(n):
                w[o + i] = w[x + i] + v
        elif k == 1:
            for i in range(n):
                w[o + i] = w[x + i] - v
        elif k == 2:
            for i in range(n):
                w[o + i] = w[x + i] * v
        else:
            for i in range(n):
                w[o + i] = w[x + i] / v
    else:
        u = w[x]
        if k == 0:
            for i in range(n):
                w[o + i] = u + w[y + i * dy]
        elif k == 1:
            for i in range(n):
                w[o + i] = u - w[y + i * dy]
        elif k == 2:
            for i in range(n):
                w[o + i] = u * w[y + i * dy]
        else:
            for i in range(n):
                w[o + i] = u / w[y + i * dy]


@_inline
def _choice(k, w, o, x, dx, y, dy, z, dz, n):
    """Comparisons of many numbers, and choices by them."""
    if k == 7:
        for i in range(n):
            w[o + i] = 1.0 if w[x + i * dx] == w[y + i * dy] else 0.0
    elif k == 8:
        for i in range(n):
            w[o + i] = 1.0 if w[x + i * dx] != w[y + i * dy] else 0.0
    elif k == 9:
        for i in range(n):
            w[o + i] = 1.0 if w[x + i * dx] < w[y + i * dy] else 0.0
    elif k == 10:
        for i in range(n):
            w[o + i] = 1.0 if w[x + i * dx] <= w[y + i * dy] else 0.0
    else:
        for i in range(n):
            w[o + i] = w[y + i * dy] if w[x + i * dx] != 0.0 else w[z + i * dz]


@_inline
def _times(k, w, o, x, dx, y, dy, z, dz, n):
    """x y + z, x y - z or z - x y of many numbers."""
    first, sign = (-1.0, 1.0) if k == LESS_TIMES else (1.0, 1.0 if k == TIMES_PLUS else -1.0)
    if dx == 1 and dy == 1 and dz == 1:
        for i in range(n):
            w[o + i] = first * (w[x + i] * w[y + i]) + sign * w[z + i]
    elif dx == 1 and dz == 1:
        v = first * w[y]
        for i in range(n):
            w[o + i] = w[x + i] * v + sign * w[z + i]
    elif dy == 1 and dz == 1:
        u = first * w[x]
        for i in range(n):
            w[o + i] = u * w[y + i] + sign * w[z + i]
    else:
        for i in range(n):
            w[o + i] = first * (w[x + i * dx] * w[y + i * dy]) + sign * w[z + i * dz]


@kernel("u8(u8[:, ::1], u8, u8, i8[::1], f8[::1])")
def steps_until(steps, first, last, idx, w):
    """Run the steps from `first`, up to `last` or the next of kind `OTHER`; where it ended.

    idx : of the tape.
    """
    for s in range(first, last):
        k, n, o = steps[s, KIND], steps[s, COUNT], steps[s, OUT]
        x, y = steps[s, X], steps[s, Y]
        if k < 50 or (TIMES_PLUS <= k <= LESS_TIMES):
            z = steps[s, Z]
            if n == 1:
                w[o] = _alone(k, w[x], w[y], w[z])
                continue
            dx, dy, dz = steps[s, DX], steps[s, DY], steps[s, DZ]
            if k < 4:
                _basic(k, w, o, x, dx, y, dy, n)
            elif k >= TIMES_PLUS:
                _times(k, w, o, x, dx, y, dy, z, dz, n)
            elif 7 <= k <= 11:
                _choice(k, w, o, x, dx, y, dy, z, dz, n)
            else:
                for i in range(n):
                    w[o + i] = _alone(k, w[x + i * dx], w[y + i * dy], w[z + i * dz])
        elif k == PRODUCT_SUM:
            w[o] = _product_sum(w, x, steps[s, DX], y, steps[s, DY], n)
        elif k == SQUARE_SUM:
            w[o] = _square_sum(w, x, steps[s, DX], y, steps[s, DY], n)
        elif k == SUM:
            w[o] = _sum(w, x, n)
        elif k == 50:
            dx = steps[s, DX]
            for i in range(n):
                w[o + i] = w[x + np.uint64(idx[y + i]) * dx]
        elif k == 51:
            for i in range(steps[s, Z]):
                w[o + i] = 0.0
            for i in range(n):
                w[o + np.uint64(idx[y + i])] += w[x + i]
        elif k == 52:
            dx = steps[s, DX]
            for i in range(n):
                w[o + np.uint64(idx[y + i])] = w[x + i * dx]
        elif k == 59:
            for i in range(n):
                at = w[y + i]
                w[o + i] = w[x + np.uint64(at)] if 0.0 <= at < steps[s, Z] else np.nan
        else:
            return s
    return last


@_inline
def step(steps, s, code, out, a, b, c, aux, start, length, ptr, idx, w):
    """One step as the kernel of tapes has it."""
    i = np.int64(steps[s, OPERATION])
    j = i + 1
    forward(code[i:j], out[i:j], a[i:j], b[i:j], c[i:j], aux[i:j], start, length, ptr, idx, w)


@kernel(f"void(u8[:, ::1], {TAPE}, f8[::1])")
def run(steps, code, out, a, b, c, aux, start, length, ptr, idx, w):
    """All steps."""
    last = np.uint64(steps.shape[0])
    at = steps_until(steps, _0, last, idx, w)
    while at < last:
        step(steps, at, code, out, a, b, c, aux, start, length, ptr, idx, w)
        at = steps_until(steps, at + _1, last, idx, w)


__all__ = ["OTHER", "TAPE", "run", "step", "steps_until"]
