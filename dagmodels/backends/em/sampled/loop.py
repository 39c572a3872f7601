"""Monte Carlo EM: states drawn unit by unit, coefficients at their best given some draws, then averaged.

Wei and Tanner (1990, JASA 85:699) for the steps; the average over the later steps is that of Polyak and
Juditsky (1992, SIAM J. Control Optim. 30:838), which takes the draws' noise out of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.binary_layers import BinaryLayers
from dagmodels.numerics.limited import limited

Floats = NDArray[np.float64]
KEPT = 4  # draws of all cases that a maximisation sees
SWEEPS = 2  # of all units between two of them
INNER = 8  # steps of a maximisation
AVERAGED = 0.5  # share of the steps whose coefficients are averaged
SCORES = 40  # draws that the last score is judged by
AWAY = 0.3  # sd of the coefficients of a start
FAR = 4.0  # standard errors of the mean score, root mean square, beyond which the steps have not settled


@dataclass(frozen=True, eq=False, slots=True)
class Sampled:
    """theta : averaged coefficients. score : root mean square of the last scores in their standard errors.
    path : coefficients after each step."""

    theta: Floats
    score: float
    path: Floats


class Chain:
    """States of all cases, drawn one unit after the other."""

    def __init__(self, form: BinaryLayers, rng: np.random.Generator) -> None:
        self.form, self.rng = form, rng
        self.hidden = np.isnan(form.values)
        start = rng.random(form.values.shape) < 0.5
        self.h = np.where(self.hidden, start, form.values).astype(np.float64)
        linked = (form.base != 0) | (np.asarray(abs(form.design).sum(axis=1)).reshape(form.base.shape) > 0)  # type: ignore[arg-type]
        self.units = [
            (j, np.flatnonzero(linked[:, 1 + j])) for j in range(linked.shape[0]) if self.hidden[:, j].any()
        ]

    def sweep(self, a: Floats) -> None:
        """Draw every hidden element given all others of its case."""
        z = a[:, 0] + self.h @ a[:, 1:].T
        for j, children in self.units:
            rows = np.flatnonzero(self.hidden[:, j])
            slope = a[children, 1 + j]
            old = self.h[rows, j]
            without = z[np.ix_(rows, children)] - old[:, None] * slope
            gain = self.h[np.ix_(rows, children)] @ slope
            gain -= np.sum(np.logaddexp(0, without + slope) - np.logaddexp(0, without), axis=1)
            new = (self.rng.random(rows.size) < _expit(z[rows, j] + gain)).astype(np.float64)
            self.h[rows, j] = new
            z[np.ix_(rows, children)] = without + new[:, None] * slope


def _expit(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * x))


def objective(form: BinaryLayers, draws: list[Floats], theta: Floats) -> tuple[float, Floats]:
    """Minus the log density of complete cases, averaged over draws, with priors; its gradient."""
    a = form.matrix(theta)
    value, slope = 0.0, np.zeros_like(a)
    for h in draws:
        z = a[:, 0] + h @ a[:, 1:].T
        value -= float(np.sum(h * z - np.logaddexp(0, z))) / len(draws)
        rest = (h - _expit(z)) / len(draws)
        slope[:, 0] -= rest.sum(axis=0)
        slope[:, 1:] -= rest.T @ h
    away = (theta - form.centre) / form.deviation
    value += 0.5 * float(away @ away)
    return value, form.design.T @ slope.reshape(-1) + away / form.deviation  # type: ignore[attr-defined]


def run(form: BinaryLayers, steps: int, seed: int) -> Sampled:
    """Steps of EM from coefficients at random."""
    rng = np.random.default_rng(seed)
    theta = AWAY * rng.standard_normal(len(form.unknowns))
    chain, draws = Chain(form, rng), list[Floats]()
    path = np.empty((steps, theta.size))
    for k in range(steps):
        a = form.matrix(theta)
        for _ in range(SWEEPS):
            chain.sweep(a)
        draws = [*draws[-(KEPT - 1) :], chain.h.copy()]
        theta = limited(lambda x: objective(form, draws, x), theta, lambda v: 1e-9 * abs(v), INNER).x  # noqa: B023
        path[k] = theta
    mean = path[int((1 - AVERAGED) * steps) :].mean(axis=0)
    return Sampled(mean, _score(form, chain, mean), path)


def _score(form: BinaryLayers, chain: Chain, theta: Floats) -> float:
    """How far the mean score is from zero, in standard errors of batches of draws."""
    a = form.matrix(theta)
    found = []
    for _ in range(SCORES):
        chain.sweep(a)
        found.append(objective(form, [chain.h], theta)[1])
    batches = np.array(found).reshape(8, -1, theta.size).mean(axis=1)
    se = batches.std(axis=0, ddof=1) / np.sqrt(8)
    inside = se > 0
    return float(np.sqrt(np.mean((batches.mean(axis=0)[inside] / se[inside]) ** 2))) if inside.any() else 0.0
