"""Polychoric correlations of all pairs of ordered variables at once, from their two-way tables.

As `pairs`, without covariates: rows enter through counts, so that their number costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.ordinal import bivariate
from dagmodels.numerics.ordinal.bivariate import normal_density
from dagmodels.numerics.ordinal.margins import LEAST
from dagmodels.numerics.ordinal.pairs import EDGE, STEPS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SADDLE = np.array([[1.0, -1.0], [-1.0, 1.0]])


@dataclass(frozen=True, eq=False, slots=True)
class Tables:
    """Correlations of P pairs of variables with at most K categories.

    first, second : (P,) the variables. rho, converged : (P,). score : (P, K, K) derivative of the log
    probability of each cell in rho. with_first, with_second : (P, K - 1) sums over rows of these, times those
    in the thresholds of either variable; zero where a variable has fewer.
    """

    first: Ints
    second: Ints
    rho: Floats
    converged: NDArray[np.bool_]
    score: Floats
    with_first: Floats
    with_second: Floats


def polychoric(category: Ints, levels: list[Floats], weights: Floats) -> Tables:
    """Of all pairs of columns.

    category : (n, p) from 0, -1 where missing. levels : the thresholds of each column. weights : (n,).
    """
    p, k = len(levels), max(t.size for t in levels) + 1
    first, second = np.triu_indices(p, 1)
    ends = np.full((p, k + 1), np.inf)
    ends[:, 0] = -np.inf
    for v, thresholds in enumerate(levels):
        ends[v, 1 : thresholds.size + 1] = thresholds
    counts = _counts(category, k, weights)[first, :, second, :]
    h = np.broadcast_to(ends[first][:, :, None], (first.size, k + 1, k + 1))
    c = np.broadcast_to(ends[second][:, None, :], (first.size, k + 1, k + 1))
    small = np.array([t.size == 1 for t in levels])
    search, known = _fourfold(counts, small[first] & small[second])
    rho, converged = _climb(h, c, search, known)
    grid, slope = _cells(h, c, rho)
    score = slope / grid
    weighted = counts * score
    return Tables(
        first, second, rho, converged, score,
        _sides(ends[first], ends[second], rho, weighted / grid),
        _sides(ends[second], ends[first], rho, np.swapaxes(weighted / grid, 1, 2)),
    )  # fmt: skip


def _counts(category: Ints, k: int, weights: Floats) -> Floats:
    """(p, k, p, k) two-way tables, by one product."""
    n, p = category.shape
    total = np.zeros((p * k, p * k))
    for start in range(0, n, 1 << 16):
        part = category[start : start + (1 << 16)]
        marks = np.zeros((len(part), p * k))
        row, column = np.nonzero(part >= 0)
        marks[row, part[row, column] + k * column] = 1.0
        total += marks.T @ (marks * weights[start : start + (1 << 16), None])
    return (
        np.rint(total).reshape(p, k, p, k)
        if (weights == np.rint(weights)).all()
        else total.reshape(p, k, p, k)
    )


def _fourfold(counts: Floats, small: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Tables to search in, and correlations that need no search, else nan.

    One empty cell of two dichotomies is filled by a half, margins kept; two mean that they are one.
    """
    search, known = counts.copy(), np.full(len(counts), np.nan)
    for at in np.flatnonzero(small).tolist():
        table = counts[at, :2, :2]
        empty = np.argwhere(table == 0)
        if len(empty) > 1:
            known[at] = 1.0 if table[0, 0] > 0 else -1.0
            continue
        if len(empty) == 1:
            table = table + (0.5 if empty[0, 0] == empty[0, 1] else -0.5) * SADDLE
            search[at, :2, :2] = table
        if table[0, 0] * table[1, 1] == table[0, 1] * table[1, 0]:
            known[at] = 0.0
    return search, known


