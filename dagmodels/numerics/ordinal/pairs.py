"""Correlations of pairs of variables given their margins, with the scores of each row.

Two-step estimates: polychoric (Olsson 1979, Psychometrika 44:443), polyserial (Olsson, Drasgow and Dorans
1982, ibid. 47:337) and product-moment, the margins held where they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.ordinal import bivariate
from dagmodels.numerics.ordinal.bivariate import normal_density
from dagmodels.numerics.ordinal.margins import LEAST, Margin

Floats = NDArray[np.float64]
EDGE = 1.0 - 1e-7  # correlations further out have no maximum inside
STEPS = 100


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """A correlation and its scores.

    converged : whether the likelihood has its maximum inside (-1, 1).
    score : (n,) derivatives of the rows' log densities. first, second : (m,) their products, summed over
        rows, with those of the pair's log density in the parameters of either margin, as `Margin.scores`
        orders them.
    """

    rho: float
    converged: bool
    score: Floats
    first: Floats
    second: Floats


def pair(a: Margin, b: Margin, x: Floats, weights: Floats) -> Pair:
    """Of two variables of the same rows; x : (n, c) covariates. weights : (n,)."""
    if a.ordered and b.ordered:
        return _polychoric(a, b, x, weights)
    if a.ordered:
        found = _polyserial(b, a, x, weights)
        return Pair(found.rho, found.converged, found.score, found.second, found.first)
    if b.ordered:
        return _polyserial(a, b, x, weights)
    return _product_moment(a, b, x, weights)


# -- two ordered variables, with covariates; `tables` has those without


def _polychoric(a: Margin, b: Margin, x: Floats, weights: Floats) -> Pair:
    corners = (
        (a.upper, b.upper, 1.0), (a.lower, b.upper, -1.0), (a.upper, b.lower, -1.0), (a.lower, b.lower, 1.0)
    )  # fmt: skip

    def summed(f: Callable[[Floats, Floats, Floats], Floats], rho: float) -> Floats:
        r = np.full(1, rho)
        return np.asarray(sum(s * f(h, k, r) for h, k, s in corners))

    def parts(rho: float) -> tuple[float, float, float]:
        p = np.maximum(summed(bivariate.distribution, rho), LEAST)
        d1, d2 = summed(bivariate.density, rho) / p, summed(bivariate.density_slope, rho) / p
        return float(weights @ np.log(p)), float(weights @ d1), float(weights @ (d2 - d1 * d1))

    rho, converged = _climb(parts, _start(a, b, weights))
    p = np.maximum(summed(bivariate.distribution, rho), LEAST)
    first = a.chain(_side(a.upper, b, rho) / p, -_side(a.lower, b, rho) / p, x)
    second = b.chain(_side(b.upper, a, rho) / p, -_side(b.lower, a, rho) / p, x)
    return _paired(rho, converged, summed(bivariate.density, rho) / p, first, second, weights)


def _side(at: Floats, other: Margin, rho: float) -> Floats:
    """Derivative of the rectangle's probability in one of its sides, but for the sign."""
    from scipy.special import ndtr

    rest = np.sqrt((1.0 - rho) * (1.0 + rho))
    here = np.where(np.isfinite(at), at, 0.0)
    inside = ndtr((other.upper - rho * here) / rest) - ndtr((other.lower - rho * here) / rest)
    return np.where(np.isfinite(at), normal_density(here) * inside, 0.0)


def _start(a: Margin, b: Margin, weights: Floats) -> float:
    left, right = (m.category.astype(float) if m.ordered else m.upper for m in (a, b))
    left, right = left - np.average(left, weights=weights), right - np.average(right, weights=weights)
    size = np.sqrt((weights @ left**2) * (weights @ right**2))
    return float(np.clip((weights * left) @ right / size, -0.9, 0.9)) if size > 0 else 0.0


def _paired(
    rho: float, converged: bool, score: Floats, first: Floats, second: Floats, weights: Floats
) -> Pair:
    w = weights * score
    return Pair(rho, converged, score, w @ first, w @ second)


# -- one ordered variable


