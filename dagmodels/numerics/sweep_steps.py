"""Sweeps of a Gibbs sampler: one loop that walks a schedule of updates over a tape's workspace.

An update runs its stretch of operations, reads its parameters, draws, and writes the draws into the state.
The stretch has two parts: `FIRST` to `INSIDE` is run once, `INSIDE` to `LAST` at every trial value.

table (updates, COLUMNS) : one row an update, columns as `sweep_codes` names them.
slots : places of the state in the workspace, those of an update from `SLOTS` on.
numbers : what drawing codes learn or need, from `NUMBERS` on; see each.
Updates that are marked `SELDOM` are done in one sweep of a period alone.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics import (
    backward_steps,
    cut_laws,
    elimination_kernels,
    mixture_steps,
    program_steps,
    random_laws,
)
from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.linked import linked
from dagmodels.numerics.mixture_steps import FREE, KNOWN
from dagmodels.numerics.program_steps import TAPE, step
from dagmodels.numerics.sweep_codes import (
    COUNT,
    DRAW,
    EXTRA,
    FIRST,
    INSIDE,
    LAST,
    NUMBERS,
    PARAMETERS,
    PATTERN,
    SELDOM,
    SLOTS,
)

_inline = numba.njit(error_model="numpy")
steps_until = linked(program_steps.steps_until)
cut_normal, log_gamma_draw = linked(random_laws.cut_normal), linked(random_laws.log_gamma_draw)
inverse_gaussian = linked(random_laws.inverse_gaussian)
polya_gamma, wishart = linked(random_laws.polya_gamma), linked(random_laws.wishart)
cut_gamma, cut_beta = linked(cut_laws.cut_gamma), linked(cut_laws.cut_beta)
draw_chains, draw_units = linked(backward_steps.draw_chains), linked(backward_steps.draw_units)
draw_curves, log_ratio = linked(mixture_steps.draw_curves), linked(mixture_steps.log_ratio)
eliminate, substitute = linked(elimination_kernels.eliminate), linked(elimination_kernels.substitute)

# `numbers` of a slice: widths, moves, lower and upper ends, each as many as draws; of a cut gamma its power
STEPS = 32  # widths that an interval may grow to
SHRINKS = 200  # by then an interval has no length left
SPREAD = 2.5  # width for a mean move of one: for a normal law about three standard deviations
_TAPE = f"u8[:, ::1], {TAPE}"
_ONE = np.uint64(1)


@_inline
def beta_draw(rng, a, b):
    """x/(x + y) of two gamma draws; in logarithms where shapes are small."""
    if a >= 1.0 and b >= 1.0:
        x = rng.standard_gamma(a)
        return x / (x + rng.standard_gamma(b))
    d = log_gamma_draw(rng, b) - log_gamma_draw(rng, a)
    return 1.0 / (1.0 + math.exp(d))


@_inline
def _dirichlet(rng, w, place, step, other, choices, n, size, at, found):
    """Vectors of probabilities: concentrations at `place`, and how often each entry was chosen.

    choices : places in the class, from `other` on; none where negative or not a number.
    """
    for i in range(n * size):
        found[i] = w[place + i * step]
    for i in range(choices):
        k = w[other + i]
        if k >= 0.0:
            found[int(k)] += 1.0
    for g in range(n):
        top = -np.inf
        for i in range(g * size, (g + 1) * size):
            found[i] = log_gamma_draw(rng, found[i])
            top = max(top, found[i])
        total = 0.0
        for i in range(g * size, (g + 1) * size):
            found[i] = math.exp(found[i] - top)
            total += found[i]
        for i in range(g * size, (g + 1) * size):
            w[at[i]] = found[i] / total


@_inline
def _evaluate(steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, scratch, x, found):
    """Densities of all draws of an update at the values in row x of the scratch matrix, into row `found`;
    what is not a number counts as minus infinity.
    """
    o, p, d = row[SLOTS], row[PARAMETERS], row[PARAMETERS + 1]
    for i in range(n):
        w[slots[o + i]] = scratch[x, i]
    last = np.uint64(row[LAST])
    at = steps_until(steps, np.uint64(row[INSIDE]), last, idx, w)
    while at < last:
        step(steps, at, code, out, a, b, c, aux, start, length, ptr, idx, w)
        at = steps_until(steps, at + _ONE, last, idx, w)
    for i in range(n):
        v = w[p + i * d]
        scratch[found, i] = v if v == v else -np.inf


@kernel(f"void({_TAPE}, f8[::1], i8[::1], i8[::1], f8[:, ::1], npy_rng)")
def enumerate_levels(steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, scratch, rng):
    """Levels 0, 1, ... drawn with their full conditional probabilities, all units at once.

    By the largest of log density plus a Gumbel number, so that one pass over the levels is enough.
    """
    n, o = row[COUNT], row[SLOTS]
    for i in range(n):
        scratch[2, i] = -np.inf
        scratch[3, i] = w[slots[o + i]]
    for k in range(row[EXTRA]):
        for i in range(n):
            scratch[0, i] = float(k)
        _evaluate(
            steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, scratch, 0, 1
        )  # fmt: skip
        for i in range(n):
            if scratch[1, i] > -np.inf:
                v = scratch[1, i] - math.log(rng.standard_exponential())
                if v > scratch[2, i]:
                    scratch[2, i] = v
                    scratch[3, i] = float(k)
    for i in range(n):
        w[slots[o + i]] = scratch[3, i]


_PATTERNS = "i8[:, ::1], i8[::1], i4[::1], i4[::1], u1[::1]"


@_inline
def _eliminated(w, place, block, long, short_, wide, kinds, s, T, H, p):
    """The log determinant of a block's Q, eliminated; see `joint_normal`. p : of ones."""
    n, ts, base, count, rows = block[0], block[1], block[2], block[4], block[5]
    for i in range(count):
        H[long[i]] += w[place + i]
    ptr, pstart = long[count : count + rows], long[count + rows :]
    return eliminate(n, ts, ptr, short_, base, pstart, wide, kinds[:n], kinds[n:], s, T, H, p)


