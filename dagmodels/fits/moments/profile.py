"""Profile likelihood limits of fits from moments.

As with the field, every minimiser of f(x) + c (h(x) - t)^2 lies on the profile of h, so that t
is moved until the criterion has risen as far as wanted. Gradient and Hessian are exact here, so that a point
takes a few damped Newton steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.moments.layout import Places
from dagmodels.fits.profile import Profile, along, chained, limits_of, node_of
from dagmodels.forms.moments import Criterion, MomentsForm, MomentsSolution
from dagmodels.numerics.scoring import score
from dagmodels.results.refitting import Limits, Target

Floats = NDArray[np.float64]
STEP = 1e-5  # of differences of exact first derivatives, in units of a coordinate


def refusal(solution: MomentsSolution, target: Target) -> str | None:
    """Why an estimate has no profile; None where it has one."""
    if not solution.at.likelihood:
        return "a fit by least squares has no likelihood"
    if solution.form.constraints is not None:
        return "the fit is held by constraints, under which likelihoods have no profiles yet"
    outer = {c.node for c in solution.form.coordinates}
    if {node_of(name) for name in target.sources} <= outer:
        return None
    return "it is a function of other estimates"


def profiles(solution: MomentsSolution, targets: Sequence[Target], level: float) -> list[Limits]:
    """Limits of each target."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(all="ignore"):
        return [limits_of(profile(solution, target), z) for target in targets]


def profile(solution: MomentsSolution, target: Target) -> Profile:
    """Of a function of the estimates."""
    form, optimum = solution.form, solution.optimum
    lower, upper = form.template.lower, form.template.upper
    nodes = {node_of(n) for n in target.sources}
    logs = all(c.kind == "log" for c in form.coordinates if c.node in nodes)
    h = _Function(form, target, logs=logs)
    value, slope = h(optimum.x)
    se = _spread(solution, value, slope)

    def minimum(x: Floats, t: float, c: float) -> tuple[Floats, float]:
        found = score(lambda y: _Penalised(form.at(y), h, t, c), x, lower, upper)
        return found.x, form.at(found.x).value - optimum.value

    return along(target, h, optimum.x, se, minimum, logs=logs)


class _Function:
    """A target as a function of the coordinates (its logarithm, where they are logarithms)."""

    def __init__(self, form: MomentsForm, target: Target, *, logs: bool) -> None:
        self.form, self.target, self.logs = form, target, logs
        places = Places(form)
        at = [places.names.index(n) for n in target.sources]
        self.places, self.either = places.at[at], places.either[at]
        self.linear = not logs and bool(np.isin(self.places, form.x_places).all())

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Value and gradient."""
        form = self.form
        w = form.workspace(x)
        values, slopes = [], []
        for place, either in zip(self.places.tolist(), self.either.tolist(), strict=True):
            sign = -1.0 if either and w[place] < 0 else 1.0
            bar = np.zeros(w.size)
            bar[place] = sign
            form.tape.reverse(w, bar)
            values.append(sign * float(w[place]))
            slopes.append(bar[form.x_places])
        return chained(self.target, values, slopes, logs=self.logs)

    def hessian(self, x: Floats) -> Floats:
        """By differences of the exact gradient; zero for what is a coordinate itself."""
        found = np.zeros((x.size, x.size))
        if self.linear and len(self.target.sources) == 1:
            return found
        for i in range(x.size):
            h = STEP * max(1.0, abs(x[i]))
            e = h * (np.arange(x.size) == i)
            found[i] = (self(x + e)[1] - self(x - e)[1]) / (2 * h)
        return 0.5 * (found + found.T)


class _Penalised:
    """f + c (h - t)^2 at one place, as `score` takes it."""

    def __init__(self, f: Criterion, h: _Function, t: float, c: float) -> None:
        self.f, self.h, self.c = f, h, c
        self.value = f.value
        if np.isfinite(f.value):
            height, self.slope = h(f.x)
            self.away = height - t
            self.value += c * self.away**2

    @property
    def gradient(self) -> Floats:
        return self.f.gradient + 2 * self.c * self.away * self.slope

    def _square(self) -> Floats:
        return 2 * self.c * np.outer(self.slope, self.slope)

    def information(self) -> Floats:
        return self.f.information() + self._square()

    def hessian(self) -> Floats:
        return self.f.hessian() + self._square() + 2 * self.c * self.away * self.h.hessian(self.f.x)


def _spread(solution: MomentsSolution, value: float, slope: Floats) -> float:
    """Standard error of a function at the optimum, or its size where that is unknown."""
    o = solution.optimum
    free = np.flatnonzero(~o.active)
    inverse = np.linalg.pinv(o.hessian[np.ix_(free, free)], hermitian=True)
    variance = 2 * slope[free] @ inverse @ slope[free] if free.size else 0.0
    return float(np.sqrt(variance)) if np.isfinite(variance) and variance > 0 else 0.1 * abs(value) or 0.1
