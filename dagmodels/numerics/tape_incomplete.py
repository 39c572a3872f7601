"""The tape's incomplete gamma and beta functions and 0F1 in plain numpy, for real and complex numbers.

The independent check of `incomplete` and `confluent`: series over whole arrays, whose complex steps give
derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MOST = 20_000  # terms


def _arrays(*values: Array) -> tuple[Array, ...]:
    kind = np.result_type(np.float64, *values)
    return tuple(np.array(v, kind) for v in np.broadcast_arrays(*values))


def _log_gamma(x: Array) -> Array:
    from scipy import special

    return special.loggamma(x) if np.iscomplexobj(x) else special.gammaln(x)


def _rest(log_part: Array) -> Array:
    """log(1 - exp(x))."""
    return np.where(np.real(log_part) > -0.7, np.log(-np.expm1(log_part)), np.log1p(-np.exp(log_part)))


def _series(terms: Callable[[int, Array], Array], shape: Array) -> Array:
    """1 + t_1 + t_2 + ..., each from the one before."""
    term, total = np.ones_like(shape), np.ones_like(shape)
    for n in range(1, MOST):
        term = terms(n, term)
        total = total + term
        if not np.any(np.abs(term) > 1e-18 * np.abs(total)):  # nan counts as done
            break
    return total


def _backwards(numerator: Callable[[int], Array], denominator: Callable[[int], Array], depth: int) -> Array:
    """b0 + a1/(b1 + a2/(b2 + ...)), from its end."""
    value = denominator(depth)
    for n in range(depth, 0, -1):
        value = denominator(n - 1) + numerator(n) / value
    return value


def _tails(a: Array, x: Array) -> tuple[Array, Array]:
    """log P(a, x) and log Q(a, x): DLMF 8.7.1 and 8.9.2."""
    a, x = _arrays(a, x)
    low = np.real(x) < np.real(a) + 1
    inside = np.where(low, x, 0.5 * a)  # for the series, which is taken there only
    total = _series(lambda n, t: t * inside / (a + n), a)
    below = a * np.log(inside) - inside - _log_gamma(a + 1) + np.log(total)
    far = np.where(low | ~np.isfinite(x), a + 2, x)
    depth = 200 + 5 * int(np.sqrt(np.max(np.abs(a), initial=1.0, where=np.isfinite(a))))
    fraction = _backwards(lambda n: -n * (n - a), lambda n: far + 2 * n + 1 - a, depth)
    above = a * np.log(far) - far - _log_gamma(a) - np.log(fraction)
    p, q = np.where(low, below, _rest(above)), np.where(low, _rest(below), above)
    ends, valid = (x == 0, np.isposinf(np.real(x))), (np.real(a) > 0) & (np.real(x) >= 0)
    p = np.where(ends[0], -np.inf, np.where(ends[1], 0.0, p))
    q = np.where(ends[0], 0.0, np.where(ends[1], -np.inf, q))
    return np.where(valid, p, np.nan), np.where(valid, q, np.nan)


def _log_betainc(a: Array, b: Array, x: Array) -> Array:
    """log I_x(a, b): DLMF 8.17.22."""
    a, b, x = _arrays(a, b, x)
    low = np.real(x * (a + b + 2)) < np.real(a + 1)
    p, q, y = np.where(low, a, b), np.where(low, b, a), np.where(low, x, 1 - x)
    inside = np.where((np.real(y) > 0) & (np.real(y) < 1), y, 0.5)
    sizes = np.abs(np.concatenate([np.ravel(p), np.ravel(q)]))
    depth = 200 + 5 * int(np.sqrt(np.max(sizes, initial=1.0, where=np.isfinite(sizes))))

    def numerator(n: int) -> Array:
        m = n // 2
        if n % 2:
            return -(p + m) * (p + q + m) * inside / ((p + 2 * m) * (p + 2 * m + 1))
        return m * (q - m) * inside / ((p + 2 * m - 1) * (p + 2 * m))

    fraction = _backwards(numerator, lambda _: np.ones_like(p), depth)
    front = p * np.log(inside) + q * np.log1p(-inside) - np.log(p)
    found = front + _log_gamma(p + q) - _log_gamma(p) - _log_gamma(q) - np.log(fraction)
    found = np.where(low, found, _rest(found))
    found = np.where(x == 0, -np.inf, np.where(x == 1, 0.0, found))
    valid = (np.real(a) > 0) & (np.real(b) > 0) & (np.real(x) >= 0) & (np.real(x) <= 1)
    return np.where(valid, found, np.nan)


def _log_0f1(b: Array, z: Array) -> Array:
    """log 0F1(; b; z): its series, outwards from the largest term."""
    b, z = _arrays(b, z)
    c, w = np.real(b), np.real(z)
    valid = (c > 0) & (w >= 0) & np.isfinite(w)
    b, z, c, w = (np.where(valid, v, 1.0) for v in (b, z, c, w))
    mode = np.floor(np.where(w > 0, 0.5 * (1 - c + np.sqrt((c - 1) ** 2 + 4 * w)), 0.0))
    mode = np.maximum(mode, 0.0)
    inside = np.where(z == 0, 1.0, z)
    up = _series(lambda n, t: t * z / ((mode + n) * (b + mode + n - 1)), z)
    down = _series(lambda n, t: t * np.maximum(mode - n + 1, 0) * (b + mode - n) / inside, z)
    top = np.where(mode > 0, mode * np.log(inside), 0.0) - _log_gamma(mode + 1)
    found = top - _log_gamma(b + mode) + _log_gamma(b) + np.log(up + down - 1)
    return np.where(valid, found, np.nan)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "log_gammainc": lambda a, x: _tails(a, x)[0],
    "log_gammaincc": lambda a, x: _tails(a, x)[1],
    "log_0f1": _log_0f1,
    "log_betainc": _log_betainc,
}
