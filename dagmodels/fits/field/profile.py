"""Profile likelihood limits: where the criterion, minimised over all else, has risen by a chi-square
quantile.

For a function h of the outer unknowns every minimiser x of

    f(x) + c (h(x) - t)^2

lies on the profile of h: it is the constrained minimiser at the value h(x) that it reached.  So no
constraint is solved; t is moved until the signed root zeta = sign sqrt(f(x) - f(best)) has the value
wanted (Bates and Watts 1988, Nonlinear Regression Analysis, section 6.1; Bates et al. 2015,
J. Stat. Software 67(1), section 5.1).  A coefficient of the block is held at t instead, and its field
minimised.  Restricted fits are profiled by maximum likelihood, as in lme4, because restricted
likelihoods of different coefficients do not compare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.fits.field.layout import Layout, layout
from dagmodels.fits.field.objective import Objective, Space
from dagmodels.fits.field.report import is_coefficient
from dagmodels.fits.field.solve import Solution, solve
from dagmodels.fits.profile import Point, Profile, along, chained, limits_of, node_of
from dagmodels.forms.build_field import HELD, build_field
from dagmodels.forms.field import Evaluator
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.graph.statement import Stochastic
from dagmodels.numerics.elimination import SCALED
from dagmodels.numerics.optimise import descend
from dagmodels.results.refitting import Limits, Target

if TYPE_CHECKING:
    from dagmodels.forms.quadrature import QuadratureEvaluator

Floats = NDArray[np.float64]


def refusal(solution: Solution, target: Target) -> str | None:
    """Why an estimate has no profile; None where it has one."""
    field = solution.field
    outer = {c.node for c in field.coordinates}
    nodes = {node_of(name) for name in target.sources}
    if nodes <= outer:
        return None
    if len(target.sources) != 1 or not nodes <= set(field.rows):
        return "it is a function of other estimates"
    (node,) = nodes
    rows = field.rows[node]
    if (field.pattern.kind[rows[rows >= 0]] == SCALED).any():
        return "it is integrated under a prior of its own"
    return None


def profiles(solution: Solution, targets: Sequence[Target], level: float) -> list[Limits]:
    """Limits of each target; see the module."""
    from dagmodels.forms.quadrature import QuadratureEvaluator

    z = NormalDist().inv_cdf((1 + level) / 2)
    order = solution.evaluator.order if isinstance(solution.evaluator, QuadratureEvaluator) else 1
    best = maximum_likelihood(solution)
    found = []
    for target in targets:
        if {node_of(n) for n in target.sources} <= {c.node for c in best.field.coordinates}:
            profile = _outer_profile(best, target)
        else:
            profile = _held_profile(best, target, order)
        found.append(limits_of(profile, z))
    return found


def maximum_likelihood(solution: Solution) -> Solution:
    """The ML solution beside a restricted one: flat coefficients are profiled instead of integrated."""
    field = solution.field
    flat = [n for n in field.roles.integrated if _all_flat(field.problem.graph.nodes[n].statements)]
    flat = [n for n in flat if is_coefficient(solution, n)]
    if not flat or field.curved:
        return solution
    roles = replace(
        field.roles,
        integrated={n: w for n, w in field.roles.integrated.items() if n not in flat},
        profiled={**field.roles.profiled, **dict.fromkeys(flat, "a coefficient, profiled")},
    )
    return solve(build_field(field.problem, roles), near=solution)


def _all_flat(statements: Sequence[object]) -> bool:
    return all(isinstance(s, Stochastic) and s.distribution.family == "Flat" for s in statements)


# -- functions of the outer unknowns ---------------------------------------------------------------


class _Penalised:
    """f + c (h - t)^2 with its gradient."""

    def __init__(self, f: Objective, h: Callable[[Floats], tuple[float, Floats]], t: float, c: float) -> None:
        self.f, self.h, self.t, self.c = f, h, t, c

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        value, gradient = self.f(x)
        if not np.isfinite(value):
            return value, gradient
        h, slope = self.h(x)
        away = h - self.t
        return value + self.c * away**2, gradient + 2 * self.c * away * slope


def _outer_profile(best: Solution, target: Target) -> Profile:
    """Profile of a function of outer unknowns."""
    field, evaluator, optimum = best.field, best.evaluator, best.optimum
    f = Objective(field, evaluator, Space.of(field, best.scale))
    s = f.space
    logs = all(c.kind == "log" for c in field.coordinates if c.node in {node_of(n) for n in target.sources})
    h = _Function(best, layout(best), target, logs=logs)
    value, slope = h(optimum.x)
    if not np.isfinite(value):
        return Profile(np.nan, 1.0, -np.inf, np.inf, lambda v, e: Point(v, 0.0), lambda: None, lambda v: v)
    se = _spread(best, value, slope)

    def minimum(x: Floats, t: float, c: float) -> tuple[Floats, float]:
        _, slope = h(x)
        model = optimum.hessian + 2 * c * np.outer(slope, slope)
        found = descend(_Penalised(f, h, t, c), x, s.scale, s.lower, s.upper, model=model)
        return found.x, f(found.x)[0] - optimum.value

    return along(target, h, optimum.x, se, minimum, logs=logs)


class _Function:
    """A target as a function of the coordinates (of its logarithm, where they are logarithms)."""

    def __init__(self, best: Solution, found: Layout, target: Target, *, logs: bool) -> None:
        self.best, self.target, self.logs = best, target, logs
        names = found.unknowns.names[found.rows.size :]
        at = [names.index(n) for n in target.sources]
        self.places, self.either = found.places[at], found.either[at]

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        field, evaluator = self.best.field, self.best.evaluator
        w = field.tape.initial.copy()
        w[field.x_places] = x
        field.tape.forward(w)
        values, slopes = [], []
        for place, either in zip(self.places.tolist(), self.either.tolist(), strict=True):
            bar = np.zeros(evaluator.w.size)
            sign = -1.0 if either and w[place] < 0 else 1.0
            bar[place] = sign
            field.tape.reverse(w, bar)
            values.append(sign * w[place])
            slopes.append(bar[field.x_places])
        return chained(self.target, values, slopes, logs=self.logs)


def _spread(best: Solution, value: float, slope: Floats) -> float:
    """Standard error of a function at the optimum, or its size where that is unknown."""
    o = best.optimum
    free = np.flatnonzero(~(o.active | best.zero))
    hessian = o.hessian[np.ix_(free, free)]
    variance = 2 * slope[free] @ np.linalg.pinv(hessian, hermitian=True) @ slope[free] if free.size else 0.0
    if np.isfinite(variance) and variance > 0:
        return float(np.sqrt(variance))
    sizes = np.abs(slope) * best.scale
    return float(max(0.2 * sizes.max(initial=0.0), 0.1 * abs(value))) or 0.1


# -- coefficients of the block ---------------------------------------------------------------------


def _held_profile(best: Solution, target: Target, order: int) -> Profile:
    """Profile of a coefficient that is solved with the latents."""
    from dagmodels.forms.quadrature import QuadratureEvaluator

    found = layout(best)
    (name,) = target.sources
    node = node_of(name)
    number = found.unknowns.names.index(name)
    place = int(np.flatnonzero(found.unknowns.places[node] == number)[0])
    value, se = found.unknowns.value[number], float(np.sqrt(found.unknowns.covariance[number, number]))
    field = build_field(best.field.problem, best.field.roles, (node, place))
    evaluator: Evaluator | QuadratureEvaluator
    if order > 1:
        evaluator = QuadratureEvaluator(field, order)
    else:
        evaluator = ModeEvaluator(field) if field.curved else Evaluator(field)
    at_place = field.tape.inputs[HELD][0]
    optimum = best.optimum
    state = {"x": optimum.x}

    def restart() -> None:
        state["x"] = optimum.x

    def at(wanted: float, edge: bool) -> Point:
        evaluator.w[at_place] = wanted
        evaluator.forget()
        f = Objective(field, evaluator, Space.of(field, best.scale))
        s = f.space
        if optimum.x.size:
            found = descend(f, state["x"], s.scale, s.lower, s.upper, model=optimum.hessian)
            state["x"], height = found.x, found.value
        else:
            height = f(optimum.x)[0]
        rise = max(height - optimum.value, 0.0)
        return Point(wanted, float(np.sign(wanted - value) * np.sqrt(rise)))

    return Profile(float(value), se, target.lower, target.upper, at, restart, float)
