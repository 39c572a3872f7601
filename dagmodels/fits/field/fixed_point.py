"""First steps where evaluations are dear: each variance by its effective number of effects.

A variance s whose effects have the means d, and that takes t = s tr(P V_s) degrees of freedom, has the
equation d'd/s = t at the optimum; the step s d'd/(s t) solves it with t held still (Schall 1991, Biometrika
78, 719-727; for residuals t is their number less all others').  t is read off the exact gradient:
dc/d log s = t - d'd/s, with c minus twice the log likelihood.  EM puts the number of effects in place
of t and is slower the less the data tell of each effect.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.modes import departures
from dagmodels.forms.coordinates import uses
from dagmodels.forms.field import Evaluator, Field
from dagmodels.numerics.optimise import Objective

Floats = NDArray[np.float64]
STEPS = 3
MOST = 30.0  # a variance changes by no more than this factor in one step
ENOUGH = 0.5  # a step that brings less than this on the deviance scale is the last


def fixed_point(
    field: Field,
    evaluator: Evaluator,
    f: Objective,
    x: Floats,
    others: Callable[[Floats, Floats], Floats],
) -> Floats:
    """x after some steps, the best point met.

    others : the step of all coordinates from x and the gradient, kept where there is no better one.
    """
    value, gradient = f(x)
    if not np.isfinite(value):
        return x
    for _ in range(STEPS):
        new = _step(field, evaluator, x, gradient, others(x, gradient))
        new_value, new_gradient = f(new)
        if not (np.isfinite(new_value) and new_value < value):
            break
        gain = value - new_value
        x, value, gradient = new, new_value, new_gradient
        if gain < ENOUGH:
            break
    return x


def _step(field: Field, evaluator: Evaluator, x: Floats, gradient: Floats, new: Floats) -> Floats:
    use = uses(field.problem.graph)
    evaluator.criterion(x)
    e = evaluator.elimination
    s, d = e.s[:-1], departures(field, evaluator)
    squares = np.where((s > 0) & ~np.isnan(d), d**2 / np.where(s > 0, s, 1.0), 0.0)
    leaves = {leaf.node for leaf in field.leaves}
    position = 0
    for c in field.coordinates:
        part = slice(position, position + c.length)
        position += c.length
        kind, nodes = use.get(c.node, ("other", ()))
        if c.group is not None or c.length != 1:
            continue
        g = gradient[part]
        latent = [n for n in nodes if n in field.rows and n not in leaves]
        if kind == "scale" and c.kind == "identity" and latent and not leaves & set(nodes):
            rows = np.concatenate([field.rows[n] for n in latent])
            own = squares[rows[rows >= 0]].sum()
            new[part] = x[part] * np.sqrt(_factor(own, own + 0.5 * x[part] * g))
        elif kind == "residual" and c.kind == "log" and leaves <= set(nodes) and not latent:
            own = e.H[-1] - squares.sum()
            new[part] = x[part] + 0.5 * np.log(_factor(own, own + 0.5 * g))
    return new


def _factor(have: float, want: Floats) -> Floats:
    """What a variance is multiplied by."""
    if not have > 0:
        return np.full(want.shape, 1 / MOST)
    return np.clip(have / np.maximum(want, have / MOST), 1 / MOST, MOST)
