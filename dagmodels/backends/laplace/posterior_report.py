"""Posterior -> Fit: tables, diagnostics, what every number is, and when not to trust it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.analysis.roles import Roles
from dagmodels.backends.laplace.posterior import (
    DRAWS,
    DRAWS_OF_CURVED,
    Points,
    Request,
    integrate,
)
from dagmodels.backends.laplace.posterior_answers import Answers
from dagmodels.backends.laplace.posterior_check import Check, check
from dagmodels.backends.laplace.posterior_plan import sentence
from dagmodels.fits.field.modes import modes
from dagmodels.fits.field.report import _parameter_count
from dagmodels.fits.field.solve import Solution
from dagmodels.numerics.pareto import RELIABLE
from dagmodels.results.fit import Fit

if TYPE_CHECKING:
    from dagmodels.plugin import Plan

COARSE = 0.03  # a change on halving above which the lattice is called too coarse
SHIFT = 0.1  # in posterior sds: a mean that weighted draws move by more, beyond their noise, is told
EVEN = 1.2  # largest weight over the average, below which the shape of the tail means nothing
CERTIFIED = 1e-3  # the gradient norm at the mode below which it counts as one


def posterior_fit(solution: Solution, plan: Plan | None, request: Request, began: float) -> Fit:
    """The fit that users see."""
    with np.errstate(all="ignore"):
        return _posterior_fit(solution, plan, request, began)


def _posterior_fit(solution: Solution, plan: Plan | None, request: Request, began: float) -> Fit:
    field, evaluator = solution.field, solution.evaluator
    f, points = integrate(solution, request.kind)
    answers = Answers(solution, f, points)
    columns = answers.columns()
    halving = answers.halving()
    found = None
    curved = bool(field.curved) and any(c.element for c in field.curved)
    draws = (DRAWS_OF_CURVED if curved else DRAWS) if request.draws is None else request.draws
    if draws:
        found = check(f, points.frame, points.lattice, points.log_evidence, draws, request.seed)
        evaluator.criterion(solution.optimum.x)
    unknowns = answers.unknowns()
    trouble = _trouble(points, halving)
    return Fit(
        graph=field.problem.graph,
        backend="laplace",
        method=sentence(
            list(field.roles.outer),
            points.lattice is not None,
            approximate=curved,
            points=points.weight.size,
        ),
        exact=points.lattice is not None and not curved,
        converged=not trouble,
        message=trouble or _certificate(points, halving, found, not curved and not points.y.shape[1]),
        estimate_columns=columns,
        latent_columns=answers.latent_columns,
        latent_modes=partial(modes, solution),
        n_parameters=_parameter_count(solution),
        n_observations=field.n_observations,
        measures={"log_evidence": points.log_evidence},
        diagnostics={
            "gradient_norm": points.mode.decrement / math.sqrt(2),
            "evaluations": evaluator.evaluations,
            "points": points.weight.size,
            "quadrature_error": None if points.lattice is None else halving,
            **_checked(found, answers),
            "seconds": time.process_time() - began,
        },
        warnings=_warnings(field.roles, points, found, answers),
        plan=plan,
        covariance_names=tuple(unknowns.names),
        covariance_matrix=unknowns.covariance,
        predictor=Predictor(answers),
        plate_sizes={name: plate.size for name, plate in field.problem.plates.items()},
        marginals=answers,
    )


@dataclass(frozen=True, eq=False, slots=True)
class Predictor:
    """What `Fit.predict` calls: predictions at the posterior means of all unknowns."""

    answers: Answers

    def __call__(self, new: Any = None, *, type: str = "response", sd: bool = False) -> Any:
        """See `predict.Predictions`; standard deviations are given the outer unknowns' marginal mode."""
        from dagmodels.fits.field.predict import predictor

        found = predictor(self.answers.solution, self.answers.unknowns(), self.answers.element_means())
        return found(new, type=type, sd=sd)