def _second(a: Floats) -> Floats:
    """Differences along both of the last axes: what lies between the corners."""
    return np.diff(np.diff(a, axis=-1), axis=-2)


def _cells(h: Floats, c: Floats, rho: Floats) -> tuple[Floats, Floats]:
    """Probabilities of cells and their derivatives in rho."""
    r = rho[:, None, None]
    grid = np.maximum(_second(bivariate.distribution(h, c, np.broadcast_to(r, h.shape))), LEAST)
    return grid, _second(bivariate.density(h, c, r))


def _parts(h: Floats, c: Floats, rho: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Log likelihoods and two derivatives in rho."""
    grid, slope = _cells(h, c, rho)
    d1, d2 = slope / grid, _second(bivariate.density_slope(h, c, rho[:, None, None])) / grid
    return (
        np.sum(counts * np.log(grid), axis=(1, 2)),
        np.sum(counts * d1, axis=(1, 2)),
        np.sum(counts * (d2 - d1 * d1), axis=(1, 2)),
    )


def _start(counts: Floats) -> Floats:
    """Product-moment correlations of the categories' numbers."""
    k = np.arange(counts.shape[1], dtype=float)
    n = counts.sum(axis=(1, 2))
    rows, columns = counts.sum(axis=2), counts.sum(axis=1)
    left, right = rows @ k / n, columns @ k / n
    cov = np.einsum("pij,i,j->p", counts, k, k) / n - left * right
    size = (rows @ k**2 / n - left**2) * (columns @ k**2 / n - right**2)
    return np.clip(cov / np.sqrt(np.maximum(size, 1e-300)), -0.9, 0.9)


def _climb(h: Floats, c: Floats, counts: Floats, known: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """All maxima over (-1, 1) by Newton's steps in atanh rho, and whether they lie inside."""
    rho = np.where(np.isnan(known), _start(counts), np.clip(known, -EDGE, EDGE))
    converged = ~(np.abs(known) == 1.0)
    at = np.flatnonzero(np.isnan(known))
    z = np.arctanh(rho[at])
    value, g, bend = _parts(h[at], c[at], rho[at], counts[at])
    for _ in range(STEPS):
        if not at.size:
            break
        slope = 1.0 - np.tanh(z) ** 2
        gradient, curve = g * slope, bend * slope**2 - 2 * np.tanh(z) * slope * g
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(curve < 0, gradient / -curve, 0.5 * np.sign(gradient))
        step = np.clip(step, -1.0, 1.0)
        for _ in range(20):
            there = _parts(h[at], c[at], np.tanh(z + step), counts[at])
            worse = there[0] < value - 1e-13 * np.abs(value)
            if not worse.any():
                break
            step[worse] *= 0.5
        z, (value, g, bend) = z + step, there
        rho[at] = np.tanh(z)
        out = np.abs(rho[at]) > EDGE
        converged[at[out]] = False
        more = (np.abs(step) > 1e-12) & ~out
        at, z, value, g, bend = at[more], z[more], value[more], g[more], bend[more]
    converged[at] = False
    return np.clip(rho, -EDGE, EDGE), converged


def _sides(own: Floats, other: Floats, rho: Floats, weighted: Floats) -> Floats:
    """Sums over cells of weights times derivatives of the probabilities in thresholds, (P, K - 1).

    own, other : (P, K + 1) ends of categories. weighted : (P, K, K), own variable first.
    """
    from scipy.special import ndtr

    t = own[:, 1:-1]
    here = np.where(np.isfinite(t), t, 0.0)
    rest = np.sqrt((1.0 - rho) * (1.0 + rho))[:, None, None]
    inside = np.diff(ndtr((other[:, None, :] - rho[:, None, None] * here[:, :, None]) / rest), axis=2)
    slope = np.where(np.isfinite(t), normal_density(here), 0.0)[:, :, None] * inside
    return np.sum(slope * (weighted[:, :-1] - weighted[:, 1:]), axis=2)
