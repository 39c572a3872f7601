"""Kernels that run a tape forward and back (over 500 lines: each way is one compiled function).

See `tape` for what an operation means.

All registers live in one workspace w; register r is w[start[r] : start[r] + length[r]].
An operand of length one is broadcast. Codes are those of `tape.CODES`, repeated here as constants
because compiled code reads globals once.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.bessel import i1_over_i0, i1_over_i0_less_1, i1_over_i0_slope, log_i0e
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.confluent import log_0f1
from dagmodels.numerics.elementary import (
    exp_all,
    expit_all,
    log1p_all,
    log_all,
    ordinary,
    positive,
    softplus_all,
)
from dagmodels.numerics.gamma_function import binet, digamma, trigamma
from dagmodels.numerics.incomplete import beta_share, beta_slope, gamma_slope, gamma_tails
from dagmodels.numerics.summing import chain, chain_adjoint, log_sum_exp, log_sum_exp_adjoint

_inline = numba.njit(error_model="numpy")
ZERO_PIVOT = 1e-13  # as in `tape`
FEW = 64  # slices of the workspace cost as much as plain loops over so many numbers


@_inline
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@_inline
def expit(x):
    """1/(1 + exp(-x)) without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@_inline
def phi_ratio(x):
    """phi(x)/Phi(x), by a continued fraction (DLMF 7.9) where Phi underflows."""
    if x > -12.0:
        return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi) / (0.5 * math.erfc(-x / math.sqrt(2.0)))
    y = -x
    f = y
    for k in range(30, 0, -1):
        f = y + k / f
    return f


@_inline
def log_phi(x):
    """log of the standard normal distribution function."""
    if x > 0.0:
        return math.log1p(-0.5 * math.erfc(x / math.sqrt(2.0)))
    if x > -12.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    return -0.5 * x * x - 0.5 * math.log(2.0 * math.pi) - math.log(phi_ratio(x))


@_inline
def probit(p):
    """Inverse of the standard normal distribution function: Newton's method on its logarithm."""
    if not 0.0 < p < 1.0:
        return -np.inf if p == 0.0 else (np.inf if p == 1.0 else np.nan)
    tail = min(p, 1.0 - p)
    goal = math.log(tail)
    x = -math.sqrt(max(-2.0 * goal - 1.5, 0.0))
    for _ in range(40):
        step = (log_phi(x) - goal) / phi_ratio(x)
        x -= step
        if abs(step) <= 1e-16 * (1.0 + abs(x)):
            break
    return x if p <= 0.5 else -x


@_inline
def _invert(w, x, d):
    """Inverse of the d x d matrix at x (nan if singular): Gauss-Jordan elimination, rows pivoted."""
    m = w[x : x + d * d].copy()
    inv = np.zeros(d * d)
    for i in range(d):
        inv[i * d + i] = 1.0
    for j in range(d):
        best = j
        for i in range(j + 1, d):
            if abs(m[i * d + j]) > abs(m[best * d + j]):
                best = i
        if best != j:
            for q in range(d):
                m[j * d + q], m[best * d + q] = m[best * d + q], m[j * d + q]
                inv[j * d + q], inv[best * d + q] = inv[best * d + q], inv[j * d + q]
        pivot = m[j * d + j]
        if pivot == 0.0:
            inv[:] = np.nan
            return inv
        for q in range(d):
            m[j * d + q] /= pivot
            inv[j * d + q] /= pivot
        for i in range(d):
            if i != j:
                f = m[i * d + j]
                if f != 0.0:
                    for q in range(d):
                        m[i * d + q] -= f * m[j * d + q]
                        inv[i * d + q] -= f * inv[j * d + q]
    return inv


@_inline
def _factor(w, x, d, out, o):
    """Cholesky factor of the matrix at w[x] into out[o]; zero pivots stay zero, negative ones give nan."""
    for i in range(d * d):
        out[o + i] = 0.0
    for j in range(d):
        acc = w[x + j * d + j]
        for q in range(j):
            acc -= out[o + j * d + q] ** 2
        pivot = math.sqrt(acc) if acc > 0.0 else np.nan
        if abs(acc) <= ZERO_PIVOT * abs(w[x + j * d + j]):
            pivot = 0.0
        out[o + j * d + j] = pivot
        for i in range(j + 1, d):
            acc = w[x + i * d + j]
            for q in range(j):
                acc -= out[o + i * d + q] * out[o + j * d + q]
            if pivot != 0.0:
                out[o + i * d + j] = acc / pivot
            elif not abs(acc) <= math.sqrt(ZERO_PIVOT * abs(w[x + i * d + i] * w[x + j * d + j])):
                out[o + i * d + j] = np.nan


