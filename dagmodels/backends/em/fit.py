"""The loop's optimum as a fit: the same report as that of other fits from moments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.unit import Unit, unit
from dagmodels.backends.em.loop import solve
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.moments.prepare import prepared, weighting
from dagmodels.fits.moments.report import report

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Build the form, maximise by EM, report.

    Options: those of `backends.laplace.moments.fit` but constraints between unknowns and least squares.

    Raises
    ------
    FitError : constraints, whose maximum a step of EM does not know; least squares.
    """
    began = time.process_time()
    if problem.repeats:
        raise FitError("em: moments of data in pieces are not merged: give the data as one frame")
    if options.get("constraints"):
        raise FitError("em: its steps do not keep constraints between unknowns; method='laplace' does")
    found = unit(problem.graph)
    assert isinstance(found, Unit)  # the verdict said so
    if (weighs := weighting(found, options)) is not None:
        raise FitError(f"em maximises likelihoods; least squares ('{weighs.kind}') is laplace's")
    form, expected, errors = prepared("em", problem, found, options)
    ended = solve(form, began)
    fitted = report(ended.solution, plan, "em", expected=expected, errors=errors)
    told = {**fitted.diagnostics, "iterations": ended.steps}
    return replace(fitted, method=f"{fitted.method}, by EM", diagnostics=told)
