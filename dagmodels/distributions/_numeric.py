"""The namespace `f` on numbers and arrays: the functions of formulas in numpy and scipy.special.

All but the incomplete gamma and beta functions take complex arguments with a small imaginary part,
so that a complex step differentiates any formula; comparisons, `floor`, `min`, `max` and `abs` look
at the real part.  Vectors lie on the last axis, matrices on the last two; leading axes broadcast.
Arguments outside a function's domain give nan or infinity without a warning inside `quietly`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dagmodels.distributions import _confluent, _hypergeometric, _incomplete, _matrix

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

exp = np.exp
log = np.log
log1p = np.log1p
expm1 = np.expm1
sin = np.sin
cos = np.cos
arctan = np.arctan
tanh = np.tanh


def quietly(formula: Callable[..., Any], *arguments: Any) -> Any:
    """The formula on arrays: no warnings, float (or complex) arguments, this module as `f`."""
    import sys

    with np.errstate(all="ignore"):
        return formula(sys.modules[__name__], *(_number(a) for a in arguments))


def _number(value: Any) -> Any:
    array = np.asarray(value)
    return array if np.iscomplexobj(array) else array.astype(float)


def _complex(*values: Any) -> bool:
    return any(np.iscomplexobj(v) for v in values)


def _analytic(function: Callable[[Any], Any], slope: Callable[[Any], Any], x: Any) -> Any:
    """function(x); for a complex x its first-order continuation, which is what a complex step needs."""
    if not _complex(x):
        return function(np.asarray(x))
    real = np.real(x)
    return function(real) + 1j * np.imag(x) * slope(real)


def where(condition: Any, yes: Any, no: Any) -> Any:
    """`yes` where the condition is true (not zero), else `no`."""
    return np.where(np.asarray(condition) != 0, yes, no)


if_else = where


def equal(left: Any, right: Any) -> Any:
    """Whether the operands are equal."""
    return np.equal(left, right)


def sqrt(x: Any) -> Any:
    """Principal square root; nan for a negative real."""
    return np.sqrt(x)


def abs(x: Any) -> Any:
    """Magnitude by the sign of the real part, which is analytic away from zero."""
    return np.where(np.real(x) < 0, -x, x) if _complex(x) else np.abs(x)


def min(a: Any, b: Any) -> Any:
    """The smaller operand; the first where they cannot be compared, as in kernels."""
    return np.where(np.real(b) < np.real(a), b, a)


def max(a: Any, b: Any) -> Any:
    """The larger operand; the first where they cannot be compared."""
    return np.where(np.real(b) > np.real(a), b, a)


def floor(x: Any) -> Any:
    """Largest integer not above the real part."""
    return np.floor(np.real(x))


def expit(x: Any) -> Any:
    """1/(1 + exp(-x))."""
    if _complex(x):
        e = np.exp(np.where(np.real(x) < 0, x, -x))
        return np.where(np.real(x) < 0, e, 1) / (1 + e)
    from scipy.special import expit as real

    return real(x)


def logit(p: Any) -> Any:
    """log(p/(1 - p))."""
    if _complex(p):
        return np.log(p) - np.log1p(-p)
    from scipy.special import logit as real

    return real(p)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)) without overflow."""
    e = np.log1p(np.exp(-abs(x)))
    return np.where(np.real(x) > 0, x + e, e)


def cloglog(p: Any) -> Any:
    """log(-log(1 - p))."""
    return np.log(-np.log1p(-p))


def icloglog(x: Any) -> Any:
    """1 - exp(-exp(x))."""
    return -np.expm1(-np.exp(x))


def Phi(x: Any) -> Any:
    """Standard normal cdf."""
    from scipy.special import ndtr

    return ndtr(x)


def log_Phi(x: Any) -> Any:
    """Log of the standard normal cdf."""
    from scipy.special import log_ndtr

    return _analytic(log_ndtr, mills, x)


def mills(x: Any) -> Any:
    """phi(x)/Phi(x), accurate in both tails."""
    from scipy.special import erfcx

    def real(t: Any) -> Any:
        tail = math.sqrt(2 / math.pi) / erfcx(-t / math.sqrt(2))
        return np.where(t < 25, tail, np.exp(-0.5 * t * t - _HALF_LOG_2PI))  # beyond it erfcx overflows

    return _analytic(real, lambda t: -mills(t) * (t + mills(t)), x)


def probit(p: Any) -> Any:
    """Inverse of Phi."""
    from scipy.special import ndtri

    return _analytic(ndtri, lambda t: np.exp(0.5 * ndtri(t) ** 2 + _HALF_LOG_2PI), p)


def lgamma(x: Any) -> Any:
    """Log of the gamma function for positive x."""
    from scipy.special import gammaln, loggamma

    return loggamma(x) if _complex(x) else gammaln(x)


def digamma(x: Any) -> Any:
    """Derivative of lgamma."""
    from scipy.special import psi

    return psi(x)


def trigamma(x: Any) -> Any:
    """Second derivative of lgamma."""
    return polygamma(1, x)