@_inline
def _logdet(w, x, d):
    """Log determinant of the matrix at x; nan where it is not positive definite."""
    factor = np.empty(d * d)
    _factor(w, x, d, factor, 0)
    total = 0.0
    for j in range(d):
        if not factor[j * d + j] > 0.0:
            return np.nan
        total += 2.0 * math.log(factor[j * d + j])
    return total


@_inline
def _inverse_adjoint(w, g, o, x, d):
    """Adjoint of the inverse at o onto the matrix at x: minus A^-T bar A^-T."""
    half = np.zeros(d * d)
    for i in range(d):
        for j in range(d):
            acc = 0.0
            for q in range(d):
                acc += w[o + q * d + i] * g[o + q * d + j]
            half[i * d + j] = acc
    for i in range(d):
        for j in range(d):
            acc = 0.0
            for q in range(d):
                acc += half[i * d + q] * w[o + j * d + q]
            g[x + i * d + j] -= acc


@_inline
def _cholesky_adjoint(w, g, o, x, d):
    """Adjoint of the factor at o onto the matrix at x, row by row (Smith 1995, reversed loops).

    The factor reads the lower triangle only, so only that receives adjoints.
    """
    bar = g[o : o + d * d].copy()
    for j in range(d - 1, -1, -1):
        pivot = w[o + j * d + j]
        if pivot == 0.0:
            continue
        for i in range(d - 1, j, -1):
            t = bar[i * d + j] / pivot
            bar[j * d + j] -= t * w[o + i * d + j]
            g[x + i * d + j] += t
            for q in range(j):
                bar[i * d + q] -= t * w[o + j * d + q]
                bar[j * d + q] -= t * w[o + i * d + q]
        t = bar[j * d + j] / (2.0 * pivot)
        g[x + j * d + j] += t
        for q in range(j):
            bar[j * d + q] -= 2.0 * t * w[o + j * d + q]


@_inline
def _root(w, x, d, out, o, turn):
    """A root F (d x d) of the covariance matrix C at w[x] into out[o], F F' = C; `turn` gets its pivots.

    Cholesky with the largest remaining share of a diagonal entry as next pivot (Higham 2002, Accuracy and
    Stability of Numerical Algorithms, section 10.3), stopped where only rounding is left: rows keep
    their order, columns are by pivot. Reads the lower triangle; nan where C is not semidefinite.
    Returns the rank.
    """
    small = max(ZERO_PIVOT, 8.0 * d * 2.2e-16)
    rest = np.empty(d)
    for i in range(d):
        rest[i] = w[x + i * d + i]
        turn[i] = i
        for q in range(d):
            out[o + i * d + q] = 0.0
    for r in range(d):
        best, share = r, -1.0
        for q in range(r, d):
            i = turn[q]
            diagonal = w[x + i * d + i]
            if diagonal > 0.0 and rest[i] / diagonal > share:
                best, share = q, rest[i] / diagonal
        if not share > small:
            if not _only_rounding(w, x, d, out, o, turn, r, rest, 10.0 * small):
                out[o : o + d * d] = np.nan
            return r
        turn[r], turn[best] = turn[best], turn[r]
        p = turn[r]
        pivot = math.sqrt(rest[p])
        out[o + p * d + r] = pivot
        for q in range(r + 1, d):
            i = turn[q]
            acc = w[x + max(i, p) * d + min(i, p)]
            for m in range(r):
                acc -= out[o + i * d + m] * out[o + p * d + m]
            out[o + i * d + r] = acc / pivot
            rest[i] -= out[o + i * d + r] ** 2
    return d


@_inline
def _only_rounding(w, x, d, out, o, turn, r, rest, small):
    """Whether nothing but rounding is left of a matrix after r pivots."""
    for q in range(r, d):
        i = turn[q]
        diagonal = w[x + i * d + i]
        if not abs(rest[i]) <= small * diagonal:
            return False
        for m in range(r, q):
            j = turn[m]
            acc = w[x + max(i, j) * d + min(i, j)]
            for k in range(r):
                acc -= out[o + i * d + k] * out[o + j * d + k]
            if not abs(acc) <= small * math.sqrt(diagonal * w[x + j * d + j]):
                return False
    return True