def _polyserial(y: Margin, u: Margin, x: Floats, weights: Floats) -> Pair:
    """y : numeric. u : ordered."""
    from scipy.special import ndtr

    e = y.upper
    high, low = (np.where(np.isfinite(t), t, 0.0) for t in (u.upper, u.lower))
    top, bottom = np.isfinite(u.upper), np.isfinite(u.lower)

    def places(rho: float) -> tuple[Floats, Floats, Floats]:
        root = np.sqrt((1.0 - rho) * (1.0 + rho))
        above = np.where(top, (high - rho * e) / root, np.inf)
        below = np.where(bottom, (low - rho * e) / root, -np.inf)
        flip = below > 0
        p = ndtr(np.where(flip, -below, above)) - ndtr(np.where(flip, -above, below))
        return above, below, np.maximum(p, LEAST)

    def slopes(rho: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Probability, densities at both ends, derivatives of the ends in rho."""
        above, below, p = places(rho)
        rest = (1.0 - rho) * (1.0 + rho)
        return (
            p, np.where(top, normal_density(above), 0.0), np.where(bottom, normal_density(below), 0.0),
            (rho * high - e) / rest**1.5, (rho * low - e) / rest**1.5,
        )  # fmt: skip

    def parts(rho: float) -> tuple[float, float, float]:
        p, f, g, s, t = slopes(rho)
        above, below, _ = places(rho)
        rest = (1.0 - rho) * (1.0 + rho)
        d1 = (f * s - g * t) / p
        bend_s = high / rest**1.5 + 3 * rho * (rho * high - e) / rest**2.5
        bend_t = low / rest**1.5 + 3 * rho * (rho * low - e) / rest**2.5
        up, down = np.where(top, above, 0.0), np.where(bottom, below, 0.0)
        d2 = (f * (bend_s - up * s * s) - g * (bend_t - down * t * t)) / p
        return float(weights @ np.log(p)), float(weights @ d1), float(weights @ (d2 - d1 * d1))

    rho, converged = _climb(parts, _start(y, u, weights))
    p, f, g, s, t = slopes(rho)
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    residual = -e - rho * (f - g) / (root * p)
    first = y.chain(residual, residual, x)
    second = u.chain(f / (root * p), -g / (root * p), x)
    return _paired(rho, converged, (f * s - g * t) / p, first, second, weights)


# -- none


def _product_moment(a: Margin, b: Margin, x: Floats, weights: Floats) -> Pair:
    e, d = a.upper, b.upper
    rho = float((weights * e) @ d / weights.sum())
    rest = (1.0 - rho) * (1.0 + rho)
    square = e * e - 2 * rho * e * d + d * d
    score = (rho + e * d) / rest - rho * square / rest**2
    left, right = -(e - rho * d) / rest, -(d - rho * e) / rest
    first, second = a.chain(left, left, x), b.chain(right, right, x)
    return _paired(rho, abs(rho) < EDGE, score, first, second, weights)


def _climb(parts: Callable[[float], tuple[float, float, float]], start: float) -> tuple[float, bool]:
    """The maximum over (-1, 1) by Newton's steps in atanh rho, and whether there is one inside.

    parts : value, derivative and second derivative of the log likelihood.
    """
    z = float(np.arctanh(start))
    value, g, h = parts(start)
    for _ in range(STEPS):
        rho = float(np.tanh(z))
        slope = 1.0 - rho * rho
        gradient, bend = g * slope, h * slope * slope - 2 * rho * slope * g
        step = gradient / -bend if bend < 0 else 0.5 * np.sign(gradient)
        step = float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-13:
            break
        fraction = 1.0
        while fraction > 1e-6:
            new = z + fraction * step
            there = parts(float(np.tanh(new)))
            if there[0] >= value - 1e-13 * abs(value):
                break
            fraction *= 0.5
        else:
            break
        z = new
        value, g, h = there
        if abs(np.tanh(z)) > EDGE:
            return float(np.tanh(z)), False
        if abs(fraction * step) < 1e-13:
            break
    return float(np.tanh(z)), True
