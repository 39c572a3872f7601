"""Compiled passes over moment structures: moments and likelihood, gradient, information and Hessian.

The formulas are those of `numerics.moments`, which calls these; every derivative in an entry is a pair of
columns of K = [B_o | S_o], so that each pass over pairs of entries reads tables of order 2t.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel

PATH, COVARIANCE, MEAN = 0, 1, 2
_ENTRIES = "i8[::1], i8[::1], i8[::1], i8[::1]"  # kind, group, row, column
_CELLS = "i8[::1], f8[::1], u1[:, ::1]"  # group, n, mask
_TWO, _THREE = "f8[:, ::1]", "f8[:, :, ::1]"


@kernel("b1(f8[:, ::1], f8[:, ::1])")
def _inverse(a, b):
    """(I - a)^-1 into b by Gauss-Jordan elimination with pivots; False where it is singular."""
    t = len(a)
    m = np.eye(t) - a
    b[:] = np.eye(t)
    for j in range(t):
        best = j
        for i in range(j + 1, t):
            if abs(m[i, j]) > abs(m[best, j]):
                best = i
        if abs(m[best, j]) < 1e-14:
            return False
        if best != j:
            for k in range(t):
                m[j, k], m[best, k] = m[best, k], m[j, k]
                b[j, k], b[best, k] = b[best, k], b[j, k]
        x = 1.0 / m[j, j]
        for k in range(t):
            m[j, k] *= x
            b[j, k] *= x
        for i in range(t):
            y = m[i, j]
            if i != j and y != 0.0:
                for k in range(t):
                    m[i, k] -= y * m[j, k]
                    b[i, k] -= y * b[j, k]
    return True


@kernel(
    f"f8({_THREE}, {_THREE}, {_TWO}, i8[::1], {_ENTRIES}, f8[::1], i8[::1], {_CELLS}, {_TWO}, {_THREE},"
    f" {_THREE}, {_THREE}, {_THREE}, {_TWO}, {_THREE}, {_TWO})",
    fastmath={"contract", "reassoc", "nsz"},
)
def evaluate(
    paths, covariances, means, order, kind, group, row, column, values, observed, cell_group, n, mask,
    cell_mean, cell_cov, extra, b, sigma, mean, w, residual,
):  # fmt: skip
    """Fill B, the covariance and mean of all variables by group, W and the residuals of means by cell.

    order : variables, each after those it depends on; empty where paths form a cycle.
    extra : (C, p, p) known covariances that each cell adds to the observed ones, or none, (0, p, p).
    Returns the sum over cells of n (log det + tr(W D)); infinite where a covariance is not positive definite.
    """
    groups, t = means.shape
    p = observed.size
    a, psi = paths.copy(), covariances.copy()
    level = means.copy()
    for e in range(kind.size):
        g, i, j = group[e], row[e], column[e]
        if kind[e] == PATH:
            a[g, i, j] += values[e]
        elif kind[e] == COVARIANCE:
            psi[g, i, j] += values[e]
            if i != j:
                psi[g, j, i] += values[e]
        else:
            level[g, i] += values[e]
    half = np.empty((t, t))
    for g in range(groups):
        bg = b[g]
        bg[:] = 0.0
        if order.size == t:
            for q in range(t):
                i = order[q]
                bg[i, i] = 1.0
                for j in range(t):
                    x = a[g, i, j]
                    if x != 0.0:
                        for k in range(t):
                            bg[i, k] += x * bg[j, k]
        else:
            if not _inverse(a[g], bg):
                return np.inf
        for i in range(t):
            total = 0.0
            for j in range(t):
                half[i, j] = 0.0
                total += bg[i, j] * level[g, j]
            mean[g, i] = total
            for k in range(t):
                x = bg[i, k]
                if x != 0.0:
                    for j in range(t):
                        half[i, j] += x * psi[g, k, j]
        for i in range(t):
            for j in range(i + 1):
                total = 0.0
                for k in range(t):
                    total += half[i, k] * bg[j, k]
                sigma[g, i, j] = total
                sigma[g, j, i] = total
    found = 0.0
    factor, inverse = np.empty((p, p)), np.empty((p, p))
    for c in range(n.size):
        g = cell_group[c]
        logdet = 0.0
        for i in range(p):
            here = mask[c, i] != 0
            residual[c, i] = cell_mean[c, i] - mean[g, observed[i]] if here else 0.0
            for j in range(i + 1):
                both = here and mask[c, j] != 0
                x = sigma[g, observed[i], observed[j]] if both else (1.0 if i == j else 0.0)
                if both and extra.shape[0] != 0:
                    x += extra[c, i, j]
                for k in range(j):
                    x -= factor[i, k] * factor[j, k]
                if i == j:
                    if not x > 0.0:
                        return np.inf
                    factor[i, i] = np.sqrt(x)
                    logdet += 2.0 * np.log(factor[i, i])
                else:
                    factor[i, j] = x / factor[j, j]
        wc = w[c]
        wc[:] = 0.0
        inverse[:] = 0.0
        for j in range(p):
            inverse[j, j] = 1.0 / factor[j, j]
            for i in range(j + 1, p):
                x = 0.0
                for k in range(j, i):
                    x -= factor[i, k] * inverse[k, j]
                inverse[i, j] = x / factor[i, i]
        for i in range(p):
            if mask[c, i] == 0:
                continue
            for j in range(i + 1):
                if mask[c, j] == 0:
                    continue
                x = 0.0
                for k in range(i, p):
                    x += inverse[k, i] * inverse[k, j]
                wc[i, j] = x
                wc[j, i] = x
        fit = 0.0
        for i in range(p):
            for j in range(p):
                fit += wc[i, j] * (cell_cov[c, i, j] + residual[c, i] * residual[c, j])
        found += n[c] * (logdet + fit)
    return found


@kernel(
    "void(f8[:, ::1], f8[:, ::1], i8[::1], f8[:, ::1], f8[:, ::1])", fastmath={"contract", "reassoc", "nsz"}
)
def _table(w, k, columns, half, table):
    """K'WK at the columns that are used."""
    p = len(w)
    for i in range(p):
        for q in range(columns.size):
            x = 0.0
            for j in range(p):
                x += w[i, j] * k[j, columns[q]]
            half[i, q] = x
    for a in range(columns.size):
        for q in range(a + 1):
            x = 0.0
            for i in range(p):
                x += k[i, columns[a]] * half[i, q]
            table[columns[a], columns[q]] = x
            table[columns[q], columns[a]] = x


