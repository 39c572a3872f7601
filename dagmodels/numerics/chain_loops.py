"""Loops over chains of draws: normal scores of ranks, and effective sizes by as many lags as they need.

Chains that mix well need few lags of the autocovariance, and sums of products give these sooner than a
transform.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel

FAST = {"fastmath": {"reassoc", "contract"}}


@kernel("void(f8[:, ::1], i8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1])")
def scores_by_order(x, order, table, scores, ordered):
    """Sorted rows, and normal scores of the ranks; equal values share their average rank.

    order : of each row of x. table : scores of the ranks 1, 1.5, 2, ... scores, ordered : filled.
    """
    k, size = x.shape
    for q in range(k):
        start = 0
        for i in range(size):
            ordered[q, i] = x[q, order[q, i]]
        while start < size:
            end = start + 1
            while end < size and ordered[q, end] == ordered[q, start]:
                end += 1
            score = table[start + end - 1]  # first + last of the group, counted from 0
            for i in range(start, end):
                scores[q, order[q, i]] = score
            start = end


@kernel("f8(f8[:, ::1], i8)", **FAST)
def _lag(centred, lag):
    """Mean autocovariance of the chains at one lag."""
    m, n = centred.shape
    s = 0.0
    for c in range(m):
        for i in range(n - lag):
            s += centred[c, i] * centred[c, i + lag]
    return s / (m * n)


@kernel("f8(f8[:, ::1], i8, f8[:, ::1])", **FAST)
def _size(x, limit, centred):
    """Of one quantity."""
    m, n = x.shape
    total = m * n
    first = x[0, 0]  # taken off, so that values far from zero keep their digits
    level, between, low, high = 0.0, 0.0, first, first
    means = np.empty(m)
    for c in range(m):
        s = 0.0
        for i in range(n):
            s += x[c, i] - first
            low, high = min(low, x[c, i]), max(high, x[c, i])
        means[c] = s / n
        level += means[c] / m
        for i in range(n):
            centred[c, i] = x[c, i] - first - means[c]
    if low == high:
        return float(total)
    for c in range(m):
        between += (means[c] - level) ** 2
    within = _lag(centred, 0) * (n / (n - 1.0))
    plus = within * ((n - 1.0) / n)
    if m > 1:
        plus += between / (m - 1)
    last = max((n - 3) // 2, 0)
    even, before, j = 1.0, 0.0, 0
    pair = 2.0 - (within - _lag(centred, 1)) / plus
    least = pair
    while pair > 0.0 and j < last:
        before += least
        j += 1
        if 2 * j + 1 >= limit:
            return -1.0
        even = 1.0 - (within - _lag(centred, 2 * j)) / plus
        pair = even + 1.0 - (within - _lag(centred, 2 * j + 1)) / plus
        least = min(least, pair)
    final = even if even > 0.0 or pair >= 0.0 else 0.0
    return total / max(-1.0 + 2.0 * before + final, 1.0 / np.log10(total))


@kernel("void(f8[:, :, ::1], i8, f8[:, :, ::1], f8[::1])", **FAST)
def effective_sizes(x, limit, spare, found):
    """Effective sizes, see `chains.effective`; -1 where `limit` lags were not enough.

    spare : as one quantity of x. found : filled; the values must be finite.
    """
    for q in range(x.shape[0]):
        found[q] = _size(x[q], limit, spare[0])


@kernel("void(f8[:, :, ::1], f8[::1])", **FAST)
def ratios(x, found):
    """Square root of the marginal over the within-chain variance, see `chains.diagnose`. found : filled."""
    k, m, n = x.shape
    means = np.empty(m)
    for q in range(k):
        within, level, between, still = 0.0, 0.0, 0.0, True
        for c in range(m):
            s, low, high = 0.0, x[q, c, 0], x[q, c, 0]
            for i in range(n):
                s += x[q, c, i]
                low, high = min(low, x[q, c, i]), max(high, x[q, c, i])
            means[c] = low if low == high else s / n
            level += means[c] / m
            s = 0.0
            for i in range(n):
                s += (x[q, c, i] - means[c]) ** 2
            within += s / ((n - 1.0) * m)
        for c in range(m):
            between += (means[c] - level) ** 2 * n / (m - 1.0)
            still = still and means[c] == means[0]
        found[q] = np.sqrt(((0.0 if still else between) / within + n - 1.0) / n)
