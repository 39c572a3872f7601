"""Mixtures of normal curves that stand for log gamma densities, as of Poisson counts: a curve drawn for each
count, and by how much mixture and likelihood differ.

The table has log weight, mean and log sd of each curve (nodes, CURVES, 3); see `conditionals.log_gamma`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.sweep_codes import CURVES, EXACT, RATIO, TO_HALF

KNOWN = 5  # numbers of `_choose` and `_learn`
HIGH = 30.0  # that early states may be anywhere is forgotten, infinity would not be
FAR, LEAST = -300.0, 1e-9  # left of it log likelihoods are y eta; precision of a curve that is such a line
RAREST, MOST = 0.02, 0.8  # sweeps with one curve a row, of all
FREE = 50  # first sweeps of warm-up, in which all is accepted, so that no chain stays where it was put
FORGET = (50, 150, 350, 750)  # sweeps of warm-up after which what was learned before counts for little
STEP, LITTLE = 3.0, 1e-6  # by which a place moves at most in the first sweeps; weight of what is forgotten

_inline = numba.njit(error_model="numpy")


@_inline
def _standard(y):
    """psi(y) and sqrt(psi'(y)) of y > 0, by their series beyond ten; of zero, 0 and 1."""
    if y == 0.0:
        return 0.0, 1.0
    first, second = 0.0, 0.0
    while y < 10.0:
        first -= 1.0 / y
        second += 1.0 / (y * y)
        y += 1.0
    v = 1.0 / (y * y)
    first += math.log(y) - 0.5 / y - v * (1.0 / 12.0 - v * (1.0 / 120.0 - v * (1.0 / 252.0 - v / 240.0)))
    second += 1.0 / y + 0.5 * v + v / y * (1.0 / 6.0 - v * (1.0 / 30.0 - v * (1.0 / 42.0 - v / 30.0)))
    return first, math.sqrt(second)


@_inline
def _node(y, nodes):
    """Which node serves a count or another shape; the last is that of 1/2."""
    if 0.0 < y < TO_HALF:
        return nodes - 1
    if y <= EXACT:
        return math.ceil(y)
    return min(EXACT + round(math.log(y / EXACT) / math.log(RATIO)), nodes - 2)


@_inline
def _curves(table, node, z, logs):
    """Logarithms of the curves at z, their number and the largest of them; but for log(2 pi)/2."""
    best, n = -np.inf, 0
    for k in range(CURVES):
        at = (node * CURVES + k) * 3
        if table[at] == -np.inf:
            break
        d = (z - table[at + 1]) * math.exp(-table[at + 2])
        logs[k] = table[at] - table[at + 2] - 0.5 * d * d
        best = max(best, logs[k])
        n += 1
    return n, best


@_inline
def _gap(y, eta, middle, log_mixture):
    """Log likelihood less that of the mixture, but for a constant."""
    if y == 0.0:
        return -math.exp(eta) - log_mixture
    d = eta - middle  # in deviations from the middle, so that large counts keep their digits
    return y * d - math.exp(middle) * math.expm1(d) - log_mixture


@kernel("f8(f8[::1], f8[::1], i8, i8, i8, i8, i8, i8)")
def log_ratio(w, numbers, size, n, eta, by, count, each):
    """The sum of the log likelihoods less those of what stands for them, as it was drawn last; see
    `draw_curves`."""
    logs, total, nodes = np.empty(CURVES), 0.0, size // (3 * CURVES)
    known = numbers[size : size + KNOWN]
    places, rates = numbers[size + KNOWN : size + KNOWN + n], numbers[size + KNOWN + n : size + KNOWN + 2 * n]
    for i in range(n):
        x, y = w[eta + i * by], w[count + i * each]
        if known[3] > 0.0:
            rate, d = max(rates[i] / known[0], LEAST), x - places[i] / known[0]
            mean = places[i] / known[0]
            # -exp(x) + rate (1 + d + d**2/2) exactly, where exp(mean) is not the rate
            total += rate * d * (1.0 + 0.5 * d) - math.exp(mean) * math.expm1(d)
            continue
        if x < FAR:
            continue
        middle, scale = _standard(y)
        m, best = _curves(numbers, _node(y, nodes), (x - middle) / scale, logs)
        whole = 0.0
        for k in range(m):
            whole += math.exp(logs[k] - best)
        total += _gap(y, x, middle, best + math.log(whole))
    return total


@_inline
def _learn(w, known, places, rates, eta, by, learning):
    """Means of eta and exp(eta), once a sweep, though several draws may share the curves.

    In the first sweeps the last half of the way counts, as in scoring for the posterior's mode, with exp of
    the place for a rate.
    """
    if known[4] == learning:
        return
    known[4] = learning
    for i in range(places.size):
        x = w[eta + i * by]
        if learning <= FREE:
            if x == x:
                places[i] += 0.5 * min(max(x - places[i], -STEP), STEP)
            rates[i] = math.exp(places[i])
        else:
            places[i] += learning * x
            rates[i] += learning * math.exp(min(x, HIGH))
    if learning > FREE:
        known[0] += learning
    for k in FORGET:
        if learning == k:
            for i in range(3):
                known[i] *= LITTLE
            for i in range(places.size):
                places[i] *= LITTLE
                rates[i] *= LITTLE


@_inline
def _choose(rng, known, accepted, learning):
    """Whether one curve a row is taken: mostly, where it was accepted in warm-up; seldom, where not.

    known : the sum of weights of what was learned, tries and acceptances, the last choice, the last sweep
    that was learned from. accepted : whether the last choice was.
    """
    if learning > 0 and known[3] > 0.0:
        known[1] += learning
        known[2] += learning * accepted
    if 0 < learning <= FREE:
        known[3] = 1.0
        return True
    chance = 0.5
    if known[1] > 0.0 and learning == 0:
        taken, left = known[2] ** 3, (known[1] - known[2]) ** 3
        chance = min(max(taken / (taken + left), RAREST), MOST)
    known[3] = 1.0 if rng.random() < chance else 0.0
    return known[3] > 0.0


@kernel("f8(npy_rng, f8[::1], i8[::1], f8[::1], i8, i8, i8, i8, i8, i8, i8, f8)")
def draw_curves(rng, w, at, numbers, size, n, eta, by, count, each, learning, accepted):
    """Draw for each row the curve that its eta came from; mean and precision of eta under it go to the places
    `at`, all means first. Returns the sum of the log likelihoods less those of the mixtures.

    In some sweeps, and in the first of warm-up, it is one curve instead for each row, the same whatever eta:
    that of precision E exp(eta) and slope y - E exp(eta) at E eta, both expectations learned in warm-up. It
    holds less information than a mixture's where counts are small, and is further from the likelihood.
    numbers : the table, of that size; what `_choose` knows; sums of eta and exp(eta) by row.
    eta, count : places of the rows' numbers in w; by, each : 1, or 0 where one number serves all rows.
    learning : 0, or the number of the sweep in warm-up. accepted : 1 or 0, of the last sweep.
    """
    known = numbers[size : size + KNOWN]
    places, rates = numbers[size + KNOWN : size + KNOWN + n], numbers[size + KNOWN + n : size + KNOWN + 2 * n]
    if learning > 0:
        _learn(w, known, places, rates, eta, by, learning)
    if _choose(rng, known, accepted, learning):
        for i in range(n):
            y, rate = w[count + i * each], max(rates[i] / known[0], LEAST)
            # while places are far off to the left a curve as wide as there is would send eta anywhere
            weight = max(rate, y) if 0 < learning <= FREE else rate
            w[at[i]] = places[i] / known[0] + (y - rate) / weight
            w[at[n + i]] = weight
        return log_ratio(w, numbers, size, n, eta, by, count, each)
    logs, total, nodes = np.empty(CURVES), 0.0, size // (3 * CURVES)
    for i in range(n):
        x, y = w[eta + i * by], w[count + i * each]
        if x < FAR:
            w[at[i]], w[at[n + i]] = y / LEAST, LEAST
            continue
        middle, scale = _standard(y)
        node = _node(y, nodes)
        m, best = _curves(numbers, node, (x - middle) / scale, logs)
        whole = 0.0
        for k in range(m):
            logs[k] = math.exp(logs[k] - best)
            whole += logs[k]
        u, k = rng.random() * whole, 0
        while k < m - 1 and u > logs[k]:
            u -= logs[k]
            k += 1
        place = (node * CURVES + k) * 3
        sd = scale * math.exp(numbers[place + 2])
        w[at[i]] = middle + scale * numbers[place + 1]
        w[at[n + i]] = 1.0 / (sd * sd)
        total += _gap(y, x, middle, best + math.log(whole))
    return total
