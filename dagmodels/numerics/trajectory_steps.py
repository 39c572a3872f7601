"""Trajectories of the no-U-turn sampler, as everything that happens between two gradients.

`begin` draws a momentum and makes the first move; `advance` takes the log density and the gradient there,
grows the trajectory and makes the next move, or says that the trajectory is complete.  Whoever computes
gradients - the tape walker in `draws`, or Python - runs the same machine code and gets the same draws.

A trajectory doubles in a random direction until it turns back (Hoffman and Gelman 2014, J. Mach. Learn.
Res. 15:1593).  The draw is taken from all its points by their weight exp(-H), later doublings preferred;
it turns when the summed momentum rho has a negative product with the velocity at either end (Betancourt
2017, arXiv:1701.02434, appendix A.3 and A.4.2), also for every subtree and for either half of a tree with
the first point of the other (Stan since 2.21: without it, steps of half a period of a Gaussian go unseen).
A subtree under construction is a stack of finished ones, merged when two have the same depth, as a binary
counter carries.

Arrays, d the dimension and m the greatest depth:
v (15, d) : points of the trajectory, rows as named below;
t (m + 1, 7, d) : the stack of subtrees; u (m + 1, 3) : their log weight, log density and energy;
s (7) and k (7) : numbers as named below.
inverse, root : M^-1, the metric, as (1, d) diagonal or (d, d), and a lower root of it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import linked
from dagmodels.numerics.tape_kernels import forward, reverse

_inline = numba.njit(error_model="numpy")
forward, reverse = linked(forward), linked(reverse)

Y, P, G = 0, 1, 2  # rows of v: the moving point, its momentum and gradient
LEFT, RIGHT = 3, 6  # the two ends: three rows each, as above
SHARP_LEFT, SHARP_RIGHT = 9, 10  # velocities there
RHO, CHOSEN, CHOSEN_G, SHARP = 11, 12, 13, 14  # sum of momenta; the draw and its gradient; velocity now
ROWS = 15
FIRST_P, LAST_P, FIRST_SHARP, LAST_SHARP, SUM, PICK, PICK_G = range(7)  # rows of a subtree in t
LOG_DENSITY, START, WEIGHT, ACCEPT, STEP, CHOSEN_LOG, CHOSEN_H = range(7)  # in s
DEPTH, WAY, LEAF, TOP, GRADIENTS, DIVERGENT, MOST = range(7)  # in k
MU, ERROR, LOG_STEP, LOG_AVERAGE, COUNT, TARGET = range(6)  # of the dual averaging
STATISTICS = 6  # accept, depth, gradients, divergent, energy, log density
DIVERGENCE = 1000.0

_SCRATCH = "f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1], i8[::1]"
_METRIC = "f8[:, ::1], f8[:, ::1]"
_TAPE = ", ".join(["i8[::1]"] * 10)


@_inline
def _velocity(inverse, p, out):
    """out = M^-1 p."""
    d = p.size
    if inverse.shape[0] == 1:
        for i in range(d):
            out[i] = inverse[0, i] * p[i]
        return
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += inverse[i, j] * p[j]
        out[i] = total


@_inline
def _momentum(root, rng, p):
    """p ~ N(0, M), where M^-1 = root root'."""
    d = p.size
    for i in range(d):
        p[i] = rng.standard_normal()
    if root.shape[0] == 1:
        for i in range(d):
            p[i] /= root[0, i]
        return
    for i in range(d - 1, -1, -1):
        for j in range(i + 1, d):
            p[i] -= root[j, i] * p[j]
        p[i] /= root[i, i]


@_inline
def _dot(x, y):
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@_inline
def _copy(to, x):
    """to = x; a loop, because slices of two arrays compile ten times as long."""
    for i in range(x.size):
        to[i] = x[i]


@_inline
def _turned(first, last, rho, beside):
    """Whether the velocity at either end has no positive product with rho + beside."""
    a, b = 0.0, 0.0
    for i in range(rho.size):
        r = rho[i] + beside[i]
        a += first[i] * r
        b += last[i] * r
    return not (a > 0.0 and b > 0.0)


@_inline
def _log_add(a, b):
    top = max(a, b)
    return top if top == -np.inf else top + math.log(math.exp(a - top) + math.exp(b - top))


