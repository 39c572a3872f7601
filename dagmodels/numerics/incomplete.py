"""Incomplete gamma and beta functions with their derivatives in the shapes, for kernels.

Series and continued fractions in logarithms, so that no tail underflows, each on the side where it
converges at once; what is left of one is the other side.  Derivatives in the shapes go through the same
series and fractions term by term.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.gamma_function import binet, digamma

_inline = numba.njit(error_model="numpy")
MOST = 20_000  # terms
SMALL = 1e-17
LOG_2 = math.log(2.0)
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@_inline
def _rest(log_part):
    """log(1 - exp(x)), x <= 0."""
    if log_part > -LOG_2:
        return math.log(-math.expm1(log_part))
    return math.log1p(-math.exp(log_part))


@_inline
def _log_near(ratio, excess):
    """log(ratio), where ratio = 1 + excess."""
    return math.log1p(excess) if abs(excess) < 0.5 else math.log(ratio)


@_inline
def _gamma_front(a, x):
    """log of x^a exp(-x) / Gamma(a), without the cancellation of large terms."""
    if a < 10.0:
        return a * math.log(x) - x - math.lgamma(a)
    excess = (x - a) / a
    return a * (_log_near(x / a, excess) - excess) + 0.5 * math.log(a) - HALF_LOG_2PI - binet(0, a)


@_inline
def gamma_tails(a, x):
    """log P(a, x), log Q(a, x) and the derivatives of both in a (DLMF 8.2.4), a > 0 and x >= 0.

    P by its series (8.7.1) up to x = a + 1, Q by its continued fraction (8.9.2) beyond.
    """
    if not (a > 0.0 and x >= 0.0 and a < np.inf):
        return np.nan, np.nan, np.nan, np.nan
    if x == 0.0:
        return -np.inf, 0.0, np.nan, 0.0
    if x == np.inf:
        return 0.0, -np.inf, 0.0, np.nan
    front = _gamma_front(a, x)
    score = math.log(x) - digamma(a)
    if x < a + 1.0:
        term, total, harmonic, slope = 1.0, 1.0, 0.0, 0.0
        for n in range(1, MOST):
            term *= x / (a + n)
            harmonic += 1.0 / (a + n)
            total += term
            slope += term * harmonic
            if term * (1.0 + harmonic) < SMALL * total:
                break
        lower = front - math.log(a) + math.log(total)
        change = score - 1.0 / a - slope / total
        upper = _rest(lower)
        return lower, upper, change, -math.exp(lower - upper) * change
    value, slope = x + 1.0 - a, -1.0 / (x + 1.0 - a)  # of the fraction, and of its logarithm
    c, dc, d, dd = value, -1.0, 0.0, 0.0
    for n in range(1, MOST):
        top, below = -n * (n - a), x + 2.0 * n + 1.0 - a
        d, dd = below + top * d, -1.0 + n * d + top * dd
        d, dd = 1.0 / d, -dd / (d * d)
        c, dc = below + top / c, -1.0 + n / c - top * dc / (c * c)
        step = c * d
        turn = dc / c + dd / d
        value *= step
        slope += turn
        if abs(step - 1.0) < 3e-16 and abs(turn) < 1e-16 * (1.0 + abs(slope)):
            break
    upper = front - math.log(value)
    change = score - slope
    lower = _rest(upper)
    return lower, upper, -math.exp(upper - lower) * change, change


@_inline
def gamma_slope(a, x, log_tail):
    """The density at x over the probability of a tail: what log P rises by in x, and log Q falls by.

    At the ends of the line, which are limits that do not move, 0.
    """
    if not 0.0 < x < np.inf:
        return 0.0
    return math.exp(_gamma_front(a, x) - math.log(x) - log_tail)


@_inline
def _beta_front(a, b, x):
    """log of x^a (1 - x)^b / B(a, b), without the cancellation of large terms."""
    s = a + b
    excess = x * b - (1.0 - x) * a
    rest = binet(0, a) + binet(0, b) - binet(0, s) + HALF_LOG_2PI
    powers = a * _log_near(x * s / a, excess / a) + b * _log_near((1.0 - x) * s / b, -excess / b)
    return powers - 0.5 * math.log1p(b / a) - 0.5 * math.log1p(a / b) + 0.5 * math.log(s) - rest


@_inline
def _beta_fraction(a, b, x):
    """The continued fraction of I_x(a, b) (A&S 26.5.8): its logarithm, and derivatives in a and b."""
    value, in_a, in_b = 1.0, 0.0, 0.0
    c, ca, cb, d, da, db = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(1, MOST):
        m = float(n // 2)
        if n % 2:
            u, v = a + 2.0 * m, a + 2.0 * m + 1.0
            p = -(a + m) * (a + b + m) * x / (u * v)
            pa = p * (1.0 / (a + m) + 1.0 / (a + b + m) - 1.0 / u - 1.0 / v)
            pb = p / (a + b + m)
        else:
            u, v = a + 2.0 * m - 1.0, a + 2.0 * m
            pb = m * x / (u * v)
            p = pb * (b - m)
            pa = -p * (1.0 / u + 1.0 / v)
        d, da, db = 1.0 + p * d, pa * d + p * da, pb * d + p * db
        d, da, db = 1.0 / d, -da / (d * d), -db / (d * d)
        c, ca, cb = 1.0 + p / c, pa / c - p * ca / (c * c), pb / c - p * cb / (c * c)
        step, turn_a, turn_b = c * d, ca / c + da / d, cb / c + db / d
        value *= step
        in_a += turn_a
        in_b += turn_b
        if abs(step - 1.0) < 3e-16 and abs(turn_a) + abs(turn_b) < 1e-16 * (1.0 + abs(in_a) + abs(in_b)):
            break
    return math.log(value), in_a, in_b


@_inline
def beta_share(a, b, x):
    """log I_x(a, b) and its derivatives in a and b (DLMF 8.17.2), a, b > 0 and 0 <= x <= 1."""
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0 and a < np.inf and b < np.inf):
        return np.nan, np.nan, np.nan
    if x == 0.0:
        return -np.inf, np.nan, np.nan
    if x == 1.0:
        return 0.0, 0.0, 0.0
    front, common = _beta_front(a, b, x), digamma(a + b)
    if x * (a + b + 2.0) < a + 1.0:
        log, in_a, in_b = _beta_fraction(a, b, x)
        change_a = math.log(x) - (digamma(a) - common) - 1.0 / a - in_a
        change_b = math.log1p(-x) - (digamma(b) - common) - in_b
        return front - math.log(a) - log, change_a, change_b
    log, in_b, in_a = _beta_fraction(b, a, 1.0 - x)
    other = front - math.log(b) - log
    value = _rest(other)
    odds = -math.exp(other - value)
    change_a = math.log(x) - (digamma(a) - common) - in_a
    change_b = math.log1p(-x) - (digamma(b) - common) - 1.0 / b - in_b
    return value, odds * change_a, odds * change_b


@_inline
def beta_slope(a, b, x, log_share):
    """The derivative of log I_x(a, b) in x; 0 at 0 and 1, which are limits that do not move."""
    if not 0.0 < x < 1.0:
        return 0.0
    return math.exp(_beta_front(a, b, x) - math.log(x) - math.log1p(-x) - log_share)
