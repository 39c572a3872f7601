"""Kernels of the search for a mode and of the mode's share in the gradient; see `forms/mode`.

Pieces of predictors are listed flat: entry k adds data[k] * w[source[k]] * u[element[k]] to predictor at[k].
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elimination_kernels import substitute as _substitute
from dagmodels.numerics.linked import linked
from dagmodels.numerics.objective_kernels import (
    _FILL,
    _PATTERN,
    _TAPE,
    _WORK,
    fill_adjoint,
    reverse,
)
from dagmodels.numerics.right_sides import respond as _respond

substitute, respond = linked(_substitute), linked(_respond)

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


@kernel(
    f"void(f8[::1], f8[::1], {_TAPE}, {_FILL}, {_PATTERN}, {_WORK}, {_PIECES}, i8[::1], i8[::1], i8[::1],"
    " i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], f8[::1])"
)
def response(
    moving, w,
    code, out, a, b, c, aux, start, length, ptr, idx,
    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value,
    n, ts, rows, nbr, base, pstart, pwhere, kind, haspar,
    s, T, H, p,
    at, element, source, data, low, high, offspring, ancestor, child, parent, edge,
    x_places, gradient,
):  # fmt: skip
    """gradient = derivative of F_x in the size of loads `moving` on the predictors, at zero.

    low, high : rows of each entry that fills H. offspring, ancestor : of each entry that fills T.
    child, parent, edge : entries of T among elements, children first, with their number among those that
    fill T.  The elimination is that of the point, and stays.
    """
    u = np.zeros(n)
    u[n - 1] = 1.0
    substitute(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, np.zeros(n), u)
    bar = np.zeros(w.size)
    load = np.zeros(n)
    for k in range(at.size):
        part = moving[at[k]] * data[k]
        bar[source[k]] -= 2.0 * part * u[element[k]]
        load[element[k]] += part * w[source[k]]
    load[n - 1] = 0.0
    answer = np.empty((1, n))
    for i in range(n):
        answer[0, i] = -load[i]
    respond(n, ts, rows, nbr, base, kind, haspar, s, T, H, p, answer)
    d = answer[0]
    d[n - 1] = 0.0
    own = np.zeros(n)
    moved = load.copy()
    Hb, Tb = np.empty(low.size), np.empty(offspring.size)
    for k in range(low.size):
        i, j = low[k], high[k]
        h = h_value[k] * w[h_weight[k]] * w[h_left[k]] * w[h_right[k]]
        own[i] -= h * u[j]
        moved[i] -= h * d[j]
        if i != j:
            own[j] -= h * u[i]
            moved[j] -= h * d[i]
        Hb[k] = (1.0 if i == j else 2.0) * (u[i] * d[j] + d[i] * u[j])
    for k in range(child.size):
        t = t_value[edge[k]] * w[t_from[edge[k]]]
        own[parent[k]] += t * own[child[k]]
        moved[parent[k]] += t * moved[child[k]]
    for k in range(offspring.size):
        i, j = offspring[k], ancestor[k]
        Tb[k] = -2.0 * (moved[i] * u[j] + own[i] * d[j])
    sb = -2.0 * own * moved
    t_own, h_own = np.arange(Tb.size).astype(np.int32), np.arange(Hb.size).astype(np.int32)
    fill_adjoint(
        w, s_from, t_own, t_from, t_value, h_own, h_weight, h_left, h_right, h_value, sb, Tb, Hb, bar
    )
    reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
    for i in range(x_places.size):
        gradient[i] = bar[x_places[i]]
