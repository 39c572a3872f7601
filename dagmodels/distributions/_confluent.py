"""Logarithm of the confluent hypergeometric limit function 0F1(; b; z) and its derivatives in b, for arrays.

Its terms z^k / ((b)_k k!) (DLMF 16.2.1) are a law of k but for their sum; they are summed from the largest
outwards, and where that one is far out Debye's expansion takes their place (DLMF 10.39.9 and 10.41.3).
Real or complex arguments, b > 0 and z >= 0 in their real parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.series import debye

_SMALL = 1e-20
_FAR = 500.0  # largest term from here on: the expansion has all digits

_SUM = debye.SUM
_SLOPE = debye.in_order(_SUM)
_CURVE = debye.in_order(_SLOPE)


def log_0f1(b: Any, z: Any) -> Any:
    """log 0F1(; b; z)."""
    return log_0f1_shape(0, b, z)


def log_0f1_shape(k: Any, b: Any, z: Any) -> Any:
    """Derivative of order k (0, 1, 2) of `log_0f1` in b.

    With h = digamma(b + k) - digamma(b) and g = trigamma(b) - trigamma(b + k) of the terms, these are -E h
    and Var h + E g under their law.
    """
    order = int(np.real(np.ravel(k)[0]))
    b, z = np.broadcast_arrays(np.asarray(b), np.asarray(z))
    valid = (np.real(b) > 0) & (np.real(z) >= 0) & np.isfinite(np.real(z))
    b, z = np.where(valid, b, 1), np.where(valid, z, 1)
    far = _mode(b, z) > _FAR
    near = _sums(np.where(far, 1, b), np.where(far, 1, z))[order]
    beyond = _expanded(np.where(far, b, 1), np.where(far, z, _FAR**2))[order]
    return np.where(valid, np.where(far, beyond, near), np.nan)


def _mode(b: Any, z: Any) -> Any:
    c, w = np.real(b) - 1, np.real(z)
    root = np.hypot(c, 2 * np.sqrt(w))
    return np.floor(
        np.maximum(np.where(c > 0, 2 * w / (np.abs(c) + root + (root == 0)), 0.5 * (root - c)), 0.0)
    )


def _expanded(b: Any, z: Any) -> tuple[Any, Any, Any]:
    """The three orders by Debye's expansion."""
    from dagmodels.distributions import _numeric as f

    nu, x = b - 1, 2 * np.sqrt(z)
    s = x * np.sqrt(1 + (nu / x) ** 2)
    p, t = nu / s, 1 / s
    total, slope, curve = (
        sum(c * p**a * t**k for (a, k), c in terms.items()) for terms in (_SUM, _SLOPE, _CURVE)
    )
    reach = np.log((nu + s) / 2)
    value = f.lgamma(b) + s - nu * reach - np.log(2 * np.pi * s) / 2 + np.log(total)
    first = f.digamma(b) - reach - p * t / 2 + slope / total
    second = f.trigamma(b) - t - t**2 * (1 / 2 - p**2) + curve / total - (slope / total) ** 2
    return value, first, second


def _sums(b: Any, z: Any) -> tuple[Any, Any, Any]:
    """The three orders."""
    from dagmodels.distributions import _numeric as f

    mode = _mode(b, z)
    inside = np.where(np.real(z) > 0, z, 1)
    top = np.where(mode > 0, mode * np.log(inside), 0.0) - f.lgamma(mode + 1)
    top = top - f.lgamma(b + mode) + f.lgamma(b)
    start = (f.digamma(b + mode) - f.digamma(b), f.trigamma(b) - f.trigamma(b + mode))
    total, first, square, bent = 1.0, start[0], start[0] ** 2, start[1]
    for step in (1, -1):
        term, at, h, g = np.ones_like(b * z), mode, *start
        while True:
            if step == 1:
                term = term * z / ((at + 1) * (b + at))
                h, g, at = h + 1 / (b + at), g + 1 / (b + at) ** 2, at + 1
            else:
                term = np.where(at > 0, term * at * (b + at - 1) / inside, 0)
                at = np.maximum(at - 1, 0)
                h, g = h - 1 / (b + at), g - 1 / (b + at) ** 2
            total, first = total + term, first + term * h
            square, bent = square + term * h**2, bent + term * g
            if not np.any(np.abs(term) > _SMALL * np.abs(total)):  # nan counts as done
                break
    mean = first / total
    return top + np.log(total), -mean, square / total - mean**2 + bent / total
