"""Units whose log densities are sums of functions of one line: integrals by quadrature without the tape.

A unit of one element u has here the log density

    h(u) = c0 + c1 u + c2 u^2 / 2 + sum_k w_k f_k(a_k + b_k u),   f = exp, softplus or log Phi,

as random effects of counts, of binary data and of probits have (`numerics.curvature` proves it of a tape).
All numbers but u hang on the outer unknowns. The tape gives them: with every f taken out and u = 0 its values
are c0 and a, its slope in u is c1 and those in the outputs of the f are w; at a second u, values and slopes
give b and c2. Newton's steps, the nodes of the quadrature and draws then cost their f alone.

As in `unit_steps` the tape has several copies, but unit g of copy k has number g copies + k, so that what is
done to a unit is done to all points side by side. `arg` and `result` (summands, copies) are places of
arguments and values of the f, ordered by unit: those of unit g begin at `first[g]`. `function` is 0, 1 or 2.
"""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elementary import LEAST, REACH, exp_all, log_all, ordinary, softplus_and_expit
from dagmodels.numerics.linked import linked
from dagmodels.numerics.tape_kernels import expit, log_phi, phi_ratio, softplus
from dagmodels.numerics.unit_steps import (
    CLOSE,
    START,
    TAPE,
    UNITS,
    _inline,
    back,
    forward,
    reverse,
    run,
    slopes,
    summed,
    write,
    write_point,
)
from dagmodels.numerics.unit_values import NODES

SUMMANDS = "i8[:, ::1], i8[:, ::1], i8[::1], i8[::1]"
LINES = "f8[:, :, ::1], f8[:, :, ::1]"  # c0, c1, c2 (3, units, copies); a, b, w (3, summands, copies)
MOST, HALVED = 200, 60  # evaluations in the search of modes, and halvings of one step
HALF_LOG = 0.9189385332046727  # log(2 pi) / 2


@_inline
def evaluated(f, t, value, slope):
    """value, slope = f and f' at t."""
    if f == 0:
        if ordinary(t):
            exp_all(t, value)
        else:
            for k in range(t.size):
                value[k] = math.exp(t[k])
        slope[:] = value
    elif f == 1:
        if ordinary(t):
            softplus_and_expit(t, value, slope)
        else:
            for k in range(t.size):
                value[k], slope[k] = softplus(t[k]), expit(t[k])
    else:
        for k in range(t.size):
            value[k], slope[k] = log_phi(t[k]), phi_ratio(t[k])


@_inline
def unit_at(curve, line, function, first, g, x, t, value, slope, h, s):
    """h, s (places, copies) = log density of unit g and its slope at x; value, slope (the most summands of a
    unit, places, copies) = of its functions."""
    m, copies = x.shape
    c0, c1, c2 = curve[0, g], curve[1, g], curve[2, g]
    for k in range(m):
        for q in range(copies):
            s[k, q] = c1[q] + c2[q] * x[k, q]
            h[k, q] = c0[q] + 0.5 * x[k, q] * (c1[q] + s[k, q])
    for i in range(first[g], first[g + 1]):
        j, a, b, w = i - first[g], line[0, i], line[1, i], line[2, i]
        for k in range(m):
            for q in range(copies):
                t[k, q] = a[q] + b[q] * x[k, q]
        flat = m * copies
        evaluated(function[i], t.reshape(flat), value[j].reshape(flat), slope[j].reshape(flat))
        for k in range(m):
            for q in range(copies):
                h[k, q] += w[q] * value[j, k, q]
        for k in range(m):
            for q in range(copies):
                s[k, q] += w[q] * b[q] * slope[j, k, q]


