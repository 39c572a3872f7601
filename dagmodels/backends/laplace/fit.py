"""Maximise the exact marginal criterion of a linear-Gaussian problem, and certify the optimum."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.form_choice import form_choice
from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.mean_movers import mean_movers
from dagmodels.analysis.roles import roles
from dagmodels.analysis.unit import Unit
from dagmodels.backends.laplace.first_stage import first_stage
from dagmodels.backends.laplace.fixed_point import fixed_point
from dagmodels.backends.laplace.inside import best_of, settled
from dagmodels.backends.laplace.objective import Objective, Space
from dagmodels.backends.laplace.unseen import refuse_unseen
from dagmodels.backends.laplace.verdict import collapsed, gone, run_off, verdict
from dagmodels.backends.laplace.warm_start import em_step, warm_start
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Evaluator, Field
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.start import starting_points
from dagmodels.numerics.optimise import CONVERGED, Optimum, descend, minimise

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
ROUGH_STEPS = 40  # before quadrature takes over, where Laplace's criterion does not settle
OPTIONS = ("seed", "se", "quadrature", "posterior", "posterior_draws", "form")


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """An optimum of a field with its certificate.

    scale : typical size of each coordinate.
    zero : coordinates that ended exactly at zero, where the one-sided test was made.
    converged, message : whether the certificate holds, and which part fails otherwise.
    """

    field: Field
    evaluator: Evaluator
    optimum: Optimum
    scale: Floats
    zero: NDArray[np.bool_]
    converged: bool
    message: str
    seconds: float


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Build the field, maximise, report.

    Options: `se` = "conditional" (standard errors of coefficients given the outer unknowns, as lme4's)
    or "joint" (theirs included), by itself joint where an outer unknown moves means; `quadrature` = nodes of
    adaptive Gauss-Hermite quadrature in each dimension, 1 for Laplace's approximation (lme4's nAGQ), which is
    the default but for covariates measured with error (`order_by_itself`);
    `posterior` = True, "grid" or "ccd" for posterior means and quantiles instead of a mode, checked by
    `posterior_draws` weighted draws.
    """
    from dagmodels.backends.laplace.posterior import refuse_improper, requested
    from dagmodels.backends.laplace.report import report
    from dagmodels.numerics import objective_kernels as _kernels  # loaded before the clock starts

    del _kernels
    from dagmodels.backends.laplace.judge import FORMS

    choice = form_choice(problem.graph, problem, options)
    if choice.form not in FORMS:
        raise FitError(f"form={choice.form!r} is neither 'field' nor 'moments'")
    if not options.get("posterior") and choice.form == "moments":
        from dagmodels.backends.laplace.moments.fit import fit as fit_moments
        from dagmodels.backends.laplace.moments.fit import fit_if_regular

        found = unit_of_rows(problem.graph)
        assert isinstance(found, Unit)  # the verdict said so
        if not choice.either:
            return fit_moments(problem, found, plan, options)
        fitted = fit_if_regular(problem, found, plan, options)
        if not isinstance(fitted, str):
            return fitted
        plan = replace(plan, notes=(*plan.notes, f"the field form served in the end: {fitted}"))
    began = time.process_time()
    se, order = _options(options)
    refuse_unseen(problem)
    request = requested(options)
    assigned = roles(problem.graph, problem)
    if request is not None:
        refuse_improper(problem.graph, assigned)
    field = build_field(problem, assigned)
    wanted = order if order is not None or request is not None else _own_order(problem, field)
    solution = solve(field, began, rough=request is None and (wanted or 1) > 1)
    if request is not None:
        from dagmodels.backends.laplace.posterior_report import posterior_fit

        return posterior_fit(solution, plan, request, began)
    told = None
    if (wanted or 1) > 1:
        from dagmodels.backends.laplace.quadrature import by_enough, by_quadrature, unsettled

        own = order is None
        solution = by_enough(solution, began) if own else by_quadrature(solution, wanted or 1, began)
        told = unsettled(solution) if own else None
    joint = se == "joint" or (se is None and bool(mean_movers(problem.graph, assigned.outer)))
    found = report(solution, plan, joint=joint)
    return found if told is None else replace(found, warnings=(*found.warnings, told))


def _own_order(problem: Problem, field: Field) -> int:
    """See `order_by_itself`."""
    from dagmodels.backends.laplace.quadrature import order_by_itself

    return order_by_itself(problem.graph, field)


