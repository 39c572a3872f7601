"""Maximise the likelihood of moments, and certify the optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.unit import Unit
from dagmodels.backends.laplace.moments.errors import Errors
from dagmodels.backends.laplace.moments.given import given_form
from dagmodels.backends.laplace.moments.start import starting_point
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.casewise import KINDS
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places, uses
from dagmodels.forms.levels import LevelsForm
from dagmodels.forms.moment_constraints import TapeConstraints
from dagmodels.forms.moments import Criterion, MomentsForm, MomentsSolution
from dagmodels.numerics.constrained import FEASIBLE, Constrained, constrained
from dagmodels.numerics.optimise import Optimum
from dagmodels.numerics.scoring import score

if TYPE_CHECKING:
    from dagmodels.plugin import Plan
    from dagmodels.results.fit import Fit

Floats = NDArray[np.float64]
GRADIENT_LIMIT = 1e-5
NOTHING = 1e-3  # share of a variable's spread below which a residual scale that has no lowest value is gone
FLAT = 1e-10  # smallest eigenvalue of the scaled Hessian that counts as none
INFORMATION = ("observed", "expected")
LEVEL_KINDS = ("standard", "robust.huber.white")
OPTIONS = ("seed", "information", "form", "statistics", "constraints", "se", "clusters")


def fit(problem: Problem, unit: Unit, plan: Plan, options: Mapping[str, Any]) -> Fit:
    """Build the form, maximise, report.

    Options: `information` = "observed" (exact Hessian) or "expected", for standard errors; `statistics` =
    `Covariances` that stand in place of rows, of which the problem has one for each group; `constraints` =
    those of `forms.moment_constraints`, which the optimum has to keep; `se` = "standard", or a sandwich:
    "robust.huber.white" (outer products of units' scores), "robust.sem" (distribution-free, complete data),
    "robust.cluster" with `clusters`, a code for each unit.
    """
    from dagmodels.backends.laplace.moments.report import report

    began = time.process_time()
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise FitError(
            f"laplace has no option {', '.join(map(repr, unknown))} for moments; it has "
            "information='observed' or 'expected', se='standard' or 'robust.huber.white', and clusters"
        )
    information = options.get("information", "observed")
    if information not in INFORMATION:
        raise FitError(f"information={information!r} is neither 'observed' nor 'expected'")
    given = options.get("statistics")
    form = build_moments(problem, unit) if given is None else given_form(problem, unit, given)
    if kept := tuple(options.get("constraints", ())):
        form = replace(form, constraints=TapeConstraints(form.template, kept))
    errors = _errors(form, options)
    return report(solve(form, began), plan, expected=information == "expected", errors=errors)


def _errors(form: MomentsForm, options: Mapping[str, Any]) -> Errors:
    """What the standard errors are, checked before anything is computed."""
    kind, clusters = options.get("se", "standard"), options.get("clusters")
    if kind not in KINDS:
        raise FitError(f"se={kind!r} is none of {', '.join(map(repr, KINDS))}")
    if isinstance(form, LevelsForm) and (kind not in LEVEL_KINDS or clusters is not None):
        raise FitError(f"units in clusters have se={' or '.join(map(repr, LEVEL_KINDS))}, by clusters")
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


def solve(form: MomentsForm, began: float | None = None, start: Floats | None = None) -> MomentsSolution:
    """Minimise minus twice the log likelihood (and prior), from `start` or from the sample's moments."""
    began = time.process_time() if began is None else began
    lower, upper = form.template.lower, form.template.upper
    count = [0]

    def at(x: Floats) -> Criterion:
        count[0] += 1
        return form.at(x)

    with np.errstate(all="ignore"):  # what is not finite is never accepted
        begin = starting_point(form) if start is None else start
        if not np.isfinite(form.at(begin).value):
            begin = np.clip(starting_point(form, plain=True), lower, upper)
        if not np.isfinite(form.at(begin).value):
            raise FitError(_no_start(form))
        optimum, kept = minimised(form, at, begin, lower)
        converged, message = verdict(form, optimum, kept)
        least = np.maximum(lower, form.template.least)
        if not converged and (least > lower).any() and np.isfinite(form.at(np.maximum(begin, least)).value):
            inside, held = minimised(form, at, np.maximum(begin, least), least)  # where variances are such
            again = inside, held
            if (inside.active & (least > lower)).any():
                again = minimised(form, at, inside.x, lower)
            second = verdict(form, *again)
            if not second[0] and isinstance(form, LevelsForm):  # negative ones may fit a few clusters exactly
                again, second = (inside, held), verdict(form, inside, held)
            if second[0]:
                (optimum, kept), (converged, message) = again, second
    seconds = time.process_time() - began
    return MomentsSolution(form, form.at(optimum.x), optimum, count[0], converged, message, seconds, kept)


def minimised(
    form: MomentsForm, at: Callable[[Floats], Criterion], start: Floats, lower: Floats
) -> tuple[Optimum, Constrained | None]:
    """The optimum from a start, under the form's constraints where it has some."""
    upper = form.template.upper
    if form.constraints is None:
        return score(at, start, lower, upper), None
    found = constrained(at, form.constraints, start, lower, upper)
    return found.optimum, found


def _no_start(form: MomentsForm) -> str:
    cov = form.sample.cov
    singular = [
        g for g in range(len(cov)) if form.sample.mask[g].all() and np.linalg.eigvalsh(cov[g])[0] <= 0
    ]
    if singular:
        return (
            "the covariance matrix of the data is not positive definite: a variable is constant, or a "
            "combination of others, or there are fewer rows than variables"
        )
    return "the criterion is not finite at the starting values; state some ('parameter v start 1')"


def labels(form: MomentsForm) -> list[str]:
    """For each coordinate the estimate that it belongs to, as users call it."""
    found: list[str] = []
    for c in form.coordinates:
        if c.order:
            found.extend([c.node] * c.length)
        else:
            found.extend(element_label(form.small, c.node, int(p)) for p in free_places(form.small, c.node))
    return found


def _collapsed(form: MomentsForm, optimum: Optimum) -> tuple[str, str] | None:
    """A residual scale on a logarithm that ran towards zero, and its node: it never arrives there."""
    t = form.template
    w = form.workspace(optimum.x)
    columns = {form.variables[v][0]: c for c, v in enumerate(form.structure.observed.tolist())}
    for c in form.coordinates:
        use, nodes = uses(form.problem.graph).get(c.node, ("other", ()))
        if c.kind != "log" or use not in ("residual", "precision"):
            continue
        values = w[t.tape.place(t.outer_registers[c.node])]
        smallest = float(values.max() ** -0.5 if use == "precision" else values.min())
        for node in nodes:
            if node in columns and smallest < NOTHING * _spread(form, columns[node]):
                return c.node, node
    return None


def _spread(form: MomentsForm, column: int) -> float:
    """Standard deviation of an observed variable over all units, from the statistics."""
    x = form.sample
    n = x.n * x.mask[:, column]
    mean = float(n @ x.mean[:, column] / n.sum())
    away = (x.mean[:, column] - mean) ** 2
    return float(np.sqrt(n @ (x.cov[:, column, column] + away) / n.sum()))


def verdict(form: MomentsForm, optimum: Optimum, kept: Constrained | None = None) -> tuple[bool, str]:
    """Whether the certificate holds, and which part fails otherwise."""
    if kept is not None and form.constraints is not None and not kept.violation <= FEASIBLE:
        values = form.constraints.values(optimum.x)
        worst = np.where(form.constraints.equal, np.abs(values), -values)
        told = form.constraints.constraints[int(np.argmax(worst))].told
        return False, (
            f"the constraint '{told}' is not met (by {worst.max():.2g}); do the constraints contradict one "
            "another?"
        )
    if (gone := _collapsed(form, optimum)) is not None:
        scale, node = gone
        return False, (
            f"'{scale}' runs to zero, because latents reproduce '{node}' (a Heywood case): fix '{scale}' "
            f"at the least error that '{node}' can have, give it a prior (InverseGamma), take a smaller "
            "model, or state its variance as a parameter without bounds, which may go below zero"
        )
    norm = optimum.decrement / np.sqrt(2)
    free = np.flatnonzero(~optimum.active)
    if free.size and abs(optimum.smallest) < FLAT:
        d = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(optimum.hessian)), 1e-300))[free]
        names = labels(form)
        _, vectors = np.linalg.eigh(optimum.hessian[np.ix_(free, free)] * d[:, None] * d)
        part = np.abs(vectors[:, 0])
        tied = [names[free[i]] for i in np.argsort(-part) if part[i] > 0.1 * part.max()]
        told = ", ".join(f"'{n}'" for n in tied[:6])
        return False, f"the data do not tell {told} apart: the model is not identified; fix one of them"
    if not norm <= GRADIENT_LIMIT:
        curvature = np.maximum(np.abs(np.diag(optimum.hessian)), 1e-300)
        worst = labels(form)[int(np.argmax(optimum.gradient**2 / curvature))]
        return False, (
            f"the gradient is {norm:.2g} in the metric of the information (limit {GRADIENT_LIMIT:g}), "
            f"most of it in '{worst}'; {optimum.message}; try a start value elsewhere, or a smaller model"
        )
    if optimum.smallest < 0:
        return False, "the Hessian is not positive definite, so this is a saddle and not an optimum"
    if kept is not None:
        return True, "gradient, Hessian, bounds and constraints certified"
    return True, "gradient, Hessian and bounds certified"
