"""The field of a graph that was fitted from moments: for answers that only the field has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagmodels.analysis.roles import roles
from dagmodels.errors import FitError
from dagmodels.fits.field.influence import FieldInfluence
from dagmodels.fits.field.judge import refusals
from dagmodels.fits.field.solve import Solution, solve
from dagmodels.forms.build_field import build_field
from dagmodels.forms.moments import MomentsSolution

if TYPE_CHECKING:
    from dagmodels.results.refitting import Influence

APART = 1e-6  # of minus twice the log likelihoods of the two forms


def influence(solution: MomentsSolution) -> Influence:
    """Of the field at the same optimum."""
    return FieldInfluence(beside_field(solution))


def beside_field(solution: MomentsSolution) -> Solution:
    """The field's own optimum, which is the same point in other coordinates.

    Raises
    ------
    FitError : a graph without a field form; a fit of statistics without rows; another optimum.
    """
    form = solution.form
    if not solution.at.likelihood:
        raise FitError("leverages are those of a likelihood: a fit by least squares has none; fit by ML")
    if not form.values.size:
        raise FitError(
            "this fit was made from a covariance matrix: its rows, and their influence, are unknown"
        )
    if form.constraints is not None:
        raise FitError("this fit is held by constraints, under which influence has no closed form")
    assigned = roles(form.problem.graph, form.problem)
    if reasons := refusals(form.problem.graph, assigned):
        raise FitError(f"a fit from moments has no leverages here: {reasons[0]}")
    found = solve(build_field(form.problem, assigned))
    if not abs(found.optimum.value - solution.optimum.value) < APART * max(1.0, abs(found.optimum.value)):
        raise FitError("the likelihood has several optima, so that influence is not told from moments")
    return found
