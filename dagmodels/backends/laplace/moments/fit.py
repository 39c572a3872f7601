"""Maximise the likelihood of moments, or minimise squares, and report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.unit import Unit
from dagmodels.backends.laplace.moments.beside import influence
from dagmodels.backends.laplace.moments.own_errors import with_field
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.moments.prepare import prepared
from dagmodels.fits.moments.report import report
from dagmodels.fits.moments.solve import solve
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.moment_constraints import TapeConstraints
from dagmodels.forms.moments import MomentsSolution
from dagmodels.forms.row_errors import RowErrorsForm

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

EDGE = 1e-6  # share of an observed variance that each residual must have to lie inside


def fit(problem: Problem, unit: Unit, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Build the form, maximise, report.

    Options: `information` = "observed" (exact Hessian) or "expected", for standard errors; `statistics` =
    `Covariances` that stand in place of rows, of which the problem has one for each group; `constraints` =
    those of `forms.moment_constraints`, which the optimum has to keep; `se` = "conditional" (of coefficients
    given all other unknowns, as in the field form: the default where that would serve), "joint" or
    "standard" (the default elsewhere), or a sandwich: "robust.huber.white" (outer products of units'
    scores), "robust.sem" (distribution-free, complete data), "robust.cluster" with `clusters`, a code for
    each unit; `estimator` = "ML", or least squares by one of `forms.build_least_squares.WEIGHTINGS`, which
    ordered variables need ("DWLS" unless said otherwise).
    """
    began = time.process_time()
    form, expected, errors = prepared("laplace", problem, unit, options)
    if kept := tuple(options.get("constraints", ())):
        form = replace(form, constraints=TapeConstraints(form.template, kept))
    solution = solve(form, began)
    found = report(solution, plan, "laplace", expected=expected, errors=errors, influence=influence)
    return with_field(found, solution, plan)


def fit_if_regular(problem: Problem, unit: Unit, plan: Plan, options: Mapping[str, Any]) -> Fit | str:
    """The same where the optimum lies inside of all that the laws allow; else why it does not.

    The moments' unknowns may leave that domain (a covariance of latents beyond their variances) or end on its
    edge (a variance of zero), where the field form knows what holds.
    """
    began = time.process_time()
    try:
        form, expected, errors = prepared("laplace", problem, unit, options)
        solution = solve(form, began)
    except (NotLowered, FitError, FloatingPointError, np.linalg.LinAlgError) as error:
        return f"moments of '{unit.plate}' have no such fit, {error}"
    if not solution.converged:
        return f"from moments, {solution.message}"
    if solution.optimum.active.any():
        return "from moments, an unknown ends on a bound"
    if (name := _irregular(solution)) is not None:
        return f"from moments, the residual of '{name}' ends without a variance of its own"
    found = report(solution, plan, "laplace", expected=expected, errors=errors, influence=influence)
    return with_field(found, solution, plan)


def _irregular(solution: MomentsSolution) -> str | None:
    """A variable whose residual has hardly any variance given the other residuals, in units of the observed
    variables that it moves."""
    form, s = solution.form, solution.form.structure
    _, p, _ = s.filled(solution.at.entries)
    at = np.setdiff1d(np.flatnonzero(s.varying), s.observed[form.template.given])
    for g in range(s.groups):
        m, o = solution.at.moments, s.observed
        spread = m.covariance[g].diagonal()[o]
        if isinstance(form, RowErrorsForm):
            spread = spread + form.errors[form.group_of == g].mean(axis=0).diagonal()
        share = (np.abs(m.b[g][np.ix_(o, at)]) / np.sqrt(spread)[:, None]).max(axis=0)  # of what is observed
        sizes, vectors = np.linalg.eigh(p[g][np.ix_(at, at)] * share[:, None] * share)
        if at.size and sizes[0] < EDGE:
            return form.variables[at[int(np.argmax(np.abs(vectors[:, 0])))]][0]
    return None
