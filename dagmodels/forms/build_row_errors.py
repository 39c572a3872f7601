"""Problem + Unit with known errors -> RowErrorsForm: the law without them, and every unit's own."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.known_errors import without_known_errors
from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.forms.build_moments import by_unit, columns_of_units, form_of, template_of
from dagmodels.forms.moments import MomentsForm, Template
from dagmodels.forms.row_errors import RowErrorsForm

Floats = NDArray[np.float64]


def build_row_errors(problem: Problem, unit: Unit) -> RowErrorsForm:
    """The form; raises as `build_moments`."""
    less = without_known_errors(problem.graph)
    assert less is not None  # the unit has them
    template, group_of = template_of(replace(problem, graph=less.dag), unit)
    values = columns_of_units(problem, template)
    base = form_of(problem, template, values, group_of)
    shared = {f.name: getattr(base, f.name) for f in fields(MomentsForm)}
    return RowErrorsForm(**shared, errors=known_covariances(problem, template, unit, values))


def known_covariances(problem: Problem, template: Template, unit: Unit, values: Floats) -> Floats:
    """(n, p, p) of the observed variables; zero where the error of a missing value is not known."""
    n, p = values.shape
    found = np.zeros((n, p, p))
    gap = np.isnan(values)
    columns: dict[str, list[tuple[int, int]]] = {}
    for column, v in enumerate(template.structure.observed.tolist()):
        columns.setdefault(template.variables[v][0], []).append((column, v))
    for error in unit.errors:
        whole = error.values(problem)
        left, right = columns[error.left.name], columns[error.right.name]
        for (i, v), (j, _) in zip(left, right, strict=True):
            part = by_unit(problem, template, v, whole)[:, template.variables[v][1]]
            part = np.where((gap[:, i] | gap[:, j]) & np.isnan(part), 0.0, part)
            found[:, i, j] += part
            if i != j:
                found[:, j, i] += part
    return found
