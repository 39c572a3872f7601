"""Problem -> Fit of a linear Gaussian graph, by expectation and maximisation on its field."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagmodels.analysis.mean_movers import mean_movers
from dagmodels.analysis.roles import roles
from dagmodels.backends.em.field.loop import run
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.fits.field.report import report
from dagmodels.fits.field.unseen import refuse_unseen
from dagmodels.forms.build_field import build_field

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit


def fit(problem: Problem, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Options: `se` as for laplace ("conditional", "joint"; by itself joint where an unknown moves means).

    Raises
    ------
    FitError : an unknown option; a step of EM that lost ground, which is a defect.
    """
    from dagmodels.numerics import objective_kernels as _kernels  # loaded before the clock starts

    del _kernels
    began = time.process_time()
    unknown = [name for name in options if name not in ("form", "se", "seed")]
    if unknown:
        told = ", ".join(map(repr, unknown))
        raise FitError(
            f"em has no option {told} for linear Gaussian graphs; it has se='conditional' or 'joint'"
        )
    se = options.get("se")
    if se not in (None, "conditional", "joint"):
        raise FitError(f"se={se!r} is neither 'conditional' nor 'joint'")
    refuse_unseen(problem)
    assigned = roles(problem.graph, problem)
    found = run(build_field(problem, assigned), began)
    joint = se == "joint" or (se is None and bool(mean_movers(problem.graph, assigned.outer)))
    fitted = report(found.solution, plan, joint=joint, backend="em")
    return replace(
        fitted,
        method=f"{fitted.method}, by EM",
        diagnostics={**fitted.diagnostics, "iterations": found.steps},
    )
