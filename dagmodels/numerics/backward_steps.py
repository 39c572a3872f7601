"""States of Markov chains drawn backwards, draw by draw, from what the forward recursion left."""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel


@kernel("void(i8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], i8[:, ::1])")
def backward(index, forward, transitions, u, found):
    """The last state from alpha, each earlier one from alpha and its transition into the one after.

    index : of `summing`. forward, transitions : by draw, as the tape has them. u : uniform on (0, 1), by draw
    and element. found : filled.
    """
    d, count = index[0], index[1]
    block = index[3 + count :]
    weight = np.empty(d)
    for m in range(u.shape[0]):
        for c in range(count):
            first, last = index[2 + c], index[3 + c]
            after = 0
            for t in range(last - 1, first - 1, -1):
                top = -np.inf
                for i in range(d):
                    weight[i] = forward[m, count + t * d + i]
                    if t < last - 1:
                        weight[i] += transitions[m, (block[t + 1] * d + i) * d + after]
                    top = max(top, weight[i])
                total = 0.0
                for i in range(d):
                    weight[i] = math.exp(weight[i] - top)
                    total += weight[i]
                left = u[m, t] * total
                after = d - 1
                for i in range(d):
                    left -= weight[i]
                    if left < 0.0:
                        after = i
                        break
                while after > 0 and weight[after] == 0.0:  # rounding went past the last possible state
                    after -= 1
                found[m, t] = after