@_inline
def _move(v, s, k, inverse):
    """Half a step of the momentum and a step of the place, from the end that grows."""
    step = s[STEP] * k[WAY]
    for i in range(v.shape[1]):
        v[P, i] += 0.5 * step * v[G, i]
    _velocity(inverse, v[P], v[SHARP])
    for i in range(v.shape[1]):
        v[Y, i] += step * v[SHARP, i]


@_inline
def _set_out(v, s, k, inverse, rng):
    """Choose a direction, begin a subtree at that end, and move."""
    k[WAY] = 1 if rng.random() < 0.5 else -1
    end = RIGHT if k[WAY] == 1 else LEFT
    for r in range(3):
        _copy(v[r], v[end + r])
    k[LEAF] = 0
    k[TOP] = 0
    _move(v, s, k, inverse)


@_inline
def _merge(t, u, top, rng):
    """Make one subtree of the last two on the stack; whether it turns."""
    a, b = t[top - 2], t[top - 1]
    total = _log_add(u[top - 2, 0], u[top - 1, 0])
    if rng.random() < math.exp(u[top - 1, 0] - total):
        _copy(a[PICK], b[PICK])
        _copy(a[PICK_G], b[PICK_G])
        u[top - 2, 1] = u[top - 1, 1]
        u[top - 2, 2] = u[top - 1, 2]
    u[top - 2, 0] = total
    turned = (
        _turned(a[FIRST_SHARP], b[LAST_SHARP], a[SUM], b[SUM])
        or _turned(a[FIRST_SHARP], b[FIRST_SHARP], a[SUM], b[FIRST_P])
        or _turned(a[LAST_SHARP], b[LAST_SHARP], b[SUM], a[LAST_P])
    )
    _copy(a[LAST_P], b[LAST_P])
    _copy(a[LAST_SHARP], b[LAST_SHARP])
    for i in range(a.shape[1]):
        a[SUM, i] += b[SUM, i]
    return turned


@_inline
def _join(v, t, u, s, k, rng):
    """Add the finished subtree to the trajectory; whether the trajectory turns."""
    b = t[0]
    near, near_sharp, far_sharp = (
        (RIGHT, SHARP_RIGHT, SHARP_LEFT) if k[WAY] == 1 else (LEFT, SHARP_LEFT, SHARP_RIGHT)
    )
    if rng.random() < math.exp(min(0.0, u[0, 0] - s[WEIGHT])):
        _copy(v[CHOSEN], b[PICK])
        _copy(v[CHOSEN_G], b[PICK_G])
        s[CHOSEN_LOG] = u[0, 1]
        s[CHOSEN_H] = u[0, 2]
    s[WEIGHT] = _log_add(s[WEIGHT], u[0, 0])
    turned = (
        _turned(v[far_sharp], b[LAST_SHARP], v[RHO], b[SUM])
        or _turned(v[far_sharp], b[FIRST_SHARP], v[RHO], b[FIRST_P])
        or _turned(v[near_sharp], b[LAST_SHARP], b[SUM], v[near + P])
    )
    for r in range(3):
        _copy(v[near + r], v[r])
    _copy(v[near_sharp], b[LAST_SHARP])
    for i in range(v.shape[1]):
        v[RHO, i] += b[SUM, i]
    return turned


@kernel(f"void({_SCRATCH}, {_METRIC}, npy_rng)")
def begin(v, t, u, s, k, inverse, root, rng):
    """Begin a trajectory at the point chosen last, up to its first gradient."""
    _momentum(root, rng, v[P])
    _velocity(inverse, v[P], v[SHARP])
    _copy(v[Y], v[CHOSEN])
    _copy(v[G], v[CHOSEN_G])
    for r in range(3):
        _copy(v[LEFT + r], v[r])
        _copy(v[RIGHT + r], v[r])
    _copy(v[SHARP_LEFT], v[SHARP])
    _copy(v[SHARP_RIGHT], v[SHARP])
    _copy(v[RHO], v[P])
    s[START] = s[CHOSEN_H] = 0.5 * _dot(v[P], v[SHARP]) - s[CHOSEN_LOG]
    s[WEIGHT] = 0.0
    s[ACCEPT] = 0.0
    k[DEPTH] = k[GRADIENTS] = k[DIVERGENT] = 0
    _set_out(v, s, k, inverse, rng)


