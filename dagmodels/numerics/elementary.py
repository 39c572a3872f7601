"""exp, log and their like of many numbers at once: free of branches, so that compilers make vector code.

exp(x) = 2^k exp(r) with k the integer nearest x/log 2 and r in two parts (Cody and Waite 1980, Software
Manual for the Elementary Functions, ch. 6); exp(r) by its Taylor series; log(1 + z) = 2 artanh(z/(2 + z)) by
its own.  A number is taken apart into 2^k and a rest near one for its log; log(1 + z) for any z is log(u) +
(z - (u - 1))/u with u = 1 + z as it is rounded.  Errors stay below 3 units in the last place; numbers where a
power of two would leave the ordinary range are left to the caller (`ordinary`, `positive`).
"""

from __future__ import annotations

from typing import Any

import numba
from numba.extending import intrinsic

_inline = numba.njit(error_model="numpy")

REACH = 700.0  # |x| up to which exp(x) is an ordinary number
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 33 bits, so that k times it is exact
_LN2_LOW = 1.90821492927058770002e-10
LEAST, MOST = 1e-300, 1e300  # between which numbers are taken apart
_ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_SHIFT = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to integers, which stand in the last bits


@intrinsic
def _bits(typing: Any, x: Any) -> Any:
    """The bits of a float as an integer."""
    from numba import types

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), code


@intrinsic
def _float(typing: Any, x: Any) -> Any:
    """The float with these bits."""
    from numba import types

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), code


@_inline
def ordinary(x):
    """Whether all numbers are within reach (nan is not)."""
    bad = 0
    for i in range(x.size):
        bad += 0 if abs(x[i]) <= REACH else 1
    return bad == 0


@_inline
def _exp(x):
    shifted = x * _LOG2E + _SHIFT
    k = shifted - _SHIFT
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    q = 1.0 / 6227020800.0
    q = q * r + 1.0 / 479001600.0
    q = q * r + 1.0 / 39916800.0
    q = q * r + 1.0 / 3628800.0
    q = q * r + 1.0 / 362880.0
    q = q * r + 1.0 / 40320.0
    q = q * r + 1.0 / 5040.0
    q = q * r + 1.0 / 720.0
    q = q * r + 1.0 / 120.0
    q = q * r + 1.0 / 24.0
    q = q * r + 1.0 / 6.0
    q = q * r + 0.5
    return _float(_bits(1.0 + (r + r * r * q)) + (_bits(shifted) << 52))


@_inline
def _inner(q, t):
    """The terms 1/3 + t/5 + ... + t^8/19 of artanh's series, q what follows them."""
    q = q * t + 1.0 / 19.0
    q = q * t + 1.0 / 17.0
    q = q * t + 1.0 / 15.0
    q = q * t + 1.0 / 13.0
    q = q * t + 1.0 / 11.0
    q = q * t + 1.0 / 9.0
    q = q * t + 1.0 / 7.0
    q = q * t + 0.2
    return q * t + 1.0 / 3.0


@_inline
def _log1p(z):
    """For 0 <= z <= 1."""
    s = z / (2.0 + z)
    t = s * s
    q = 1.0 / 35.0
    q = q * t + 1.0 / 33.0
    q = q * t + 1.0 / 31.0
    q = q * t + 1.0 / 29.0
    q = q * t + 1.0 / 27.0
    q = q * t + 1.0 / 25.0
    q = q * t + 1.0 / 23.0
    q = q * t + 1.0 / 21.0
    q = _inner(q, t)
    return 2.0 * s + 2.0 * s * t * q


@_inline
def exp_all(x, out):
    """out = exp(x), x ordinary."""
    for i in range(out.size):
        out[i] = _exp(x[i])


@_inline
def expit_all(x, out):
    """out = 1/(1 + exp(-x)), x ordinary."""
    for i in range(out.size):
        e = _exp(-abs(x[i]))
        out[i] = (1.0 if x[i] >= 0.0 else e) / (1.0 + e)


@_inline
def softplus_all(x, out):
    """out = log(1 + exp(x)), x ordinary."""
    for i in range(out.size):
        out[i] = max(x[i], 0.0) + _log1p(_exp(-abs(x[i])))


@_inline
def softplus_and_expit(x, value, slope):
    """value = log(1 + exp(x)) and slope = 1/(1 + exp(-x)) from one exponential each, x ordinary."""
    for i in range(x.size):
        e = _exp(-abs(x[i]))
        value[i] = max(x[i], 0.0) + _log1p(e)
        slope[i] = (1.0 if x[i] >= 0.0 else e) / (1.0 + e)


@_inline
def positive(x, shift):
    """Whether all numbers plus the shift are within reach of a log (nan is not)."""
    bad = 0
    for i in range(x.size):
        bad += 0 if LEAST <= x[i] + shift <= MOST else 1
    return bad == 0


@_inline
def _log(x):
    """x = 2^k m with m between sqrt(1/2) and sqrt(2)."""
    shifted = (_bits(x) - _ROOT_HALF) >> 52
    k = _float(_bits(_SHIFT) + shifted) - _SHIFT  # as a float, without a conversion
    z = _float(_bits(x) - (shifted << 52)) - 1.0
    s = z / (2.0 + z)
    t = s * s
    q = _inner(1.0 / 21.0, t)
    half = 0.5 * z * z
    rest = s * (half + 2.0 * t * q)  # log(1 + z) = z - half + rest
    return k * _LN2_HIGH - ((half - (rest + k * _LN2_LOW)) - z)


@_inline
def log_all(x, out):
    """out = log(x), x positive."""
    for i in range(out.size):
        out[i] = _log(x[i])


@_inline
def log1p_all(x, out):
    """out = log(1 + x), 1 + x positive."""
    for i in range(out.size):
        u = 1.0 + x[i]
        out[i] = _log(u) + (x[i] - (u - 1.0)) / u
