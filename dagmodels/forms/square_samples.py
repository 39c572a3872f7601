"""Draws for the bootstrap of least-squares fits: the same form with other rows, or other covariances.

Weights and sampling covariances are those of each draw, as in a fit of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.least_squares import LeastSquaresForm
from dagmodels.forms.moment_samples import drawn_values, simulated
from dagmodels.forms.moments import MomentsSolution

Floats = NDArray[np.float64]
Drawing = Callable[[np.random.Generator], LeastSquaresForm]


def drawing(solution: MomentsSolution, kind: str) -> Drawing:
    """What draws forms.

    kind : "nonparametric" (rows again, within groups), "parametric" (rows from the fit: numbers are Normal,
        ordered variables are Normal latent responses cut at the thresholds), or "bollen.stine" (rows of
        numbers, turned so that the model holds).
    """
    form = cast(LeastSquaresForm, solution.form)
    if kind == "parametric":
        if not form.values.size:
            return lambda rng: _covariances(solution, form, rng)
        return lambda rng: form.with_values(drawn_values(solution, rng))
    values = form.values if kind == "nonparametric" else turned(solution)
    groups = [np.flatnonzero(form.group_of == g) for g in range(len(form.parts))]

    def again(rng: np.random.Generator) -> LeastSquaresForm:
        drawn = np.empty_like(values)
        for rows in groups:
            drawn[rows] = values[rows[rng.integers(0, rows.size, rows.size)]]
        return form.with_values(drawn)

    return again


def turned(solution: MomentsSolution) -> Floats:
    """Rows of numbers whose means and covariances are the model's: z = mu + Sigma^1/2 S^-1/2 (y - mean)
    (Bollen and Stine 1992, Sociol. Methods Res. 21:205)."""
    form, moments = solution.form, solution.at.moments
    o, found = form.structure.observed, form.values.copy()
    for g in range(form.structure.groups):
        rows = np.flatnonzero(form.group_of == g)
        away = form.values[rows] - form.sample.mean[g]
        turn = power(moments.covariance[g][np.ix_(o, o)], 0.5) @ power(form.sample.cov[g], -0.5)
        found[rows] = moments.mean[g][o] + away @ turn.T
    return found


def power(matrix: Floats, exponent: float) -> Floats:
    """Of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T


def _covariances(
    solution: MomentsSolution, form: LeastSquaresForm, rng: np.random.Generator
) -> LeastSquaresForm:
    """Of a fit without rows: its covariances are divided by n - 1, those that are drawn by n."""
    share = ((form.sample.n - 1) / form.sample.n)[:, None, None]
    sample = replace(form.sample, cov=form.sample.cov * share)
    drawn = simulated(replace(solution, form=replace(form, sample=sample)), rng)
    return form.with_sample(replace(drawn, cov=drawn.cov / share))