@kernel("f8(f8[::1], i8, i8[::1], i8[::1], i4[::1], i4[::1], u1[::1])")
def integral(w, place, block, long, short_, wide, kinds):
    """log of the integral of exp(-u'Qu/2 - L'u), but for log(2 pi)/2 of each element.

    place : of the numbers, as `joint_normal` has them. Minus infinity where Q is not positive definite.
    """
    n, size = block[0], block[3]
    s, T, H, p = np.zeros(n), np.zeros(size), np.zeros(size), np.ones(n)
    logdet = _eliminated(w, place, block, long, short_, wide, kinds, s, T, H, p)
    found = -0.5 * (logdet + H[size - 1])  # what is left of the constant's square: -L'inv(Q)L
    return found if found == found else -np.inf


integral_linked = linked(integral)


@_inline
def _density(
    steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, s, x,
    patterns, pattern_long, pattern_short, pattern_wide, pattern_kinds,
):  # fmt: skip
    """As `_evaluate` into the row of densities; of a marginal slice with its block integrated out."""
    _evaluate(steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, s, x, DENSITY)
    if row[DRAW] == 20:
        v = patterns[row[PATTERN]]
        long, near = pattern_long[v[6] : v[7]], pattern_short[v[8] : v[9]]
        wide, kinds = pattern_wide[v[10] : v[11]], pattern_kinds[v[12] : v[13]]
        s[DENSITY, 0] += integral_linked(w, row[PARAMETERS + 2], v, long, near, wide, kinds)


X, ORIGIN, TRIED, DENSITY, LEFT, RIGHT, HEIGHT, DOWN, UP, BUSY, TRIAL = range(11)  # rows of a slice's scratch


