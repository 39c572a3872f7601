"""Which contrasts of the coefficients belong to a term: hypotheses of types I, II and III.

They are those of SAS (Goodnight 1980, Commun. Statist. A9, 167-180; SAS/STAT, The Four Types of Estimable
Functions), which lmerTest tests too, and do not depend on how factors are coded:

I   : each term after those before it, by the triangular factor of the design;
II  : each term after all that do not contain it;
III : combinations in which only the term and those that contain it stand, orthogonal to the hypotheses of
      the latter. Without empty cells: the term's coefficients where factors have sum-to-zero contrasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.results.mixed.naming import FixedTerm, Floats

RANK = 1e-9


def hypotheses(kind: str, X: Floats, terms: Sequence[FixedTerm]) -> list[Floats]:
    """For each term its contrasts, one a row, (m, p).

    Parameters
    ----------
    kind : "I", "II" or "III".
    X : design of the coefficients, rows by p, of full rank; the terms' `whole` have the same rows.
    """
    if kind == "III":
        return _third(X, terms)
    if kind == "I":
        r = _triangle(X)
        return [r[list(t.places)] for t in terms]
    return [_second(X, t, terms) for t in terms]


def _triangle(X: Floats) -> Floats:
    """The triangular factor of X with ones on its diagonal (Doolittle's, of X'X)."""
    r = np.linalg.qr(X, mode="r")
    return r / np.diag(r)[:, None]


def _second(X: Floats, term: FixedTerm, terms: Sequence[FixedTerm]) -> Floats:
    own = list(term.places)
    last = [j for i in term.within for j in terms[i].places]
    first = [j for j in range(X.shape[1]) if j not in {*own, *last}]
    order = [*first, *own, *last]
    r = _triangle(X[:, order])[len(first) : len(first) + len(own)]
    found = np.zeros_like(r)
    found[:, order] = r
    return found


def conditional(covariance: Floats, term: FixedTerm, terms: Sequence[FixedTerm]) -> Floats:
    """Type II by the coefficients' own covariance: a term's coefficients less what those of the terms that
    contain it say of them (Fox and Weisberg, An R Companion to Applied Regression, `car::Anova`)."""
    own = list(term.places)
    last = [j for i in term.within for j in terms[i].places]
    found = np.zeros((len(own), covariance.shape[0]))
    found[np.arange(len(own)), own] = 1.0
    if last and own:
        found[:, last] = -np.linalg.solve(covariance[np.ix_(last, last)], covariance[np.ix_(last, own)]).T
    return found


def _third(X: Floats, terms: Sequence[FixedTerm]) -> list[Floats]:
    """In coordinates of all cell parameters b, with X beta = B b: L b -> L B^+ X beta.

    As rows of L lmerTest takes the coefficients that treatment contrasts give, made orthogonal; F does not
    depend on that choice, Satterthwaite's degrees of freedom do a little.
    """
    blocks = [_ones_in(X), *(t.whole / _size(t.whole) for t in terms)]
    B = np.concatenate(blocks, axis=1)
    starts = np.cumsum([0, *(b.shape[1] for b in blocks)])
    columns = [np.arange(starts[i + 1], starts[i + 2]) for i in range(len(terms))]
    Q, R = np.linalg.qr(B)
    _, size, vt = np.linalg.svd(R)
    space = vt[: np.sum(size > RANK * size[0])]
    back = np.linalg.lstsq(R, Q.T @ X, rcond=RANK)[0]
    chosen = [columns[i][list(t.treatment)] for i, t in enumerate(terms)]
    kept = _independent(R, np.concatenate([np.arange(starts[1]), *chosen]))
    coefficients = np.linalg.lstsq(R[:, kept], R, rcond=RANK)[0]
    own = [_only(space, np.concatenate([columns[j] for j in (i, *t.within)])) for i, t in enumerate(terms)]
    found = []
    for i, term in enumerate(terms):
        rows = own[i]
        if term.within:
            _, size, others = np.linalg.svd(
                np.concatenate([own[j] for j in term.within]), full_matrices=False
            )
            rows = _null(others[size > RANK] @ rows.T) @ rows
        treated = coefficients[np.isin(kept, chosen[i])] @ rows.T
        whole = np.linalg.matrix_rank(treated, RANK) == rows.shape[0] if treated.size else not rows.size
        found.append((treated @ rows if whole else rows) @ back)
    return found


def _independent(R: Floats, columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns without those that are combinations of earlier ones."""
    while columns.size:
        r = np.linalg.qr(R[:, columns], mode="r")
        length = np.sqrt((r**2).sum(axis=0))
        left = np.zeros(columns.size)
        left[: min(r.shape)] = np.abs(np.diag(r))
        bad = np.flatnonzero(left <= 1e-7 * length)
        if not bad.size:
            break
        columns = np.delete(columns, bad[0])
    return columns


def _ones_in(X: Floats) -> Floats:
    """A column of ones, if the design has one."""
    constant = (X[:1] == X).all(axis=0) & (X[0] != 0) if X.shape[0] else np.zeros(X.shape[1], dtype=bool)
    return np.ones((X.shape[0], 1 if constant.any() else 0))


def _size(block: Floats) -> float:
    return float(np.sqrt((block**2).sum(axis=0).max(initial=0.0))) or 1.0


def _only(space: Floats, columns: NDArray[np.int64]) -> Floats:
    """The combinations of some rows that are zero outside these columns; orthonormal rows."""
    outside = np.setdiff1d(np.arange(space.shape[1]), columns)
    return _null(space[:, outside].T) @ space


def _null(matrix: Floats) -> Floats:
    """Orthonormal rows that span what the matrix maps to zero."""
    if not matrix.shape[0]:
        return np.eye(matrix.shape[1])
    _, size, vt = np.linalg.svd(matrix)
    return vt[np.sum(size > RANK) :]