@kernel(f"void({TAPE}, f8[::1], {UNITS}, {SUMMANDS}, {START}, {LINES}, f8[::1], b1[::1], f8[:, ::1])")
def open_lines(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry, owner, times,
    arg, result, function, first, base, begin, lean, spread, curve, line, rest, alive, away,
):  # fmt: skip
    """curve, line = coefficients of all units; rest = log densities of no unit by copy.

    The outer unknowns are in the workspace; away (outer, copies) = how far they are from `base`. Copies
    without finite numbers are not alive.
    """
    n, copies = curve.shape[1:]
    size = n * copies
    u, slope = np.zeros((size, 1)), np.empty((size, 1))
    flat = curve.reshape((3, size))
    write(w, place, u)
    for i in range(arg.shape[0]):
        for q in range(copies):
            w[result[i, q]] = 0.0
    forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
    summed(w, entry, owner, times, flat[0], rest)
    slopes(
        code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner, times,
        slope,
    )  # fmt: skip
    for g in range(size):
        flat[1, g], u[g, 0] = slope[g, 0], spread[g // copies, 0]
    for i in range(arg.shape[0]):
        for q in range(copies):
            line[0, i, q], line[2, i, q] = w[arg[i, q]], bar[result[i, q]]
    write(w, place, u)
    run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
    slopes(
        code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner, times,
        slope,
    )  # fmt: skip
    for q in range(copies):
        alive[q] = math.isfinite(rest[q])
        for j in range(base.size):
            away[j, q] = w[outer[q, j]] - base[j]
    for g in range(n):
        inverse = 1.0 / spread[g, 0]
        for q in range(copies):
            curve[2, g, q] = (slope[g * copies + q, 0] - curve[1, g, q]) * inverse
        for q in range(copies):
            alive[q] = alive[q] and math.isfinite(curve[0, g, q] + curve[1, g, q] + curve[2, g, q])
        for i in range(first[g], first[g + 1]):
            for q in range(copies):
                line[1, i, q] = (w[arg[i, q]] - line[0, i, q]) * inverse
            for q in range(copies):
                alive[q] = alive[q] and math.isfinite(line[0, i, q] + line[1, i, q] + line[2, i, q])


@_inline
def _bent(curve, line, function, first, g, t, slope, bend):
    """bend = second derivative of unit g where `unit_at` was asked for one place."""
    bend[:] = curve[2, g]
    for i in range(first[g], first[g + 1]):
        p, a, b, w = slope[i - first[g], 0], line[0, i], line[1, i], line[2, i]
        if function[i] == 0:
            for q in range(bend.size):
                bend[q] += w[q] * b[q] * b[q] * p[q]
        elif function[i] == 1:
            for q in range(bend.size):
                bend[q] += w[q] * b[q] * b[q] * p[q] * (1.0 - p[q])
        else:
            for q in range(bend.size):
                bend[q] -= w[q] * b[q] * b[q] * p[q] * (a[q] + b[q] * t[q] + p[q])


@kernel(
    f"void({LINES}, i8[::1], i8[::1], i8, f8[:, ::1], {START}, f8, f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1], "
    "f8[:, ::1], f8[::1], b1[::1])"
)
def settle_line(
    curve, line, function, first, g, away, base, begin, lean, spread, close, t, value, slope, u, L, alive
):
    """Modes u (1, copies) of unit g by Newton's steps, L the scale: one over the root of its curvature there.

    close : the decrement after which a last step is taken. A copy that has found its mode stays there
    whatever others need. t, value, slope : spare, for one place.
    """
    copies = alive.size
    h, s, bend = np.empty((1, copies)), np.empty((1, copies)), np.empty(copies)
    u[:] = begin[g, 0]
    for j in range(away.shape[0]):
        for q in range(copies):
            u[0, q] += lean[g, 0, j] * away[j, q]
    unit_at(curve, line, function, first, g, u, t, value, slope, h, s)
    _bent(curve, line, function, first, g, u[0], slope, bend)
    far = 0
    for q in range(copies):
        good = bend[q] < 0.0 and s[0, q] * s[0, q] < -close * bend[q] and h[0, q] > -np.inf
        far += 0 if good else 1
    if far == 0:
        for q in range(copies):
            L[q] = 1.0 / math.sqrt(-bend[q])
            u[0, q] -= s[0, q] / bend[q]
        return
    from_u, from_h, step = np.empty(copies), np.empty(copies), np.zeros(copies)
    state, halved = np.zeros(copies, np.int64), np.zeros(copies, np.int64)  # 0 to 2: at a start; 3; 4: there
    for q in range(copies):
        L[q] = spread[g, 0]
        if not alive[q]:
            state[q], u[0, q] = 4, begin[g, 0]
    for _ in range(MOST):
        open_ = 0
        for q in range(copies):
            if state[q] == 4:
                continue
            good = math.isfinite(h[0, q] + s[0, q]) and -np.inf < bend[q] < 0.0
            if state[q] == 3 and not (good and h[0, q] >= from_h[q] - 1e-10 * (1.0 + abs(from_h[q]))):
                step[q] *= 0.5
                halved[q] += 1
                if halved[q] > HALVED:
                    alive[q], state[q] = False, 4
                u[0, q] = from_u[q] + step[q]
            elif not good:
                state[q] += 1
                u[0, q] = begin[g, 0] if state[q] == 1 else 0.0
                if state[q] == 3:
                    alive[q], state[q] = False, 4
            else:
                L[q] = 1.0 / math.sqrt(-bend[q])
                step[q] = -s[0, q] / bend[q]
                from_u[q], from_h[q], halved[q] = u[0, q], h[0, q], 0
                u[0, q] += step[q]
                state[q] = 4 if step[q] * s[0, q] < close else 3
            open_ += 1 if state[q] < 4 else 0
        if open_ == 0:
            return
        unit_at(curve, line, function, first, g, u, t, value, slope, h, s)
        _bent(curve, line, function, first, g, u[0], slope, bend)
    for q in range(copies):
        alive[q] = alive[q] and state[q] == 4


opened, settled = linked(open_lines), linked(settle_line)


@_inline
def most(first):
    """The most summands of a unit, at least one."""
    found = 1
    for g in range(first.size - 1):
        found = max(found, first[g + 1] - first[g])
    return found


@_inline
def nodes_at(u, L, nodes, x):
    """x (nodes, copies) = u + L z."""
    for k in range(x.shape[0]):
        for q in range(x.shape[1]):
            x[k, q] = u[0, q] + L[q] * nodes[k, 0]


@_inline
def integrated(h, heights, L, spare, share, total, logs):
    """logs = log of the integral by copy; share (nodes, copies) = of each node, times `total`, their sum.

    heights : exp(log weight + z^2/2). Odd rules have a node at the mode, which others are compared with; what
    has no value there counts nothing. spare : (nodes, copies).
    """
    m, copies = h.shape
    middle = m // 2
    for k in range(m):
        for q in range(copies):
            v = h[k, q] - h[middle, q]
            v = v if v > -REACH else -REACH  # also what is no number
            spare[k, q] = min(v, REACH)
    exp_all(spare.reshape(m * copies), share.reshape(m * copies))  # in place it would go one by one
    total[:] = 0.0
    for k in range(m):
        for q in range(copies):
            share[k, q] *= heights[k]
            total[q] += share[k, q]
    for q in range(copies):
        spare[0, q] = max(total[q] * L[q], LEAST)
    log_all(spare[0], logs)
    for q in range(copies):
        logs[q] += h[middle, q] + HALF_LOG


@kernel(f"void({TAPE}, {UNITS}, {SUMMANDS}, {START}, f8[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1])")
def line_modes(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, function, first, base, begin, lean, spread, points, found, roots,
):  # fmt: skip
    """As `unit_steps.modes`."""
    copies, n, one = outer.shape[0], begin.shape[0], most(first)
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line = np.empty((3, n, copies)), np.empty((3, arg.shape[0], copies))
    u, L, away, t = (
        np.empty((1, copies)),
        np.empty(copies),
        np.empty((base.size, copies)),
        np.empty((1, copies)),
    )
    value, slope = np.empty((one, 1, copies)), np.empty((one, 1, copies))
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, function, first, base, begin, lean, spread, curve, line, rest, alive,
            away,
        )  # fmt: skip
        for g in range(n):
            settled(
                curve, line, function, first, g, away, base, begin, lean, spread, 1e-6, t, value, slope,
                u, L, alive,
            )  # fmt: skip
            for q in range(min(copies, points.shape[0] - i)):
                found[i + q, g, 0], roots[i + q, g, 0, 0] = u[0, q], L[q]
        for q in range(min(copies, points.shape[0] - i)):
            if not alive[q]:
                found[i + q] = np.nan