@kernel(
    "void(i8[::1], i8, i8[::1], i8[::1], i8[::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1],"
    " f8[:, ::1], f8[::1], f8[:, ::1])"
)
def _bend(at, count, kind, row, column, factor, b, sigma, mean, omega, k, z, curvature):
    """Add the terms of second derivatives of the moments; pairs come in both orders later."""
    t = mean.size
    p = len(omega)
    whole = np.zeros((2 * t, 2 * t))
    along = np.zeros(t)
    _table(omega, k, np.arange(2 * t), np.empty((p, 2 * t)), whole)
    for q in range(t):
        along[q] = z[q]
    for x in range(count):
        e = at[x]
        if kind[e] != PATH:
            continue
        i, j = row[e], column[e]
        for y in range(count):
            f = at[y]
            r, s = row[f], column[f]
            if kind[f] == PATH:
                if y > x:
                    continue
                found = 2.0 * (
                    b[s, i] * whole[r, t + j] + sigma[s, j] * whole[i, r] + b[j, r] * whole[i, t + s]
                )
                found -= 2.0 * (b[s, i] * mean[j] * along[r] + b[j, r] * mean[s] * along[i])
            elif kind[f] == COVARIANCE:
                found = 2.0 * factor[f] * (b[j, r] * whole[i, s] + b[j, s] * whole[i, r])
            else:
                found = -2.0 * b[j, r] * along[i]
            curvature[e, f] += found


@kernel(
    f"i8(i8, {_ENTRIES}, i8[::1], f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], i8[::1], i8[::1], i8[::1],"
    " f8[::1], b1[::1])"
)
def _pairs(g, kind, group, row, column, observed, b, sigma, mean, k, at, first, second, lift, used):
    """Fill K = [B_o | S_o] of a group, its entries `at`, their pairs of columns and lifts; the number."""
    t = mean.size
    for q in range(observed.size):
        for j in range(t):
            k[q, j] = b[observed[q], j]
            k[q, t + j] = sigma[observed[q], j]
    count = 0
    used[:] = False
    for e in range(kind.size):
        if group[e] != g:
            continue
        at[count] = e
        count += 1
        first[e] = row[e]
        second[e] = t + column[e] if kind[e] == PATH else (column[e] if kind[e] == COVARIANCE else row[e])
        lift[e] = mean[column[e]] if kind[e] == PATH else (1.0 if kind[e] == MEAN else 0.0)
        used[first[e]] = True
        used[second[e]] = True
    return count


@kernel(
    "void(b1, i8[::1], i8, i8[::1], i8[::1], i8[::1], f8[::1], i8[::1], i8[::1], f8[::1], i8[::1],"
    " f8[:, ::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[::1],"
    " f8[::1], f8[:, ::1])",
    fastmath={"contract", "reassoc", "nsz"},
)
def _gather(
    bent, at, count, kind, row, column, factor, first, second, lift, columns, b, sigma, mean, omega, pull, k,
    half, table, z, gradient, curvature,
):  # fmt: skip
    """A group's gradient from omega, the slopes in the observed covariances (lower triangle), and pull, those
    in the means; with `bent` the terms of second derivatives of the moments are added to the curvature."""
    p = len(omega)
    for i in range(p):
        for j in range(i):
            omega[j, i] = omega[i, j]
    _table(omega, k, columns, half, table)
    z[:] = 0.0
    for q in range(columns.size):
        x = 0.0
        for i in range(p):
            x += k[i, columns[q]] * pull[i]
        z[columns[q]] = x
    for x in range(count):
        e = at[x]
        gradient[e] = 2.0 * (factor[e] * table[first[e], second[e]] - lift[e] * z[first[e]])
    if bent:
        _bend(at, count, kind, row, column, factor, b, sigma, mean, omega, k, z, curvature)


