"""Derivatives of log gamma, and what Stirling's formula leaves of it, for kernels."""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.tape_functions import BINET

_inline = numba.njit(error_model="numpy")
_BINET = np.array(BINET)


@_inline
def digamma(x):
    """Derivative of log gamma: recurrence to x >= 10, then the asymptotic series (DLMF 5.11.2)."""
    if x <= 0.0 and x == math.floor(x):
        return np.nan
    result = 0.0
    if x < 0.0:
        result = -math.pi / math.tan(math.pi * x)
        x = 1.0 - x
    while x < 10.0:
        result -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (
        1.0 / 12.0
        - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * 691.0 / 32760.0))))
    )
    return result + math.log(x) - 0.5 / x - series


@_inline
def trigamma(x):
    """Second derivative of log gamma for x > 0 (DLMF 5.15.8)."""
    result = 0.0
    while x < 10.0:
        result += 1.0 / (x * x)
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r * (1.0 / 30.0 - r * 5.0 / 66.0))))
    return result + 1.0 / x + 0.5 * r + series / x


@_inline
def binet(order, x):
    """Derivative of that order (0 to 3) of lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2, x > 0.

    Recurrence to x >= 10, then Stirling's series (DLMF 5.11.1).
    """
    if not x > 0.0:
        return np.nan
    total = 0.0
    if order == 0 and x < 10.0:  # all steps of the recurrence at once: two logs
        end, ratio, steps = x, 1.0, 0
        while end < 10.0:
            end += 1.0
            steps += 1
        for k in range(steps):
            ratio *= (x + k) / end
        total = (x - 0.5) * math.log(end / x) - steps - math.log(ratio)
        x = end
    while x < 10.0:
        y = x + 1.0
        if order == 1:
            total += math.log1p(1.0 / x) - 0.5 / x - 0.5 / y
        elif order == 2:
            total += 1.0 / y - 1.0 / x + 0.5 / (x * x) + 0.5 / (y * y)
        else:
            total += 1.0 / (x * x) - 1.0 / (y * y) - 1.0 / (x * x * x) - 1.0 / (y * y * y)
        x = y
    r, power = 1.0 / (x * x), 1.0 / x
    for _ in range(order):
        power /= -x
    for k in range(_BINET.size):
        p, factor = 2.0 * k + 1.0, 1.0
        for j in range(order):
            factor *= p + j
        total += factor * _BINET[k] * power
        power *= r
    return total
