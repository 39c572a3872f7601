"""Kernels of adaptive quadrature: what it adds to Laplace's criterion, and the way back.

See `forms/quadrature`. Pieces of predictors and pairs of them are listed as in `mode_steps`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.mode_steps import _PIECES, _ROWS, substitute
from dagmodels.numerics.objective_kernels import (
    _FILL,
    _PATTERN,
    _TAPE,
    _WORK,
    adjoint,
    fill_adjoint,
    forward,
    reverse,
)
from dagmodels.numerics.tail_kernels import SCALED

_inline = numba.njit(error_model="numpy")

_LEAVES = ", ".join(["i8[::1]"] * 4 + ["f8[::1]"] + ["i8[::1]"] * 5)
_GRID = "f8[:, ::1], f8[::1], i8[::1]"


@_inline
def _node(w, there, eta_places, u, at, element, source, data, moved):
    """moved = predictors at elements u (the constant's one included), also written into `there`."""
    moved[:] = 0.0
    for k in range(at.size):
        moved[at[k]] += data[k] * w[source[k]] * u[element[k]]
    for k in range(eta_places.size):
        there[eta_places[k]] = moved[k]


@kernel(
    f"f8(f8[::1], f8[::1], {_TAPE}, {_ROWS}, {_WORK}, {_PIECES}, f8[::1], {_LEAVES}, {_GRID}, f8[:, ::1])"
)
def correction(
    w, there,
    code, out, a, b, c, aux, start, length, ptr, idx,
    n, ts, rows, nbr, base, kind, haspar,
    s, T, H, p,
    at, element, source, data,
    eta, first, second, weight, row, times, number, slope, eta_places, density, group,
    normals, log_weights, row_of,
    share,
):  # fmt: skip
    """Minus twice the log of the mean of exp(R) over the nodes, summed over groups.

    w : workspace at the mode, where the elimination is. there : another of its size. eta : the predictors.
    first, second, weight, row, times : pairs of predictors, place of their weight, their row, 2 off the
        diagonal. number, slope : predictors and the places of their slopes. row_of : row of each predictor.
    density, group : by row. normals : of every node (the constant's zero). share : by node and group, on
        return what part of the group's integral is the node's.
    """
    there[:] = w
    moved = np.zeros(eta.size)
    u = np.zeros(n)
    for k in range(log_weights.size):
        u[n - 1] = 1.0
        substitute(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, normals[k], u)
        _node(w, there, eta_places, u, at, element, source, data, moved)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, there)
        own = share[k]
        own[:] = log_weights[k]
        for i in range(density.size):
            own[group[i]] += there[density[i]] - w[density[i]]
        for i in range(number.size):
            own[group[row_of[number[i]]]] -= w[slope[i]] * (moved[number[i]] - eta[number[i]])
        for i in range(weight.size):
            di, dj = moved[first[i]] - eta[first[i]], moved[second[i]] - eta[second[i]]
            own[group[row[i]]] += 0.5 * times[i] * w[weight[i]] * di * dj
    total = 0.0
    for g in range(share.shape[1]):
        top = -np.inf
        for k in range(share.shape[0]):
            top = max(top, share[k, g])
        mean = 0.0
        for k in range(share.shape[0]):
            share[k, g] = math.exp(share[k, g] - top)
            mean += share[k, g]
        for k in range(share.shape[0]):
            share[k, g] /= mean
        total += top + math.log(mean)
    return -2.0 * total