# Bernoulli numbers B_2, B_4, ... of the asymptotic series
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def polygamma(n: Any, x: Any) -> Any:
    """Derivative of order n of digamma; n is one number, n >= 0, x positive."""
    order = int(np.real(n))
    if order == 0:
        return digamma(x)
    if not _complex(x):
        from scipy.special import polygamma as real

        return real(order, x)
    # complex: shift to Re z >= 16 by the recurrence, then Abramowitz and Stegun 6.4.11
    z = np.array(x, dtype=complex)
    total = np.zeros_like(z)
    for _ in range(16):
        total += z ** (-order - 1)
        z = z + 1
    tail = math.factorial(order - 1) * z**-order + 0.5 * math.factorial(order) * z ** (-order - 1)
    for k, b in enumerate(_BERNOULLI, start=1):
        ratio = math.factorial(2 * k + order - 1) / math.factorial(2 * k)
        tail += b * ratio * z ** (-2 * k - order)
    return (-1) ** (order + 1) * (math.factorial(order) * total + tail)


def _stirling(x: Any) -> Any:
    """lgamma(x) - (x - 1/2) log x + x - log(2 pi)/2 for x >= 10, to 1e-17 (A&S 6.1.41)."""
    w = 1 / (x * x)
    total = 0.0
    for k in range(len(_BERNOULLI), 0, -1):
        total = total * w + _BERNOULLI[k - 1] / (2 * k * (2 * k - 1))
    return total / x


def lbeta(a: Any, b: Any) -> Any:
    """Log of the beta function, without the cancellation of three log gammas at large arguments.

    The large terms of Stirling's formula are combined by hand (Didonato and Morris 1992, ACM TOMS
    708, section 2); the remainders are small and may be subtracted.
    """
    a, b = np.asarray(a), np.asarray(b)
    p, q = min(a, b), max(a, b)
    s = p + q
    both = (
        -0.5 * np.log(q)
        + _HALF_LOG_2PI
        + (_stirling(p) + _stirling(q) - _stirling(s))
        + (p - 0.5) * np.log(p / s)
        + q * np.log1p(-p / s)
    )
    one = lgamma(p) + (_stirling(q) - _stirling(s)) + p - p * np.log(s) + (q - 0.5) * np.log1p(-p / s)
    none = lgamma(p) + (lgamma(q) - lgamma(s))
    return np.where(np.real(p) >= 10, both, np.where(np.real(q) >= 10, one, none))


def log_i0e(x: Any) -> Any:
    """log(I0(x) exp(-x)), I0 the modified Bessel function of order 0, x >= 0."""
    return _analytic(_log_i0e, lambda k: i1_over_i0(k) - 1, x)


def _log_i0e(x: Any) -> Any:
    from scipy.special import i0e

    small = 0.25 * x * x  # log(1 + small + ...) keeps its digits near zero
    series = np.log1p(small * (1 + small * (0.25 + small * (1 / 36 + small / 576))))
    return np.where(x < 0.05, series - x, np.log(i0e(x)))


def i1_over_i0(x: Any) -> Any:
    """I1(x)/I0(x), the mean resultant length of the von Mises law."""
    from scipy.special import i0e, i1e

    def slope(k: Any) -> Any:
        r = i1_over_i0(k)
        return np.where(k == 0, 0.5, 1 - r / k - r * r)

    return _analytic(lambda k: i1e(k) / i0e(k), slope, x)


log_gammainc = _incomplete.log_gammainc
log_gammaincc = _incomplete.log_gammaincc
log_betainc = _incomplete.log_betainc
log_gammainc_shape = _incomplete.log_gammainc_shape
log_gammaincc_shape = _incomplete.log_gammaincc_shape
log_betainc_shape = _incomplete.log_betainc_shape

log_0f1 = _confluent.log_0f1
log_0f1_shape = _confluent.log_0f1_shape
fisher_cumulant = _hypergeometric.fisher_cumulant

size = _matrix.size
total = _matrix.total
element = _matrix.element
expand = _matrix.expand
increasing = _matrix.increasing
outer = _matrix.outer
matvec = _matrix.matvec
matmul = _matrix.matmul
transpose = _matrix.transpose
diagonal = _matrix.diagonal
half_lower = _matrix.half_lower
identity_minus = _matrix.identity_minus
posdef = _matrix.posdef
cholesky = _matrix.cholesky
solve = _matrix.solve
trace_solve = _matrix.trace_solve
logdet = _matrix.logdet
inverse = _matrix.inverse
softmax = _matrix.softmax


def mvlgamma(a: Any, d: Any) -> Any:
    """Log of the multivariate gamma function of order d (one number), a > (d - 1)/2."""
    order = _order(d)
    terms = sum(lgamma(a - 0.5 * j) for j in range(order))
    return terms + 0.25 * order * (order - 1) * math.log(math.pi)


def mvpolygamma(n: Any, a: Any, d: Any) -> Any:
    """Derivative of order n + 1 of `mvlgamma` in a."""
    return sum(polygamma(n, a - 0.5 * j) for j in range(_order(d)))


def _order(d: Any) -> int:
    return int(np.real(np.ravel(d)[0]))
