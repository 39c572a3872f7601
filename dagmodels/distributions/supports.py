"""Bijections between a support and unconstrained real numbers, with their Jacobians.

Vectors lie on the last axis and matrices on the last two; leading axes are a batch.  A simplex of k
entries has k - 1 unconstrained numbers, an ordered vector k, a covariance matrix d(d + 1)/2 and a
correlation matrix d(d - 1)/2, which lie on the last axis.  All take complex steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dagmodels.distributions import _matrix, _numeric
from dagmodels.distributions._family import Support
from dagmodels.errors import ModelError

Map = Callable[[Any], Any]


class Bijection(NamedTuple):
    """forward : constrained value x to unconstrained y. inverse : y to x.

    log_abs_det_jacobian : y to log |dx/dy|, one number a value; for matrices dx is the lower
        triangle (without the diagonal for correlations), as in their densities.
    """

    forward: Map
    inverse: Map
    log_abs_det_jacobian: Map


def bijection(support: Support, params: Sequence[Any] = (), f: Any = _numeric) -> Bijection:
    """The bijection of a support, for given parameters of the family.

    Parameters
    ----------
    support : of a continuous family, or of a parameter's domain.
    params : the family's parameters, on which bounds may depend.
    f : namespace; other than numpy's only for "real" and "interval".

    Raises `ModelError` for discrete supports, which have none.
    """
    if support.kind in ("real", "interval"):
        return _interval(_bound(support.lower, params, f), _bound(support.upper, params, f), f)
    makers = {
        "simplex": _simplex,
        "ordered": _ordered,
        "covariance": _covariance,
        "correlation": _correlation,
    }
    if support.kind not in makers:
        raise ModelError(
            f"a support of kind '{support.kind}' has no bijection to the line",
            hint="discrete unknowns are summed or drawn, not transformed",
        )
    return makers[support.kind]()


def unconstrained_size(support: Support, shape: tuple[int, ...]) -> int:
    """How many unconstrained numbers one value of that shape (without batch axes) has."""
    if support.kind == "simplex":
        return shape[-1] - 1
    if support.kind == "covariance":
        return shape[-1] * (shape[-1] + 1) // 2
    if support.kind == "correlation":
        return shape[-1] * (shape[-1] - 1) // 2
    return math.prod(shape)


def _bound(bound: Any, params: Sequence[Any], f: Any) -> Any:
    value = bound(f, *params) if callable(bound) else bound
    if isinstance(value, float | int) and math.isinf(value):
        return None
    return value


def _interval(lower: Any, upper: Any, f: Any) -> Bijection:
    """The line, a half-line through exp, an interval through the logistic function."""
    if lower is None and upper is None:
        return Bijection(lambda x: x + 0.0, lambda y: y + 0.0, lambda y: 0.0 * y)
    if upper is None:
        return Bijection(lambda x: f.log(x - lower), lambda y: lower + f.exp(y), lambda y: y + 0.0)
    if lower is None:
        return Bijection(lambda x: f.log(upper - x), lambda y: upper - f.exp(y), lambda y: y + 0.0)
    return Bijection(
        lambda x: f.log(x - lower) - f.log(upper - x),
        # from the nearer end, so that values close to either keep their distance from it
        lambda y: f.where(y < 0, lower + (upper - lower) * f.expit(y), upper - (upper - lower) * f.expit(-y)),
        lambda y: f.log(upper - lower) - f.softplus(y) - f.softplus(-y),
    )


def _sticks(y: Any) -> tuple[Any, Any, Any]:
    """logits of the broken shares, and the logs of each share and of what it leaves."""
    k = y.shape[-1]
    z = y - np.log(np.arange(k, 0, -1))  # y = 0 is the centre of the simplex
    return z, -_numeric.softplus(-z), -_numeric.softplus(z)


def _simplex() -> Bijection:
    """Stick-breaking: each number breaks a share off what is left of the unit."""

    def forward(x: Any) -> Any:
        x = np.asarray(x)
        rest = np.flip(np.cumsum(np.flip(x, -1), -1), -1)  # x_i + ... + x_k
        k = x.shape[-1] - 1
        return np.log(x[..., :-1]) - np.log(rest[..., 1:]) + np.log(np.arange(k, 0, -1))

    def inverse(y: Any) -> Any:
        _, log_share, log_left = _sticks(np.asarray(y))
        left = np.cumsum(log_left, axis=-1)
        before = np.concatenate([np.zeros_like(left[..., :1]), left[..., :-1]], axis=-1)
        return np.concatenate([np.exp(log_share + before), np.exp(left[..., -1:])], axis=-1)

    def jacobian(y: Any) -> Any:
        _, log_share, log_left = _sticks(np.asarray(y))
        left = np.cumsum(log_left, axis=-1)
        before = np.concatenate([np.zeros_like(left[..., :1]), left[..., :-1]], axis=-1)
        return np.sum(log_share + log_left + before, axis=-1)

    return Bijection(forward, inverse, jacobian)


def _ordered() -> Bijection:
    """The first entry, then logs of the increments."""

    def forward(x: Any) -> Any:
        x = np.asarray(x)
        return np.concatenate([x[..., :1], np.log(x[..., 1:] - x[..., :-1])], axis=-1)

    def inverse(y: Any) -> Any:
        y = np.asarray(y)
        return np.cumsum(np.concatenate([y[..., :1], np.exp(y[..., 1:])], axis=-1), axis=-1)

    return Bijection(forward, inverse, lambda y: np.sum(np.asarray(y)[..., 1:], axis=-1))


def _dimension(count: int, diagonal: bool) -> int:
    """d of a lower triangle with that many entries."""
    d = (math.isqrt(8 * count + 1) + (-1 if diagonal else 1)) // 2
    if count != (d * (d + 1) if diagonal else d * (d - 1)) // 2:
        raise ModelError(f"{count} numbers do not fill the triangle of a matrix")
    return d


def _covariance() -> Bijection:
    """The Cholesky factor, row by row, its diagonal in logarithms."""

    def forward(x: Any) -> Any:
        L = _matrix.cholesky(np.asarray(x))
        i, j = np.tril_indices(L.shape[-1])
        entries = L[..., i, j]
        return np.where(i == j, np.log(np.where(i == j, entries, 1)), entries)

    def inverse(y: Any) -> Any:
        y = np.asarray(y)
        d = _dimension(y.shape[-1], diagonal=True)
        i, j = np.tril_indices(d)
        L = np.zeros((*y.shape[:-1], d, d), dtype=y.dtype)
        L[..., i, j] = np.where(i == j, np.exp(np.where(i == j, y, 0)), y)
        return L @ np.swapaxes(L, -1, -2)

    def jacobian(y: Any) -> Any:
        # d(LL')/dL is 2^d prod L_ii^(d + 1 - i), i from 1 (Muirhead 1982, theorem 2.1.9); log L_ii adds one
        y = np.asarray(y)
        d = _dimension(y.shape[-1], diagonal=True)
        k = np.arange(d)
        logs = y[..., (k + 1) * (k + 2) // 2 - 1]
        return d * math.log(2) + np.sum((d + 1 - k) * logs, axis=-1)

    return Bijection(forward, inverse, jacobian)


def _correlation() -> Bijection:
    """Canonical partial correlations, row by row, through tanh (Lewandowski, Kurowicka and Joe 2009)."""

    def forward(x: Any) -> Any:
        L = _matrix.cholesky(np.asarray(x))
        d = L.shape[-1]
        columns = []
        for i in range(1, d):
            left = np.ones_like(L[..., 0, 0])  # squared length of the row from column j on
            for j in range(i):
                columns.append(np.arctanh(L[..., i, j] / np.sqrt(left)))
                left = left - L[..., i, j] ** 2
        return np.stack(columns, axis=-1) if columns else np.zeros((*np.shape(x)[:-2], 0))

    def inverse(y: Any) -> Any:
        y = np.asarray(y)
        d = _dimension(y.shape[-1], diagonal=False)
        L = np.zeros((*y.shape[:-1], d, d), dtype=np.result_type(y, float))
        L[..., 0, 0] = 1.0
        place = 0
        for i in range(1, d):
            root = np.ones_like(L[..., 0, 0])
            for j in range(i):
                L[..., i, j] = np.tanh(y[..., place]) * root
                root = root / np.cosh(y[..., place])
                place += 1
            L[..., i, i] = root
        R = L @ np.swapaxes(L, -1, -2)
        k = np.arange(d)
        R[..., k, k] = 1.0
        return R

    def jacobian(y: Any) -> Any:
        # column j (from 0) enters with (1 - z^2)^((d - 2 - j)/2); tanh adds 1 - z^2 = 1/cosh^2
        y = np.asarray(y)
        d = _dimension(y.shape[-1], diagonal=False)
        _, j = np.tril_indices(d, -1)
        log_cosh = _numeric.softplus(2 * y) - y - math.log(2)
        return -np.sum((d - j) * log_cosh, axis=-1)

    return Bijection(forward, inverse, jacobian)
