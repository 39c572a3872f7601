"""Monte Carlo EM: hidden values drawn, coefficients at their best given some draws, then averaged.

Wei and Tanner (1990, JASA 85:699) for the steps; the average over the later steps is that of Polyak and
Juditsky (1992, SIAM J. Control Optim. 30:838), which takes the draws' noise out of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

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


class Model(Protocol):
    """Hidden values that can be drawn, and the log density of complete cases."""

    def begin(self) -> Floats:
        """Coefficients of a start."""
        ...

    def draw(self, theta: Floats) -> Floats:
        """Hidden values some moves on from the last ones, at given coefficients."""
        ...

    def objective(self, draws: list[Floats], theta: Floats) -> tuple[float, Floats]:
        """Minus the log density of complete cases, averaged over draws, with priors; its gradient."""
        ...


@dataclass(eq=False, slots=True)
class BinaryDraws:
    """Layers of binary units; see `Model`."""

    form: BinaryLayers
    rng: np.random.Generator
    chain: Chain = field(init=False)

    def begin(self) -> Floats:
        """See `Model`."""
        theta = AWAY * self.rng.standard_normal(len(self.form.unknowns))
        self.chain = Chain(self.form, self.rng)
        return theta

    def draw(self, theta: Floats, sweeps: int = SWEEPS) -> Floats:
        """See `Model`."""
        a = self.form.matrix(theta)
        for _ in range(sweeps):
            self.chain.sweep(a)
        return self.chain.h.copy()

    def objective(self, draws: list[Floats], theta: Floats) -> tuple[float, Floats]:
        """See `Model`."""
        return objective(self.form, draws, theta)


def run(model: Model, steps: int, kept: int = KEPT) -> Sampled:
    """Steps of EM from coefficients at random; kept : draws that a maximisation sees."""
    theta = model.begin()
    draws = list[Floats]()
    path = np.empty((steps, theta.size))
    for k in range(steps):
        draws = [*draws[-(kept - 1) :], model.draw(theta)]
        theta = limited(lambda x: model.objective(draws, x), theta, lambda v: 1e-9 * abs(v), INNER).x  # noqa: B023
        path[k] = theta
    mean = path[int((1 - AVERAGED) * steps) :].mean(axis=0)
    return Sampled(mean, score(model, mean), path)


def score(model: Model, theta: Floats) -> float:
    """How far the mean score is from zero."""
    return away_from_zero(np.array([model.objective([model.draw(theta)], theta)[1] for _ in range(SCORES)]))


def away_from_zero(scores: Floats) -> float:
    """The mean of successive scores in its standard errors, from batches of draws: root mean square."""
    batches = scores.reshape(8, -1, scores.shape[1]).mean(axis=1)
    se = batches.std(axis=0, ddof=1) / np.sqrt(8)
    inside = se > 0
    return float(np.sqrt(np.mean((batches.mean(axis=0)[inside] / se[inside]) ** 2))) if inside.any() else 0.0
