"""Profile likelihood limits of a mixture's estimates.

A point of a profile is a minimiser of the criterion under a penalty on the estimate (`fits.profile`), found
by the steps that end a fit, from the last point outwards: labels stay as they are, because a path of
minimisers does not change them. Numbers held at the edge of their domain stay there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixture.loop import NEWTON, Solution, criterion
from dagmodels.backends.em.mixture.table import labelled
from dagmodels.fits.profile import along, chained, limits_of
from dagmodels.forms.flat import Flat
from dagmodels.numerics.optimise import descend
from dagmodels.results.refitting import Limits, Target

Floats = NDArray[np.float64]
STEP = 1e-5  # of differences of the transforms
STILL = 1e-9  # slope of an estimate below which nothing moves it


def refusal(solution: Solution, target: Target) -> str | None:
    """Why an estimate has no profile; None where it has one."""
    if solution.y.size > NEWTON:
        return f"there are more than {NEWTON} unknowns, each of which every point of a profile moves"
    names, _, _ = labelled(solution.form)
    own = [names.index(n) for n in target.sources if n in names]
    if len(own) < len(target.sources):
        return "it is a function of what is no estimate of the mixture"
    _, slopes = _Elements(solution.form.flat, own)(solution.y)
    if any((np.abs(s) * ~solution.held).max(initial=0.0) < STILL for s in slopes):
        return "it is estimated on the boundary of its domain, or fixed"
    return None


def profiles(solution: Solution, targets: Sequence[Target], level: float) -> list[Limits]:
    """Limits of each target."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    return [_limits(solution, target, z) for target in targets]


def _limits(solution: Solution, target: Target, z: float) -> Limits:
    names, _, _ = labelled(solution.form)
    elements = _Elements(solution.form.flat, [names.index(n) for n in target.sources])
    value = target.function(dict(zip(target.sources, elements(solution.y)[0], strict=True)))[0]
    logs = target.lower == 0 and target.upper == np.inf and value > 0
    h = _Function(elements, target, logs)
    f, optimum, held = criterion(solution.form), solution.optimum, solution.held
    free, scale = np.full(held.size, np.inf), np.ones(held.size)
    lower, upper = np.where(held, optimum.x, -free), np.where(held, optimum.x, free)
    best = f(optimum.x)[0]

    def minimum(y: Floats, t: float, c: float) -> tuple[Floats, float]:
        def penalised(at: Floats) -> tuple[float, Floats]:
            value, gradient = f(at)
            if not np.isfinite(value):
                return value, gradient
            reached, slope = h(at)
            away = reached - t
            return value + c * away**2, gradient + 2 * c * away * slope

        _, slope = h(y)
        model = optimum.hessian + 2 * c * np.outer(slope, slope)
        found = descend(penalised, y, scale, lower, upper, model=model)
        return found.x, f(found.x)[0] - best

    return limits_of(along(target, h, optimum.x, _spread(solution, h), minimum, logs=logs), z)


def _spread(solution: Solution, h: _Function) -> float:
    """Standard error of a function at the optimum, a first guess."""
    hessian, free = solution.optimum.hessian, np.flatnonzero(~solution.held)
    slope = h(solution.y)[1][free]
    variance = 2 * slope @ np.linalg.pinv(hessian[np.ix_(free, free)], hermitian=True) @ slope
    return float(np.sqrt(variance)) if np.isfinite(variance) and variance > 0 else 0.1


@dataclass(frozen=True, slots=True)
class _Elements:
    """Elements of the estimates with their slopes in the unconstrained numbers."""

    flat: Flat
    own: list[int]

    def __call__(self, y: Floats) -> tuple[list[float], list[Floats]]:
        n = y.size
        points = np.repeat(y[None, :], 2 * n + 1, axis=0)
        at = np.arange(n)
        points[1 + at, at] += STEP
        points[1 + n + at, at] -= STEP
        found = self.flat.constrain(points)
        wide = np.concatenate([np.asarray(v).reshape(2 * n + 1, -1) for v in found.values()], axis=1)
        wide = wide[:, self.own]
        slopes = (wide[1 : n + 1] - wide[n + 1 :]) / (2 * STEP)
        return wide[0].tolist(), list(slopes.T)


@dataclass(frozen=True, slots=True)
class _Function:
    """A target as a function of the unconstrained numbers (its logarithm, where `logs`)."""

    elements: _Elements
    target: Target
    logs: bool

    def __call__(self, y: Floats) -> tuple[float, Floats]:
        values, slopes = self.elements(y)
        return chained(self.target, values, slopes, logs=self.logs)


__all__ = ["profiles", "refusal"]
