"""Weights of the values and everything else at their best: a profile over the outer unknowns.

Given these the weights are a convex programme (`numerics.mixing_weights`), or a spline's coefficients; by the
envelope theorem the gradient of the profile is that of the expected log likelihood, which the tape gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em import trace
from dagmodels.backends.em.mixing.laws import Falling, Free, Smooth
from dagmodels.errors import FitError
from dagmodels.forms.mixing import MixingForm
from dagmodels.numerics.mixing_weights import Weights, mixing_weights
from dagmodels.numerics.optimise import Optimum, descend, minimise

Floats = NDArray[np.float64]
ROUND = 1e-3  # |alpha| below which the penalty c0 |alpha| is rounded off, so that it has two derivatives
STEP = 1e-4  # of differences, in units of each number
LITTLE = 1e-15  # share of all elements below which a value's part in a gradient is passed over
SURE = 1e-6  # gap of the log likelihood at which weights count as the best


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """Where the maximisation ended.

    y : outer unknowns, unconstrained. probabilities : of the law's values. standard_errors : theirs, None
    where there are none. log_posterior : of the data and of what has a prior; log_prior : of that alone.
    weights : the convex programme's end, None for splines. alpha : of the spline.
    optimum : of the profile (deviance scale). held : outer numbers without a standard error.
    """

    form: MixingForm
    law: Free | Falling | Smooth
    y: Floats
    probabilities: Floats
    log_posterior: float
    log_prior: float
    optimum: Optimum
    weights: Weights | None = None
    alpha: Floats | None = None
    standard_errors: Floats | None = None
    held: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    @property
    def converged(self) -> bool:
        """Whether weights and outer unknowns carry their certificates."""
        sure = self.weights is None or self.weights.gap <= max(SURE, 1e-11 * self.form.counts.sum())
        return bool(sure and self.optimum.decrement < 1e-3 and self.optimum.smallest > -1e-6)


def scaled(form: MixingForm, y: Floats, law: Free | Falling | Smooth) -> tuple[Floats, Floats]:
    """Likelihoods of the values by unit, the greatest of each unit one, and logarithms of what they lost."""
    likelihood = form.log_likelihood(y, law.values)
    top = likelihood.max(axis=0)
    if not np.isfinite(top).all():
        return likelihood, top
    likelihood -= top
    np.exp(likelihood, out=likelihood)
    return likelihood, top


class Profile:
    """Minus twice the log likelihood at the best weights, as a function of the outer unknowns."""

    def __init__(self, form: MixingForm, law: Free | Falling) -> None:
        self.form, self.law, self.start = form, law, None
        self.found: Weights | None = None

    def __call__(self, y: Floats) -> tuple[float, Floats]:
        form, law = self.form, self.law
        likelihood, top = scaled(form, y, law)
        if not np.isfinite(top).all():
            return np.inf, np.zeros(y.size)
        found = self._weights(law.components(likelihood))
        self.found, self.start = found, found.weights
        value = found.value + float(form.counts @ top) + form.joint(y)
        g = law.spread(found.weights)
        own = np.flatnonzero(g > 0)
        posterior = g[own, None] * likelihood[own] * (form.counts / (g[own] @ likelihood[own]))
        return -2.0 * value, -2.0 * form.gradient(y, law.values[own], posterior)

    def _weights(self, components: Floats) -> Weights:
        """The best weights, with elements added to a component where the law says so."""
        at, more = self.law.extra
        counts = self.form.counts
        if more:
            sure = np.zeros((len(components), 1))
            sure[at] = 1.0
            components, counts = np.hstack([components, sure]), np.append(counts, more)
        found = mixing_weights(components, counts, self.start)
        trace.rising("mixing", (*found.values, found.value))
        return found


class Splines:
    """The penalised log likelihood of a spline's coefficients and of the outer unknowns."""

    def __init__(self, form: MixingForm, law: Smooth) -> None:
        self.form, self.law, self.alpha = form, law, np.ones(law.basis.shape[1])
        self._kept: tuple[bytes, tuple[Floats, Floats]] | None = None

    def scaled(self, y: Floats) -> tuple[Floats, Floats]:
        """`scaled` at a point; the last one is remembered."""
        if self._kept is None or self._kept[0] != y.tobytes():
            self._kept = (y.tobytes(), scaled(self.form, y, self.law))
        return self._kept[1]

    def __call__(self, y: Floats) -> tuple[float, Floats]:
        """Minus twice its greatest value given the outer unknowns, and the gradient of that."""
        likelihood, top = self.scaled(y)
        if not np.isfinite(top).all():
            return np.inf, np.zeros(y.size)
        self.alpha = self.best(likelihood)
        value = self.form.counts @ top + self.form.joint(y)
        inner = self.inner(likelihood, self.alpha)[0]
        return inner - 2.0 * float(value), -2.0 * self.slopes(y, likelihood)

    def best(self, likelihood: Floats) -> Floats:
        """The coefficients at their best, by Newton's steps from the last ones."""
        free = np.full(self.alpha.size, np.inf)

        def f(alpha: Floats) -> tuple[float, Floats]:
            return self.inner(likelihood, alpha)

        def curvature(alpha: Floats) -> Floats:
            return self.curvature(likelihood, alpha)

        scale = np.ones(self.alpha.size)
        path: list[float] = []
        end = descend(
            f, self.alpha, scale, -free, free, tolerance=1e-10, curvature=curvature, watch=path.append
        )
        trace.rising("mixing", [-0.5 * v for v in path])
        return end.x

    def inner(self, likelihood: Floats, alpha: Floats) -> tuple[float, Floats]:
        """Minus twice the penalised log likelihood and its gradient in the coefficients."""
        counts, basis, c0 = self.form.counts, self.law.basis, self.law.c0
        g = self.law.spread(alpha)
        density = g @ likelihood
        length = float(np.sqrt(alpha @ alpha + ROUND**2))
        value = counts @ np.log(density) - c0 * length
        slope = basis.T @ (g * (likelihood @ (counts / density)) - counts.sum() * g) - c0 * alpha / length
        return -2.0 * float(value), -2.0 * slope

    def curvature(self, likelihood: Floats, alpha: Floats) -> Floats:
        """The Hessian of `inner`: covariances of the basis given each unit's data, less those without."""
        counts, basis = self.form.counts, self.law.basis
        g = self.law.spread(alpha)
        share = counts / (g @ likelihood)
        given = basis.T @ (g[:, None] * likelihood) * (share / np.sqrt(counts))
        within = (basis * (g * (likelihood @ share))[:, None]).T @ basis - given @ given.T
        mean = basis.T @ g
        before = counts.sum() * ((basis * g[:, None]).T @ basis - np.outer(mean, mean))
        return -2.0 * (within - before) + 2.0 * self.penalty(alpha)

    def decrement(self, y: Floats) -> float:
        """Of Newton's step in the coefficients: how far they are from their best, on the deviance scale."""
        likelihood = self.scaled(y)[0]
        slope = self.inner(likelihood, self.alpha)[1]
        step = np.linalg.pinv(self.curvature(likelihood, self.alpha), hermitian=True) @ slope
        return float(np.sqrt(max(slope @ step, 0.0)))

    def penalty(self, alpha: Floats) -> Floats:
        """The Hessian of the penalty."""
        length = float(np.sqrt(alpha @ alpha + ROUND**2))
        return self.law.c0 / length * (np.eye(alpha.size) - np.outer(alpha, alpha) / length**2)

    def slopes(self, y: Floats, likelihood: Floats) -> Floats:
        """Gradient of the log likelihood in the outer unknowns, the coefficients as they are."""
        g = self.law.spread(self.alpha)
        posterior = g[:, None] * likelihood * (self.form.counts / (g @ likelihood))
        own = np.flatnonzero(posterior.sum(axis=1) > LITTLE * self.form.counts.sum())
        return self.form.gradient(y, self.law.values[own], posterior[own])

    def hessian(self, y: Floats) -> Floats:
        """Of minus the penalised log likelihood in (y, alpha): exact in alpha, differences of slopes in y."""
        k, likelihood = y.size, self.scaled(y)[0]
        whole = np.zeros((k + self.alpha.size, k + self.alpha.size))
        whole[k:, k:] = 0.5 * self.curvature(likelihood, self.alpha)
        for j in range(k):
            step = np.zeros(k)
            step[j] = STEP * max(abs(y[j]), 1.0)
            ends = []
            for at in (y + step, y - step):
                near = self.scaled(at)[0]
                ends.append(np.concatenate([-self.slopes(at, near), 0.5 * self.inner(near, self.alpha)[1]]))
            whole[j] = (ends[0] - ends[1]) / (2 * step[j])
        whole[k:, :k] = whole[:k, k:].T
        whole[:k, :k] = 0.5 * (whole[:k, :k] + whole[:k, :k].T)
        return whole


