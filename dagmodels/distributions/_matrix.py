"""Functions of vectors (last axis) and matrices (last two axes) for the numeric namespace."""

from __future__ import annotations

from typing import Any

import numpy as np


def size(v: Any) -> float:
    """Length of the last axis."""
    return float(np.shape(v)[-1])


def total(v: Any) -> Any:
    """Sum over the last axis."""
    return np.sum(v, axis=-1)


def element(v: Any, i: Any) -> Any:
    """Entry i of each vector, counted from 0; an i outside takes the nearest entry."""
    v = np.asarray(v)
    i = np.nan_to_num(np.real(i), nan=0.0, posinf=v.shape[-1] - 1, neginf=0.0)
    place = np.clip(np.asarray(i, dtype=np.int64), 0, v.shape[-1] - 1)
    shape = np.broadcast_shapes(v.shape[:-1], place.shape)
    v = np.broadcast_to(v, (*shape, v.shape[-1]))
    return np.take_along_axis(v, np.broadcast_to(place, shape)[..., None], axis=-1)[..., 0]


def expand(a: Any) -> Any:
    """A scalar (a vector) made to multiply a vector (the rows of a matrix)."""
    return np.asarray(a)[..., None]


def increasing(v: Any) -> Any:
    """Whether each vector strictly increases."""
    return np.all(np.diff(np.real(v), axis=-1) > 0, axis=-1)


def outer(u: Any, v: Any) -> Any:
    """u v'."""
    return np.asarray(u)[..., :, None] * np.asarray(v)[..., None, :]


def matvec(A: Any, b: Any) -> Any:
    """A b."""
    return np.einsum("...ij,...j->...i", A, b)


def matmul(A: Any, B: Any) -> Any:
    """A B."""
    return np.matmul(A, B)


def transpose(A: Any) -> Any:
    """A' without conjugation."""
    return np.swapaxes(A, -1, -2)


def diagonal(A: Any) -> Any:
    """The diagonal as a vector."""
    return np.diagonal(A, axis1=-2, axis2=-1)


def half_lower(A: Any) -> Any:
    """Lower triangle with the diagonal halved."""
    return np.tril(A) - 0.5 * np.tril(np.triu(A))


def identity_minus(B: Any) -> Any:
    """I - B."""
    return np.eye(np.shape(B)[-1]) - B


def posdef(A: Any) -> Any:
    """Whether each matrix is symmetric (to rounding) and positive definite."""
    real = np.real(A)
    finite = np.all(np.isfinite(real), axis=(-2, -1))
    safe = np.where(finite[..., None, None], real, np.eye(real.shape[-1]))
    scale = np.max(np.abs(safe), axis=(-2, -1))
    symmetric = np.max(np.abs(safe - transpose(safe)), axis=(-2, -1)) <= 1e-8 * scale
    return finite & symmetric & _has_cholesky(safe)


def _has_cholesky(A: Any) -> Any:
    try:
        np.linalg.cholesky(A)
    except np.linalg.LinAlgError:
        if A.ndim == 2:
            return np.False_
        return np.array([_has_cholesky(a) for a in A])
    return np.ones(A.shape[:-2], dtype=bool)


def cholesky(A: Any) -> Any:
    """Lower factor; a complex symmetric A by the same recurrences, without conjugation."""
    if not np.iscomplexobj(A):
        return np.linalg.cholesky(A)
    L = np.zeros(np.shape(A), dtype=complex)
    for j in range(L.shape[-1]):
        L[..., j, j] = np.sqrt(A[..., j, j] - np.sum(L[..., j, :j] ** 2, axis=-1))
        for i in range(j + 1, L.shape[-1]):
            rest = A[..., i, j] - np.sum(L[..., i, :j] * L[..., j, :j], axis=-1)
            L[..., i, j] = rest / L[..., j, j]
    return L


def _safe(A: Any) -> Any:
    """Singular or non-finite matrices replaced by nan ones, for which LAPACK would stop the whole batch."""
    A = np.asarray(A)
    bad = ~np.isfinite(np.linalg.slogdet(np.where(np.isfinite(A), A, 0))[1])
    bad |= ~np.all(np.isfinite(A), axis=(-2, -1))
    return np.where(bad[..., None, None], np.eye(A.shape[-1]), A), bad


def solve(A: Any, b: Any) -> Any:
    """A^-1 b for vectors b; nan where A is singular."""
    A, bad = _safe(A)
    return np.where(bad[..., None], np.nan, np.linalg.solve(A, np.asarray(b)[..., None])[..., 0])


def inverse(A: Any) -> Any:
    """A^-1; nan where A is singular."""
    A, bad = _safe(A)
    return np.where(bad[..., None, None], np.nan, np.linalg.inv(A))


def trace_solve(A: Any, B: Any) -> Any:
    """tr(A^-1 B)."""
    A, bad = _safe(A)
    return np.where(bad, np.nan, np.trace(np.linalg.solve(A, B), axis1=-2, axis2=-1))


def logdet(A: Any) -> Any:
    """log |det A|; minus infinity where A is singular."""
    sign, value = np.linalg.slogdet(A)
    if not np.iscomplexobj(A):
        return value
    return value + np.log(np.where(np.real(sign) < 0, -sign, sign))


def softmax(v: Any) -> Any:
    """exp(v)/sum exp(v) over the last axis."""
    e = np.exp(v - np.max(np.real(v), axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)
