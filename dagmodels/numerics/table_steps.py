"""Expected counts of a network's tables over hidden states, row by row.

A row of cases has its seen states, a configuration the hidden ones; the cell of a family's table is the
sum of a part that the row gives and one that the configuration gives. So nothing of size rows times
configurations is kept.
"""

from __future__ import annotations

import numpy as np

from dagmodels.numerics.compiled import kernel

PART = "i8[:, ::1], f8[::1], i8[:, ::1], f8[::1]"  # seen, weights, hidden, logs


@kernel(f"f8({PART}, f8[::1])")
def expect(seen, weights, hidden, logs, counts):
    """Log likelihood of the rows; adds the expected counts of the cells.

    seen : (rows, families). hidden : (configurations, families). weights : of the rows. logs : logarithms
    of the cells. counts : by cell, added to where the likelihood is not zero. Returns -inf for a row that
    cannot be.
    """
    rows, families = seen.shape
    number = hidden.shape[0]
    p = np.empty(number)
    total = 0.0
    for r in range(rows):
        top = -np.inf
        for k in range(number):
            s = 0.0
            for f in range(families):
                s += logs[seen[r, f] + hidden[k, f]]
            p[k] = s
            top = max(top, s)
        if top == -np.inf:
            return -np.inf
        z = 0.0
        for k in range(number):
            p[k] = np.exp(p[k] - top)
            z += p[k]
        total += weights[r] * (top + np.log(z))
        for k in range(number):
            if p[k] > 0.0:
                share = weights[r] * p[k] / z
                for f in range(families):
                    counts[seen[r, f] + hidden[k, f]] += share
    return total


@kernel(f"void({PART}, f8[::1], f8[::1])")
def draw(seen, weights, hidden, logs, uniforms, counts):
    """Adds the counts of hidden states drawn given what is seen; weights are whole numbers of cases.

    uniforms : on [0, 1), one a case, the cases of a row side by side. Other arguments as of `expect`.
    """
    rows, families = seen.shape
    number = hidden.shape[0]
    p = np.empty(number)
    case = 0
    for r in range(rows):
        top = -np.inf
        for k in range(number):
            s = 0.0
            for f in range(families):
                s += logs[seen[r, f] + hidden[k, f]]
            p[k] = s
            top = max(top, s)
        z = 0.0
        for k in range(number):
            z += np.exp(p[k] - top)
            p[k] = z
        for _ in range(int(weights[r])):
            k = min(np.searchsorted(p, uniforms[case] * z, side="right"), number - 1)
            case += 1
            for f in range(families):
                counts[seen[r, f] + hidden[k, f]] += 1.0


@kernel(f"void({PART}, i8[::1], f8[:, ::1])")
def spread(seen, weights, hidden, logs, place, covariance):
    """Adds the covariance of the cells' counts given what is seen, summed over the rows (Louis 1982).

    place : of each cell in the covariance matrix, -1 for those left out.
    """
    rows, families = seen.shape
    number = hidden.shape[0]
    p = np.empty(number)
    mean = np.zeros(covariance.shape[0])
    touched = np.empty(number * families, dtype=np.int64)
    for r in range(rows):
        top, z = -np.inf, 0.0
        for k in range(number):
            s = 0.0
            for f in range(families):
                s += logs[seen[r, f] + hidden[k, f]]
            p[k] = s
            top = max(top, s)
        for k in range(number):
            p[k] = np.exp(p[k] - top)
            z += p[k]
        many = 0
        for k in range(number):
            share = p[k] / z
            if share > 0.0:
                for f in range(families):
                    i = place[seen[r, f] + hidden[k, f]]
                    if i >= 0:
                        if mean[i] == 0.0:
                            touched[many] = i
                            many += 1
                        mean[i] += share
                        for g in range(families):
                            j = place[seen[r, g] + hidden[k, g]]
                            if j >= 0:
                                covariance[i, j] += weights[r] * share
        for a in range(many):
            for b in range(many):
                covariance[touched[a], touched[b]] -= weights[r] * mean[touched[a]] * mean[touched[b]]
        for a in range(many):
            mean[touched[a]] = 0.0
