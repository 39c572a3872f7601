"""Exact draws that numpy has not: truncated normal, Polya-Gamma and Wishart; log gamma without underflow."""

from __future__ import annotations

import math

import numba
import numpy as np

from dagmodels.numerics.compiled import kernel

_inline = numba.njit(error_model="numpy")
CUT = 0.64  # where the two series of the Jacobi density meet (Polson, Scott and Windle 2013, section 4.1)


@_inline
def _above(rng, a, b):
    """A standard normal number between a and b, 0 < a < b: an exponential proposal, or a uniform one where
    the interval is short.
    """
    if (b - a) * a < 1.0:
        while True:
            z = a + (b - a) * rng.random()
            if rng.random() <= math.exp(0.5 * (a - z) * (a + z)):
                return z
    rate = 0.5 * (a + math.sqrt(a * a + 4.0))
    while True:
        z = a + rng.standard_exponential() / rate
        if z <= b and rng.random() <= math.exp(-0.5 * (z - rate) ** 2):
            return z


@kernel("f8(npy_rng, f8, f8)")
def cut_normal(rng, a, b):
    """A standard normal number between a and b (Robert 1995, Stat. Comput. 5:121)."""
    if a > 0.0:
        return _above(rng, a, b)
    if b < 0.0:
        return -_above(rng, -b, -a)
    if b - a > 1.0:  # at least a quarter of the proposals lie between
        while True:
            z = rng.standard_normal()
            if a <= z <= b:
                return z
    while True:
        z = a + (b - a) * rng.random()
        if rng.random() <= math.exp(-0.5 * z * z):
            return z


@kernel("f8(npy_rng, f8)")
def log_gamma_draw(rng, shape):
    """Logarithm of a gamma draw of rate one.

    Of small shapes by G(a) = G(a + 1) U**(1/a), whose logarithm has no underflow.
    """
    if shape < 1.0:
        return math.log(rng.standard_gamma(shape + 1.0)) - rng.standard_exponential() / shape
    return math.log(rng.standard_gamma(shape))


@_inline
def _phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@_inline
def _coefficient(n, x):
    """The n-th term of the series of the Jacobi density at x (the same paper, equations 12 and 13)."""
    k = n + 0.5
    if x > CUT:
        return math.pi * k * math.exp(-0.5 * k * k * math.pi * math.pi * x)
    return math.pi * k * (2.0 / (math.pi * x)) ** 1.5 * math.exp(-2.0 * k * k / x)


@_inline
def _short_inverse_gaussian(rng, z):
    """Inverse Gaussian of mean 1/z and shape 1, given that it is below CUT (the same paper, algorithms 2,
    3).
    """
    if z * CUT < 1.0:
        while True:
            e = rng.standard_exponential()
            while e * e > 2.0 * rng.standard_exponential() / CUT:
                e = rng.standard_exponential()
            x = CUT / (1.0 + CUT * e) ** 2
            if rng.random() <= math.exp(-0.5 * z * z * x):
                return x
    mu = 1.0 / z
    while True:
        y = rng.standard_normal() ** 2
        x = mu + 0.5 * mu * mu * y - 0.5 * mu * math.sqrt(4.0 * mu * y + (mu * y) ** 2)
        if rng.random() > mu / (mu + x):
            x = mu * mu / x
        if x <= CUT:
            return x


@kernel("f8(npy_rng, f8)")
def inverse_gaussian(rng, a):
    """The inverse Gaussian law with mean 1/a and shape 1; where a = 0 one over a chi-square of one degree.

    (Michael, Schucany and Haas 1976, Am. Stat. 30:88, the smaller root as one over what does not cancel.)
    """
    v = rng.standard_normal()
    y = v * v
    x = 1.0 / (a + 0.5 * y + 0.5 * math.sqrt(y * (y + 4.0 * a)))
    if rng.random() * (1.0 + a * x) <= 1.0:
        return x
    return 1.0 / (a * a * x)


@kernel("f8(npy_rng, f8, f8)")
def polya_gamma(rng, trials, tilt):
    """PG(trials, tilt) for a whole number of trials: a sum of Devroye's draws of PG(1, tilt).

    (Polson, Scott and Windle 2013, J. Am. Stat. Assoc. 108:1339, algorithm 1.)
    """
    z = 0.5 * abs(tilt)
    rate = 0.125 * math.pi * math.pi + 0.5 * z * z
    right = 0.5 * math.pi / rate * math.exp(-rate * CUT)
    root = 1.0 / math.sqrt(CUT)
    left = math.exp(-z) * _phi(root * (CUT * z - 1.0))
    if z < 40.0:  # beyond, the second term is below 1e-200
        left += math.exp(z) * _phi(-root * (CUT * z + 1.0))
    share = right / (right + 2.0 * left)
    total = 0.0
    for _ in range(int(trials)):
        while True:
            if rng.random() < share:
                x = CUT + rng.standard_exponential() / rate
            else:
                x = _short_inverse_gaussian(rng, z)
            s = _coefficient(0, x)
            y = rng.random() * s
            n, kept, going = 0, False, True
            while going:
                n += 1
                if n % 2 == 1:
                    s -= _coefficient(n, x)
                    if y <= s:
                        kept, going = True, False
                else:
                    s += _coefficient(n, x)
                    if y > s:
                        going = False
            if kept:
                total += 0.25 * x
                break
    return total


@kernel("void(npy_rng, f8, f8[::1], i8, b1, f8[::1])")
def wishart(rng, df, rate, d, inverse, found):
    """Matrices W with density |W|**((df - d - 1)/2) exp(-tr(rate W)/2) by rows, or their inverses.

    Bartlett's decomposition: with rate = C C', W = (C**-T A)(C**-T A)', A lower, A_ii**2 chi-square of df -
    i.
    """
    c, a, m = np.zeros((d, d)), np.zeros((d, d)), np.zeros((d, d))
    for i in range(d):
        for j in range(i + 1):
            total = rate[i * d + j]
            for k in range(j):
                total -= c[i, k] * c[j, k]
            c[i, j] = math.sqrt(total) if i == j else total / c[j, j]
    for i in range(d):
        a[i, i] = math.sqrt(2.0 * rng.standard_gamma(0.5 * (df - i)))
        for j in range(i):
            a[i, j] = rng.standard_normal()
    if inverse:  # m = C A**-T, column by column of its transpose: A m' = C'
        for col in range(d):
            for i in range(d):
                total = c[col, i] if i <= col else 0.0
                for k in range(i):
                    total -= a[i, k] * m[col, k]
                m[col, i] = total / a[i, i]
    else:  # C' m = A
        for col in range(d):
            for i in range(d - 1, -1, -1):
                total = a[i, col]
                for k in range(i + 1, d):
                    total -= c[k, i] * m[k, col]
                m[i, col] = total / c[i, i]
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for k in range(d):
                total += m[i, k] * m[j, k]
            found[i * d + j] = found[j * d + i] = total
