"""Exact derivatives of elements' covariances in the outer unknowns, from the factor at hand.

The covariance of rows a and b is the conditional mean u of row b under a unit load on row a, u_b = C e_b.
With the multipliers e = A'(load - H u), A = (I - T)^-1, of the elements' equations (zero for free ones), a
residual quadratic form has the derivatives u u' in H, -2 e u' in T and -e e' in s, so that by polarisation

    dC_ab = -u_a' dH u_b + e_a' dT u_b + e_b' dT u_a + e_a' dS e_b.

(The envelope theorem; Giles 2008, Advances in Automatic Differentiation, section 2.3, for dC = -C dQ C.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.field import Evaluator
from dagmodels.forms.information import Symmetric, Walk, workspace_slopes
from dagmodels.numerics.elimination import SCALED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def covariance_slopes(evaluator: Evaluator, x: Floats, rows: Ints) -> Floats:
    """Derivatives of `evaluator.covariance(rows)` in each coordinate, (coordinates, rows, rows).

    x : the point evaluated last.
    """
    field, w = evaluator.field, evaluator.w
    s_from, _, t_from, t_value, h_place, h_weight, h_left, h_right, h_value = field.fill
    child, parent = field.parents
    n = field.pattern.n
    every, back = evaluator.with_moves(rows)
    products = Symmetric(*field.pattern.rows_of(h_place), n)
    u = np.concatenate([evaluator.columns(every), np.zeros((1, every.size))])
    e = _multipliers(evaluator, products, every, u)
    weight, left, right = w[h_weight], w[h_left], w[h_right]
    half = 1.0 / (3.0 - products.both)  # an entry off the diagonal stands for two
    found = np.zeros((x.size, every.size, every.size))
    for k, slope in enumerate(workspace_slopes(field, x)):
        change = slope[h_weight] * left * right + weight * (slope[h_left] * right + left * slope[h_right])
        inner = -_bilinear(half * h_value * change, u, products.low, u, products.high)
        inner += _bilinear(t_value * slope[t_from], e, child, u, parent)
        found[k] = inner + inner.T + (e[:-1].T * slope[s_from[: n - 1]]) @ e[:-1]
    return back @ found @ back.T


def _multipliers(evaluator: Evaluator, products: Symmetric, every: Ints, u: Floats) -> Floats:
    """A'(load - H u) for a unit load on each of some rows, a column each; zero where nothing is scaled."""
    field, w = evaluator.field, evaluator.w
    _, _, t_from, t_value, _, h_weight, h_left, h_right, h_value = field.fill
    precision = h_value * w[h_weight] * w[h_left] * w[h_right]
    walk = Walk(*field.parents, t_value * w[t_from], field.pattern.n)
    e = np.zeros_like(u)
    for b, row in enumerate(every):
        own = -products.times(precision, u[:, b])
        own[row] += 1.0
        walk.up(own)
        e[:, b] = own
    e[np.flatnonzero(field.pattern.kind != SCALED)] = 0.0  # the constant too
    return e


def _bilinear(value: Floats, first: Floats, i: Ints, second: Floats, j: Ints) -> Floats:
    """Sum over entries of value * first[i]' second[j]."""
    some = np.flatnonzero(value)
    return (first[i[some]].T * value[some]) @ second[j[some]]
