"""Units whose log densities are sums of functions of one line: integrals by quadrature without the tape.

A unit of one element u has here the log density

    h(u) = c0 + c1 u + c2 u^2 / 2 + sum_k w_k f_k(a_k + b_k u),   f = exp, softplus or log Phi,

as random effects of counts, of binary data and of probits have (`numerics.curvature` proves it of a tape).
All numbers but u hang on the outer unknowns. The tape gives them: with every f taken out and u = 0 its values
are c0 and a, its slope in u is c1 and those in the outputs of the f are w; at a second u, values and slopes
give b and c2. Newton's steps, the nodes of the quadrature and draws then cost their f alone.

As in `unit_steps` the tape has several copies. `arg` and `result` are places of arguments and values of the
f, `mine` their units among copies * n; kinds are contiguous, up to `ends`. `slot` has their numbers when
those of one copy are ordered by unit.
"""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.elementary import exp_all, ordinary, softplus_and_expit
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
from dagmodels.numerics.unit_values import NODES, shared

SUMMANDS = "i8[::1], i8[::1], i8[::1], i8[::1], i8[::1]"
LINES = "f8[:, ::1], f8[:, ::1]"  # c0, c1, c2 by unit; a, b, w by summand
MOST, HALVED = 200, 60  # evaluations in the search of modes, and halvings of one step
HALF_LOG = 0.9189385332046727  # log(2 pi) / 2


@_inline
def evaluated(t, ends, value, slope):
    """value, slope = f and f' at t."""
    e, s, p = ends
    if ordinary(t[:s]):
        exp_all(t[:e], value[:e])
        slope[:e] = value[:e]
        softplus_and_expit(t[e:s], value[e:s], slope[e:s])
    else:
        for k in range(e):
            value[k] = slope[k] = math.exp(t[k])
        for k in range(e, s):
            value[k], slope[k] = softplus(t[k]), expit(t[k])
    for k in range(s, p):
        value[k], slope[k] = log_phi(t[k]), phi_ratio(t[k])


@_inline
def bend(k, ends, t, slope):
    """f'' of the k-th."""
    if k < ends[0]:
        return slope
    if k < ends[1]:
        return slope * (1.0 - slope)
    return -slope * (t + slope)


@_inline
def sums(c, line, mine, ends, u, t, value, slope, h, g):
    """h, g = log densities and their slopes at u, by unit; t, value, slope = of the summands."""
    for k in range(t.size):
        t[k] = line[0, k] + line[1, k] * u[mine[k]]
    evaluated(t, ends, value, slope)
    for i in range(u.size):
        h[i] = c[0, i] + u[i] * (c[1, i] + 0.5 * c[2, i] * u[i])
        g[i] = c[1, i] + c[2, i] * u[i]
    for k in range(t.size):
        h[mine[k]] += line[2, k] * value[k]
        g[mine[k]] += line[2, k] * line[1, k] * slope[k]


