"""Sums over states as operations of the tape: log-sum-exp, and the forward recursion of Markov chains.

The recursion is alpha_t(j) = e_t(j) + log sum_i exp(alpha_{t-1}(i) + A_t(i, j)) (Rabiner 1989, Proc. IEEE 77,
eq. 20, in logarithms, so that nothing underflows); its adjoints are posterior probabilities of states and of
pairs of states, which one pass back gives exactly.

A chain's index is [K, C, start of each of the C chains and the end, block of each element]: element t's
transition from the element before is block `block[t]` of A (K x K, rows from, columns to), -1 at a start.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_inline = numba.njit(error_model="numpy")


@_inline
def log_sum_exp(x, d, r):
    """Into r the log of the sum of exponentials of each d entries of x; -inf where all are."""
    for g in range(r.size):
        top = -np.inf
        for i in range(d):
            v = x[g * d + i]
            if v > top or v != v:
                top = v
        if not -np.inf < top < np.inf:
            r[g] = top
            continue
        total = 0.0
        for i in range(d):
            total += math.exp(x[g * d + i] - top)
        r[g] = top + math.log(total)


@_inline
def log_sum_exp_adjoint(x, d, r, bar, gx):
    """Add to gx what `log_sum_exp` sends back: the share of each entry."""
    for g in range(r.size):
        if bar[g] != 0.0 and r[g] > -np.inf:
            for i in range(d):
                gx[g * d + i] += bar[g] * math.exp(x[g * d + i] - r[g])


@_inline
def chain(index, e, a, r):
    """Into r the log marginal of each chain, then alpha, element by element."""
    d, count = index[0], index[1]
    block = index[3 + count :]
    for c in range(count):
        first, last = index[2 + c], index[3 + c]
        for t in range(first, last):
            now = count + t * d
            if t == first:
                for j in range(d):
                    r[now + j] = e[t * d + j]
                continue
            at, before = block[t] * d * d, now - d
            for j in range(d):
                top = -np.inf
                for i in range(d):
                    v = r[before + i] + a[at + i * d + j]
                    if v > top or v != v:
                        top = v
                if not -np.inf < top < np.inf:
                    r[now + j] = top + e[t * d + j]
                    continue
                total = 0.0
                for i in range(d):
                    total += math.exp(r[before + i] + a[at + i * d + j] - top)
                r[now + j] = e[t * d + j] + top + math.log(total)
        end = count + (last - 1) * d
        log_sum_exp(r[end : end + d], d, r[c : c + 1])


@_inline
def chain_adjoint(index, e, a, r, bar, ge, ga):
    """Add to ge and ga the probabilities of states and of pairs, times each chain's adjoint."""
    d, count = index[0], index[1]
    block = index[3 + count :]
    weight, earlier = np.empty(d), np.empty(d)
    for c in range(count):
        if bar[c] == 0.0 or not r[c] > -np.inf:
            continue
        first, last = index[2 + c], index[3 + c]
        end = count + (last - 1) * d
        for j in range(d):
            weight[j] = bar[c] * math.exp(r[end + j] - r[c])
        for t in range(last - 1, first, -1):
            now, at = count + t * d, block[t] * d * d
            before = now - d
            earlier[:] = 0.0
            for j in range(d):
                ge[t * d + j] += weight[j]
                if weight[j] == 0.0:
                    continue
                rest = e[t * d + j] - r[now + j]
                for i in range(d):
                    q = weight[j] * math.exp(r[before + i] + a[at + i * d + j] + rest)
                    ga[at + i * d + j] += q
                    earlier[i] += q
            weight[:] = earlier
        for j in range(d):
            ge[first * d + j] += weight[j]
