"""Logarithm of the confluent hypergeometric limit function 0F1(; b; z), b > 0 and z >= 0, for kernels.

Its series (DLMF 16.2.1 with p = 0, q = 1) has positive terms z^k / ((b)_k k!), a probability law of k but
for its sum, with one mode (Bessel's law: Yuan and Kalbfleisch 2000, Ann. Inst. Statist. Math. 52:438).
It is summed from the mode outwards, so that nothing underflows; derivatives are means under that law. The
number of terms grows as the root of the mode: where that is far out, Debye's expansion of I_{b-1}(2 sqrt z)
gives 0F1 (DLMF 10.39.9).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.gamma_function import digamma
from dagmodels.series import debye

_inline = numba.njit(error_model="numpy")
DIRECT = 32  # terms up to the mode that are multiplied one by one
SMALL = 1e-20  # share of the sum below which terms end it
FAR = 500.0  # modes from here on: s > 1000, where the expansion has all digits

_SUM = debye.columns(debye.SUM)
_IN_ORDER = debye.columns(debye.in_order(debye.SUM))
_IN_Z = debye.columns(debye.in_quarter_square(debye.SUM))


@_inline
def _powers(columns, p, t):
    total = 0.0
    for row in range(columns.shape[0]):
        total += columns[row, 2] * p ** columns[row, 0] * t ** columns[row, 1]
    return total


@_inline
def _expanded(b, z):
    nu = b - 1.0
    s = math.hypot(nu, 2.0 * math.sqrt(z))
    p, t = nu / s, 1.0 / s
    total = _powers(_SUM, p, t)
    in_b = digamma(b) - math.log(0.5 * (nu + s)) - 0.5 * p * t + _powers(_IN_ORDER, p, t) / total
    in_z = 2.0 / (nu + s) - t * t + _powers(_IN_Z, p, t) / total
    body = math.lgamma(b) + s - nu * math.log(0.5 * (nu + s)) - 0.5 * math.log(2.0 * math.pi * s)
    return body + math.log(total), in_b, in_z


@_inline
def log_0f1(b, z):
    """log 0F1(; b; z) and its derivatives in b and in z; nan outside b > 0, 0 <= z < infinity."""
    if not (b > 0.0 and 0.0 <= z < np.inf):
        return np.nan, np.nan, np.nan
    if z == 0.0:
        return 0.0, 0.0, 1.0 / b
    root = math.hypot(b - 1.0, 2.0 * math.sqrt(z))
    mode = np.floor(2.0 * z / (b - 1.0 + root) if b > 1.0 else 0.5 * (1.0 - b + root))
    if mode > FAR:
        return _expanded(b, z)
    top, harmonic = 0.0, 0.0  # log of the term there, and the sum of 1/(b + j) over j < mode
    if mode <= DIRECT:
        for j in range(int(mode)):
            top += math.log(z / ((j + 1.0) * (b + j)))
            harmonic += 1.0 / (b + j)
    else:
        top = mode * math.log(z) - math.lgamma(mode + 1.0) - (math.lgamma(b + mode) - math.lgamma(b))
        harmonic = digamma(b + mode) - digamma(b)
    total, in_b, in_z = 1.0, harmonic, mode
    term, k, h = 1.0, mode, harmonic
    while term > SMALL * total:
        term *= z / ((k + 1.0) * (b + k))
        h += 1.0 / (b + k)
        k += 1.0
        total += term
        in_b += term * h
        in_z += term * k
    term, k, h = 1.0, mode, harmonic
    while k > 0.0 and term > SMALL * total:
        term *= k * (b + k - 1.0) / z
        k -= 1.0
        h -= 1.0 / (b + k)
        total += term
        in_b += term * h
        in_z += term * k
    return top + math.log(total), -in_b / total, in_z / total / z
