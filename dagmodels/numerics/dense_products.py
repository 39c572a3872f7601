"""Products of blocks for the dense tail of the elimination, and the reverse of one row's elimination.

A row's update is t' times ct plus h' times ch, where ct = (kappa t + h)/p and ch = (t - s h)/p; without
parents ct = 0 and ch = -s h/p (scaled) or -h/kappa (free).  Rows of T are mostly zero, rows of H not.

The product is written out here rather than left to BLAS: it is about as fast, needs no copies, leaves out
blocks of zeros and what lies below the diagonal, and gives the same digits on any number of threads.
Inner loops run over slices from zero: with plain offsets numba's check for negative indices keeps them
from being vectorised.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import linked
from dagmodels.numerics.tail_kernels import FAST, SCALED, SPARE

PANEL, STRIP = 64, 8  # rows whose update is one product, and the rows inside that are eliminated singly
WIDTH = SPARE  # columns of a product done at a time: four rows of them fit the first cache

_ONE = "f8[::1]"
_ROWS = "f8[::1], i8, i8"


@kernel(f"void({_ROWS}, {_ROWS}, i8, {_ROWS}, i8, i8, i8, b1, {_ONE})", **FAST)
def accumulate(C, c0, cs, A, a0, ai, ak, B, b0, bs, rows, inner, cols, upper, spare):
    """C[i, j] += sum_k A[i, k] B[k, j]; with `upper` only j >= i is wanted (a few more are touched).

    Row i of C starts at c0 + i cs, row k of B at b0 + k bs, entry (i, k) of A is at a0 + i ai + k ak.
    Four rows by four terms at a time; such a block of A that is zero is left out.  WIDTH columns of PANEL
    rows of B stay in the second cache while four rows of C after the other, in the first, take them up.
    spare : takes what rows beyond the last would get; at least WIDTH long.
    """
    for left in range(0, cols, WIDTH):
        right = min(left + WIDTH, cols)
        for part in range(0, inner, PANEL):
            for i in range(0, min(rows, right) if upper else rows, 4):
                for k in range(part, min(part + PANEL, inner), 4):
                    last = inner - 1 - k
                    k1, k2, k3 = min(1, last), min(2, last), min(3, last)
                    f = a0 + i * ai + k * ak
                    x00, x01, x02, x03 = A[f], A[f + k1 * ak], A[f + k2 * ak], A[f + k3 * ak]
                    f += ai if i + 1 < rows else 0
                    x10, x11, x12, x13 = A[f], A[f + k1 * ak], A[f + k2 * ak], A[f + k3 * ak]
                    f += ai if i + 2 < rows else 0
                    x20, x21, x22, x23 = A[f], A[f + k1 * ak], A[f + k2 * ak], A[f + k3 * ak]
                    f += ai if i + 3 < rows else 0
                    x30, x31, x32, x33 = A[f], A[f + k1 * ak], A[f + k2 * ak], A[f + k3 * ak]
                    if last < 1:
                        x01 = x11 = x21 = x31 = 0.0
                    if last < 2:
                        x02 = x12 = x22 = x32 = 0.0
                    if last < 3:
                        x03 = x13 = x23 = x33 = 0.0
                    some = (x00 != 0) | (x01 != 0) | (x02 != 0) | (x03 != 0)
                    some |= (x10 != 0) | (x11 != 0) | (x12 != 0) | (x13 != 0)
                    some |= (x20 != 0) | (x21 != 0) | (x22 != 0) | (x23 != 0)
                    some |= (x30 != 0) | (x31 != 0) | (x32 != 0) | (x33 != 0)
                    if not some:
                        continue
                    start = max(left, i) if upper else left
                    w = right - start
                    b = b0 + k * bs + start
                    B0, B1 = B[b : b + w], B[b + k1 * bs : b + k1 * bs + w]
                    B2, B3 = B[b + k2 * bs : b + k2 * bs + w], B[b + k3 * bs : b + k3 * bs + w]
                    c = c0 + i * cs + start
                    C0 = C[c : c + w]
                    C1 = C[c + cs : c + cs + w] if i + 1 < rows else spare[:w]
                    C2 = C[c + 2 * cs : c + 2 * cs + w] if i + 2 < rows else spare[:w]
                    C3 = C[c + 3 * cs : c + 3 * cs + w] if i + 3 < rows else spare[:w]
                    for j in range(w):
                        y0, y1, y2, y3 = B0[j], B1[j], B2[j], B3[j]
                        C0[j] += x00 * y0 + x01 * y1 + x02 * y2 + x03 * y3
                        C1[j] += x10 * y0 + x11 * y1 + x12 * y2 + x13 * y3
                        C2[j] += x20 * y0 + x21 * y1 + x22 * y2 + x23 * y3
                        C3[j] += x30 * y0 + x31 * y1 + x32 * y2 + x33 * y3


multiply = linked(accumulate)


@kernel(f"void({_ROWS}, i8, i8, {_ONE}, {_ONE}, i8, i8, {_ONE}, {_ONE}, b1, {_ONE})", **FAST)
def spread(H, base, nt, a0, a1, P, Q, at, count, ch, ct, parents, spare):
    """Apply `count` eliminated rows to rows a0 .. a1 of the tail, whose first entry is H[base].

    P, Q : arrays with these rows of H and T, the first one starting at `at`. ch, ct : see the module,
    one row of nt each. parents : whether any row of T is there; its columns of zeros are left out.
    """
    left = nt - a0
    to = base + a0 * nt + a0
    multiply(H, to, nt, ch, a0, 1, nt, P, at + a0, nt, a1 - a0, count, left, True, spare)
    if not parents:
        return
    used = np.zeros(left, np.bool_)
    for k in range(count):
        Tk = Q[at + k * nt + a0 : at + (k + 1) * nt]
        for b in range(left):
            used[b] |= Tk[b] != 0
    if 4 * used.sum() > left:
        multiply(H, to, nt, ct, a0, 1, nt, Q, at + a0, nt, a1 - a0, count, left, True, spare)
        return
    column = np.empty(a1 - a0, H.dtype)
    for u in range(left):
        if used[u]:
            m = min(a1 - a0, u + 1)
            column[:m] = 0.0
            for k in range(count):
                t = Q[at + k * nt + a0 + u]
                if t != 0:
                    c = ct[k * nt + a0 : k * nt + a0 + m]
                    for a in range(m):
                        column[a] += t * c[a]
            for a in range(m):
                H[to + a * nt + u] += column[a]


apply = linked(spread)


@kernel(f"void({_ONE}, {_ONE}, i8, i8, {_ROWS}, i8, i8, i8, i8, {_ONE})", **FAST)
def pull(W, P, at, count, V, base, nt, a0, a1, b0, b1, spare):
    """W[k, b] += sum over a0 <= a < a1 of P[k, a] V[a, b], the diagonal of V twice, for b0 <= b < b1.

    W, P : `count` rows of nt, those of P from `at` on. V : the symmetric tail, its first entry at `base`.
    """
    to = base + a0 * nt + b0
    multiply(W, b0, nt, P, at + a0, nt, 1, V, to, nt, count, a1 - a0, b1 - b0, False, spare)
    for b in range(max(a0, b0), min(a1, b1)):
        v = V[base + b * (nt + 1)]
        for k in range(count):
            W[k * nt + b] += P[at + k * nt + b] * v


pulled = linked(pull)


@kernel(f"void({_ONE}, {_ONE}, i8, i8, {_ONE}, i8, i8, i8, i8)", **FAST)
def pull_few(W, P, at, count, V, base, nt, b0, b1):
    """`pull` for a = b0 .. nt and few b, b0 <= b < b1: products of rows, because V is symmetric.

    Rows b0 .. b1 of V must be complete from column b0 on.
    """
    for b in range(b0, b1):
        V0 = V[base + b * nt + b0 : base + (b + 1) * nt]
        diagonal = V0[b - b0]
        for k in range(0, count, 4):
            last = count - 1 - k
            k1, k2, k3 = k + min(1, last), k + min(2, last), k + min(3, last)
            P0, P1 = P[at + k * nt + b0 : at + (k + 1) * nt], P[at + k1 * nt + b0 : at + (k1 + 1) * nt]
            P2, P3 = P[at + k2 * nt + b0 : at + (k2 + 1) * nt], P[at + k3 * nt + b0 : at + (k3 + 1) * nt]
            x0, x1, x2, x3 = 0.0, 0.0, 0.0, 0.0
            for a in range(V0.size):
                v = V0[a]
                x0 += P0[a] * v
                x1 += P1[a] * v
                x2 += P2[a] * v
                x3 += P3[a] * v
            W[k * nt + b] += x0 + P0[b - b0] * diagonal
            if last > 0:
                W[k1 * nt + b] += x1 + P1[b - b0] * diagonal
            if last > 1:
                W[k2 * nt + b] += x2 + P2[b - b0] * diagonal
            if last > 2:
                W[k3 * nt + b] += x3 + P3[b - b0] * diagonal


pulled_few = linked(pull_few)


@kernel(f"void({_ONE}, {_ONE}, {_ONE})", **FAST)
def twice(V, x, out):
    """Add to `out` what a symmetric row V and its column send x to, the diagonal V[0] twice."""
    total = 2.0 * V[0] * x[0]
    first = x[0]
    for b in range(1, V.size):
        total += V[b] * x[b]
        out[b] += V[b] * first
    out[0] += total


@kernel(f"f8({_ONE}, {_ONE})", **FAST)
def dot(x, y):
    """Sum of products."""
    total = 0.0
    for a in range(x.size):
        total += x[a] * y[a]
    return total


@kernel(f"f8(u1, b1, {_ONE}, i8, f8, f8, f8" + 7 * ", f8[::1]" + ")", **FAST)
def row_adjoint(kind, above, s, g, pivot, seed, kappa, h, t, wh, wt, hb, tb, sb):
    """Reverse of one row's elimination: fills hb, tb and sb[g]; returns the derivative in the diagonal.

    wh, wt : what its later neighbours' Hb sends h and t to. above : whether the row has parents.
    """
    hh = dot(h, wh)
    if kind != SCALED:
        r = 1.0 / kappa
        for a in range(h.size):
            hb[a] -= wh[a] * r
        return 0.5 * hh * r * r + seed * r
    r = 1.0 / pivot
    si = s[g]
    tt, th = 0.0, 0.0
    if above:
        tt, th = dot(t, wt), dot(t, wh)
        for a in range(h.size):
            tb[a] = (kappa * wt[a] + wh[a]) * r
            hb[a] += (wt[a] - si * wh[a]) * r
    else:
        for a in range(h.size):
            hb[a] -= si * wh[a] * r
    f = (0.5 * kappa * tt + th - 0.5 * si * hh) * r
    sb[g] = -0.5 * hh * r + (seed - f) * kappa * r
    return 0.5 * tt * r + (seed - f) * si * r
