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
    WIDE,
    WIDE_LEAST,
    short,
    short_back,
)

long, long_back = tail_kernels.long.call, tail_kernels.long_back.call
wide, wide_back = tail_kernels.wide.call, tail_kernels.wide_back.call


_PATTERN = "i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1]"
_NUMBERS = 4 * ", {0}[::1]"  # s, T, H, p
ELIMINATE = "{0}(" + _PATTERN + _NUMBERS + ")"
ADJOINT = "void(" + _PATTERN + _NUMBERS + ", f8[::1], f8" + 3 * ", {0}[::1]" + ")"
SUBSTITUTE = "void(i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1]" + _NUMBERS + ", f8[::1], {0}[::1])"


@kernel("Tuple((i8[::1], i4[::1]))(i8, i8[::1], i4[::1])")
def symbolic(n, ptr, adj):
    """Fill pattern: for each row its later neighbours once all earlier rows are eliminated, sorted.

    ptr, adj: pattern before elimination, each row's later neighbours (parents included).
    """
    child_head = np.full(n, -1, np.int64)
    child_next = np.full(n, -1, np.int64)
    mark = np.full(n, -1, np.int64)
    out_ptr = np.zeros(n + 1, np.int64)
    capacity = max(4 * adj.size, 64)
    out = np.empty(capacity, np.int32)
    size = 0
    for i in range(n):
        start = size
        mark[i] = i
        need = ptr[i + 1] - ptr[i]
        c = child_head[i]
        while c >= 0:
            need += out_ptr[c + 1] - out_ptr[c]
            c = child_next[c]
        if size + need > capacity:
            capacity = 2 * (size + need)
            bigger = np.empty(capacity, np.int32)
            for k in range(size):
                bigger[k] = out[k]
            out = bigger
        for k in range(ptr[i], ptr[i + 1]):
            j = adj[k]
            if mark[j] != i:
                mark[j] = i
                out[size] = j
                size += 1
        c = child_head[i]
        while c >= 0:
            for k in range(out_ptr[c], out_ptr[c + 1]):
                j = out[k]
                if mark[j] != i:
                    mark[j] = i
                    out[size] = j
                    size += 1
            c = child_next[c]
        out_ptr[i + 1] = size
        if size > start:
            parent = n
            for k in range(start, size):
                parent = min(parent, out[k])
            child_next[i] = child_head[parent]
            child_head[parent] = i
    # sorted by listing the rows of each neighbour, then the neighbours of each row, both in order
    column_ptr = np.zeros(n + 1, np.int64)
    for k in range(size):
        column_ptr[out[k] + 1] += 1
    for j in range(n):
        column_ptr[j + 1] += column_ptr[j]
    rows = np.empty(size, np.int32)
    at = column_ptr[:n].copy()
    for i in range(n):
        for k in range(out_ptr[i], out_ptr[i + 1]):
            rows[at[out[k]]] = i
            at[out[k]] += 1
    found = np.empty(size, np.int32)
    at = out_ptr[:n].copy()
    for j in range(n):
        for k in range(column_ptr[j], column_ptr[j + 1]):
            found[at[rows[k]]] = j
            at[rows[k]] += 1
    return out_ptr, found


@kernel("i8[::1](i8, i8[::1], i8[::1])")
def generations(n, child, parent):
    """For each element the longest path to it from an element without children; -1 on a cycle."""
    count = np.zeros(n, np.int64)
    ptr = np.zeros(n + 1, np.int64)
    for k in range(child.size):
        count[parent[k]] += 1
        ptr[child[k] + 1] += 1
    for i in range(n):
        ptr[i + 1] += ptr[i]
    above = np.empty(child.size, np.int64)
    fill = ptr[:n].copy()
    for k in range(child.size):
        above[fill[child[k]]] = parent[k]
        fill[child[k]] += 1
    found = np.full(n, -1, np.int64)
    queue = np.empty(n, np.int64)
    end = 0
    for i in range(n):
        if count[i] == 0:
            found[i] = 0
            queue[end] = i
            end += 1
    depth = np.zeros(n, np.int64)
    at = 0
    while at < end:
        i = queue[at]
        at += 1
        for k in range(ptr[i], ptr[i + 1]):
            j = above[k]
            depth[j] = max(depth[j], found[i] + 1)
            count[j] -= 1
            if count[j] == 0:
                found[j] = depth[j]
                queue[end] = j
                end += 1
    return found


@kernel("Tuple((i8[::1], i4[::1]))(i8, i8, i8[::1], i4[::1], i8, b1)")
def targets(n, ts, ptr, nbr, base, blocks):
    """Where in H the update of each pair (a <= b) of a sparse row's neighbours goes.

    Pairs are listed row by row, a outer and b inner, as the elimination visits them.  With `blocks`
    none are listed for wide rows: those whose neighbours all lie in the tail and are many.
    """
    nt = n - ts
    start = np.zeros(ts + 1, np.int64)
    for i in range(ts):
        deg = ptr[i + 1] - ptr[i]
        if blocks and nt > LONG and deg >= WIDE_LEAST and deg * WIDE >= nt and nbr[ptr[i]] >= ts:
            deg = 0
        start[i + 1] = start[i] + deg * (deg + 1) // 2
    where = np.empty(start[ts], np.int32)
    # rows that share a neighbour a visit it in increasing order, so place is filled once per (i, a)
    for i in range(ts):
        k = start[i]
        if start[i + 1] == k:
            continue
        for x in range(ptr[i], ptr[i + 1]):
            a = nbr[x]
            if a >= ts:
                for y in range(x, ptr[i + 1]):
                    where[k] = base + (a - ts) * nt + (nbr[y] - ts)
                    k += 1
            else:
                where[k] = a
                k += 1
                z = ptr[a]
                for y in range(x + 1, ptr[i + 1]):
                    while nbr[z] != nbr[y]:
                        z += 1
                    where[k] = ts + z
                    k += 1
    return start, where


@kernel(ELIMINATE.format("f8"))
def eliminate(n, ts, ptr, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p):
    """Eliminate rows in order, in place; fills the pivots p; returns the log determinant (counted rows).

    Returns nan when a free row's pivot is not positive (a design that is not of full rank).
    """
    nt = n - ts
    logdet = 0.0
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
            logdet += np.log(pivot)
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
                logdet += np.log(kappa)
            r = -1.0 / kappa
        for x in range(lo, hi):
            ch = H[ts + x] * r
            if kind[nbr[x]] != SCALED:
                gross[nbr[x]] += abs(ch * H[ts + x])
            for y in range(x, hi):
                H[pwhere[k]] += ch * H[ts + y]
                k += 1
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