@kernel(f"void({TAPE}, f8[::1], {UNITS}, {SUMMANDS}, {START}, {LINES}, f8[::1], b1[::1])")
def open_lines(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry, owner, times,
    arg, result, mine, slot, ends, base, begin, lean, spread, curve, line, rest, alive,
):  # fmt: skip
    """curve (3, units) = c0, c1, c2; line (3, summands) = a, b, w; rest = log densities of no unit by copy.
    The outer unknowns are in the workspace. Copies without finite numbers are not alive."""
    size, copies = place.shape[0], alive.size
    n = size // copies
    u, slope = np.zeros((size, 1)), np.empty((size, 1))
    write(w, place, u)
    w[result] = 0.0
    forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
    summed(w, entry, owner, times, curve[0], rest)
    slopes(
        code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner, times,
        slope,
    )  # fmt: skip
    curve[1] = slope[:, 0]
    for k in range(arg.size):
        line[0, k], line[2, k] = w[arg[k]], bar[result[k]]
    for g in range(size):
        u[g, 0] = spread[g % n, 0]
    write(w, place, u)
    run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
    slopes(
        code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, place, entry, owner, times,
        slope,
    )  # fmt: skip
    for k in range(copies):
        alive[k] = math.isfinite(rest[k])
    for g in range(size):
        curve[2, g] = (slope[g, 0] - curve[1, g]) / u[g, 0]
        alive[g // n] = alive[g // n] and math.isfinite(curve[0, g] + curve[1, g] + curve[2, g])
    for k in range(arg.size):
        g = mine[k]
        line[1, k] = (w[arg[k]] - line[0, k]) / u[g, 0]
        alive[g // n] = alive[g // n] and math.isfinite(line[0, k] + line[1, k] + line[2, k])


@kernel(f"void({LINES}, i8[::1], i8[::1], i8[:, ::1], f8[::1], {START}, f8, f8[::1], f8[::1], b1[::1])")
def settle_lines(curve, line, mine, ends, outer, w, base, begin, lean, spread, close, u, L, alive):
    """Modes u of all units by Newton's steps, L the scale of each: one over the root of its curvature there.

    close : the decrement after which a last step is taken. A unit that has found its mode stays there
    whatever others need.
    """
    size, copies = u.size, alive.size
    n = size // copies
    t, value, slope = np.empty(mine.size), np.empty(mine.size), np.empty(mine.size)
    h, g, bends = np.empty(size), np.empty(size), np.empty(size)
    from_u, from_h, step = np.empty(size), np.empty(size), np.zeros(size)
    state = np.zeros(size, np.int64)  # 0, 1, 2: at a start; 3: on the way; 4: there
    halved = np.zeros(size, np.int64)
    for i in range(size):
        u[i] = begin[i % n, 0]
        for j in range(base.size):
            u[i] += lean[i % n, 0, j] * (w[outer[i // n, j]] - base[j])
        L[i] = spread[i % n, 0]
        if not alive[i // n]:
            state[i] = 4
    for _ in range(MOST):
        sums(curve, line, mine, ends, u, t, value, slope, h, g)
        bends[:] = curve[2]
        for k in range(mine.size):
            bends[mine[k]] += line[2, k] * line[1, k] ** 2 * bend(k, ends, t[k], slope[k])
        open_ = 0
        for i in range(size):
            if state[i] == 4:
                continue
            good = math.isfinite(h[i] + g[i]) and -np.inf < bends[i] < 0.0
            if state[i] == 3 and not (good and h[i] >= from_h[i] - 1e-10 * (1.0 + abs(from_h[i]))):
                step[i] *= 0.5
                halved[i] += 1
                if halved[i] > HALVED:
                    alive[i // n], state[i] = False, 4
                u[i] = from_u[i] + step[i]
            elif not good:
                state[i] += 1
                u[i] = begin[i % n, 0] if state[i] == 1 else 0.0
                if state[i] == 3:
                    alive[i // n], state[i] = False, 4
            else:
                L[i] = 1.0 / math.sqrt(-bends[i])
                step[i] = -g[i] / bends[i]
                from_u[i], from_h[i], halved[i] = u[i], h[i], 0
                u[i] += step[i]
                state[i] = 4 if step[i] * g[i] < close else 3
            open_ += state[i] < 4
        if open_ == 0:
            return
    for i in range(size):
        if state[i] < 4:
            alive[i // n] = False


opened, settled = linked(open_lines), linked(settle_lines)


@kernel(f"void({TAPE}, {UNITS}, {SUMMANDS}, {START}, f8[:, ::1], f8[:, :, ::1], f8[:, :, :, ::1])")
def line_modes(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, mine, slot, ends, base, begin, lean, spread, points, found, roots,
):  # fmt: skip
    """As `unit_steps.modes`."""
    size, copies = place.shape[0], outer.shape[0]
    n = size // copies
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line, u, L = np.empty((3, size)), np.empty((3, arg.size)), np.empty(size), np.empty(size)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, mine, slot, ends, base, begin, lean, spread, curve, line, rest, alive,
        )  # fmt: skip
        settled(curve, line, mine, ends, outer, w, base, begin, lean, spread, 1e-6, u, L, alive)
        for g in range(n * min(copies, points.shape[0] - i)):
            found[i + g // n, g % n, 0] = u[g] if alive[g // n] else np.nan
            roots[i + g // n, g % n, 0, 0] = L[g]


@kernel(f"void({TAPE}, {UNITS}, {SUMMANDS}, f8[::1], {START}, {NODES}, f8[:, ::1], f8[::1], b1, f8[:, ::1])")
def line_values(
    code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, outer, place, entry, owner, times,
    arg, result, mine, slot, ends, weight, base, begin, lean, spread, nodes, log_weights, points, found,
    sloped, gradient,
):  # fmt: skip
    """As `unit_values.values`.

    Gradients, by Fisher's identity means of the joint ones: those of the polynomials are means over two
    places with the nodes' mean and variance. On the tape each f has its mean for a value, and its argument
    is sent back at the two places what has the mean of f' and of u f'.
    """
    size, copies, m = place.shape[0], outer.shape[0], log_weights.size
    n = size // copies
    bar, rest, alive = np.zeros(w.size), np.empty(copies), np.empty(copies, np.bool_)
    curve, line, u, L = np.empty((3, size)), np.empty((3, arg.size)), np.empty(size), np.empty(size)
    t, there, slope = np.empty(arg.size), np.empty(size), np.empty(size)
    h, share, total = np.empty(size), np.empty((size, m)), np.empty(copies)
    value, rate = np.empty((m, arg.size)), np.empty((m, arg.size))
    mean, sd, two, sent = np.empty(size), np.empty(size), np.empty((size, 1)), np.empty(outer.shape)
    for i in range(0, points.shape[0], copies):
        write_point(w, outer, points, i)
        opened(
            code, out, a, b, c, aux, start, length, ptr, idx, fixed, still, w, bar, outer, place, entry,
            owner, times, arg, result, mine, slot, ends, base, begin, lean, spread, curve, line, rest, alive,
        )  # fmt: skip
        settled(curve, line, mine, ends, outer, w, base, begin, lean, spread, CLOSE, u, L, alive)
        for k in range(m):
            for g in range(size):
                there[g] = u[g] + L[g] * nodes[k, 0]
            sums(curve, line, mine, ends, there, t, value[k], rate[k], h, slope)
            for g in range(size):
                share[g, k] = h[g] + log_weights[k] + 0.5 * nodes[k, 0] ** 2
        total[:] = rest
        for g in range(size):
            total[g // n] += weight[g % n] * (shared(share[g]) + math.log(L[g]) + HALF_LOG)
        last = min(copies, points.shape[0] - i)
        for k in range(last):
            found[i + k] = total[k] if alive[k] and total[k] == total[k] else -np.inf
        if not sloped:
            continue
        for g in range(size):
            low, square = 0.0, 0.0
            for k in range(m):
                low += share[g, k] * nodes[k, 0]
                square += share[g, k] * nodes[k, 0] ** 2
            mean[g], sd[g] = u[g] + L[g] * low, L[g] * math.sqrt(max(square - low * low, 1e-30))
        for q in range(arg.size):
            g, middle, even, odd = mine[q], 0.0, 0.0, 0.0
            for k in range(m):
                middle += share[g, k] * value[k, q]
                even += share[g, k] * rate[k, q]
                odd += share[g, k] * rate[k, q] * (u[g] + L[g] * nodes[k, 0] - mean[g])
            w[result[q]] = middle
            scale = 0.5 * line[2, q] * weight[g % n]
            value[0, q], rate[0, q] = scale * (even - odd / sd[g]), scale * (even + odd / sd[g])
        bar[:] = 0.0
        sent[:] = 0.0
        for side in range(2):
            for g in range(size):
                two[g, 0] = mean[g] + (2 * side - 1) * sd[g]
            write(w, place, two)
            run(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w)
            bar[still:] = 0.0
            for e in range(entry.size):
                if owner[e] >= 0:
                    bar[entry[e]] += 0.5 * times[e] * weight[owner[e] % n]
                elif side == 0:
                    bar[entry[e]] += times[e]
            for q in range(arg.size):
                bar[arg[q]] += rate[0, q] if side == 1 else value[0, q]
            back(code, out, a, b, c, aux, start, length, ptr, idx, fixed, w, bar)
            for q in range(copies if still == 0 else 0):  # of a tape that is not in two parts
                for j in range(outer.shape[1]):
                    sent[q, j] += bar[outer[q, j]]
        reverse(
            *(code[:fixed], out[:fixed], a[:fixed], b[:fixed], c[:fixed], aux[:fixed]),
            *(start, length, ptr, idx, w, bar),
        )
        for k in range(last):
            for j in range(outer.shape[1]):
                of_y = bar[outer[k, j]] if still > 0 else sent[k, j]
                gradient[i + k, j] = of_y if math.isfinite(found[i + k]) else np.nan