@kernel(f"void({_TAPE}, f8[::1], i8[::1], i8[::1], f8[::1], f8[:, ::1], npy_rng, i8, {_PATTERNS})")
def slices(
    steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, numbers, scratch, rng, learning,
    patterns, pattern_long, pattern_short, pattern_wide, pattern_kinds,
):  # fmt: skip
    """Slice updates of independent numbers, all at once, by stepping out and shrinking (Neal 2003, Ann.
    Stat. 31:705, figures 3 and 5).

    An integer k stands for the interval [k, k + 1): a uniform number is added, the sum is updated as a real
    number and rounded down, which leaves the law of k as it is.
    learning : 0, or the number of the update in warm-up, from which widths are learned: SPREAD times the mean
    move, later moves counting more; until an element has moved its width doubles.
    A marginal slice has one element; patterns and the rest are as `sweeps` takes them.
    The number of evaluations is written to the place `EXTRA`.
    """
    n, o, whole = row[COUNT], row[SLOTS], row[DRAW] == 8
    f, s = row[NUMBERS], scratch
    lower, upper = f + 2 * n, f + 3 * n
    more = 1.0 if whole else 0.0
    for i in range(n):
        s[X, i] = w[slots[o + i]]
    _density(
        steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, s, X,
        patterns, pattern_long, pattern_short, pattern_wide, pattern_kinds,
    )  # fmt: skip
    evaluations = 1.0
    for i in range(n):
        s[ORIGIN, i] = s[X, i] + rng.random() if whole else s[X, i]
        s[HEIGHT, i] = s[DENSITY, i] - rng.standard_exponential()
        width = numbers[f + i]
        left = s[ORIGIN, i] - width * rng.random()
        # the steps are shared between the sides at random, or the limit would favour some values
        s[DOWN, i] = math.floor(STEPS * rng.random())
        s[UP, i] = STEPS - 1.0 - s[DOWN, i]
        s[LEFT, i] = max(left, numbers[lower + i])
        s[RIGHT, i] = min(left + width, numbers[upper + i] + more)
    for side in range(2):
        end, rest = (LEFT, DOWN) if side == 0 else (RIGHT, UP)
        for i in range(n):
            open_ = s[LEFT, i] > numbers[lower + i] if side == 0 else s[RIGHT, i] < numbers[upper + i] + more
            s[BUSY, i] = 1.0 if open_ and s[rest, i] > 0.0 else 0.0
        while True:
            count = 0
            for i in range(n):
                trial = s[ORIGIN, i]
                if s[BUSY, i] > 0.0:
                    trial = s[end, i]
                    count += 1
                s[TRIED, i] = math.floor(trial) if whole else trial
            if count == 0:
                break
            _density(
                steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, s, TRIED,
                patterns, pattern_long, pattern_short, pattern_wide, pattern_kinds,
            )  # fmt: skip
            evaluations += 1.0
            for i in range(n):
                if s[BUSY, i] == 0.0:
                    continue
                if not s[DENSITY, i] > s[HEIGHT, i]:
                    s[BUSY, i] = 0.0
                    continue
                s[rest, i] -= 1.0
                if side == 0:
                    s[LEFT, i] = max(s[LEFT, i] - numbers[f + i], numbers[lower + i])
                    open_ = s[LEFT, i] > numbers[lower + i]
                else:
                    s[RIGHT, i] = min(s[RIGHT, i] + numbers[f + i], numbers[upper + i] + more)
                    open_ = s[RIGHT, i] < numbers[upper + i] + more
                s[BUSY, i] = 1.0 if open_ and s[rest, i] > 0.0 else 0.0
    for i in range(n):
        s[BUSY, i] = 1.0
        s[TRIED, i] = s[X, i]
    for _ in range(SHRINKS):
        count = 0
        for i in range(n):
            if s[BUSY, i] > 0.0:
                s[TRIAL, i] = s[LEFT, i] + (s[RIGHT, i] - s[LEFT, i]) * rng.random()
                s[TRIED, i] = math.floor(s[TRIAL, i]) if whole else s[TRIAL, i]
                count += 1
        if count == 0:
            break
        _density(
            steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, n, s, TRIED,
            patterns, pattern_long, pattern_short, pattern_wide, pattern_kinds,
        )  # fmt: skip
        evaluations += 1.0
        for i in range(n):
            if s[BUSY, i] == 0.0:
                continue
            if s[DENSITY, i] > s[HEIGHT, i]:
                s[BUSY, i] = 0.0
            elif s[TRIAL, i] < s[ORIGIN, i]:
                s[LEFT, i] = s[TRIAL, i]
            else:
                s[RIGHT, i] = s[TRIAL, i]
    for i in range(n):
        new = s[X, i] if s[BUSY, i] > 0.0 else s[TRIED, i]  # what is still open has shrunk to x itself
        w[slots[o + i]] = new
        if learning > 0:
            moves = f + n + i
            numbers[moves] += learning * abs(new - s[X, i])
            share = 0.5 * learning * (learning + 1.0)
            width = SPREAD * numbers[moves] / share if numbers[moves] > 0.0 else 2.0 * numbers[f + i]
            numbers[f + i] = max(width, 1.0) if whole else width
    w[row[EXTRA]] = evaluations


