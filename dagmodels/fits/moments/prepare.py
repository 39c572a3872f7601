"""Options of fits from moments -> the form, and what its standard errors are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dagmodels.analysis.form_choice import MOMENTS_OPTIONS
from dagmodels.analysis.known_errors import unit_of_rows
from dagmodels.analysis.mean_movers import mean_movers
from dagmodels.analysis.roles import roles
from dagmodels.analysis.unit import Unit
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.moments.errors import Errors
from dagmodels.fits.moments.given import given_form, squares
from dagmodels.forms.build_least_squares import FREE, NORMAL, WEIGHTINGS, Weighting
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.moments import MomentsForm

INFORMATION = ("observed", "expected")
OPTIONS = (
    "seed", "information", "form", "statistics", "constraints", "se", "clusters", "estimator", "pairwise",
)  # fmt: skip


def prepared(
    backend: str, problem: Problem, found: Unit, options: Mapping[str, Any]
) -> tuple[MomentsForm, bool, Errors]:
    """The form without constraints, whether errors are by the expected information, and what they are."""
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise FitError(
            f"{backend} has no option {', '.join(map(repr, unknown))} for moments; it has "
            "information='observed' or 'expected', se='standard' or 'robust.huber.white', and clusters"
        )
    information = options.get("information", "observed")
    if information not in INFORMATION:
        raise FitError(f"information={information!r} is neither 'observed' nor 'expected'")
    given = options.get("statistics")
    weighs = weighting(found, options)
    if found.inner and given is not None:
        raise FitError(f"'{found.inner}' lie in '{found.plate}', which statistics do not tell: give the rows")
    if weighs is not None:
        form: MomentsForm = squares(problem, found, given, weighs)
    else:
        form = build_moments(problem, found) if given is None else given_form(problem, found, given)
    return form, information == "expected", _errors(form, options, weighs)


def weighting(unit: Unit, options: Mapping[str, Any]) -> Weighting | None:
    """How least squares weighs; None for maximum likelihood."""
    name = str(options.get("estimator", "DWLS" if unit.cuts else "ML"))
    if name not in ("ML", *WEIGHTINGS):
        raise FitError(f"estimator={name!r} is none of 'ML', {', '.join(map(repr, WEIGHTINGS))}")
    if name != "ML" and unit.inner:
        raise FitError(
            f"estimator={name!r} takes units that stand alone, and '{unit.inner}' lie in '{unit.plate}': "
            "estimator='ML' fits both levels"
        )
    if name == "ML":
        if unit.cuts:
            raise FitError(
                f"'{unit.cuts[0].name}' is ordered, and its likelihood is an integral: moments take "
                "estimator='DWLS', 'WLS' or 'ULS'"
            )
        return None
    if name == "GLS" and unit.cuts:
        raise FitError("estimator='GLS' is for numbers; ordered variables take 'DWLS', 'WLS' or 'ULS'")
    se = options.get("se", _default_errors(name))
    kinds = {"robust.sem": FREE, "robust.sem.nt": NORMAL}
    return Weighting(name, FREE if unit.cuts else kinds.get(str(se), ""), bool(options.get("pairwise")))


def _default_errors(estimator: str) -> str:
    """Those that hold: plain ones where weights are the inverse of the statistics' covariance."""
    return {"ULS": "robust.sem.nt", "DWLS": "robust.sem"}.get(estimator, "standard")


def _errors(form: MomentsForm, options: Mapping[str, Any], weighs: Weighting | None) -> Errors:
    """What the standard errors are, checked before anything is computed."""
    if weighs is not None:
        return _squares_errors(form, options, weighs)
    own, clusters = _default(form, options), options.get("clusters")
    if own.profiled and "se" not in options:
        return own
    kind = options.get("se", own.kind)
    if kind == "joint":  # the field's word for them
        kind = "standard"
    if clusters is not None and not form.alone:
        raise FitError(f"errors of two levels are by '{form.units}' already: leave clusters out")
    if kind == "conditional":
        return Errors(kind, profiled=tuple(roles(form.problem.graph, form.problem).profiled))
    if kind not in form.ERRORS:
        raise FitError(f"se={kind!r} is none of 'joint', {', '.join(map(repr, form.ERRORS))}")
    if kind != "standard" and options.get("statistics") is not None:
        raise FitError(f"se={kind!r} needs the rows: covariance matrices do not tell their fourth moments")
    if kind == "robust.cluster" and clusters is None:
        raise FitError("se='robust.cluster' needs clusters, a code for each unit")
    if clusters is not None and len(clusters) != len(form.values):
        raise FitError(f"there are {len(clusters)} clusters' codes and {len(form.values)} units")
    if kind == "robust.sem" and not form.sample.complete:
        raise FitError("se='robust.sem' needs complete data; 'robust.huber.white' takes missing values")
    codes = np.asarray(clusters) if clusters is not None and kind == "robust.cluster" else None
    return Errors(kind, codes)


def _squares_errors(form: MomentsForm, options: Mapping[str, Any], weighs: Weighting) -> Errors:
    kind = str(options.get("se", _default_errors(weighs.kind)))
    if kind not in ("standard", "robust.sem", "robust.sem.nt"):
        told = f"se={kind!r} goes with maximum likelihood; least squares has"
        raise FitError(f"{told} 'standard', 'robust.sem' and, of numbers, 'robust.sem.nt'")
    if kind == "robust.sem.nt" and form.template.thresholds is not None:
        raise FitError(
            "se='robust.sem.nt' is for numbers that are Normal; ordered variables take 'robust.sem'"
        )
    return Errors("standard" if kind == "standard" else "robust.sem")


def _default(form: MomentsForm, options: Mapping[str, Any]) -> Errors:
    """The field form's default wherever it would have served: conditional, unless an unknown moves means."""
    if any(options.get(o) is not None for o in MOMENTS_OPTIONS):
        return Errors()
    found = unit_of_rows(form.problem.graph)
    needed = isinstance(found, Unit) and bool(found.needed)
    assigned = roles(form.problem.graph, form.problem)
    if needed or assigned.refused:
        return Errors()
    joint = mean_movers(form.problem.graph, assigned.outer)
    return Errors("standard" if joint else "conditional", profiled=tuple(assigned.profiled))
