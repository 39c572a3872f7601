"""The form of statistics that are given in place of rows."""

from __future__ import annotations

import numpy as np

from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.data.covariances import Covariances
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.build_moments import template_of
from dagmodels.forms.moment_samples import rowless
from dagmodels.forms.moments import MomentsForm
from dagmodels.numerics.moments import Sample


def given_form(problem: Problem, unit: Unit, given: Covariances) -> MomentsForm:
    """The form of a problem with one unit for each group, in the order of `given.groups`.

    Raises
    ------
    ModelErrors : covariates that are combinations of one another.
    """
    template, group_of = template_of(problem, unit)
    order = [template.variables[v][0] for v in template.structure.observed.tolist()]
    cov, mean = given.chosen(order)
    sample = Sample(group_of, given.n.copy(), np.ones(mean.shape, dtype=bool), mean, cov)
    try:
        return rowless(problem, template, sample)
    except FloatingPointError as error:
        raise_all([ModelError(str(error), hint="drop one of them")], "the covariance matrices")
        raise