@_inline
def _draw_adjoint(n, ts, ptr, nbr, base, kind, haspar, s, T, H, p, z, u, ub, Hb, Tb, sb):
    """Add to Hb, Tb, sb what ub, adjoints of a draw u with normals z, send back; ub is used up.

    The draw is that of `substitute`, u_i = (m - s h'u + sqrt(s p) z)/p with p = 1 + s H_ii; of free elements
    z/sqrt(H_ii) - h'u/H_ii. Where s is zero, so is its share through the normal: nodes on either side of the
    mode cancel.
    """
    nt = n - ts
    for i in range(n - 1):
        bar = ub[i]
        if bar == 0.0:
            continue
        if i < ts:
            lo, size, own = ts + ptr[i], ptr[i + 1] - ptr[i], i
        else:
            lo, size, own = base + (i - ts) * (nt + 1) + 1, n - 1 - i, base + (i - ts) * (nt + 1)
        hu = 0.0
        scaled = kind[i] == SCALED
        through_m, through_h = bar / p[i], -(s[i] if scaled else 1.0) * bar / p[i]
        for x in range(size):
            j = nbr[ptr[i] + x] if i < ts else i + 1 + x
            h = H[lo + x]
            hu += h * u[j]
            Hb[lo + x] += through_h * u[j]
            ub[j] += through_h * h
            if scaled and haspar[i]:
                Tb[lo + x] += through_m * u[j]
                ub[j] += through_m * T[lo + x]
        if not scaled:
            Hb[own] += bar * (hu / p[i] - 0.5 * z[i] / math.sqrt(p[i])) / p[i]
            continue
        pb, own_s = -bar * u[i] / p[i], -bar * hu / p[i]
        if z[i] != 0.0 and s[i] > 0.0:
            pb += 0.5 * bar * z[i] * math.sqrt(s[i] / p[i]) / p[i]
            own_s += 0.5 * bar * z[i] * math.sqrt(p[i] / s[i]) / p[i]
        sb[i] += own_s + pb * H[own]
        Hb[own] += pb * s[i]


@kernel(
    f"void(f8[::1], f8[::1], {_TAPE}, {_FILL}, {_PATTERN}, {_WORK}, {_PIECES}, f8[::1], {_LEAVES}, {_GRID},"
    " f8[:, ::1], i8[::1], f8[::1], f8[::1], f8[::1])"
)
def correction_gradient(
    w, there,
    code, out, a, b, c, aux, start, length, ptr, idx,
    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value,
    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
    s, T, H, p,
    at, element, source, data,
    eta, first, second, weight, row, times, number, slope, eta_places, density, group,
    normals, log_weights, row_of,
    share, x_places, bar, gradient, moving,
):  # fmt: skip
    """gradient, moving = derivatives of `correction` in x and in the predictors of the expansion.

    share : as `correction` left it at this point. bar : workspace of the size of w.
    """
    there[:] = w
    gradient[:] = 0.0
    moving[:] = 0.0
    at_mode = np.zeros(w.size)
    Hb, Tb, sb = np.zeros(H.size), np.zeros(T.size), np.zeros(n)
    T_own, s_own = np.zeros(T.size), np.zeros(n)
    moved, back = np.zeros(eta.size), np.zeros(eta.size)
    u, ub = np.zeros(n), np.zeros(n)
    for k in range(log_weights.size):
        u[n - 1] = 1.0
        substitute(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, normals[k], u)
        _node(w, there, eta_places, u, at, element, source, data, moved)
        forward(code, out, a, b, c, aux, start, length, ptr, idx, there)
        bar[:] = 0.0
        back[:] = 0.0
        for i in range(density.size):
            part = -2.0 * share[k, group[i]]
            bar[density[i]] += part
            at_mode[density[i]] -= part
        for i in range(number.size):
            part = -2.0 * share[k, group[row_of[number[i]]]]
            back[number[i]] -= part * w[slope[i]]
            at_mode[slope[i]] -= part * (moved[number[i]] - eta[number[i]])
        for i in range(weight.size):
            part = -share[k, group[row[i]]] * times[i]
            di, dj = moved[first[i]] - eta[first[i]], moved[second[i]] - eta[second[i]]
            at_mode[weight[i]] += part * di * dj
            back[first[i]] += part * w[weight[i]] * dj
            back[second[i]] += part * w[weight[i]] * di
        reverse(code, out, a, b, c, aux, start, length, ptr, idx, there, bar)
        for i in range(x_places.size):
            gradient[i] += bar[x_places[i]]
        for i in range(eta.size):
            moving[i] -= back[i]
            back[i] += bar[eta_places[i]]
        ub[:] = 0.0
        for i in range(at.size):
            part = back[at[i]] * data[i]
            ub[element[i]] += part * w[source[i]]
            at_mode[source[i]] += part * u[element[i]]
        _draw_adjoint(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, normals[k], u, ub, Hb, T_own, s_own)
    adjoint(n, ts, rows, nbr, base, pstart, pwhere, kind, haspar, s, T, H, p, np.zeros(n), 0.0, Hb, Tb, sb)
    Tb += T_own
    sb += s_own
    fill_adjoint(
        w, s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value, sb, Tb, Hb, at_mode
    )
    reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, at_mode)
    for i in range(x_places.size):
        gradient[i] += at_mode[x_places[i]]
    for i in range(eta.size):
        moving[i] += at_mode[eta_places[i]]
