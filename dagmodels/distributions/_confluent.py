"""Logarithm of the confluent hypergeometric limit function 0F1(; b; z) and its derivatives in b, for arrays.

Its terms z^k / ((b)_k k!) (DLMF 16.2.1) are a law of k but for their sum; they are summed from the largest
outwards.
Real or complex arguments, b > 0 and z >= 0 in their real parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_TERMS = 100_000
_SMALL = 1e-20


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
    return np.where(valid, _sums(b, z)[order], np.nan)


def _sums(b: Any, z: Any) -> tuple[Any, Any, Any]:
    """The three orders."""
    from dagmodels.distributions import _numeric as f

    c, w = np.real(b), np.real(z)
    mode = np.floor(np.maximum(0.5 * (1 - c + np.sqrt((c - 1) ** 2 + 4 * w)), 0.0))
    inside = np.where(w > 0, z, 1)
    top = np.where(mode > 0, mode * np.log(inside), 0.0) - f.lgamma(mode + 1)
    top = top - f.lgamma(b + mode) + f.lgamma(b)
    start = (f.digamma(b + mode) - f.digamma(b), f.trigamma(b) - f.trigamma(b + mode))
    total, first, square, bent = 1.0, start[0], start[0] ** 2, start[1]
    for step in (1, -1):
        term, at, h, g = np.ones_like(b * z), mode, *start
        for _ in range(_TERMS):
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
