"""Modified Bessel functions of orders 0 and 1 for kernels: log I0(x) - x, I1(x) / I0(x) and its derivative.

r = I1/I0 obeys r' = 1 - r/x - r^2. Put into this, r = 1 + a1/x + a2/x^2 + ... gives
2 a_k = (k - 2) a_{k-1} - sum_{0<i<k} a_i a_{k-i}, which holds sixteen digits from x = 30 on, and all that is
asked follows from these coefficients, without the differences of nearly equal numbers that x -> infinity
would make. Below 30 the power series of I0 (DLMF 10.25.2) and the continued fraction of the ratio (10.33.1).
"""

from __future__ import annotations

import math

import numba
import numpy as np

_inline = numba.njit(error_model="numpy")
FAR = 30.0
TERMS = 24


def _coefficients() -> np.ndarray:
    a = np.zeros(TERMS + 1)
    a[0], a[1] = 1.0, -0.5
    for k in range(2, TERMS + 1):
        a[k] = 0.5 * ((k - 2) * a[k - 1] - sum(a[i] * a[k - i] for i in range(1, k)))
    return a


_A = _coefficients()


@_inline
def log_i0e(x):
    """log(I0(x) exp(-x)) for x >= 0."""
    if not x >= 0.0:
        return np.nan
    if x < FAR:
        quarter, term, total = 0.25 * x * x, 1.0, 0.0
        for k in range(1, 90):
            term *= quarter / (k * k)
            total += term
            if term < 1e-17 * total:
                break
        return math.log1p(total) - x
    total = 0.0
    for k in range(TERMS, 1, -1):
        total = (total - _A[k] / (k - 1.0)) / x
    return total - 0.5 * math.log(2.0 * math.pi * x)


@_inline
def i1_over_i0(x):
    """I1(x) / I0(x) for x >= 0."""
    if not x >= 0.0:
        return np.nan
    return i1_over_i0_less_1(x) + 1.0 if x >= FAR else _ratio(x)


@_inline
def i1_over_i0_less_1(x):
    """I1(x) / I0(x) - 1, the derivative of `log_i0e`."""
    if not x >= 0.0:
        return np.nan
    if x < FAR:
        return _ratio(x) - 1.0
    total = 0.0
    for k in range(TERMS, 0, -1):
        total = (total + _A[k]) / x
    return total


@_inline
def i1_over_i0_slope(x):
    """The derivative of I1(x) / I0(x)."""
    if not x >= 0.0:
        return np.nan
    if x == 0.0:
        return 0.5
    if x < FAR:
        r = _ratio(x)
        return 1.0 - r / x - r * r
    total = 0.0
    for k in range(TERMS, 0, -1):
        total = (total - k * _A[k]) / x
    return total / x


@_inline
def _ratio(x):
    """The continued fraction from its end: r_n = I_n / I_{n-1} = x / (2 n + x r_{n+1})."""
    r = 0.0
    for n in range(24 + int(2.0 * x), 0, -1):
        r = x / (2.0 * n + x * r)
    return r