@kernel("void(f8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i4[::1], i4[::1], u1[::1], npy_rng)")
def joint_normal(w, row, at, block, long, short_, wide, kinds, rng):
    """A joint draw of a block from its full conditional, with log density -u'Qu/2 - L'u: Q and L are the
    numbers at the first parameter's place, which go to the places of `long` in the quadratic form (the last
    column is L's); then an elimination and a back substitution (see `elimination`), all elements free. Where
    EXTRA is one, L is the gradient at the present u, and u moves by what is drawn.

    block : n, ts, base, and how long the parts of `long` (places, rows, pstart) are. short_, wide :
    neighbours and targets. kinds : of the rows, then whether they have parents.
    """
    n, ts, base, size = block[0], block[1], block[2], block[3]
    s, T, H, p = np.zeros(n), np.zeros(size), np.zeros(size), np.ones(n)
    _eliminated(w, row[PARAMETERS], block, long, short_, wide, kinds, s, T, H, p)
    z, u = np.zeros(n), np.zeros(n)
    u[n - 1] = 1.0
    for i in range(n - 1):
        z[i] = rng.standard_normal()
    ptr = long[block[4] : block[4] + block[5]]
    substitute(n, ts, ptr, short_, base, kinds[:n], kinds[n:], s, T, H, p, z, u)
    for i in range(n - 1):
        w[at[i]] = w[at[i]] + u[i] if row[EXTRA] == 1 else u[i]


joint_linked = linked(joint_normal)
enumerate_linked, slices_linked = linked(enumerate_levels), linked(slices)