@kernel(f"void({TAPE}, {UNITS}, {SUMMANDS}, f8[::1], {START}, {NODES}, f8[:, ::1], f8[::1], b1, f8[:, ::1])")
def line_values(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, function, first, weight, base, begin, lean, spread, nodes, log_weights, points, found,
    sloped, gradient,
):  # fmt: skip
    """As `unit_values.values`, for odd rules.

    Gradients, by Fisher's identity means of the joint ones: those of the polynomials are means over two
    places with the nodes' mean and variance. On the tape each f has its mean for a value, and its argument
    is sent back at the two places what has the mean of f' and of u f'.
    """
    copies, n, m, one = outer.shape[0], begin.shape[0], log_weights.size, most(first)
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line = np.empty((3, n, copies)), np.empty((3, arg.shape[0], copies))
    u, L, away, t1 = (
        np.empty((1, copies)),
        np.empty(copies),
        np.empty((base.size, copies)),
        np.empty((1, copies)),
    )
    value1, slope1 = np.empty((one, 1, copies)), np.empty((one, 1, copies))
    x, t, h, s = np.empty((m, copies)), np.empty((m, copies)), np.empty((m, copies)), np.empty((m, copies))
    value, slope, share = np.empty((one, m, copies)), np.empty((one, m, copies)), np.empty((m, copies))
    total, logs, density = np.empty(copies), np.empty(copies), np.empty(copies)
    heights = np.exp(log_weights + 0.5 * nodes[:, 0] ** 2)
    ends, sent = np.empty((2, n * copies, 1)), np.empty(outer.shape)
    inject = np.empty((2, arg.shape[0], copies))
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, function, first, base, begin, lean, spread, curve, line, rest, alive,
            away,
        )  # fmt: skip
        density[:] = rest
        for g in range(n):
            settled(
                curve, line, function, first, g, away, base, begin, lean, spread, CLOSE, t1, value1, slope1,
                u, L, alive,
            )  # fmt: skip
            nodes_at(u, L, nodes, x)
            unit_at(curve, line, function, first, g, x, t, value, slope, h, s)
            integrated(h, heights, L, t, share, total, logs)
            for q in range(copies):
                density[q] += weight[g] * logs[q]
            for q in range(copies if sloped else 0):
                low, square, inverse = 0.0, 0.0, 1.0 / total[q]
                for k in range(m):
                    share[k, q] *= inverse
                    low += share[k, q] * nodes[k, 0]
                    square += share[k, q] * nodes[k, 0] ** 2
                mean, sd = u[0, q] + L[q] * low, math.sqrt(max(square - low * low, 1e-30))
                ends[0, g * copies + q, 0], ends[1, g * copies + q, 0] = mean - L[q] * sd, mean + L[q] * sd
                for e in range(first[g], first[g + 1]):
                    j, middle, even, odd = e - first[g], 0.0, 0.0, 0.0
                    for k in range(m):
                        part = share[k, q] * slope[j, k, q]
                        middle += share[k, q] * value[j, k, q]
                        even += part
                        odd += part * (nodes[k, 0] - low)
                    w[result[e, q]] = middle
                    scale = 0.5 * line[2, e, q] * weight[g]
                    inject[0, e, q], inject[1, e, q] = scale * (even - odd / sd), scale * (even + odd / sd)
        last = min(copies, points.shape[0] - i)
        for q in range(last):
            found[i + q] = density[q] if alive[q] and density[q] == density[q] else -np.inf
        if not sloped:
            continue
        bar[:] = 0.0
        sent[:] = 0.0
        for side in range(2):
            write(w, place, ends[side])
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            bar[still:] = 0.0
            for e in range(entry.size):
                if owner[e] >= 0:
                    bar[entry[e]] += 0.5 * times[e] * weight[owner[e] // copies]
                elif side == 0:
                    bar[entry[e]] += times[e]
            for e in range(arg.shape[0]):
                for q in range(copies):
                    bar[arg[e, q]] += inject[side, e, q]
            back(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w, bar)
            for q in range(copies if still == 0 else 0):  # of a tape that is not in two parts
                for j in range(outer.shape[1]):
                    sent[q, j] += bar[outer[q, j]]
        reverse(
            *(code[:fixed], out[:fixed], a[:fixed], b[:fixed], c[:fixed], aux[:fixed]),
            *(start, length, ptr, idx, w, bar),
        )
        for q in range(last):
            for j in range(outer.shape[1]):
                of_y = bar[outer[q, j]] if still > 0 else sent[q, j]
                gradient[i + q, j] = of_y if math.isfinite(found[i + q]) else np.nan