@_inline
def _root_adjoint(w, g, o, x, d):
    """Adjoint of the root at o onto the lower triangle of the matrix at x, pivots held still."""
    turn = np.empty(d, np.int64)
    found = np.empty(d * d)
    rank = _root(w, x, d, found, 0, turn)
    bar = g[o : o + d * d].copy()
    for j in range(rank - 1, -1, -1):
        p = turn[j]
        pivot = w[o + p * d + j]
        for k in range(d - 1, j, -1):
            i = turn[k]
            t = bar[i * d + j] / pivot
            bar[p * d + j] -= t * w[o + i * d + j]
            g[x + max(i, p) * d + min(i, p)] += t
            for q in range(j):
                bar[i * d + q] -= t * w[o + p * d + q]
                bar[p * d + q] -= t * w[o + i * d + q]
        t = bar[p * d + j] / (2.0 * pivot)
        g[x + p * d + p] += t
        for q in range(j):
            bar[p * d + q] -= 2.0 * t * w[o + p * d + q]


@_inline
def _arithmetic(k, x, y, r):
    """r = x + y, x - y, x * y or x / y (k = 0 to 3), one of the operands perhaps of length one.

    Slices instead of places in the workspace, one loop a case: compilers make vector code of it.
    """
    n = r.size
    if x.size == n and y.size == n:
        if k == 0:
            for i in range(n):
                r[i] = x[i] + y[i]
        elif k == 1:
            for i in range(n):
                r[i] = x[i] - y[i]
        elif k == 2:
            for i in range(n):
                r[i] = x[i] * y[i]
        else:
            for i in range(n):
                r[i] = x[i] / y[i]
    elif x.size == n:
        u = y[0]
        if k == 0:
            for i in range(n):
                r[i] = x[i] + u
        elif k == 1:
            for i in range(n):
                r[i] = x[i] - u
        elif k == 2:
            for i in range(n):
                r[i] = x[i] * u
        else:
            for i in range(n):
                r[i] = x[i] / u
    else:
        u = x[0]
        if k == 0:
            for i in range(n):
                r[i] = u + y[i]
        elif k == 1:
            for i in range(n):
                r[i] = u - y[i]
        elif k == 2:
            for i in range(n):
                r[i] = u * y[i]
        else:
            for i in range(n):
                r[i] = u / y[i]


@_inline
def _total(x):
    """Sum of x, in eight partial sums: no addition waits for the one before."""
    n = x.size - x.size % 8
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(0, n, 8):
        a += x[i]
        b += x[i + 1]
        c += x[i + 2]
        d += x[i + 3]
        e += x[i + 4]
        f += x[i + 5]
        g += x[i + 6]
        h += x[i + 7]
    rest = 0.0
    for i in range(n, x.size):
        rest += x[i]
    return (((a + e) + (b + f)) + ((c + g) + (d + h))) + rest


@_inline
def _elementary(k, x, r):
    """r = -x or an elementary function of x; False, and nothing done, for others and for x out of reach."""
    if k == 20:
        for i in range(r.size):
            r[i] = -x[i]
        return True
    if k == 22 or k == 24:
        if not positive(x, 0.0 if k == 22 else 1.0):
            return False
        if k == 22:
            log_all(x, r)
        else:
            log1p_all(x, r)
        return True
    if (k != 21 and k != 26 and k != 27) or not ordinary(x):
        return False
    if k == 21:
        exp_all(x, r)
    elif k == 26:
        softplus_all(x, r)
    else:
        expit_all(x, r)
    return True


