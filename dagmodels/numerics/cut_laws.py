"""Exact draws from gamma and beta laws between limits, at any depth of their tails.

In the logarithm of a gamma number, and in the logit of a beta number, the log density h is concave, whatever
the limits are. With d measured from its top, h(0) = 0, two tangents on each side bound it, at d = 0 and
where it has fallen by about one: a proposal from their exponentials is kept in most cases (Devroye 1986,
Non-Uniform Random Variate Generation, section VII.2; Gilks and Wild 1992, Appl. Stat. 41:337). No incomplete
function is inverted, so that no tail underflows; shapes of gamma laws that keep away from zero may be
negative.
"""

from __future__ import annotations

import math

import numba

from dagmodels.numerics.compiled import kernel

_inline = numba.njit(error_model="numpy")
GAMMA, BETA = 0, 1
TRIALS = 200  # of the place of a tangent: any place is right, and half the doubles' range is within reach
NEAR_ONE = 1.0 - 2.0**-53
HIGH, LOW = -0.5, -2.0  # log densities between which a tangent is taken


@_inline
def _fall(kind, a, b, p, d):
    """h at d. Of a gamma law a*d - b*(exp(d) - 1), b the rate times the top's number; of a beta law, p the
    top's probability, a*d - (a + b)*log(1 - p + p*exp(d)).
    """
    if kind == GAMMA:
        return a * d - b * math.expm1(d)
    if d > 30.0:
        return -b * d - (a + b) * math.log(p + (1.0 - p) * math.exp(-d))
    return a * d - (a + b) * math.log1p(p * math.expm1(d))


@_inline
def _slope(kind, a, b, p, d):
    """h'(d)."""
    if kind == GAMMA:
        return a - b * math.exp(d)
    if d > 30.0:
        return a - (a + b) * p / (p + (1.0 - p) * math.exp(-d))
    return a - (a + b) * p * math.exp(d) / (1.0 + p * math.expm1(d))


@_inline
def _tangent(kind, a, b, p, first, end, side):
    """Where on a side (1 or -1) h has fallen by about one, or the end."""
    x, near, far = min(first, end), 0.0, math.inf
    for _ in range(TRIALS):
        h = _fall(kind, a, b, p, side * x)
        if h > HIGH:
            if x >= end:
                break
            near = x
            x = min(2.0 * x, end) if far == math.inf else 0.5 * (near + far)
        elif h >= LOW:
            break
        else:
            far = x
            x = 0.5 * (near + far)
    return x


@_inline
def _area(start, slope, width):
    """Integral of exp(start + slope*x) for x from 0 to the width, which may be infinite."""
    if abs(slope) * width < 1e-12 or slope == 0.0:
        return math.exp(start) * width
    return math.exp(start) * math.expm1(slope * width) / slope


@_inline
def _along(u, slope, width):
    """The number from 0 to the width below which lies the share u of the same integral."""
    if abs(slope) * width < 1e-12 or slope == 0.0:
        return u * width
    return min(math.log1p(u * math.expm1(slope * width)) / slope, width)


@_inline
def _side(kind, a, b, p, s, first, end, side):
    """Two pieces of the bound on a side: where they meet, the second one's height there and slope."""
    x = _tangent(kind, a, b, p, first, end, side)
    h, g = _fall(kind, a, b, p, side * x), side * _slope(kind, a, b, p, side * x)
    meet = (h - g * x) / (s - g) if g < s else end
    meet = min(max(meet, 0.0), end)
    return meet, s * meet, g


@_inline
def _concave(rng, kind, a, b, p, curvature, left, right):
    """d between -left and right, with log density h."""
    s = _slope(kind, a, b, p, 0.0)
    down, up = (
        min(s, 0.0),
        min(-s, 0.0),
    )  # slopes at the top, to the right and to the left, of a top at an end
    if left > 0.0 and right > 0.0:
        down = up = 0.0
    first = 1.0 / max(math.sqrt(curvature), abs(s), 1e-100)
    r1, r2, l1, l2 = 0.0, 0.0, 0.0, 0.0
    right_at, right_height, right_slope = 0.0, 0.0, 0.0
    left_at, left_height, left_slope = 0.0, 0.0, 0.0
    if right > 0.0:
        right_at, right_height, right_slope = _side(kind, a, b, p, down, first, right, 1.0)
        r1 = _area(0.0, down, right_at)
        r2 = _area(right_height, right_slope, right - right_at) if right > right_at else 0.0
    if left > 0.0:
        left_at, left_height, left_slope = _side(kind, a, b, p, up, first, left, -1.0)
        l1 = _area(0.0, up, left_at)
        l2 = _area(left_height, left_slope, left - left_at) if left > left_at else 0.0
    total = r1 + r2 + l1 + l2
    if not 0.0 < total < math.inf:
        return 0.0  # one point
    while True:
        u = total * rng.random()
        if u < r1:
            d = _along(rng.random(), down, right_at)
            bound = down * d
        elif u < r1 + r2:
            d = _along(rng.random(), right_slope, right - right_at)
            bound = right_height + right_slope * d
            d += right_at
        elif u < r1 + r2 + l1:
            d = _along(rng.random(), up, left_at)
            bound = up * d
            d = -d
        else:
            d = _along(rng.random(), left_slope, left - left_at)
            bound = left_height + left_slope * d
            d = -left_at - d
        if -rng.standard_exponential() <= _fall(kind, a, b, p, d) - bound:
            return d


@_inline
def _log_ratio(x, y):
    """log(x/y), of near numbers too."""
    if y == 0.0 or not abs(x - y) < 0.5 * y:
        return math.log(x / y)
    return math.log1p((x - y) / y)


@kernel("f8(npy_rng, f8, f8, f8, f8, f8)")
def cut_gamma(rng, shape, rate, power, low, high):
    """A number between low and high, both not negative, whose power has a gamma law.

    Where no proper law is left (a top at zero or at infinity) it is that end.
    """
    if shape > 0.0 and rate > 0.0:
        top = math.exp((math.log(shape) - math.log(rate)) / power)
    else:
        top = math.inf if (rate > 0.0 or shape <= 0.0) == (power < 0.0) else 0.0
    inside = low < top < high
    top = min(max(top, low), high)
    if not 0.0 < top < math.inf:
        return top
    b = shape if inside else rate * math.exp(power * math.log(top))
    one, other = power * _log_ratio(low, top), power * _log_ratio(high, top)
    d = _concave(rng, GAMMA, shape, b, 0.0, b, max(-min(one, other), 0.0), max(one, other, 0.0))
    return min(max(top * math.exp(d / power), low), high)


@kernel("f8(npy_rng, f8, f8, f8, f8)")
def cut_beta(rng, a, b, low, high):
    """A beta number between limits, of which those outside of 0 and 1 count as 0 and 1."""
    low, high = max(low, 0.0), min(high, 1.0)
    top = min(max(a / (a + b), 1e-300), NEAR_ONE)
    top = min(max(top, low), high)
    if not 0.0 < top < 1.0:
        return top
    left = _log_ratio(top, low) - _log_ratio(1.0 - top, 1.0 - low) if low > 0.0 else math.inf
    right = _log_ratio(high, top) - _log_ratio(1.0 - high, 1.0 - top) if high < 1.0 else math.inf
    d = _concave(rng, BETA, a, b, top, (a + b) * top * (1.0 - top), max(left, 0.0), max(right, 0.0))
    p = top / (top + (1.0 - top) * math.exp(-d)) if d > -700.0 else top / (1.0 - top) * math.exp(d)
    return min(max(p, low), high)