def solve(form: MixingForm, law: Free | Falling | Smooth, y: Floats) -> Solution:
    """Maximise from y.

    Raises `FitError` where some unit has probability zero for all values of the law at y.
    """
    return _smooth(form, law, y) if isinstance(law, Smooth) else _free(form, law, y)


def _free(form: MixingForm, law: Free | Falling, y: Floats) -> Solution:
    profile = Profile(form, law)
    optimum = _minimised(profile, y)
    value = profile(optimum.x)[0] if y.size else optimum.value
    assert profile.found is not None
    at, more = law.extra
    value += 2.0 * more * float(np.log(profile.found.weights[at])) if more else 0.0
    g, prior = law.spread(profile.found.weights), form.prior(optimum.x)
    held = np.zeros(y.size, dtype=bool)
    return Solution(form, law, optimum.x, g, -0.5 * value, prior, optimum, profile.found, held=held)


def _smooth(form: MixingForm, law: Smooth, y: Floats) -> Solution:
    f = Splines(form, law)
    optimum = _minimised(f, y)
    k = y.size
    value = f(optimum.x)[0] if k else optimum.value
    hessian = f.hessian(optimum.x)
    penalty = np.zeros_like(hessian)
    penalty[k:, k:] = f.penalty(f.alpha)
    covariance = _sandwich(hessian, penalty)
    g = law.spread(f.alpha)
    jacobian = g[:, None] * (law.basis - g @ law.basis)
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", jacobian, covariance[k:, k:], jacobian), 0.0))
    own = replace(
        optimum,
        hessian=2.0 * np.linalg.pinv(covariance[:k, :k], hermitian=True),
        decrement=max(optimum.decrement, f.decrement(optimum.x)),
        smallest=min(optimum.smallest, float(np.linalg.eigvalsh(hessian)[0] / np.abs(hessian).max())),
    )
    total = -0.5 * value + law.c0 * float(np.sqrt(f.alpha @ f.alpha + ROUND**2))
    held = np.zeros(k, dtype=bool)
    return Solution(form, law, own.x, g, total, form.prior(own.x), own, None, f.alpha, errors, held)


def _minimised(f: Profile | Splines, start: Floats) -> Optimum:
    value, _ = f(start)
    if not np.isfinite(value):
        raise FitError(
            f"em: no value on the grid of '{f.form.node}' gives all data a positive probability: widen the "
            "grid"
        )
    if not start.size:
        none, square = np.zeros(0), np.zeros((0, 0))
        return Optimum(start, value, none, square, 0.0, none.astype(bool), 1.0, 0, "nothing else is unknown")
    scale, free = np.ones(start.size), np.full(start.size, np.inf)
    path: list[float] = []
    found = minimise(f, start, scale, -free, free, watch=path.append)
    slack = f.found.gap if isinstance(f, Profile) and f.found is not None else 0.0
    trace.rising("mixing", [-0.5 * v for v in path], slack)
    return found


def _sandwich(hessian: Floats, penalty: Floats) -> Floats:
    """Covariance of penalised estimates, H^-1 (H - P) H^-1, H with the penalty's Hessian P (Efron 2016)."""
    inverse = np.linalg.pinv(hessian, hermitian=True)
    values, vectors = np.linalg.eigh(hessian - penalty)
    root = inverse @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    return root @ root.T
