"""Maximise the likelihood of moments, and certify the optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.clusters import exchangeable
from dagmodels.analysis.form_choice import MOMENTS_OPTIONS
from dagmodels.analysis.roles import roles
from dagmodels.analysis.unit import Unit
from dagmodels.backends.laplace.moments.errors import Errors
from dagmodels.backends.laplace.moments.given import given_form, squares
from dagmodels.backends.laplace.moments.start import starting_point
from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.forms.build_least_squares import FREE, NORMAL, WEIGHTINGS, Weighting
from dagmodels.forms.build_moments import build_moments
from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places, uses
from dagmodels.forms.lower import NotLowered
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
EDGE = 1e-6  # share of an observed variance that each residual must have to lie inside
OPTIONS = ("seed", "information", "form", "statistics", "constraints", "se", "clusters", "estimator")


def fit(problem: Problem, found: Unit, plan: Plan, options: Mapping[str, Any]) -> Fit:
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
    from dagmodels.backends.laplace.moments.report import report

    began = time.process_time()
    form, expected, errors = prepared("laplace", problem, found, options)
    if kept := tuple(options.get("constraints", ())):
        form = replace(form, constraints=TapeConstraints(form.template, kept))
    return report(solve(form, began), plan, expected=expected, errors=errors)


def fit_if_regular(problem: Problem, found: Unit, plan: Plan, options: Mapping[str, Any]) -> Fit | str:
    """The same where the optimum lies inside of all that the laws allow; else why it does not.

    The moments' unknowns may leave that domain (a covariance of latents beyond their variances) or end on its
    edge (a variance of zero), where the field form knows what holds.
    """
    from dagmodels.backends.laplace.moments.report import report

    began = time.process_time()
    try:
        form, expected, errors = prepared("laplace", problem, found, options)
        solution = solve(form, began)
    except (NotLowered, FitError, FloatingPointError, np.linalg.LinAlgError) as error:
        return f"moments of '{found.plate}' have no such fit, {error}"
    if not solution.converged:
        return f"from moments, {solution.message}"
    if solution.optimum.active.any():
        return "from moments, an unknown ends on a bound"
    if (name := _irregular(solution)) is not None:
        return f"from moments, the residual of '{name}' ends without a variance of its own"
    return report(solution, plan, expected=expected, errors=errors)


def _irregular(solution: MomentsSolution) -> str | None:
    """A variable whose residual has hardly any variance given the other residuals, in units of the observed
    variables that it moves."""
    form, s = solution.form, solution.form.structure
    _, p, _ = s.filled(solution.at.entries)
    at = np.setdiff1d(np.flatnonzero(s.varying), s.observed[form.template.given])
    for g in range(s.groups):
        m, o = solution.at.moments, s.observed
        spread = np.sqrt(m.covariance[g].diagonal()[o])
        share = (np.abs(m.b[g][np.ix_(o, at)]) / spread[:, None]).max(axis=0)  # of what is observed
        sizes, vectors = np.linalg.eigh(p[g][np.ix_(at, at)] * share[:, None] * share)
        if at.size and sizes[0] < EDGE:
            return form.variables[at[int(np.argmax(np.abs(vectors[:, 0])))]][0]
    return None


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
    weighting = _weighting(found, options)
    if found.inner and given is not None:
        raise FitError(f"'{found.inner}' lie in '{found.plate}', which statistics do not tell: give the rows")
    if weighting is not None:
        if backend != "laplace":
            raise FitError(
                f"{backend} maximises likelihoods; least squares ('{weighting.kind}') is laplace's"
            )
        form: MomentsForm = squares(problem, found, given, weighting)
    else:
        form = build_moments(problem, found) if given is None else given_form(problem, found, given)
    return form, information == "expected", _errors(form, options, weighting)


def _weighting(unit: Unit, options: Mapping[str, Any]) -> Weighting | None:
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
    return Weighting(name, FREE if unit.cuts else kinds.get(str(se), ""))


def _default_errors(estimator: str) -> str:
    """Those that hold: plain ones where weights are the inverse of the statistics' covariance."""
    return {"ULS": "robust.sem.nt", "DWLS": "robust.sem"}.get(estimator, "standard")


def _errors(form: MomentsForm, options: Mapping[str, Any], weighting: Weighting | None) -> Errors:
    """What the standard errors are, checked before anything is computed."""
    if weighting is not None:
        return _squares_errors(form, options, weighting)
    kind, clusters = options.get("se", _default(form, options)), options.get("clusters")
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


def _squares_errors(form: MomentsForm, options: Mapping[str, Any], weighting: Weighting) -> Errors:
    kind = str(options.get("se", _default_errors(weighting.kind)))
    if kind not in ("standard", "robust.sem", "robust.sem.nt"):
        told = f"se={kind!r} goes with maximum likelihood; least squares has"
        raise FitError(f"{told} 'standard', 'robust.sem' and, of numbers, 'robust.sem.nt'")
    if kind == "robust.sem.nt" and form.template.thresholds is not None:
        raise FitError(
            "se='robust.sem.nt' is for numbers that are Normal; ordered variables take 'robust.sem'"
        )
    return Errors("standard" if kind == "standard" else "robust.sem")


def _default(form: MomentsForm, options: Mapping[str, Any]) -> str:
    """Conditional errors wherever the field form would have served, whose default they are."""
    found = exchangeable(form.problem.graph)
    own = any(options.get(o) is not None for o in MOMENTS_OPTIONS)
    needed = isinstance(found, Unit) and bool(found.needed)
    refused = roles(form.problem.graph, form.problem).refused
    return "standard" if own or needed or refused else "conditional"


def solve(form: MomentsForm, began: float | None = None, start: Floats | None = None) -> MomentsSolution:
    """Minimise minus twice the log likelihood (and prior), from `start` or from the sample's moments."""
    began = time.process_time() if began is None else began
    lower, upper = form.template.lower, form.template.upper
    count = [0]

    def at(x: Floats) -> Criterion:
        count[0] += 1
        return form.at(x)

    with np.errstate(all="ignore"):  # what is not finite is never accepted
        begin = form.start(starting_point(form)) if start is None else start
        if not np.isfinite(form.at(begin).value):
            begin = np.clip(form.start(starting_point(form, plain=True)), lower, upper)
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
            if not second[0] and not form.alone:  # negative variances may fit a few clusters exactly
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
