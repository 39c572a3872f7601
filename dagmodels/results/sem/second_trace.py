"""tr(U Gamma U Gamma), what the mean- and variance-adjusted tests need beside tr(U Gamma).

With y the second moments of a row about their means, in coordinates in which the normal-theory weights are
one, R the rows' weighted moments in the model's coordinates, I the information and G = Y Y' / n by group,

    tr((U Gamma)^2) = |G|^2 - 2 tr(I^-1 R'G R) + tr((I^-1 R'R)^2),

because V is a block for each group and so is G (but U is not, where groups share coordinates). The elements
of G are squares of inner products of rows. So a group of n rows of p variables costs the smaller of n^2 p
operations in blocks of rows (nothing of n^2 numbers is stored) and n q^2 with one matrix of q^2 numbers,
q = p (p + 3) / 2; no product of two matrices of q rows is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.casewise import Centred, distribution_free_rows, meat
from dagmodels.forms.moments import MomentsSolution
from dagmodels.results.sem.measures import Comparison

Floats = NDArray[np.float64]
NUMBERS = 1 << 22  # of a block


def second_trace(solution: MomentsSolution) -> float:
    """Of the model, complete data: V at the model's moments, Gamma at the sample's, as Satorra and Bentler.

    Means take part: where they are saturated U is zero for them.
    """
    form, at = solution.form, solution.at
    o = form.structure.observed
    kept = np.flatnonzero(~solution.optimum.active)
    information = 0.5 * at.information()[np.ix_(kept, kept)]
    whole, mixed = 0.0, np.zeros((kept.size, kept.size))
    for g, r in enumerate(distribution_free_rows(at)):
        part = Centred.of(form.values[form.group_of == g], form.template.given)
        w = np.linalg.inv(at.moments.covariance[g][np.ix_(o, o)])
        square, inner = gram_terms(part, w, r[:, kept], means=True)
        whole, mixed = whole + square, mixed + inner
    return _combined(whole, mixed, meat(at, "robust.sem")[np.ix_(kept, kept)], information)


def baseline_second_trace(solution: MomentsSolution, c: Comparison) -> float:
    """Of independence, whose coordinates are variances (and means, for which U is zero)."""
    form, given = solution.form, solution.form.template.given
    total = 0.0
    for g in range(c.groups):
        part = Centred.of(form.values[form.group_of == g], given)
        n = len(part.d)
        cov = part.d.T @ part.d / n
        w = np.linalg.inv(np.where(np.outer(given, given) | np.eye(len(cov), dtype=bool), cov, 0.0))
        variance = np.diag(cov)[~given]
        r = part.d**2 - (0.0 if part.h is None else part.h**2)
        r = 0.5 * (r - r.mean(axis=0))[:, ~given] / variance**2
        whole, mixed = gram_terms(part, w, r, means=False)
        total += _combined(whole, mixed, r.T @ r, np.diag(0.5 * n / variance**2))
    return total


def _combined(whole: float, mixed: Floats, products: Floats, information: Floats) -> float:
    if not len(information):
        return whole
    solved = np.linalg.solve(information, products)
    crossed = float(np.trace(np.linalg.solve(information, mixed)))
    return whole - 2.0 * crossed + float(np.sum(solved * solved.T))


def gram_terms(part: Centred, w: Floats, r: Floats, *, means: bool) -> tuple[float, Floats]:
    """|G|^2 and R'G R of one group, G = Y Y' / n.

    w : (p, p) inverse covariance of the normal-theory weights. r : (n, k). means : are moments too.
    """
    n, p = part.d.shape
    root = np.linalg.cholesky(w)
    d, h = part.d @ root, None if part.h is None else part.h @ root
    if n <= p * (p + 3) // 2:
        return by_rows(d, h, r, means=means)
    return by_moments(d, h, r, means=means)


def by_rows(d: Floats, h: Floats | None, r: Floats, *, means: bool) -> tuple[float, Floats]:
    """`gram_terms` from inner products of whitened rows, some rows at a time.

    An element of G is half the square of an inner product (less that of what covariates predict), taken
    about the means of rows and columns, which the rows' inner products with the second moments give.
    """
    n = len(d)
    shifts, mean = _levels(d, h)
    whole, step, gr = 0.0, max(1, NUMBERS // n), np.empty_like(r)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        dd = d[rows] @ d.T
        block = 0.5 * dd**2
        linear = dd
        if h is not None:
            hh = h[rows] @ h.T
            block += 0.5 * (hh**2 - (d[rows] @ h.T) ** 2 - (h[rows] @ d.T) ** 2)
            linear = (d[rows] - h[rows]) @ (d - h).T
        block += mean - shifts[rows, None] - shifts
        if means:
            block += linear
        whole += float(np.sum(block**2))
        gr[rows] = block @ r
    return whole / n**2, r.T @ gr / n


def _levels(d: Floats, h: Floats | None) -> tuple[Floats, float]:
    """Half the inner product of each row's second moments with their mean, and of the mean with itself."""
    second = d.T @ d / len(d)
    if h is not None:
        second = second - h.T @ h / len(h)
    shifts = np.einsum("ij,ij->i", d @ second, d)
    if h is not None:
        shifts = shifts - np.einsum("ij,ij->i", h @ second, h)
    return 0.5 * shifts, 0.5 * float(np.sum(second * second))


def by_moments(d: Floats, h: Floats | None, r: Floats, *, means: bool) -> tuple[float, Floats]:
    """`gram_terms` from the products of whitened second moments, some rows at a time."""
    n, p = d.shape
    i, j = np.tril_indices(p)
    scale = np.where(i == j, np.sqrt(0.5), 1.0)
    second = d.T @ d / n - (0.0 if h is None else h.T @ h / n)
    q = i.size + (p if means else 0)
    products, mixed = np.zeros((q, q)), np.zeros((q, r.shape[1]))
    step = max(1, NUMBERS // q)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        y = d[rows][:, i] * d[rows][:, j] - second[i, j]
        if h is not None:
            y -= h[rows][:, i] * h[rows][:, j]
        y *= scale
        if means:
            y = np.concatenate([y, d[rows] - (0.0 if h is None else h[rows])], axis=1)
        products += y.T @ y
        mixed += y.T @ r[rows]
    return float(np.sum(products**2)) / n**2, mixed.T @ mixed / n
