"""The form of statistics that are given in place of rows."""

from __future__ import annotations

import numpy as np

from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.data.covariances import Covariances
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.build_least_squares import FREE, Weighting, build_least_squares, from_covariances
from dagmodels.forms.build_moments import template_of
from dagmodels.forms.least_squares import LeastSquaresForm
from dagmodels.forms.moment_samples import rowless
from dagmodels.forms.moments import MomentsForm, Template
from dagmodels.numerics.moments import Sample


def given_form(problem: Problem, unit: Unit, given: Covariances) -> MomentsForm:
    """The form of a problem with one unit for each group, in the order of `given.groups`.

    Raises
    ------
    ModelErrors : covariates that are combinations of one another.
    """
    template, sample = _sample(problem, unit, given)
    try:
        return rowless(problem, template, sample)
    except FloatingPointError as error:
        raise_all([ModelError(str(error), hint="drop one of them")], "the covariance matrices")
        raise


def squares(
    problem: Problem, unit: Unit, given: Covariances | None, weighting: Weighting
) -> LeastSquaresForm:
    """The form of least squares, of rows or of what stands in their place.

    Raises
    ------
    ModelErrors : also where covariances alone do not tell what is asked for.
    """
    if given is None:
        return build_least_squares(problem, unit, weighting)
    template, sample = _sample(problem, unit, given)
    if unit.cuts or weighting.kind in ("DWLS", "WLS") or weighting.gamma == FREE:
        told = "these weights and errors need the rows: covariance matrices do not tell fourth moments"
        raise_all([ModelError(told, hint="give data, or estimator='GLS'")], "the covariance matrices")
    return from_covariances(problem, template, sample, weighting)


def _sample(problem: Problem, unit: Unit, given: Covariances) -> tuple[Template, Sample]:
    template, group_of = template_of(problem, unit)
    order = [template.variables[v][0] for v in template.structure.observed.tolist()]
    cov, mean = given.chosen(order)
    return template, Sample(group_of, given.n.copy(), np.ones(mean.shape, dtype=bool), mean, cov)
