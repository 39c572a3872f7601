"""Kernels of the Gaussian elimination along a graph; see `elimination` for the mathematics.

Layout of H and T (one flat array each): rows i < ts (sparse) have their diagonal at i and their
off-diagonal entries at ts + ptr[i] .. ts + ptr[i+1]; rows i >= ts (dense tail, nt = n - ts of them)
have entry (i, j) at base + (i - ts)*nt + (j - ts), j >= i.  T holds row i's coefficients on its
parents in the same places.  The last row is the constant 1; it is never eliminated.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics import tail_kernels
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.tail_kernels import (
    FAST,
    FREE,
    LONG,
    RANK,
    SCALED,
    SPARE,
    WIDE_LEAST,
    short,
    short_back,
)

long, long_back = tail_kernels.long.call, tail_kernels.long_back.call
wide, wide_back = tail_kernels.wide.call, tail_kernels.wide_back.call


LEAST, MOST = 1e-15, 1e15  # of a product of pivots
_PATTERN = "i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1]"
_NUMBERS = 4 * ", {0}[::1]"  # s, T, H, p
ELIMINATE = "{0}(" + _PATTERN + _NUMBERS + ")"
ADJOINT = "void(" + _PATTERN + _NUMBERS + ", f8[::1], f8" + 3 * ", {0}[::1]" + ")"
SUBSTITUTE = "void(i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1]" + _NUMBERS + ", f8[::1], {0}[::1])"


@kernel(ELIMINATE.format("f8"))
def eliminate(n, ts, ptr, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p):
    """Eliminate rows in order, in place; fills the pivots p; returns the log determinant (counted rows).

    Returns nan when a free row's pivot is not positive (a design that is not of full rank).
    Logarithms are taken of products of pivots, which cost a tenth; one below zero ends a product, so that
    its logarithm is nan.
    """
    nt = n - ts
    logdet = 0.0
    one = np.ones(1, H.dtype)[0]
    product = one
    gross = np.zeros(n)  # for free rows: all that the pivot was made of, without regard to sign
    for i in range(n - 1):
        if kind[i] != SCALED:
            gross[i] = abs(H[i] if i < ts else H[base + (i - ts) * (nt + 1)])
    some_wide = False
    for i in range(ts):
        kappa = H[i]
        lo, hi = ptr[i], ptr[i + 1]
        k = pstart[i]
        if hi - lo >= WIDE_LEAST and pstart[i + 1] == k:
            some_wide = True
            continue
        if kind[i] == SCALED:
            pivot = 1.0 + s[i] * kappa
            p[i] = pivot
            product = product * pivot
            if not LEAST < product.real < MOST:
                logdet += np.log(product)
                product = one
            r = 1.0 / pivot
            if haspar[i]:
                for x in range(lo, hi):
                    ha, ta = H[ts + x], T[ts + x]
                    ct = (kappa * ta + ha) * r
                    ch = (ta - s[i] * ha) * r
                    if kind[nbr[x]] != SCALED:
                        gross[nbr[x]] += abs(ct * ta) + abs(ch * ha)
                    for y in range(x, hi):
                        H[pwhere[k]] += ct * T[ts + y] + ch * H[ts + y]
                        k += 1
                continue
            r = -s[i] * r
            if r == 0.0:
                continue
        else:
            p[i] = kappa
            if not kappa.real > RANK * gross[i]:
                return np.nan
            if kind[i] == FREE:
                product = product * kappa
                if not LEAST < product.real < MOST:
                    logdet += np.log(product)
                    product = one
            r = -1.0 / kappa
        for x in range(lo, hi):
            ch = H[ts + x] * r
            if kind[nbr[x]] != SCALED:
                gross[nbr[x]] += abs(ch * H[ts + x])
            for y in range(x, hi):
                H[pwhere[k]] += ch * H[ts + y]
                k += 1
    logdet += np.log(product)
    spare = np.zeros(SPARE, H.dtype) if nt > LONG else p
    if some_wide:
        logdet += wide(ts, nt, base, ptr, nbr, pstart, kind, haspar, s, T, H, p, gross, spare)
    if nt > LONG:
        return logdet + long(ts, nt, base, kind, haspar, s, T, H, p, gross, spare)
    return logdet + short(ts, nt, base, kind, haspar, s, T, H, p, gross, spare)


@kernel(ADJOINT.format("f8"))
def adjoint(n, ts, ptr, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p, seed, quad, Hb, Tb, sb):
    """Reverse of `eliminate`: derivatives of sum(seed_i log pivot_i) + quad * H[constant, constant].

    H as `eliminate` left it; Hb, Tb, sb must be zero on entry and are filled.
    """
    nt = n - ts
    spare = np.zeros(max(2 * n, SPARE if nt > LONG else 0), H.dtype)
    work_t, work_h = spare[:n], spare[n:]
    Hb[base + nt * nt - 1] = quad
    if nt > LONG:
        long_back(ts, nt, base, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare)
    else:
        short_back(ts, nt, base, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare)
    for i in range(ts):
        if ptr[i + 1] - ptr[i] >= WIDE_LEAST and pstart[i + 1] == pstart[i]:
            wide_back(ts, nt, base, ptr, nbr, pstart, kind, haspar, s, T, H, p, seed, Hb, Tb, sb, spare)
            break
    for i in range(ts - 1, -1, -1):
        lo, hi = ptr[i], ptr[i + 1]
        k = pstart[i]
        if hi - lo >= WIDE_LEAST and pstart[i + 1] == k:
            continue
        for x in range(hi - lo):
            work_t[x] = 0.0
            work_h[x] = 0.0
        if kind[i] == SCALED and haspar[i]:
            for x in range(lo, hi):
                ta, ha = T[ts + x], H[ts + x]
                v = 2.0 * Hb[pwhere[k]]
                k += 1
                at = v * ta
                ah = v * ha
                for y in range(x + 1, hi):
                    v = Hb[pwhere[k]]
                    k += 1
                    at += v * T[ts + y]
                    ah += v * H[ts + y]
                    work_t[y - lo] += v * ta
                    work_h[y - lo] += v * ha
                work_t[x - lo] += at
                work_h[x - lo] += ah
        else:
            for x in range(lo, hi):
                ha = H[ts + x]
                v = 2.0 * Hb[pwhere[k]]
                k += 1
                ah = v * ha
                for y in range(x + 1, hi):
                    v = Hb[pwhere[k]]
                    k += 1
                    ah += v * H[ts + y]
                    work_h[y - lo] += v * ha
                work_h[x - lo] += ah
        kappa = H[i]
        hh = 0.0
        for x in range(lo, hi):
            hh += H[ts + x] * work_h[x - lo]
        if kind[i] == SCALED:
            tt = 0.0
            th = 0.0
            r = 1.0 / p[i]
            if haspar[i]:
                for x in range(lo, hi):
                    tt += T[ts + x] * work_t[x - lo]
                    th += T[ts + x] * work_h[x - lo]
                for x in range(lo, hi):
                    Tb[ts + x] = (kappa * work_t[x - lo] + work_h[x - lo]) * r
                    Hb[ts + x] += (work_t[x - lo] - s[i] * work_h[x - lo]) * r
            else:
                for x in range(lo, hi):
                    Hb[ts + x] -= s[i] * work_h[x - lo] * r
            f = (0.5 * kappa * tt + th - 0.5 * s[i] * hh) * r
            Hb[i] += 0.5 * tt * r + (seed[i] - f) * s[i] * r
            sb[i] = -0.5 * hh * r + (seed[i] - f) * kappa * r
        else:
            r = 1.0 / kappa
            for x in range(lo, hi):
                Hb[ts + x] -= work_h[x - lo] * r
            Hb[i] += 0.5 * hh * r * r + seed[i] * r


@kernel(SUBSTITUTE.format("f8"), **FAST)
def substitute(n, ts, ptr, nbr, base, kind, haspar, s, T, H, p, z, u):
    """Back substitution, last row first: u given standard normal z (all zero: the conditional mean).

    Free rows with z = 0 give their generalised least squares values. u[n-1] must be 1 on entry.
    """
    nt = n - ts
    for i in range(n - 2, -1, -1):
        hu = 0.0
        m = 0.0
        if i >= ts:
            row, end = base + (i - ts) * (nt + 1), base + (i - ts + 1) * nt
            kappa = H[row]
            v, h, t = u[i + 1 :], H[row + 1 : end], T[row + 1 : end]
            for b in range(h.size):
                hu += h[b] * v[b]
            if haspar[i]:
                for b in range(t.size):
                    m += t[b] * v[b]
        else:
            kappa = H[i]
            for x in range(ptr[i], ptr[i + 1]):
                hu += H[ts + x] * u[nbr[x]]
                m += T[ts + x] * u[nbr[x]]
        if kind[i] == SCALED:
            total = m - s[i] * hu
            if z[i] != 0.0:  # a negative s has a mean all the same
                total += np.sqrt(s[i] * p[i]) * z[i]
            u[i] = total / p[i]
        else:
            u[i] = (-hu + np.sqrt(kappa) * z[i]) / kappa
