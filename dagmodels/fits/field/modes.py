"""Departures of latents from their means: the modes alone, without the variances that `latents` adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.cells import plate_labels
from dagmodels.forms.field import Evaluator, Field
from dagmodels.numerics.elimination import SCALED

if TYPE_CHECKING:
    from dagmodels.fits.field.solve import Solution
    from dagmodels.results.fit import Modes

Floats = NDArray[np.float64]


def departures(field: Field, evaluator: Evaluator) -> Floats:
    """Each element less the mean that its parents give it (lme4's conditional modes); nan for flat ones."""
    q = field.pattern.n - 1
    found = evaluator.elimination.mean()
    child, parent, coefficient = field.parent_entries(evaluator.w)
    own = np.where(parent == q, 1.0, np.append(found, 1.0)[parent]) * coefficient
    kept = ~field.is_shock[parent]
    mean = np.bincount(child[kept], own[kept], minlength=q)[:q]
    return np.where(field.pattern.kind[:-1] == SCALED, found - mean, np.nan)


def modes(solution: Solution) -> Modes:
    """By block node the labels along each of its plates, and the departures in its shape (nan: none)."""
    field = solution.field
    problem = field.problem
    every = np.append(departures(field, solution.evaluator), np.nan)  # -1: given elements
    return {
        name: (
            tuple(plate_labels(problem, p) for p in problem.graph.nodes[name].plates),
            every[rows].reshape(problem.shape(name)),
        )
        for name, rows in field.rows.items()
        if name not in field.roles.bent
    }