@kernel("void(f8[:, ::1])")
def _mirror(curvature):
    """What stands on either side of the diagonal, summed, on both sides."""
    for e in range(len(curvature)):
        for f in range(e):
            total = curvature[e, f] + curvature[f, e]
            curvature[e, f] = total
            curvature[f, e] = total


@kernel(
    f"void(i8, {_ENTRIES}, f8[::1], i8[::1], {_CELLS}, {_THREE}, {_THREE}, {_THREE}, f8[:, ::1], {_THREE},"
    " f8[:, ::1], f8[::1], f8[:, ::1])",
    fastmath={"contract", "reassoc", "nsz"},
)
def slopes(
    order, kind, group, row, column, factor, observed, cell_group, n, mask, cell_cov, b, sigma, mean, w,
    residual, gradient, curvature,
):  # fmt: skip
    """Gradient, and by `order` 1 the expected or by 2 the exact Hessian, of what `evaluate` gave.

    factor : f of each entry's derivative f (u v' + v u'), 0 for means.
    """
    groups, t = mean.shape
    p, m = observed.size, kind.size
    k = np.empty((p, 2 * t))
    omega, d, wd = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    half, table = np.empty((p, 2 * t)), np.zeros((2 * t, 2 * t))
    other, z = np.zeros((2 * t, 2 * t)), np.zeros(2 * t)
    first, second = np.empty(m, np.int64), np.empty(m, np.int64)
    lift, at = np.empty(m), np.empty(m, np.int64)
    used = np.zeros(2 * t, np.bool_)
    if order > 0:
        curvature[:] = 0.0
    for g in range(groups):
        count = _pairs(
            g, kind, group, row, column, observed, b[g], sigma[g], mean[g], k, at, first, second, lift, used
        )
        columns = np.flatnonzero(used)
        omega[:] = 0.0
        pull = np.zeros(p)
        for c in range(n.size):
            if cell_group[c] != g:
                continue
            wc = w[c]
            for i in range(p):
                for j in range(p):
                    x = cell_cov[c, i, j] + residual[c, i] * residual[c, j]
                    d[i, j] = x
            for i in range(p):
                for j in range(p):
                    x = 0.0
                    for q in range(p):
                        x += wc[i, q] * d[q, j]
                    wd[i, j] = x
            for i in range(p):
                x = 0.0
                for q in range(p):
                    x += wc[i, q] * residual[c, q]
                pull[i] += n[c] * x
                for j in range(i + 1):
                    y = 0.0
                    for q in range(p):
                        y += wd[i, q] * wc[q, j]
                    d[i, j] = y  # W D W from here on, lower triangle
                    omega[i, j] += n[c] * (wc[i, j] - y)
            if order == 0:
                continue
            for i in range(p):
                for j in range(i):
                    d[j, i] = d[i, j]
            _table(wc, k, columns, half, table)
            if order == 1:
                for x in range(count):
                    e = at[x]
                    u, v = first[e], second[e]
                    for y in range(x + 1):
                        f = at[y]
                        r, s = first[f], second[f]
                        curvature[e, f] += n[c] * (
                            2.0
                            * factor[e]
                            * factor[f]
                            * (table[u, r] * table[v, s] + table[u, s] * table[v, r])
                            + 2.0 * lift[e] * lift[f] * table[u, r]
                        )
                continue
            _table(d, k, columns, half, other)
            for q in range(columns.size):
                x = 0.0
                for i in range(p):
                    y = 0.0
                    for j in range(p):
                        y += wc[i, j] * residual[c, j]
                    x += k[i, columns[q]] * y
                z[columns[q]] = x
            for x in range(count):
                e = at[x]
                u, v = first[e], second[e]
                for y in range(x + 1):
                    f = at[y]
                    r, s = first[f], second[f]
                    square = 2.0 * (
                        other[v, r] * table[u, s]
                        + other[v, s] * table[u, r]
                        + other[u, r] * table[v, s]
                        + other[u, s] * table[v, r]
                    ) - 2.0 * (table[u, r] * table[v, s] + table[u, s] * table[v, r])
                    cross = lift[e] * factor[f] * (table[u, r] * z[s] + table[u, s] * z[r])
                    cross += lift[f] * factor[e] * (table[r, u] * z[v] + table[r, v] * z[u])
                    curvature[e, f] += n[c] * (
                        factor[e] * factor[f] * square + 2.0 * cross + 2.0 * lift[e] * lift[f] * table[u, r]
                    )
        _gather(
            order == 2, at, count, kind, row, column, factor, first, second, lift, columns, b[g], sigma[g],
            mean[g], omega, pull, k, half, table, z, gradient, curvature,
        )  # fmt: skip
    if order > 0:
        _mirror(curvature)
