"""Compiled derivatives of moment structures where each cell has a covariance of its own.

Cells are many and variables few: what cells hold is summed in the space of the observed covariances, packed
by their lower triangles, before any entry is looked at.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.moment_kernels import _CELLS, _ENTRIES, _THREE, _TWO, _gather, _mirror, _pairs


@kernel(
    f"void(i8, i8, {_CELLS}, {_THREE}, {_THREE}, {_TWO}, {_TWO}, f8[::1], {_TWO}, {_TWO}, {_TWO}, f8[::1])",
    fastmath={"contract", "reassoc", "nsz"},
)
def _sums(
    order, g, cell_group, n, mask, cell_cov, w, residual, omega, pull, squares, crosses, lines, single
):  # fmt: skip
    """Sums over a group's cells: omega = n (W - V) with V = W D W (lower triangle), pull = n W r, and in
    packed triangles squares = n W W', crosses = n V W', lines = n W (W r)', single = n W."""
    p = mask.shape[1]
    q = single.size
    packed, bent = np.empty(q), np.empty(q)
    d, wd, z = np.empty((p, p)), np.empty((p, p)), np.empty(p)
    for c in range(n.size):
        if cell_group[c] != g:
            continue
        for i in range(p):
            for j in range(p):
                d[i, j] = cell_cov[c, i, j] + residual[c, i] * residual[c, j]
        for i in range(p):
            x = 0.0
            for a in range(p):
                x += w[c, i, a] * residual[c, a]
            z[i] = x
            pull[i] += n[c] * x
            for j in range(p):
                x = 0.0
                for a in range(p):
                    x += w[c, i, a] * d[a, j]
                wd[i, j] = x
        at = 0
        for i in range(p):
            for j in range(i + 1):
                x = 0.0
                for a in range(p):
                    x += wd[i, a] * w[c, a, j]
                omega[i, j] += n[c] * (w[c, i, j] - x)
                packed[at] = w[c, i, j]
                bent[at] = x
                at += 1
        if order == 0:
            continue
        for a in range(q):
            x = n[c] * packed[a]
            single[a] += x
            for b in range(a + 1):
                squares[a, b] += x * packed[b]
            if order == 1:
                continue
            for b in range(p):
                lines[a, b] += x * z[b]
            y = n[c] * bent[a]
            for b in range(q):
                crosses[a, b] += y * packed[b]


@kernel(
    f"void(i8, {_ENTRIES}, f8[::1], i8[::1], {_CELLS}, {_THREE}, {_THREE}, {_THREE}, {_TWO}, {_THREE},"
    f" {_TWO}, f8[::1], {_TWO}, {_THREE}, {_THREE}, {_THREE}, {_TWO})"
)
def row_slopes(
    order, kind, group, row, column, factor, observed, cell_group, n, mask, cell_cov, b, sigma, mean, w,
    residual, gradient, curvature, squares, crosses, lines, single,
):  # fmt: skip
    """The gradient, and for `order` 1 or 2 the sums that the curvature is made of, by group; with 2 the terms
    of second derivatives of the moments stand in `curvature`."""
    groups, t = mean.shape
    p, m = observed.size, kind.size
    k, half = np.empty((p, 2 * t)), np.empty((p, 2 * t))
    table, z = np.zeros((2 * t, 2 * t)), np.zeros(2 * t)
    first, second, at = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.int64)
    lift, used = np.empty(m), np.zeros(2 * t, np.bool_)
    curvature[:] = 0.0
    for g in range(groups):
        omega, pull = np.zeros((p, p)), np.zeros(p)
        _sums(
            order, g, cell_group, n, mask, cell_cov, w, residual, omega, pull, squares[g], crosses[g],
            lines[g], single[g],
        )  # fmt: skip
        count = _pairs(
            g, kind, group, row, column, observed, b[g], sigma[g], mean[g], k, at, first, second, lift, used
        )
        _gather(
            order == 2, at, count, kind, row, column, factor, first, second, lift, np.flatnonzero(used), b[g],
            sigma[g], mean[g], omega, pull, k, half, table, z, gradient, curvature,
        )  # fmt: skip
    _mirror(curvature)
