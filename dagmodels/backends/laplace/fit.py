"""Problem -> Fit: by the moments of units, or by the field, whose latents are integrated."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.form_choice import form_choice
from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.mean_movers import mean_movers
from dagmodels.analysis.roles import roles
from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.field.solve import solve
from dagmodels.fits.field.unseen import refuse_unseen
from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Field

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit
OPTIONS = ("seed", "se", "quadrature", "posterior", "posterior_draws", "form")


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
    from dagmodels.fits.field.report import report
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
        from dagmodels.fits.field.quadrature import by_enough, by_quadrature, unsettled

        own = order is None
        solution = by_enough(solution, began) if own else by_quadrature(solution, wanted or 1, began)
        told = unsettled(solution) if own else None
    joint = se == "joint" or (se is None and bool(mean_movers(problem.graph, assigned.outer)))
    found = report(solution, plan, joint=joint)
    return found if told is None else replace(found, warnings=(*found.warnings, told))


def _own_order(problem: Problem, field: Field) -> int:
    """See `order_by_itself`."""
    from dagmodels.fits.field.quadrature import order_by_itself

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
