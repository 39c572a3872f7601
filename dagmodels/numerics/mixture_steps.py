"""Mixtures of normal curves that stand for Poisson likelihoods: a curve drawn for each count, and by how much
mixture and likelihood differ.

table : log weight, mean and log sd of each curve (nodes, CURVES, 3), flat; see `forms.conditionals.log_gamma`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel
from dagmodels.numerics.sweep_codes import CURVES, EXACT, RATIO

_inline = numba.njit(error_model="numpy")


@_inline
def _standard(y):
    """psi(y) and sqrt(psi'(y)) of a whole y > 0, by their series beyond ten; of zero, 0 and 1."""
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
    """Which node serves a count."""
    if y <= EXACT:
        return int(y)
    return min(EXACT + int(round(math.log(y / EXACT) / math.log(RATIO))), nodes - 1)


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


@kernel("f8(npy_rng, f8[::1], i8[::1], f8[::1], i8, i8, i8, i8, i8)")
def draw_curves(rng, w, at, table, n, eta, by, count, each):
    """Draw for each row the curve that its eta came from; mean and precision of eta under it go to the places
    `at`, all means first. Returns the sum of the log likelihoods less those of the mixtures.

    eta, count : places of the rows' numbers in w; by, each : 1, or 0 where one number serves all rows.
    """
    logs, total, nodes = np.empty(CURVES), 0.0, table.size // (3 * CURVES)
    for i in range(n):
        x, y = w[eta + i * by], w[count + i * each]
        middle, scale = _standard(y)
        node = _node(y, nodes)
        m, best = _curves(table, node, (x - middle) / scale, logs)
        whole = 0.0
        for k in range(m):
            logs[k] = math.exp(logs[k] - best)
            whole += logs[k]
        u, k = rng.random() * whole, 0
        while k < m - 1 and u > logs[k]:
            u -= logs[k]
            k += 1
        place = (node * CURVES + k) * 3
        sd = scale * math.exp(table[place + 2])
        w[at[i]] = middle + scale * table[place + 1]
        w[at[n + i]] = 1.0 / (sd * sd)
        total += _gap(y, x, middle, best + math.log(whole))
    return total


@kernel("f8(f8[::1], f8[::1], i8, i8, i8, i8, i8)")
def log_ratio(w, table, n, eta, by, count, each):
    """The same sum alone."""
    logs, total, nodes = np.empty(CURVES), 0.0, table.size // (3 * CURVES)
    for i in range(n):
        x, y = w[eta + i * by], w[count + i * each]
        middle, scale = _standard(y)
        m, best = _curves(table, _node(y, nodes), (x - middle) / scale, logs)
        whole = 0.0
        for k in range(m):
            whole += math.exp(logs[k] - best)
        total += _gap(y, x, middle, best + math.log(whole))
    return total
