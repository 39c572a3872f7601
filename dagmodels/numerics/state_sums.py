"""Sums over the states of slices: of single ones, and of chains by forward and backward passes.

Chains are scaled step by step (Rabiner 1989, Proc. IEEE 77:257, section V.A), so that no length underflows;
each step's evidence is divided by its largest entry first.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel


@kernel("void(f8[:, ::1], f8[::1])")
def normalise(evidence, total):
    """Logarithms of joint densities become posterior probabilities in place; their log sums go to `total`.

    A row without any finite entry keeps nan, and its total is minus infinity.
    """
    n, s = evidence.shape
    for i in range(n):
        top = -np.inf
        for k in range(s):
            top = max(top, evidence[i, k])
        if not np.isfinite(top):
            total[i] = -np.inf if top < 0 else np.nan
            for k in range(s):
                evidence[i, k] = np.nan
            continue
        sum_ = 0.0
        for k in range(s):
            evidence[i, k] = np.exp(evidence[i, k] - top)
            sum_ += evidence[i, k]
        total[i] = top + np.log(sum_)
        for k in range(s):
            evidence[i, k] /= sum_


@kernel(
    "void(f8[:, ::1], f8[:, :, ::1], i8[::1], b1[::1], f8[::1], f8[:, :, ::1])",
    fastmath={"reassoc", "contract"},
)
def forward_backward(evidence, tables, table, start, total, moves):
    """Posterior probabilities of all slices of chains, in place of their evidence.

    evidence : (steps, states) logarithms, chains one after the other; on return probabilities.
    tables : (tables, states, states) transition weights, from row to column. table : which one leads to each
        step. start : where a chain begins. total : filled with each chain's log sum at its first step, zero
        elsewhere.
    moves : filled with the expected numbers of transitions, of each table.
    """
    n, s = evidence.shape
    moves[:] = 0.0
    alpha = np.empty((n, s))
    scale = np.empty(n)
    beta, ahead = np.ones(s), np.ones(s)
    first = 0
    for t in range(n):
        top = -np.inf
        for k in range(s):
            top = max(top, evidence[t, k])
        if start[t]:
            first = t
        total[t] = 0.0
        norm = 0.0
        for k in range(s):
            evidence[t, k] = np.exp(evidence[t, k] - top)
        if start[t]:
            for k in range(s):
                alpha[t, k] = evidence[t, k]
                norm += alpha[t, k]
        else:
            a = tables[table[t]]
            for k in range(s):
                alpha[t, k] = 0.0
            for j in range(s):
                before = alpha[t - 1, j]
                for k in range(s):
                    alpha[t, k] += before * a[j, k]
            for k in range(s):
                alpha[t, k] *= evidence[t, k]
                norm += alpha[t, k]
        scale[t] = norm
        total[first] += top + np.log(norm)
        for k in range(s):
            alpha[t, k] /= norm
    for t in range(n - 1, -1, -1):
        if t == n - 1 or start[t + 1]:
            for k in range(s):
                beta[k] = 1.0
        else:
            a = tables[table[t + 1]]
            count = moves[table[t + 1]]
            for j in range(s):
                sum_ = 0.0
                before = alpha[t, j]
                for k in range(s):
                    sum_ += a[j, k] * ahead[k]
                    count[j, k] += before * ahead[k]
                beta[j] = sum_
        for k in range(s):
            ahead[k] = evidence[t, k] * beta[k] / scale[t]
            evidence[t, k] = alpha[t, k] * beta[k]
    for u in range(moves.shape[0]):
        for j in range(s):
            for k in range(s):
                moves[u, j, k] *= tables[u, j, k]


@kernel("void(f8[:, ::1], f8[:, :, ::1], i8[::1], b1[::1], i8[::1])")
def best_paths(evidence, tables, table, start, path):
    """The most probable states of whole chains (Viterbi 1967, IEEE Trans. Inf. Theory 13:260).

    evidence, tables : logarithms, as in `forward_backward`; the former is overwritten. path : filled.
    """
    n, s = evidence.shape
    origin = np.zeros((n, s), dtype=np.int64)
    for t in range(n):
        if start[t]:
            continue
        a = tables[table[t]]
        for k in range(s):
            best, at = -np.inf, 0
            for j in range(s):
                value = evidence[t - 1, j] + a[j, k]
                if value > best:
                    best, at = value, j
            origin[t, k] = at
            evidence[t, k] += best
    for t in range(n - 1, -1, -1):
        if t == n - 1 or start[t + 1]:
            at = 0
            for k in range(1, s):
                if evidence[t, k] > evidence[t, at]:
                    at = k
            path[t] = at
        else:
            path[t] = origin[t + 1, path[t + 1]]