@kernel(
    f"void({_TAPE}, f8[::1], i8[:, ::1], i8[::1], f8[::1], f8[:, ::1], npy_rng, i8, i8, i8, i8[:, ::1],"
    " i8[::1], i4[::1], i4[::1], u1[::1], f8[:, ::1])"
)
def sweeps(
    steps, code, out, a, b, c, aux, start, length, ptr, idx, w, table, slots, numbers, scratch, rng, learning,
    period, phase, blocks, block_long, block_short, block_wide, block_kinds, kept,
):  # fmt: skip
    """As many sweeps as `kept` has rows, the state after each in its row.

    learning : 0, or the number of the first of these sweeps in warm-up, counted from 1.
    period, phase : updates that are marked so are done in the last sweep of each so many; where in them the
    first of these sweeps is.
    blocks : a row for each joint block: what `joint_normal` calls `block`, and where its parts begin and
    end in the arrays after it.
    """
    for sweep in range(kept.shape[0]):
        for u in range(table.shape[0]):
            row = table[u]
            if row[SELDOM] > 0 and (phase + sweep + 1) % period > 0:
                continue
            draw, n = row[DRAW], row[COUNT]
            s, e = np.uint64(row[FIRST]), np.uint64(row[INSIDE])
            if e > s:
                s = steps_until(steps, s, e, idx, w)
                while s < e:
                    step(steps, s, code, out, a, b, c, aux, start, length, ptr, idx, w)
                    s = steps_until(steps, s + _ONE, e, idx, w)
            o = row[SLOTS]
            p, dp = row[PARAMETERS], row[PARAMETERS + 1]
            q, dq = row[PARAMETERS + 2], row[PARAMETERS + 3]
            if draw == 0:
                if dq == 0:
                    variance = 1.0 / w[q]
                    sd = math.sqrt(variance)
                    for i in range(n):
                        w[slots[o + i]] = sd * rng.standard_normal() - w[p + i * dp] * variance
                else:
                    for i in range(n):
                        precision = w[q + i]
                        z = rng.standard_normal() / math.sqrt(precision)
                        w[slots[o + i]] = z - w[p + i * dp] / precision
            elif draw == 1:
                low, dl = row[PARAMETERS + 4], row[PARAMETERS + 5]
                high, dh = row[PARAMETERS + 6], row[PARAMETERS + 7]
                for i in range(n):
                    precision = w[q + i * dq]
                    root = math.sqrt(precision)
                    mean = -w[p + i * dp] / precision
                    below, above = w[low + i * dl], w[high + i * dh]
                    z = cut_normal(rng, (below - mean) * root, (above - mean) * root)
                    w[slots[o + i]] = min(max(mean + z / root, below), above)
            elif draw == 21 or draw == 22:
                low, dl = row[PARAMETERS + 4], row[PARAMETERS + 5]
                high, dh = row[PARAMETERS + 6], row[PARAMETERS + 7]
                for i in range(n):
                    x, y, below, above = w[p + i * dp], w[q + i * dq], w[low + i * dl], w[high + i * dh]
                    if draw == 21:
                        w[slots[o + i]] = cut_gamma(rng, x, y, numbers[row[NUMBERS]], below, above)
                    else:
                        w[slots[o + i]] = cut_beta(rng, x, y, below, above)
            elif draw == 2:
                for i in range(n):
                    w[slots[o + i]] = math.exp(log_gamma_draw(rng, w[p + i * dp])) / w[q + i * dq]
            elif draw == 3:
                for i in range(n):
                    w[slots[o + i]] = w[q + i * dq] * math.exp(-log_gamma_draw(rng, w[p + i * dp]))
            elif draw == 4:
                for i in range(n):
                    w[slots[o + i]] = beta_draw(rng, w[p + i * dp], w[q + i * dq])
            elif draw == 5:
                size = row[EXTRA]
                at = slots[o : o + n * size]
                _dirichlet(rng, w, p, dp, q, dq, n, size, at, scratch[0])
            elif draw == 6:
                enumerate_linked(
                    steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, scratch, rng
                )  # fmt: skip
            elif draw == 7 or draw == 8 or draw == 20:
                number = learning + sweep if learning > 0 else 0
                if draw == 20 and 0 < number <= FREE:
                    continue
                slices_linked(
                    steps, code, out, a, b, c, aux, start, length, ptr, idx, w, row, slots, numbers, scratch,
                    rng, number, blocks, block_long, block_short, block_wide, block_kinds,
                )  # fmt: skip
            elif draw == 9:
                for i in range(n):
                    w[slots[o + i]] = polya_gamma(rng, w[q + i * dq], w[p + i * dp])
            elif draw == 23:
                for i in range(n):
                    w[slots[o + i]] = inverse_gaussian(rng, abs(w[p + i * dp]))
            elif draw == 10:
                high, dh = row[PARAMETERS + 4], row[PARAMETERS + 5]
                for i in range(n):
                    mean = w[p + i * dp]
                    w[slots[o + i]] = mean + cut_normal(rng, w[q + i * dq] - mean, w[high + i * dh] - mean)
            elif draw == 11 or draw == 12:
                size = row[EXTRA] * row[EXTRA]
                for i in range(n):
                    rate = w[q + i * dq * size : q + i * dq * size + size]
                    wishart(rng, w[p + i * dp], rate, row[EXTRA], draw == 12, scratch[0, :size])
                    for k in range(size):
                        w[slots[o + i * size + k]] = scratch[0, k]
            elif draw == 13:
                v = blocks[row[PATTERN]]
                at = slots[o : o + v[0] - 1]
                long, near = block_long[v[6] : v[7]], block_short[v[8] : v[9]]
                wide, kinds = block_wide[v[10] : v[11]], block_kinds[v[12] : v[13]]
                joint_linked(w, row, at, v, long, near, wide, kinds, rng)
            elif draw == 14:
                for i in range(n):
                    w[slots[o + i]] = w[p + i * dp]
            elif draw == 15:
                f, k = row[NUMBERS], row[EXTRA]
                at, own = slots[o : o + 2 * n + 1], numbers[f : f + k + KNOWN + 2 * n]
                number = learning + sweep if learning > 0 else 0
                taken = w[row[PARAMETERS + 4]]
                w[at[2 * n]] = draw_curves(rng, w, at, own, k, n, p, dp, q, dq, number, taken)
            elif draw == 16:
                f, k = row[NUMBERS], row[EXTRA]
                w[slots[o]] = log_ratio(w, numbers[f : f + k + KNOWN + 2 * n], k, n, p, dp, q, dq)
            elif draw == 17:  # parameters: the log ratio now and before, and the values before
                before = row[PARAMETERS + 4]
                free = learning > 0 and learning + sweep <= FREE
                taken = w[p] > -np.inf if free else -rng.standard_exponential() <= w[p] - w[q]
                w[row[EXTRA]] = 1.0 if taken else 0.0
                if not taken:
                    for i in range(n):
                        w[slots[o + i]] = w[before + i]
            elif draw == 18:
                draw_chains(w, row, slots[o : o + n], numbers[row[NUMBERS] :], rng)
            elif draw == 19:
                draw_units(w, row, slots[o : o + n], numbers[row[NUMBERS] :], rng)
        for i in range(kept.shape[1]):
            kept[sweep, i] = w[i]
