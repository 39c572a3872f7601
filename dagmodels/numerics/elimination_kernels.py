"""Kernels of the Gaussian elimination along a graph; see `elimination` for the mathematics.

Layout of H and T (one flat array each): rows i < ts (sparse) have their diagonal at i and their
off-diagonal entries at ts + ptr[i] .. ts + ptr[i+1]; rows i >= ts (dense tail, nt = n - ts of them)
have entry (i, j) at base + (i - ts)*nt + (j - ts), j >= i.  T holds row i's coefficients on its
parents in the same places.  The last row is the constant 1; it is never eliminated.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel

SCALED, FREE, PROFILED = 0, 1, 2
RANK = 1e-13  # a free pivot below this share of what was added to and taken from it is rounding


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
            bigger[:size] = out[:size]
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
        out[start:size].sort()
        out_ptr[i + 1] = size
        if size > start:
            parent = out[start]
            child_next[i] = child_head[parent]
            child_head[parent] = i
    return out_ptr, out[:size].copy()


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


@kernel("Tuple((i8[::1], i4[::1]))(i8, i8, i8[::1], i4[::1], i8)")
def targets(n, ts, ptr, nbr, base):
    """Where in H the update of each pair (a <= b) of a sparse row's neighbours goes.

    Pairs are listed row by row, a outer and b inner, as the elimination visits them.
    """
    nt = n - ts
    start = np.zeros(ts + 1, np.int64)
    for i in range(ts):
        deg = ptr[i + 1] - ptr[i]
        start[i + 1] = start[i] + deg * (deg + 1) // 2
    where = np.empty(start[ts], np.int32)
    np.zeros(n, np.int64)
    # rows that share a neighbour a visit it in increasing order, so place is filled once per (i, a)
    for i in range(ts):
        k = start[i]
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


@kernel(
    "f8(i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1], f8[::1], f8[::1], f8[::1], f8[::1])"
)
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
    for i in range(ts):
        kappa = H[i]
        lo, hi = ptr[i], ptr[i + 1]
        k = pstart[i]
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
    for i in range(nt - 1):
        row = base + i * nt
        kappa = H[row + i]
        if kind[ts + i] == SCALED:
            si = s[ts + i]
            pivot = 1.0 + si * kappa
            p[ts + i] = pivot
            logdet += np.log(pivot)
            r = 1.0 / pivot
            if haspar[ts + i]:
                for a in range(i + 1, nt):
                    ha, ta = H[row + a], T[row + a]
                    ct = (kappa * ta + ha) * r
                    ch = (ta - si * ha) * r
                    if kind[ts + a] != SCALED:
                        gross[ts + a] += abs(ct * ta) + abs(ch * ha)
                    to = base + a * nt
                    for b in range(a, nt):
                        H[to + b] += ct * T[row + b] + ch * H[row + b]
                continue
            r = -si * r
            if r == 0.0:
                continue
        else:
            p[ts + i] = kappa
            if not kappa.real > RANK * gross[ts + i]:
                return np.nan
            if kind[ts + i] == FREE:
                logdet += np.log(kappa)
            r = -1.0 / kappa
        for a in range(i + 1, nt):
            ch = H[row + a] * r
            if ch != 0.0:
                if kind[ts + a] != SCALED:
                    gross[ts + a] += abs(ch * H[row + a])
                to = base + a * nt
                for b in range(a, nt):
                    H[to + b] += ch * H[row + b]
    return logdet


@kernel(
    "void(i8, i8, i8[::1], i4[::1], i8, i8[::1], i4[::1], u1[::1], u1[::1], f8[::1], f8[::1], f8[::1],"
    " f8[::1], f8[::1], f8, f8[::1], f8[::1], f8[::1])"
)
def adjoint(n, ts, ptr, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p, seed, quad, Hb, Tb, sb):
    """Reverse of `eliminate`: derivatives of sum(seed_i log pivot_i) + quad * H[constant, constant].

    H as `eliminate` left it; Hb, Tb, sb must be zero on entry and are filled.
    """
    nt = n - ts
    work_t = np.zeros(n, H.dtype)
    work_h = np.zeros(n, H.dtype)
    Hb[base + nt * nt - 1] = quad
    for i in range(nt - 2, -1, -1):
        row = base + i * nt
        g = ts + i
        for a in range(i + 1, nt):
            work_t[a] = 0.0
            work_h[a] = 0.0
        if kind[g] == SCALED and haspar[g]:
            for a in range(i + 1, nt):
                to = base + a * nt
                ta, ha = T[row + a], H[row + a]
                at = 2.0 * Hb[to + a] * ta
                ah = 2.0 * Hb[to + a] * ha
                for b in range(a + 1, nt):
                    v = Hb[to + b]
                    at += v * T[row + b]
                    ah += v * H[row + b]
                    work_t[b] += v * ta
                    work_h[b] += v * ha
                work_t[a] += at
                work_h[a] += ah
        else:
            for a in range(i + 1, nt):
                to = base + a * nt
                ha = H[row + a]
                ah = 2.0 * Hb[to + a] * ha
                for b in range(a + 1, nt):
                    v = Hb[to + b]
                    ah += v * H[row + b]
                    work_h[b] += v * ha
                work_h[a] += ah
        kappa = H[row + i]
        hh = 0.0
        for a in range(i + 1, nt):
            hh += H[row + a] * work_h[a]
        if kind[g] == SCALED:
            tt = 0.0
            th = 0.0
            r = 1.0 / p[g]
            if haspar[g]:
                for a in range(i + 1, nt):
                    tt += T[row + a] * work_t[a]
                    th += T[row + a] * work_h[a]
                for a in range(i + 1, nt):
                    Tb[row + a] = (kappa * work_t[a] + work_h[a]) * r
                    Hb[row + a] += (work_t[a] - s[g] * work_h[a]) * r
            else:
                for a in range(i + 1, nt):
                    Hb[row + a] -= s[g] * work_h[a] * r
            f = (0.5 * kappa * tt + th - 0.5 * s[g] * hh) * r
            Hb[row + i] += 0.5 * tt * r + (seed[g] - f) * s[g] * r
            sb[g] = -0.5 * hh * r + (seed[g] - f) * kappa * r
        else:
            r = 1.0 / kappa
            for a in range(i + 1, nt):
                Hb[row + a] -= work_h[a] * r
            Hb[row + i] += 0.5 * hh * r * r + seed[g] * r
    for i in range(ts - 1, -1, -1):
        lo, hi = ptr[i], ptr[i + 1]
        k = pstart[i]
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


@kernel(
    "void(i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8[::1],"
    " f8[::1])"
)
def substitute(n, ts, ptr, nbr, base, kind, haspar, s, T, H, p, z, u):
    """Back substitution, last row first: u given standard normal z (all zero: the conditional mean).

    Free rows with z = 0 give their generalised least squares values. u[n-1] must be 1 on entry.
    """
    nt = n - ts
    for i in range(n - 2, -1, -1):
        hu = 0.0
        m = 0.0
        if i >= ts:
            row = base + (i - ts) * nt
            kappa = H[row + i - ts]
            for b in range(i - ts + 1, nt):
                hu += H[row + b] * u[ts + b]
            if haspar[i]:
                for b in range(i - ts + 1, nt):
                    m += T[row + b] * u[ts + b]
        else:
            kappa = H[i]
            for x in range(ptr[i], ptr[i + 1]):
                hu += H[ts + x] * u[nbr[x]]
                m += T[ts + x] * u[nbr[x]]
        if kind[i] == SCALED:
            u[i] = (m - s[i] * hu + np.sqrt(s[i] * p[i]) * z[i]) / p[i]
        else:
            u[i] = (-hu + np.sqrt(kappa) * z[i]) / kappa
