"""Whether a point is the optimum of a criterion of moments, and what is wrong otherwise."""

from __future__ import annotations

import numpy as np

from dagmodels.forms.cells import element_label
from dagmodels.forms.coordinates import free_places, uses
from dagmodels.forms.moments import MomentsForm
from dagmodels.numerics.constrained import FEASIBLE, Constrained
from dagmodels.numerics.optimise import Optimum

GRADIENT_LIMIT = 1e-5
NOTHING = 1e-3  # share of a variable's spread below which a residual scale that has no lowest value is gone
FLAT = 1e-10  # smallest eigenvalue of the scaled Hessian that counts as none


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
