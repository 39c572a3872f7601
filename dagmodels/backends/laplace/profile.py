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

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.laplace.fit import Solution, solve
from dagmodels.backends.laplace.layout import Layout, layout
from dagmodels.backends.laplace.objective import Objective, Space
from dagmodels.backends.laplace.report import is_coefficient
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
STIFF = 10.0  # c in units of the profile's own curvature
EDGE = 1e5  # the same where an edge of the domain is looked at
CLOSE = 1e-5  # of zeta, relative to what is wanted
MOST_POINTS = 40


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


def node_of(name: str) -> str:
    """The node of an estimate."""
    return re.split(r"[\[]", name, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Point:
    """Of a profile: the value reached, and the signed root of the criterion's rise."""

    value: float
    zeta: float


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """One estimate's profile.

    value, se : at the optimum, a first guess of the spread (at an edge too).
    lower, upper : the domain. at : from a value wanted (and whether an edge is looked at) to a point near it;
        points must be asked for outwards from the optimum.
    restart : forgets where the last point was.
    inverse : from the scale that is profiled to that of the estimate.
    """

    value: float
    se: float
    lower: float
    upper: float
    at: Callable[[float, bool], Point]
    restart: Callable[[], None]
    inverse: Callable[[float], float]


def limits_of(profile: Profile, z: float) -> Limits:
    """Both limits; an edge of the domain where the criterion has not risen enough there."""
    if not np.isfinite(profile.value):
        return Limits(np.nan, np.nan)
    ends, points = [], [(profile.value, 0.0)]
    for side in (-1.0, 1.0):
        profile.restart()
        end, met = _end(profile, z, side)
        ends.append(profile.inverse(end))
        points.extend((p.value, p.zeta) for p in met)
    points.sort()
    return Limits(*ends, tuple(profile.inverse(v) for v, _ in points), tuple(d for _, d in points))


def _end(profile: Profile, z: float, side: float) -> tuple[float, list[Point]]:
    """Where side * zeta reaches z."""
    edge = profile.lower if side < 0 else profile.upper
    near, far = Point(profile.value, 0.0), None
    if profile.value == edge:
        return edge, []
    guess = profile.value + side * z * profile.se
    at_edge = False
    met: list[Point] = []
    for _ in range(MOST_POINTS):
        if far is None and side * (guess - edge) >= 0:  # the first look beyond an edge is at the edge
            if at_edge:
                return edge, met
            at_edge = True
            point = profile.at(edge, True)
            met.append(point)
            if abs(point.zeta) < z:
                return edge, met
            far = point
            profile.restart()
        else:
            point = profile.at(guess, False)
            met.append(point)
            if abs(abs(point.zeta) - z) < CLOSE * z:
                return point.value, met
            if not np.isfinite(point.zeta):
                guess = 0.5 * (near.value + guess)
                continue
            if abs(point.zeta) > z:
                if far is None or side * (point.value - far.value) < 0:
                    far = point
            elif side * (point.value - near.value) > 0:
                near = point
            elif far is None:
                return np.nan, met  # no further progress: the criterion is flat in this direction
        guess = _next(profile, near, far, z, side, met)
    return np.nan, met


def _next(profile: Profile, near: Point, far: Point | None, z: float, side: float, met: list[Point]) -> float:
    """The next value: along the chord of the last two points, inside the bracket where there is one."""
    if far is None:
        slope = max((abs(near.zeta)) / max(abs(near.value - profile.value), 1e-300), 1e-3 / profile.se)
        step = (z - abs(near.zeta)) / slope
        return near.value + side * min(1.05 * step, 2.0 * max(abs(near.value - profile.value), profile.se))
    share = (z - abs(near.zeta)) / max(abs(far.zeta) - abs(near.zeta), 1e-300)
    if len(met) > 6 and len(met) % 3 == 0:
        share = 0.5  # chords that creep from one side
    return near.value + float(np.clip(share, 0.01, 0.99)) * (far.value - near.value)


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
    state: dict[str, Floats | float] = {}

    def restart() -> None:
        state.clear()
        state.update(x=optimum.x, offset=0.0)

    def at(wanted: float, edge: bool) -> Point:
        c = (EDGE if edge else STIFF) / se**2
        t = wanted if edge else wanted + float(state["offset"])
        x = np.asarray(state["x"])
        _, slope = h(x)
        model = optimum.hessian + 2 * c * np.outer(slope, slope)
        found = descend(_Penalised(f, h, t, c), x, s.scale, s.lower, s.upper, model=model)
        reached, _ = h(found.x)
        rise = f(found.x)[0] - optimum.value
        if not edge:
            state.update(x=found.x, offset=t - reached)
        return Point(reached, float(np.sign(reached - value) * np.sqrt(max(rise, 0.0))))

    restart()
    if logs:
        return Profile(value, se, -np.inf, np.inf, at, restart, lambda v: float(np.exp(v)))
    return Profile(value, se, target.lower, target.upper, at, restart, float)


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
        value, by = self.target.function(dict(zip(self.target.sources, values, strict=True)))
        slope = np.zeros(x.size)
        for name, part in zip(self.target.sources, slopes, strict=True):
            if np.isfinite(by.get(name, 0.0)):
                slope += by.get(name, 0.0) * part
        return (float(np.log(value)), slope / value) if self.logs else (value, slope)


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
