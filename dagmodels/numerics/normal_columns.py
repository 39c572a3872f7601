"""Normal log densities of numbers in several states, and the weighted sums that maximise them."""

from __future__ import annotations

import math

import numpy as np

from dagmodels.numerics.compiled import kernel

FAST = {"fastmath": {"reassoc", "contract"}}


@kernel("void(f8[::1], f8[::1], f8[::1], f8[:, ::1])", **FAST)
def densities(x, mean, sd, found):
    """found[i, k] : log density of x[i] with mean[k] and sd[k]."""
    n, s = found.shape
    inverse, constant = np.empty(s), np.empty(s)
    for k in range(s):
        inverse[k] = 1.0 / sd[k]
        constant[k] = -np.log(sd[k]) - 0.5 * math.log(2 * math.pi)
    for i in range(n):
        for k in range(s):
            z = (x[i] - mean[k]) * inverse[k]
            found[i, k] = constant[k] - 0.5 * z * z


@kernel("void(f8[::1], f8[:, ::1], f8[::1], f8[:, ::1])", **FAST)
def moments(x, weights, mean, found):
    """found[:, k] : sums of the weights, of weights times x - mean, and of weights times its square."""
    n, s = weights.shape
    found[:] = 0.0
    for i in range(n):
        for k in range(s):
            w = weights[i, k]
            d = x[i] - mean[k]
            found[0, k] += w
            found[1, k] += w * d
            found[2, k] += w * d * d
