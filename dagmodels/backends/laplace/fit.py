"""Maximise the exact marginal criterion of a linear-Gaussian problem, and certify the optimum."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.roles import roles
from dagmodels.backends.laplace.start import starting_point
from dagmodels.backends.laplace.warm_start import warm_start
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.numerics.optimise import SADDLE, Optimum, certify, minimise

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]

GRADIENT_LIMIT = 1e-5


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """An optimum of a field with its certificate.

    zero : coordinates that ended exactly at zero, where the one-sided test was made.
    converged, message : whether the certificate holds, and which part fails otherwise.
    """

    field: Field
    evaluator: Evaluator
    optimum: Optimum
    zero: NDArray[np.bool_]
    converged: bool
    message: str
    seconds: float


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Build the field, maximise, report.

    Options: `se` = "conditional" (standard errors of coefficients given the outer unknowns, as lme4's)
    or "joint" (theirs included).
    """
    from dagmodels.backends.laplace.report import report
    from dagmodels.numerics import objective_kernels as _kernels  # loaded before the clock starts

    del _kernels
    began = time.process_time()
    se = _options(options)
    solution = solve(build_field(problem, roles(problem.graph, problem)), began)
    return report(solution, plan, joint=se == "joint")


def _options(options: Mapping[str, Any]) -> str:
    """The value of `se`; anything else unknown is refused, because a slip must not pass in silence."""
    unknown = [name for name in options if name not in ("seed", "se")]
    if unknown:
        raise FitError(
            f"laplace has no option {', '.join(map(repr, unknown))}; it has se='conditional' or 'joint'"
        )
    se = options.get("se", "conditional")
    if se not in ("conditional", "joint"):
        raise FitError(f"se={se!r} is neither 'conditional' nor 'joint'")
    return str(se)


def solve(field: Field, began: float | None = None) -> Solution:
    """Minimise minus twice the log marginal likelihood (and prior) of a field."""
    began = time.process_time() if began is None else began
    evaluator = ModeEvaluator(field) if field.curved else Evaluator(field)
    start, scale = starting_point(field)
    lower = np.concatenate([c.lower for c in field.coordinates]) if start.size else start
    upper = np.concatenate([c.upper for c in field.coordinates]) if start.size else start
    symmetric = (
        np.concatenate([c.symmetric for c in field.coordinates]) if start.size else np.zeros(0, dtype=bool)
    )
    f = evaluator.value_and_gradient
    if not np.isfinite(f(start)[0]):
        raise FitError(_no_start(field, evaluator))
    start = np.clip(warm_start(field, evaluator, start), lower, upper)
    optimum = minimise(f, start, scale, lower, upper)
    for _ in range(4):
        optimum = _at_zero(f, optimum, scale, lower, upper, symmetric)
        if optimum.smallest < SADDLE:
            start = _moved_inside(f, optimum, scale, lower, upper)
        elif (off := _off_the_bound(f, optimum, scale, lower, upper)) is not None:
            start = off
        else:
            break
        optimum = minimise(f, start, scale, lower, upper)
    zero = symmetric & (optimum.x == 0.0)
    converged, message = _verdict(optimum)
    evaluator.criterion(optimum.x)
    return Solution(field, evaluator, optimum, zero, converged, message, time.process_time() - began)


def _no_start(field: Field, evaluator: Evaluator) -> str:
    from dagmodels.numerics.elimination import SCALED

    free = field.pattern.kind[:-1] != SCALED
    bad = np.flatnonzero(free & ~(evaluator.elimination.p[:-1] > 0))
    if bad.size:
        for name, rows in field.rows.items():
            if bad[0] in rows:
                return (
                    f"the coefficient '{name}' is not identified: its column is zero or a combination of "
                    "others; drop it, or give it a prior"
                )
    return (
        "the criterion is not finite at the starting values; state starting values "
        "('parameter s > 0 start 1'), or check the data for values that the model cannot produce"
    )


def _at_zero(
    f: Any, optimum: Optimum, scale: Floats, lower: Floats, upper: Floats, symmetric: NDArray[np.bool_]
) -> Optimum:
    """Scales that ran towards zero are put there, if that is no worse: zero is an ordinary point."""
    x = optimum.x.copy()
    value = optimum.value
    for i in np.flatnonzero(symmetric & (np.abs(x) < 1e-2 * scale) & (x != 0)):
        trial = x.copy()
        trial[i] = 0.0
        trial_value = f(trial)[0]
        if np.isfinite(trial_value) and trial_value <= value + 1e-9 * max(1.0, abs(value) * 1e-3):
            x, value = trial, trial_value
    if np.array_equal(x, optimum.x):
        return optimum
    again = minimise(f, x, scale, np.where(x == 0, np.where(symmetric, 0.0, lower), lower), upper, limit=50)
    return certify(f, again.x, scale, lower, upper, optimum.iterations + again.iterations, again.message)


def _off_the_bound(f: Any, optimum: Optimum, scale: Floats, lower: Floats, upper: Floats) -> Floats | None:
    """A lower point off a bound, where other coordinates lost their meaning on it.

    With a scale at zero a correlation beside it has neither gradient nor curvature, and the derivative in
    the scale has its sign: the bound is certified only if it holds for either sign of such coordinates.
    """
    curvature = np.abs(np.diag(optimum.hessian)) * scale**2
    idle = (curvature <= 1e-7 * max(curvature.max(initial=0.0), 1e-300)) & ~optimum.active
    for i in np.flatnonzero(optimum.active & idle.any()):
        for turned in (optimum.x, np.where(idle, -optimum.x, optimum.x), np.where(idle, 0.5, optimum.x)):
            for share in (1e-1, 1e-2):
                x = turned.copy()
                x[i] += share * scale[i] * (1 if x[i] <= lower[i] else -1)
                x = np.clip(x, lower, upper)
                value = f(x)[0]
                if np.isfinite(value) and value < optimum.value - 1e-9 * max(1.0, abs(optimum.value)):
                    return x
    return None


def _moved_inside(f: Any, optimum: Optimum, scale: Floats, lower: Floats, upper: Floats) -> Floats:
    """Away from a saddle along the direction of most negative curvature, to the lower side within bounds."""
    free = np.flatnonzero(~optimum.active)
    inner = optimum.hessian[np.ix_(free, free)] * np.outer(scale[free], scale[free])
    _, vectors = np.linalg.eigh(inner)
    best, best_value = optimum.x, np.inf
    for signed in (0.3, -0.3, 0.03, -0.03):
        x = optimum.x.copy()
        x[free] += signed * vectors[:, 0] * scale[free]
        x = np.clip(x, lower, upper)
        value = f(x)[0] if not np.array_equal(x, optimum.x) else np.inf
        if np.isfinite(value) and value < best_value:
            best, best_value = x, value
    return best


def _verdict(optimum: Optimum) -> tuple[bool, str]:
    norm = optimum.decrement / np.sqrt(2)
    if norm > GRADIENT_LIMIT:
        return (
            False,
            f"the gradient is {norm:.2g} in the metric of the information (limit {GRADIENT_LIMIT:g})",
        )
    if optimum.smallest < SADDLE:
        return False, "the Hessian is not positive definite: this is a saddle, not an optimum"
    return True, "gradient, Hessian and bounds certified"
