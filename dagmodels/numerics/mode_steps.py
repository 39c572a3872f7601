"""Kernels of the search for a mode and of the mode's share in the gradient; see `forms/mode`.

Pieces of predictors are listed flat: entry k adds data[k] * w[source[k]] * u[element[k]] to predictor at[k].
"""

from __future__ import annotations

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elimination_kernels import substitute as _substitute
from dagmodels.numerics.linked import linked
from dagmodels.numerics.objective_kernels import (
    _PATTERN,
    _TAPE,
    _WORK,
    reverse,
)
from dagmodels.numerics.tail_kernels import SCALED

substitute = linked(_substitute)
_inline = numba.njit(error_model="numpy")

_ROWS = "i8, i8, i8[::1], i4[::1], i8, u1[::1], u1[::1]"
_LIST = "i8[::1], i8[::1], i8[::1]"
_PIECES = "i8[::1], i8[::1], i8[::1], f8[::1]"  # at, element, source, data


@kernel(
    f"void(f8[::1], {_PATTERN}, {_WORK}, f8[::1], {_PIECES}, i8[::1], i8[::1], i8[::1], f8[::1], i8[::1],"
    " i8[::1], i8[::1], i8[::1], f8[::1], f8[::1])"
)
def line(
    w,
    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
    s, T, H, p,
    eta, at, element, source, data, first, second, weight, times, loaded, load, offset, density,
    step, out,
):  # fmt: skip
    """From predictors eta to those at the conditional mean: step, and figures of the quadratic model.

    first, second, weight, times : pairs of predictors with the place of their weight, 2 off the diagonal.
    loaded, load : predictors with the places of their loads. offset : of what is known of each.
    out : sum of e' W e - 2 b e over the leaves (e the predictors at the end less what is known of them), its
        derivative along the step, the step's length in the metric of the weights, the log density as filled
        in, and the residual quadratic form.
    """
    u = np.zeros(n)
    u[n - 1] = 1.0
    substitute(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, np.zeros(n), u)
    end = np.zeros(eta.size)
    for k in range(at.size):
        end[at[k]] += data[k] * w[source[k]] * u[element[k]]
    for k in range(eta.size):
        step[k] = end[k] - eta[k]
        end[k] -= w[offset[k]]
    total, slope, length = 0.0, 0.0, 0.0
    for k in range(first.size):
        i, j, b = first[k], second[k], w[weight[k]]
        total += times[k] * b * end[i] * end[j]
        slope += times[k] * b * (end[i] * step[j] + step[i] * end[j])
        if i == j:
            length += abs(b) * step[i] * step[i]
    for k in range(loaded.size):
        i, b = loaded[k], w[load[k]]
        total -= 2.0 * b * end[i]
        slope -= 2.0 * b * step[i]
    told = 0.0
    for k in range(density.size):
        told += w[density[k]]
    out[0], out[1], out[2], out[3], out[4] = total, slope, np.sqrt(length), told, H[H.size - 1]