def _trouble(points: Points, halving: float) -> str:
    """Why the posterior is not to be trusted, or nothing."""
    mode = points.mode  # a lattice proves itself, wherever it was begun
    if points.lattice is None and not (mode.decrement / math.sqrt(2) < CERTIFIED and mode.smallest > 0):
        return "the posterior's mode over the outer unknowns is not certified (gradient or curvature)"
    if halving > COARSE:
        return (
            f"halving the lattice's step still changes estimates by {halving:.2g} standard deviations; "
            "tighter priors, or fewer outer unknowns, make it finer"
        )
    return ""


def _certificate(points: Points, halving: float, found: Check | None, closed: bool) -> str:
    told = []
    if points.lattice is not None and points.y.shape[1]:
        told.append(f"halving the step changed no estimate by more than {max(halving, 1e-12):.1g} sd")
    if found is not None and math.isfinite(found.both.k) and _agrees(found):
        told.append(f"weighted draws agree (Pareto k {found.both.k:.2f})")
    return "; ".join(told) or ("in closed form" if closed else "")


def _checked(found: Check | None, answers: Answers) -> dict[str, Any]:
    """The figures of the check."""
    if found is None:
        return {}
    name, shift = largest_shift(found, answers)
    return {
        "pareto_k": found.both.k,
        "pareto_k_outer": found.outer.k,
        "effective_draws": found.both.effective,
        "draws": len(found.y),
        "log_evidence_by_draws": found.log_evidence,
        "largest_shift": shift,
        "largest_shift_of": name,
    }


def largest_shift(found: Check, answers: Answers) -> tuple[str, float]:
    """By how many posterior sds weighting moves a mean at most: of an unconstrained outer unknown or an
    element; with its name."""
    field = answers.solution.field
    names = [c.node for c in field.coordinates for _ in range(c.length)]
    shifts = found.shifts(found.y)
    if found.elements is not None:
        rows, labels = answers.element_names()
        names += labels
        shifts = np.concatenate([shifts, found.shifts(found.elements[:, rows])])
    if not names:
        return "", 0.0
    k = int(np.argmax(np.abs(shifts)))
    return names[k], float(shifts[k])


def _warnings(roles: Roles, points: Points, found: Check | None, answers: Answers) -> tuple[str, ...]:
    told = []
    if found is not None and not _agrees(found):
        outer = not found.outer.k < RELIABLE
        names = roles.outer if outer else _latents(roles)
        quoted = ", ".join(f"'{n}'" for n in names)
        advice = "posterior='grid'" if points.lattice is None and outer else "a backend that draws"
        told.append(
            f"the posterior of {quoted} is approximated badly: weights of draws have a Pareto k of "
            f"{found.both.k:.2f}, above {RELIABLE}; try {advice}, or a prior that keeps "
            f"{'them' if len(tuple(names)) > 1 else 'it'} from extreme values"
        )
    elif found is not None:
        name, shift = largest_shift(found, answers)
        noise = math.sqrt(max(1.0 / found.both.effective - 1.0 / len(found.y), 0.0))
        if abs(shift) > SHIFT + 4.0 * noise:
            told.append(
                f"weighted draws put the posterior mean of '{name}' {abs(shift):.2f} standard deviations "
                f"{'higher' if shift > 0 else 'lower'} than it is approximated here; others move less"
            )
    if points.lattice is None:
        told.append(
            "quantiles of the outer unknowns come from a design of few points: rough in the second digit; "
            "posterior='grid' is finer where there are not many"
        )
    return tuple(told)


def _agrees(found: Check) -> bool:
    """Whether weights can be trusted: a light tail, or no weight that is much above the average."""
    k = found.both.k
    return math.isnan(k) or k < RELIABLE or float(found.both.weight.max()) * len(found.y) < EVEN


def _latents(roles: Roles) -> tuple[str, ...]:
    """Integrated nodes that stand in leaves that are not Normal and linear."""
    told = " ".join(roles.curved.values())
    found = tuple(n for n in roles.integrated if f"'{n}'" in told or "Laplace" in roles.integrated[n])
    return found or tuple(roles.integrated)
