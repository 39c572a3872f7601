"""Logarithms of regularised incomplete gamma and beta functions, far into both tails.

scipy.special gives the functions themselves; where they underflow, series and continued fractions
in logarithms take over.  Derivatives in the shapes have no closed form and are central differences.
Real arguments only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_TINY = 1e-280  # below it the regularised function is about to underflow
_TERMS = 20_000


def _combine(value: Any, complement: Any, tail: Callable[..., Any], *arguments: Any) -> Any:
    """log(value), by log1p of the complement near one and by `tail` near underflow."""
    out = np.where(value < 0.5, np.log(value), np.log1p(-complement))
    deep = value < _TINY
    if np.any(deep):
        full = np.broadcast_arrays(*arguments)
        out = np.array(out)
        out[deep] = tail(*(a[deep] for a in full))
    return out


def log_gammainc(a: Any, x: Any) -> Any:
    """log P(a, x), lower regularised incomplete gamma function."""
    from scipy.special import gammainc, gammaincc

    a, x = np.asarray(a, float), np.asarray(x, float)
    return _combine(gammainc(a, x), gammaincc(a, x), _gamma_series, a, x)


def log_gammaincc(a: Any, x: Any) -> Any:
    """log Q(a, x), upper regularised incomplete gamma function."""
    from scipy.special import gammainc, gammaincc

    a, x = np.asarray(a, float), np.asarray(x, float)
    return _combine(gammaincc(a, x), gammainc(a, x), _gamma_fraction, a, x)


def log_betainc(a: Any, b: Any, x: Any) -> Any:
    """log I_x(a, b), regularised incomplete beta function."""
    from scipy.special import betainc, betaincc

    a, b, x = (np.asarray(v, float) for v in (a, b, x))
    return _combine(betainc(a, b, x), betaincc(a, b, x), _beta_fraction, a, b, x)


def _gamma_series(a: Any, x: Any) -> Any:
    """P(a, x) = x^a e^-x / Gamma(a + 1) * sum of x^n / ((a + 1)...(a + n)) (A&S 6.5.29), x < a."""
    from scipy.special import gammaln

    term = np.ones_like(a)
    total = np.ones_like(a)
    for n in range(1, _TERMS):
        term = term * x / (a + n)
        total = total + term
        if not np.any(term > 1e-17 * total):  # nan counts as done
            break
    return np.where(x > 0, a * np.log(x) - x - gammaln(a + 1) + np.log(total), -np.inf)


def _lentz(numerator: Callable[[int], Any], denominator: Callable[[int], Any], start: Any) -> Any:
    """b0 + a1/(b1 + a2/(b2 + ...)) by the modified Lentz method (Thompson and Barnett 1986)."""
    value = np.where(start == 0, 1e-300, start)
    c, d = value, np.zeros_like(value)
    for n in range(1, _TERMS):
        a, b = numerator(n), denominator(n)
        d = b + a * d
        d = 1 / np.where(d == 0, 1e-300, d)
        c = b + a / c
        c = np.where(c == 0, 1e-300, c)
        value = value * (c * d)
        if not np.any(np.abs(c * d - 1) > 5e-16):  # nan counts as done
            break
    return value


def _gamma_fraction(a: Any, x: Any) -> Any:
    """Q(a, x) = x^a e^-x / Gamma(a) / (x + 1 - a - 1(1 - a)/(x + 3 - a - ...)) (A&S 6.5.31), x > a."""
    from scipy.special import gammaln

    fraction = _lentz(lambda n: -n * (n - a), lambda n: x + 2 * n + 1 - a, x + 1 - a)
    return np.where(x < np.inf, a * np.log(x) - x - gammaln(a) - np.log(fraction), -np.inf)


def _beta_fraction(a: Any, b: Any, x: Any) -> Any:
    """I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) / (1 + d1/(1 + d2/(1 + ...))) (A&S 26.5.8)."""
    from dagmodels.distributions._numeric import lbeta

    def d(n: int) -> Any:
        m = n // 2
        if n % 2:
            return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))

    fraction = _lentz(d, lambda n: np.ones_like(a), np.ones_like(a))
    log_front = a * np.log(x) + b * np.log1p(-x) - np.log(a) - lbeta(a, b)
    return np.where(x > 0, log_front - np.log(fraction), -np.inf)


# eighth-order central differences (Fornberg 1988, table 1), offsets 1..4
_FIRST = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
_SECOND = (8 / 5, -1 / 5, 8 / 315, -1 / 560)


def _difference(g: Callable[[Any], Any], a: Any, order: int) -> Any:
    """Derivative of order 0, 1 or 2 of g at a > 0; relative error about 1e-11 and 1e-9."""
    a = np.asarray(a, dtype=float)
    if order == 0:
        return g(a)
    h = 0.02 * a / (1 + np.sqrt(a))  # the functions vary on the scale min(a, sqrt(a))
    if order == 1:
        return sum(w * (g(a + k * h) - g(a - k * h)) for k, w in enumerate(_FIRST, 1)) / h
    centre = g(a)
    steps = sum(w * ((g(a + k * h) - centre) + (g(a - k * h) - centre)) for k, w in enumerate(_SECOND, 1))
    return steps / h**2


def _one(order: Any) -> int:
    return int(np.ravel(order)[0])


def log_gammainc_shape(k: Any, a: Any, x: Any) -> Any:
    """Derivative of order k (0, 1, 2) of `log_gammainc` in a."""
    return _difference(lambda s: log_gammainc(s, x), a, _one(k))


def log_gammaincc_shape(k: Any, a: Any, x: Any) -> Any:
    """Derivative of order k (0, 1, 2) of `log_gammaincc` in a."""
    return _difference(lambda s: log_gammaincc(s, x), a, _one(k))


def log_betainc_shape(i: Any, j: Any, a: Any, b: Any, x: Any) -> Any:
    """Derivative of orders i in a and j in b, i + j <= 2, of `log_betainc`."""
    return _difference(lambda s: _difference(lambda t: log_betainc(s, t, x), b, _one(j)), a, _one(i))