@_inline
def multipliers(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, u, d, eu, ed):
    """Back substitution for the means u and their answer d to loads, with the multipliers of their equations.

    u : zero but for the constant's one on entry. d : minus the loads on entry. A multiplier is minus the
    slope of the eliminated quadratic form in the element, which for scaled ones is (u - parents' share)/s.
    """
    nt = n - ts
    for i in range(n - 1):
        load = d[i]
        scaled = kind[i] == SCALED
        ed[i] = load
        if load == 0.0 or (scaled and s[i] == 0.0 and not haspar[i]):
            continue
        hs = -s[i] * load / p[i] if scaled else -load / p[i]
        tt = load / p[i] if scaled and haspar[i] else 0.0
        if i < ts:
            for x in range(rows[i], rows[i + 1]):
                d[nbr[x]] += hs * H[ts + x] + tt * T[ts + x]
        else:
            row = base + (i - ts) * (nt + 1)
            for b in range(n - 1 - i):
                d[i + 1 + b] += hs * H[row + 1 + b]
            if tt != 0.0:
                for b in range(n - 1 - i):
                    d[i + 1 + b] += tt * T[row + 1 + b]
    d[n - 1] = 0.0
    for i in range(n - 2, -1, -1):
        scaled = kind[i] == SCALED
        hu, mu, hd, md = 0.0, 0.0, ed[i], 0.0
        if i < ts:
            kappa = H[i]
            for x in range(rows[i], rows[i + 1]):
                h, t, j = H[ts + x], T[ts + x], nbr[x]
                hu += h * u[j]
                hd += h * d[j]
                mu += t * u[j]
                md += t * d[j]
        else:
            row = base + (i - ts) * (nt + 1)
            kappa = H[row]
            for b in range(n - 1 - i):
                h = H[row + 1 + b]
                hu += h * u[i + 1 + b]
                hd += h * d[i + 1 + b]
            if haspar[i]:
                for b in range(n - 1 - i):
                    t = T[row + 1 + b]
                    mu += t * u[i + 1 + b]
                    md += t * d[i + 1 + b]
        if scaled:
            u[i] = (mu - s[i] * hu) / p[i]
            d[i] = (md - s[i] * hd) / p[i]
            eu[i] = -(kappa * mu + hu) / p[i]
            ed[i] = -(kappa * md + hd) / p[i]
        else:
            u[i] = -hu / kappa
            d[i] = -hd / kappa
            eu[i] = 0.0
            ed[i] = 0.0


@kernel(
    f"void(f8[::1], f8[::1], {_TAPE}, i8[::1], i8[::1], {_ROWS}, {_WORK}, {_PIECES}, {_PIECES}, i8[::1],"
    f" {_LIST}, f8[::1], {_LIST}, i8[::1], i8[::1], f8[::1], i8[::1], f8[::1], f8[::1])"
)
def response(
    moving, w,
    code, out, a, b, c, aux, start, length, ptr, idx, clear_start, clear_length,
    n, ts, rows, nbr, base, kind, haspar,
    s, T, H, p,
    at, element, source, data, own_at, own_element, own_source, own_data, s_from,
    child, parent, t_source, t_value, low, high, weight, left, right, h_value,
    x_places, bar, gradient,
):  # fmt: skip
    """gradient = derivative of F_x in the size of loads `moving` on the predictors, at zero.

    The elimination is that of the point, and stays. With u the mean, d what the loads move it by, and e
    the multipliers of the elements' equations (of u and of d), the residual's derivatives are u u' in H,
    -2 e u' in T and -e e' in s; they change as products do.

    code, ..., aux : the operations that depend on x. clear_start, clear_length : their results.
    at, ... : pieces on elements. own_at, ... : pieces whose factor depends on x. low, ..., h_value : entries
    of H that do (rows, places of what multiplies them, number). child, ..., t_value : all entries of T.
    bar : workspace of the size of w.
    """
    u, d, eu, ed = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for k in range(at.size):
        d[element[k]] -= moving[at[k]] * data[k] * w[source[k]]
    d[n - 1] = 0.0
    u[n - 1] = 1.0
    multipliers(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, u, d, eu, ed)
    for k in range(clear_start.size):
        bar[clear_start[k] : clear_start[k] + clear_length[k]] = 0.0
    for k in range(own_at.size):
        bar[own_source[k]] -= 2.0 * moving[own_at[k]] * own_data[k] * u[own_element[k]]
    for i in range(n - 1):
        bar[s_from[i]] -= 2.0 * eu[i] * ed[i]
    for k in range(child.size):
        i, j = child[k], parent[k]
        bar[t_source[k]] -= 2.0 * t_value[k] * (ed[i] * u[j] + eu[i] * d[j])
    for k in range(low.size):
        i, j = low[k], high[k]
        bk = h_value[k] * (1.0 if i == j else 2.0) * (u[i] * d[j] + d[i] * u[j])
        wk, lk, rk = w[weight[k]], w[left[k]], w[right[k]]
        bar[weight[k]] += bk * lk * rk
        bar[left[k]] += bk * wk * rk
        bar[right[k]] += bk * wk * lk
    reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
    for i in range(x_places.size):
        gradient[i] = bar[x_places[i]]