@kernel(
    "void(i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[::1])"
)
def forward(code, out, a, b, c, aux, start, length, ptr, idx, w):
    """Fill the workspace from its constants and inputs, operation by operation."""
    for op in range(code.size):
        k = code[op]
        o, n = start[out[op]], length[out[op]]
        x, m = start[a[op]], length[a[op]]
        dx = 1 if m > 1 or n == 1 else 0
        if k < 20:
            y = start[b[op]]
            dy = 1 if length[b[op]] > 1 or n == 1 else 0
            if k <= 3 and n > FEW:
                _arithmetic(k, w[x : x + m], w[y : y + length[b[op]]], w[o : o + n])
            elif k == 0:
                for i in range(n):
                    w[o + i] = w[x + i * dx] + w[y + i * dy]
            elif k == 1:
                for i in range(n):
                    w[o + i] = w[x + i * dx] - w[y + i * dy]
            elif k == 2:
                for i in range(n):
                    w[o + i] = w[x + i * dx] * w[y + i * dy]
            elif k == 3:
                for i in range(n):
                    w[o + i] = w[x + i * dx] / w[y + i * dy]
            elif k == 4:
                for i in range(n):
                    w[o + i] = w[x + i * dx] ** w[y + i * dy]
            elif k == 5:
                for i in range(n):
                    w[o + i] = min(w[x + i * dx], w[y + i * dy])
            elif k == 6:
                for i in range(n):
                    w[o + i] = max(w[x + i * dx], w[y + i * dy])
            elif k == 7:
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
            elif k == 11:
                z = start[c[op]]
                dz = 1 if length[c[op]] > 1 or n == 1 else 0
                for i in range(n):
                    w[o + i] = w[y + i * dy] if w[x + i * dx] != 0.0 else w[z + i * dz]
            elif k == 12 or k == 13:
                for i in range(n):
                    w[o + i] = gamma_tails(w[x + i * dx], w[y + i * dy])[k - 12]
            elif k == 14:
                for i in range(n):
                    w[o + i] = log_0f1(w[x + i * dx], w[y + i * dy])[0]
            elif k == 15:
                z = start[c[op]]
                dz = 1 if length[c[op]] > 1 or n == 1 else 0
                for i in range(n):
                    w[o + i] = beta_share(w[x + i * dx], w[y + i * dy], w[z + i * dz])[0]
        elif k < 50:
            if m == n and (k != 20 or n > FEW) and _elementary(k, w[x : x + n], w[o : o + n]):
                continue
            for i in range(n):
                v = w[x + i * dx]
                if k == 20:
                    r = -v
                elif k == 21:
                    r = math.exp(v)
                elif k == 22:
                    r = math.log(v)
                elif k == 23:
                    r = math.sqrt(v)
                elif k == 24:
                    r = math.log1p(v)
                elif k == 25:
                    r = math.expm1(v)
                elif k == 26:
                    r = softplus(v)
                elif k == 27:
                    r = expit(v)
                elif k == 28:
                    r = math.log(v) - math.log1p(-v)
                elif k == 29:
                    r = 0.5 * math.erfc(-v / math.sqrt(2.0))
                elif k == 30:
                    r = log_phi(v)
                elif k == 31:
                    r = abs(v)
                elif k == 32:
                    r = math.lgamma(v)
                elif k == 33:
                    r = digamma(v)
                elif k == 34:
                    r = math.log(-math.log1p(-v))
                elif k == 35:
                    r = -math.expm1(-math.exp(v))
                elif k == 36:
                    r = probit(v)
                elif k == 37:
                    r = math.sin(v)
                elif k == 38:
                    r = math.cos(v)
                elif k <= 41:
                    r = binet(k - 39, v)
                elif k == 42:
                    r = log_i0e(v)
                elif k == 43:
                    r = i1_over_i0(v)
                elif k == 44:
                    r = math.atan(v)
                elif k == 45:
                    r = math.tanh(v)
                elif k == 46:
                    r = np.floor(v)
                else:
                    r = np.nan
                w[o + i] = r
        elif k == 50:  # gather
            index, values, r = idx[ptr[aux[op]] : ptr[aux[op] + 1]], w[x : x + m], w[o : o + n]
            if m == 1:
                r[:] = values[0]
            else:
                for i in range(n):
                    r[i] = values[index[i]]
        elif k == 51:  # segment sum
            q = ptr[aux[op]]
            if n == 1:
                w[o] = _total(w[x : x + m])
                continue
            for i in range(n):
                w[o + i] = 0.0
            for i in range(m):
                w[o + idx[q + i]] += w[x + i]
        elif k == 52:  # put: elements of a into places of the (shared) output register
            q = ptr[aux[op]]
            for i in range(ptr[aux[op] + 1] - q):
                w[o + idx[q + i]] = w[x + i * (1 if m > 1 else 0)]
        elif k == 53:  # Cholesky factor, batched; aux = order of the matrices
            d = aux[op]
            for g in range(n // (d * d)):
                _factor(w, x + g * d * d, d, w, o + g * d * d)
        elif k == 58:  # root of semidefinite matrices, batched; aux = order
            d = aux[op]
            turn = np.empty(d, np.int64)
            for g in range(n // (d * d)):
                _root(w, x + g * d * d, d, w, o + g * d * d, turn)
        elif k == 54:  # inverse, batched
            d = aux[op]
            for g in range(n // (d * d)):
                w[o + g * d * d : o + (g + 1) * d * d] = _invert(w, x + g * d * d, d)
        elif k == 55:  # log determinant of positive definite matrices, batched
            d = aux[op]
            for g in range(n):
                w[o + g] = _logdet(w, x + g * d * d, d)
        elif k == 56:  # matrix product a b' or a b, batched; aux = order, c = 1 for a b'
            d = aux[op]
            y = start[b[op]]
            for g in range(n // (d * d)):
                for i in range(d):
                    for j in range(d):
                        acc = 0.0
                        for q in range(d):
                            right = w[y + g * d * d + (j * d + q if c[op] == 1 else q * d + j)]
                            acc += w[x + g * d * d + i * d + q] * right
                        w[o + g * d * d + i * d + j] = acc
        elif k == 59:  # take: a at the places that b holds
            y = start[b[op]]
            for i in range(n):
                at = w[y + i]
                w[o + i] = w[x + int(at)] if 0.0 <= at < m else np.nan
        elif k == 60:  # log of the sum of exponentials over the last axis of length aux
            log_sum_exp(w[x : x + m], aux[op], w[o : o + n])
        elif k == 61:  # forward recursion of chains
            y = start[b[op]]
            index = idx[ptr[aux[op]] : ptr[aux[op] + 1]]
            chain(index, w[x : x + m], w[y : y + length[b[op]]], w[o : o + n])
        elif k == 57:  # softmax over the last axis of length aux
            d = aux[op]
            for g in range(n // d):
                top = -np.inf
                for i in range(d):
                    top = max(top, w[x + g * d + i])
                total = 0.0
                for i in range(d):
                    e = math.exp(w[x + g * d + i] - top)
                    w[o + g * d + i] = e
                    total += e
                for i in range(d):
                    w[o + g * d + i] /= total


@_inline
def _arithmetic_adjoint(k, x, y, bar, gx, gy):
    """Add to gx and gy what r = x + y, x - y or x * y (k = 0 to 2) sends back; no adjoint, nothing sent."""
    n = bar.size
    if k < 2:
        sign = 1.0 if k == 0 else -1.0
        if gx.size == n:
            for i in range(n):
                gx[i] += bar[i]
        else:
            gx[0] += _total(bar)
        if gy.size == n:
            for i in range(n):
                gy[i] += sign * bar[i]
        else:
            gy[0] += sign * _total(bar)
        return
    _times_adjoint(y, bar, gx)
    _times_adjoint(x, bar, gy)


@_inline
def _times_adjoint(other, bar, g):
    """Add bar * other to g, either perhaps of length one; where bar is 0, nothing, even of infinity."""
    n = bar.size
    if g.size == n and other.size == n:
        for i in range(n):
            t = bar[i] * other[i]
            g[i] += t if bar[i] != 0.0 else 0.0
    elif g.size == n:
        u = other[0]
        for i in range(n):
            t = bar[i] * u
            g[i] += t if bar[i] != 0.0 else 0.0
    elif other.size == n:
        g[0] += _product(bar, other)
    else:
        total = 0.0
        for i in range(n):
            t = bar[i] * other[0]
            total += t if bar[i] != 0.0 else 0.0
        g[0] += total


@_inline
def _product(bar, other):
    """Sum of bar * other where bar is not 0, in four partial sums."""
    n = bar.size - bar.size % 4
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, n, 4):
        s, t = bar[i] * other[i], bar[i + 1] * other[i + 1]
        u, v = bar[i + 2] * other[i + 2], bar[i + 3] * other[i + 3]
        a += s if bar[i] != 0.0 else 0.0
        b += t if bar[i + 1] != 0.0 else 0.0
        c += u if bar[i + 2] != 0.0 else 0.0
        d += v if bar[i + 3] != 0.0 else 0.0
    rest = 0.0
    for i in range(n, bar.size):
        rest += bar[i] * other[i] if bar[i] != 0.0 else 0.0
    return ((a + c) + (b + d)) + rest


@_inline
def _elementary_adjoint(k, x, r, bar, gx):
    """Add to gx what r = -x, exp, softplus or expit of x sends back; False for others and x out of reach."""
    n = bar.size
    if k == 20:
        for i in range(n):
            gx[i] -= bar[i]
    elif k == 21:
        _times_adjoint(r, bar, gx)
    elif k == 27:
        for i in range(n):
            t = bar[i] * (r[i] * (1.0 - r[i]))
            gx[i] += t if bar[i] != 0.0 else 0.0
    elif k == 26 and ordinary(x):
        slope = np.empty(n)
        expit_all(x, slope)
        _times_adjoint(slope, bar, gx)
    else:
        return False
    return True


@kernel(
    "void(i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[::1],"
    " f8[::1])"
)
def reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, g):
    """Add to g (adjoints of the workspace) what each operation sends back to its operands."""
    for op in range(code.size - 1, -1, -1):
        k = code[op]
        o, n = start[out[op]], length[out[op]]
        x, m = start[a[op]], length[a[op]]
        dx = 1 if m > 1 or n == 1 else 0
        if k < 20:
            y = start[b[op]]
            dy = 1 if length[b[op]] > 1 or n == 1 else 0
            z = start[c[op]]
            dz = 1 if length[c[op]] > 1 or n == 1 else 0
            if 7 <= k <= 10:
                continue
            if k <= 2 and n > FEW:
                xs, ys = slice(x, x + m), slice(y, y + length[b[op]])
                _arithmetic_adjoint(k, w[xs], w[ys], g[o : o + n], g[xs], g[ys])
                continue
            for i in range(n):
                v = g[o + i]
                if v == 0.0:
                    continue
                xi, yi = x + i * dx, y + i * dy
                if k == 0:
                    g[xi] += v
                    g[yi] += v
                elif k == 1:
                    g[xi] += v
                    g[yi] -= v
                elif k == 2:
                    left, right = v * w[yi], v * w[xi]
                    g[xi] += left
                    g[yi] += right
                elif k == 3:
                    g[xi] += v / w[yi]
                    g[yi] -= v * w[o + i] / w[yi]
                elif k == 4:
                    base, power = w[xi], w[yi]
                    if power != 0.0:
                        g[xi] += v * power * base ** (power - 1.0)
                    if base > 0.0:
                        g[yi] += v * w[o + i] * math.log(base)
                elif k == 5:
                    if w[xi] <= w[yi]:
                        g[xi] += v
                    else:
                        g[yi] += v
                elif k == 6:
                    if w[xi] >= w[yi]:
                        g[xi] += v
                    else:
                        g[yi] += v
                elif k == 11:
                    if w[xi] != 0.0:
                        g[yi] += v
                    else:
                        g[z + i * dz] += v
                elif k == 12 or k == 13:
                    lower, upper, low_slope, up_slope = gamma_tails(w[xi], w[yi])
                    density = gamma_slope(w[xi], w[yi], lower if k == 12 else upper)
                    g[xi] += v * (low_slope if k == 12 else up_slope)
                    g[yi] += v * (density if k == 12 else -density)
                elif k == 14:
                    _, in_b, in_z = log_0f1(w[xi], w[yi])
                    g[xi] += v * in_b
                    g[yi] += v * in_z
                elif k == 15:
                    zi = z + i * dz
                    share, in_a, in_b = beta_share(w[xi], w[yi], w[zi])
                    density = beta_slope(w[xi], w[yi], w[zi], share)
                    g[xi] += v * in_a
                    g[yi] += v * in_b
                    g[zi] += v * density
        elif k < 50:
            many = m == n and (k != 20 or n > FEW)
            if many and _elementary_adjoint(k, w[x : x + n], w[o : o + n], g[o : o + n], g[x : x + n]):
                continue
            for i in range(n):
                t = g[o + i]
                if t == 0.0:
                    continue
                v = w[x + i * dx]
                r = w[o + i]
                if k == 20:
                    d1 = -1.0
                elif k == 21:
                    d1 = r
                elif k == 22:
                    d1 = 1.0 / v
                elif k == 23:
                    d1 = 0.5 / r
                elif k == 24:
                    d1 = 1.0 / (1.0 + v)
                elif k == 25:
                    d1 = r + 1.0
                elif k == 26:
                    d1 = expit(v)
                elif k == 27:
                    d1 = r * (1.0 - r)
                elif k == 28:
                    d1 = 1.0 / (v * (1.0 - v))
                elif k == 29:
                    d1 = math.exp(-0.5 * v * v) / math.sqrt(2.0 * math.pi)
                elif k == 30:
                    d1 = phi_ratio(v)
                elif k == 31:
                    d1 = 1.0 if v > 0.0 else (-1.0 if v < 0.0 else 0.0)
                elif k == 32:
                    d1 = digamma(v)
                elif k == 33:
                    d1 = trigamma(v)
                elif k == 34:
                    d1 = -1.0 / ((1.0 - v) * math.log1p(-v))
                elif k == 35:
                    d1 = math.exp(v - math.exp(v))
                elif k == 36:
                    d1 = math.sqrt(2.0 * math.pi) * math.exp(0.5 * r * r)
                elif k == 37:
                    d1 = math.cos(v)
                elif k == 38:
                    d1 = -math.sin(v)
                elif k <= 41:
                    d1 = binet(k - 38, v)
                elif k == 42:
                    d1 = i1_over_i0_less_1(v)
                elif k == 43:
                    d1 = i1_over_i0_slope(v)
                elif k == 44:
                    d1 = 1.0 / (1.0 + v * v)
                elif k == 45:
                    d1 = 4.0 * expit(2.0 * v) * expit(-2.0 * v)
                elif k == 46:
                    d1 = 0.0
                else:
                    d1 = np.nan
                g[x + i * dx] += t * d1
        elif k == 50:
            index, bar, gx = idx[ptr[aux[op]] : ptr[aux[op] + 1]], g[o : o + n], g[x : x + m]
            if m == 1:
                gx[0] += bar.sum()
            else:
                for i in range(n):
                    gx[index[i]] += bar[i]
        elif k == 51:
            q = ptr[aux[op]]
            if n == 1:
                bar, gx = g[o], g[x : x + m]
                for i in range(m):
                    gx[i] += bar
                continue
            for i in range(m):
                g[x + i] += g[o + idx[q + i]]
        elif k == 52:
            q = ptr[aux[op]]
            for i in range(ptr[aux[op] + 1] - q):
                g[x + i * (1 if m > 1 else 0)] += g[o + idx[q + i]]
        elif k == 53:
            d = aux[op]
            for h in range(n // (d * d)):
                _cholesky_adjoint(w, g, o + h * d * d, x + h * d * d, d)
        elif k == 58:
            d = aux[op]
            for h in range(n // (d * d)):
                _root_adjoint(w, g, o + h * d * d, x + h * d * d, d)
        elif k == 54:
            d = aux[op]
            for h in range(n // (d * d)):
                _inverse_adjoint(w, g, o + h * d * d, x + h * d * d, d)
        elif k == 55:
            d = aux[op]
            for h in range(n):
                if g[o + h] != 0.0:
                    inv = _invert(w, x + h * d * d, d)
                    for i in range(d):
                        for j in range(d):
                            g[x + h * d * d + i * d + j] += g[o + h] * inv[j * d + i]
        elif k == 56:
            d = aux[op]
            y = start[b[op]]
            for h in range(n // (d * d)):
                for i in range(d):
                    for j in range(d):
                        t = g[o + h * d * d + i * d + j]
                        for q in range(d):
                            yi = y + h * d * d + (j * d + q if c[op] == 1 else q * d + j)
                            xi = x + h * d * d + i * d + q
                            left = t * w[yi]
                            g[yi] += t * w[xi]
                            g[xi] += left
        elif k == 59:
            y = start[b[op]]
            for i in range(n):
                at = w[y + i]
                if 0.0 <= at < m:
                    g[x + int(at)] += g[o + i]
        elif k == 60:
            log_sum_exp_adjoint(w[x : x + m], aux[op], w[o : o + n], g[o : o + n], g[x : x + m])
        elif k == 61:
            y, index = start[b[op]], idx[ptr[aux[op]] : ptr[aux[op] + 1]]
            ys = slice(y, y + length[b[op]])
            chain_adjoint(index, w[x : x + m], w[ys], w[o : o + n], g[o : o + n], g[x : x + m], g[ys])
        elif k == 57:
            d = aux[op]
            for h in range(n // d):
                total = 0.0
                for i in range(d):
                    total += g[o + h * d + i] * w[o + h * d + i]
                for i in range(d):
                    g[x + h * d + i] += w[o + h * d + i] * (g[o + h * d + i] - total)