@kernel(f"b1({_SCRATCH}, {_METRIC}, npy_rng)")
def advance(v, t, u, s, k, inverse, root, rng):
    """Take the log density s[LOG_DENSITY] and gradient v[G] at v[Y]; whether another gradient is needed.

    A log density that is not a number counts as minus infinity, and so does plus infinity.
    """
    half = 0.5 * s[STEP] * k[WAY]
    for i in range(v.shape[1]):
        v[P, i] += half * v[G, i]
    _velocity(inverse, v[P], v[SHARP])
    energy = 0.5 * _dot(v[P], v[SHARP]) - s[LOG_DENSITY]
    loss = energy - s[START]
    if not abs(energy) < np.inf:
        loss = np.inf
    k[GRADIENTS] += 1
    s[ACCEPT] += math.exp(min(0.0, -loss))
    if loss > DIVERGENCE:
        k[DIVERGENT] = 1
        return False
    top = k[TOP]
    leaf = t[top]
    for row in (FIRST_P, LAST_P, SUM):
        _copy(leaf[row], v[P])
    _copy(leaf[FIRST_SHARP], v[SHARP])
    _copy(leaf[LAST_SHARP], v[SHARP])
    _copy(leaf[PICK], v[Y])
    _copy(leaf[PICK_G], v[G])
    u[top, 0] = -loss
    u[top, 1] = s[LOG_DENSITY]
    u[top, 2] = energy
    top += 1
    carry = k[LEAF]
    while carry & 1:
        if _merge(t, u, top, rng):
            return False
        top -= 1
        carry >>= 1
    k[TOP] = top
    k[LEAF] += 1
    if k[LEAF] == 1 << k[DEPTH]:
        k[DEPTH] += 1
        if _join(v, t, u, s, k, rng) or k[DEPTH] == k[MOST]:
            return False
        _set_out(v, s, k, inverse, rng)
    else:
        _move(v, s, k, inverse)
    return True


@kernel("void(f8[::1], f8)")
def learn(dual, accept):
    """One step of dual averaging on the log of the step (Hoffman and Gelman 2014, algorithm 6)."""
    dual[COUNT] += 1.0
    m = dual[COUNT]
    eta = 1.0 / (m + 10.0)
    dual[ERROR] = (1.0 - eta) * dual[ERROR] + eta * (dual[TARGET] - accept)
    dual[LOG_STEP] = dual[MU] - dual[ERROR] * math.sqrt(m) / 0.05
    weight = m**-0.75
    dual[LOG_AVERAGE] = weight * dual[LOG_STEP] + (1.0 - weight) * dual[LOG_AVERAGE]


@kernel(f"void({_SCRATCH}, f8[::1], f8[::1], f8[::1])")
def note(v, t, u, s, k, dual, draw, row):
    """Write the draw and its statistics, and learn the step where a target is stated."""
    accept = s[ACCEPT] / k[GRADIENTS]
    _copy(draw, v[CHOSEN])
    row[0] = accept
    row[1] = k[DEPTH]
    row[2] = k[GRADIENTS]
    row[3] = k[DIVERGENT]
    row[4] = s[CHOSEN_H]
    row[5] = s[CHOSEN_LOG]
    if dual[TARGET] > 0.0:
        learn(dual, accept)
        s[STEP] = math.exp(dual[LOG_STEP])


@kernel(
    f"void({_TAPE}, f8[::1], f8[::1], i8[::1], i8, {_SCRATCH}, {_METRIC}, npy_rng, f8[::1],"
    " f8[:, ::1], f8[:, ::1])"
)
def draws(
    code, out, a, b, c, aux, start, length, ptr, idx, w, bar, places, total,
    v, t, u, s, k, inverse, root, rng, dual, kept, rows,
):  # fmt: skip
    """As many draws as `kept` has rows, of the density at w[total] with its arguments at w[places]."""
    for n in range(kept.shape[0]):
        begin(v, t, u, s, k, inverse, root, rng)
        going = True
        while going:
            for i in range(places.size):
                w[places[i]] = v[Y, i]
            forward(code, out, a, b, c, aux, start, length, ptr, idx, w)
            for i in range(bar.size):
                bar[i] = 0.0
            bar[total] = 1.0
            reverse(code, out, a, b, c, aux, start, length, ptr, idx, w, bar)
            s[LOG_DENSITY] = w[total]
            for i in range(places.size):
                v[G, i] = bar[places[i]]
            going = advance(v, t, u, s, k, inverse, root, rng)
        note(v, t, u, s, k, dual, kept[n], rows[n])
