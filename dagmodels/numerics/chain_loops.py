"""Loops over chains of draws: normal scores of ranks, effective sizes by as many lags as they need, R-hat.

Chains that mix well need few lags of the autocovariance, and sums of products give these sooner than a
transform.
"""

from __future__ import annotations

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel

_inline = numba.njit(error_model="numpy")
BLOCK = 32
FAST = {"fastmath": {"reassoc", "contract"}}


@_inline
def _scores(order, ordered, table, scores):
    """Normal scores of the ranks of one row; equal values share their average rank."""
    start, size = 0, order.size
    while start < size:
        end = start + 1
        while end < size and ordered[end] == ordered[start]:
            end += 1
        score = table[start + end - 1]  # first + last of the group, counted from 0
        for i in range(start, end):
            scores[order[i]] = score
        start = end


@kernel("void(f8[:, ::1], i8[:, ::1], f8[::1], f8[:, ::1], f8[:, ::1])")
def scores_by_order(x, order, table, scores, ordered):
    """Sorted rows, and normal scores of the ranks; equal values share their average rank.

    order : of each row of x. table : scores of the ranks 1, 1.5, 2, ... scores, ordered : filled.
    """
    k, size = x.shape
    for q in range(k):
        for i in range(size):
            ordered[q, i] = x[q, order[q, i]]
        _scores(order[q], ordered[q], table, scores[q])


@_inline
def _folded(order, ordered, distance, turn):
    """Sorted distances from the median, and whose they are.

    order, ordered : of all draws. Distances fall up to the median and grow from there: two sorted sequences,
    merged without branches.
    """
    size = order.size
    middle = (ordered[size // 2 - 1] + ordered[size // 2]) / 2
    low, high, i = size // 2 - 1, size // 2, 0
    while low >= 0 and high < size:
        first = np.int64(middle - ordered[low] <= ordered[high] - middle)
        place = high + first * (low - high)
        distance[i], turn[i] = abs(ordered[place] - middle), order[place]
        low, high, i = low - first, high + 1 - first, i + 1
    while i < size:
        place = low if low >= 0 else high
        distance[i], turn[i] = abs(ordered[place] - middle), order[place]
        low, high, i = low - 1, high + 1, i + 1


@_inline
def _still(x):
    """Whether all numbers are one."""
    i = 1
    while i < x.size and x[i] == x[0]:
        i += 1
    return i >= x.size


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
    level, between, still = 0.0, 0.0, True
    means = np.empty(m)
    for c in range(m):
        still = still and x[c, 0] == first and _still(x[c])
    if still:
        return float(total)
    for c in range(m):
        s = 0.0
        for i in range(n):
            s += x[c, i] - first
        means[c] = s / n
        level += means[c] / m
        for i in range(n):
            centred[c, i] = x[c, i] - first - means[c]
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


@kernel("f8(f8[:, ::1])", **FAST)
def _ratio(x):
    """Square root of the marginal over the within-chain variance, see `chains.diagnose`."""
    m, n = x.shape
    means = np.empty(m)
    within, level, between, still = 0.0, 0.0, 0.0, True
    for c in range(m):
        s = 0.0
        for i in range(n):
            s += x[c, i]
        means[c] = x[c, 0] if _still(x[c]) else s / n
        level += means[c] / m
        s = 0.0
        for i in range(n):
            s += (x[c, i] - means[c]) ** 2
        within += s / ((n - 1.0) * m)
    for c in range(m):
        between += (means[c] - level) ** 2 * n / (m - 1.0)
        still = still and means[c] == means[0]
    return np.sqrt(((0.0 if still else between) / within + n - 1.0) / n)


@kernel(
    "void(f8[:, :, ::1], i8[:, ::1], f8[::1], f8[:, ::1], i8, f8[:, ::1], f8[:, :, ::1], f8[:, ::1], f8[::1])"
)
def summarised(x, order, table, tails, limit, ordered, scores, sizes, rhat):
    """What split chains tell, from one sort of each quantity.

    x : (quantities, chains, draws). order : of each row of all draws. table : see `scores_by_order`.
    tails : either tail's bounds, (2, quantities). limit : most lags. ordered : sorted rows. Filled: scores;
    sizes (4, quantities), the effective sizes of scores, of values and of lying below either bound, -1
    where so many lags were not enough, nan of values that are not finite; rhat, of either kind of rank.
    """
    k, m, n = x.shape
    spare, other = np.empty((m, n)), np.empty((m, n))
    distance, turn = np.empty(m * n), np.empty(m * n, np.int64)
    for q in range(k):
        flat, own, by, mine = x[q].reshape(m * n), scores[q].reshape(m * n), order[q], ordered[q]
        _scores(by, mine, table, own)
        sizes[0, q] = _size(scores[q], limit, spare)
        finite = abs(mine[0]) < np.inf and abs(mine[m * n - 1]) < np.inf
        sizes[1, q] = _size(x[q], limit, spare) if finite else np.nan
        for t in range(2):
            bound, below = tails[t, q], other.reshape(m * n)
            for i in range(m * n):
                below[i] = 1.0 if flat[i] <= bound else 0.0
            sizes[2 + t, q] = _size(other, limit, spare)
        bulk = _ratio(scores[q])
        _folded(by, mine, distance, turn)
        _scores(turn, distance, table, other.reshape(m * n))
        tail = _ratio(other)
        known = mine[m * n - 1] == mine[m * n - 1] and distance[0] == distance[0] and bulk == bulk
        rhat[q] = max(bulk, tail) if known else np.nan


@kernel("void(f8[:, ::1], f8[:, ::1])")
def transposed(x, found):
    """found = x', by blocks that fit into the cache."""
    n, k = x.shape
    for i in range(0, n, BLOCK):
        for j in range(0, k, BLOCK):
            for q in range(j, min(j + BLOCK, k)):
                for r in range(i, min(i + BLOCK, n)):
                    found[q, r] = x[r, q]