def _options(options: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """`se` and `quadrature`; anything else unknown is refused, because a slip must not pass in silence."""
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise FitError(
            f"laplace has no option {', '.join(map(repr, unknown))}; it has se='conditional' or 'joint', "
            "quadrature=1 or more nodes, posterior=True, 'grid' or 'ccd', and posterior_draws="
        )
    order = options.get("quadrature")
    whole = order is None or (isinstance(order, int) and not isinstance(order, bool) and 1 <= order <= 100)
    if not whole:
        raise FitError(f"quadrature={order!r} is not a number of nodes from 1 to 100")
    se = options.get("se")
    if se not in (None, "conditional", "joint"):
        raise FitError(f"se={se!r} is neither 'conditional' nor 'joint'")
    return se, order


def solve(
    field: Field, began: float | None = None, near: Solution | None = None, *, rough: bool = False
) -> Solution:
    """Minimise minus twice the log marginal likelihood (and prior) of a field.

    near : the solution of a field of the same coordinates, from which the search begins.
    rough : the end only begins another search (`by_quadrature`): where Laplace's criterion is not smooth
        (the mode of a squared latent jumps), a few dozen steps must do.
    """
    began = time.process_time() if began is None else began
    evaluator = ModeEvaluator(field) if field.curved else Evaluator(field)
    best: tuple[Objective, Optimum, bool, str] | None = None
    refused: list[str | None] = []
    starts = starting_points(field) if near is None else _from(near, starting_points(field))
    for start, scale in starts:
        f = Objective(field, evaluator, Space.of(field, scale))
        if field.curved and not np.isfinite(f(start)[0]) and (staged := first_stage(field, start, scale)):
            start = staged[0]  # coefficients of zero may be no start: a mean of their square, its inverse
        if not np.isfinite(f(start)[0]):
            refused.append(evaluator.unidentified())
            continue
        model = near.optimum.hessian if near is not None and start is near.optimum.x else None
        optimum = _search(field, f, start, model, rough)
        converged, message = verdict(field, f, optimum)
        if best is None or converged or (not best[2] and optimum.value < best[1].value):
            best = f, optimum, converged, message
        ended = collapsed(field, f, optimum) or run_off(field, optimum) or gone(field, optimum)
        if converged or ended is not None or (rough and optimum.message != CONVERGED):
            break
    if best is None:
        raise FitError(_impossible(field, evaluator, start) or _no_start(refused))
    f, optimum, converged, message = best
    zero = f.space.symmetric & (optimum.x == 0.0)
    evaluator.criterion(optimum.x)
    seconds = time.process_time() - began
    return Solution(field, evaluator, optimum, f.space.scale, zero, converged, message, seconds)


def _from(near: Solution, others: Iterator[tuple[Floats, Floats]]) -> Iterator[tuple[Floats, Floats]]:
    """The solution's point first, if no scale stands at zero there, then the others."""
    if not near.zero.any() and not near.optimum.active.any() and near.converged:
        yield near.optimum.x, near.scale
    yield from others


def _search(
    field: Field, f: Objective, start: Floats, model: Floats | None = None, rough: bool = False
) -> Optimum:
    """The lowest optimum that is reached from a start; a model says that it is near the optimum already."""
    s = f.space
    if f.curvature is not None:
        x = fixed_point(field, f.evaluator, f, start, em_step(field)) if model is None else start
        x = np.clip(x, s.lower, s.upper)
        optimum = minimise(f, x, s.scale, s.lower, s.upper, model=model, curvature=f.curvature)
        return best_of(field, f, settled(f, optimum))
    x, before = start, 0
    if model is None and f.working is not None:
        found = descend(f, x, s.scale, s.lower, s.upper, curvature=f.working)
        if found.message == CONVERGED:
            x, model, before = found.x, found.model, found.iterations
    if model is None:
        staged = first_stage(field, start, s.scale) if field.curved else None
        if staged is not None and not np.isfinite(f(np.clip(staged[0], s.lower, s.upper))[0]):
            staged = None  # its coefficients suit no point of the whole criterion
        x, model = staged if staged is not None else (warm_start(field, f, start), None)
    x = np.clip(x, s.lower, s.upper)
    limit = ROUGH_STEPS if rough else 200
    optimum = minimise(f, x, s.scale, s.lower, s.upper, limit=limit, model=model)
    if rough and optimum.message != CONVERGED:
        return optimum
    optimum = replace(optimum, iterations=before + optimum.iterations)
    if field.curved and f.separated(optimum.x) is not None:
        return optimum  # no start will do: there is no maximum
    return best_of(field, f, settled(f, optimum))


def _impossible(field: Field, evaluator: Evaluator, x: Floats) -> str | None:
    """The observation that a law cannot produce, whatever its predictors."""
    found = evaluator.impossible(x) if isinstance(evaluator, ModeEvaluator) else None
    if found is None:
        return None
    node, n, row = found
    at = np.flatnonzero(field.problem.observed[node])
    if at.size != n:
        return f"'{node}' has values that its law cannot produce; correct them, or choose another law"
    value = field.problem.values[node].reshape(-1)[at[row]]
    return (
        f"{value:g} in observation {at[row] + 1} of '{node}' has no density under its law at any predictor "
        "that was tried; correct the value, or choose another law"
    )


def _no_start(refused: list[str | None]) -> str:
    """Why there is no fit: a coefficient that failed from every start is not identified."""
    if refused and refused[0] is not None and len(set(refused)) == 1:
        return (
            f"the coefficient '{refused[0]}' is not identified: its column is zero or a combination of "
            "others; drop it, or give it a prior"
        )
    return (
        f"the criterion is not finite at the starting values, nor at {len(refused) - 1} others that were "
        "tried; state starting values ('parameter s > 0 start 1'), or check the data for values that the "
        "model cannot produce"
    )
