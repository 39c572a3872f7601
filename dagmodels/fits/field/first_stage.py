"""Where to begin when coefficients of curved leaves are among the outer unknowns: profile them first.

With the coefficients in the block (solved together with the latents, as lme4's nAGQ = 0) the outer
search has only the scales left, each step is a penalised least squares fit, and any start will do.
Its end is no maximum of the marginal likelihood, but near it; its information is near the Hessian there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_field import build_field
from dagmodels.forms.field import Field
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.forms.outer import Coordinate
from dagmodels.numerics.optimise import descend

Floats = NDArray[np.float64]
ROUGH = 1e-2  # decrement at which the first stage may stop: the second goes on from there
LIMIT = 25


def first_stage(field: Field, start: Floats, scale: Floats) -> tuple[Floats, Floats] | None:
    """Start and Hessian for the outer search; None where there is nothing to profile, or no way to.

    start, scale : of all coordinates of the field.
    """
    names = [c.node for c in field.coordinates if _profiled(field, c)]
    if not names or not field.curved:
        return None
    roles = field.roles
    why = "a coefficient, profiled in the first stage"
    roles = replace(
        roles,
        profiled={**roles.profiled, **dict.fromkeys(names, why)},
        outer={n: w for n, w in roles.outer.items() if n not in names},
    )
    try:
        inner = build_field(field.problem, roles)
    except NotLowered:
        return None  # a coefficient inside a function that has no predictor: the search begins without it
    places = _places(field)
    at = np.concatenate([places[c.node] for c in inner.coordinates] or [np.zeros(0, np.int64)])
    evaluator = ModeEvaluator(inner)
    x, model = start[at], np.diag(1.0 / scale[at] ** 2)
    if not np.isfinite(evaluator.criterion(x).total):
        return None
    if at.size:
        lower = np.concatenate([c.lower for c in inner.coordinates])
        upper = np.concatenate([c.upper for c in inner.coordinates])
        found = descend(
            evaluator.value_and_gradient, x, scale[at], lower, upper, limit=LIMIT, tolerance=ROUGH
        )
        x, model = found.x, found.model
        evaluator.criterion(x)
    rows = np.concatenate([inner.rows[n] for n in names])
    began, hessian = start.copy(), np.zeros((start.size, start.size))
    began[at] = x
    hessian[np.ix_(at, at)] = model
    own = np.concatenate([places[n] for n in names])
    began[own] = evaluator.means()[rows]
    covariance = evaluator.covariance(rows)
    if not np.isfinite(covariance).all() or not np.isfinite(began).all():
        return None
    hessian[np.ix_(own, own)] = 2.0 * np.linalg.pinv(covariance, hermitian=True)
    return began, hessian


def _profiled(field: Field, c: Coordinate) -> bool:
    """Whether a coordinate is a coefficient: free, without prior, all of its elements unknown."""
    node = field.problem.graph.nodes[c.node]
    size = int(np.prod(field.problem.shape(c.node), dtype=np.int64))
    return (
        node.kind == "parameter"
        and c.kind == "identity"
        and c.length == size
        and not c.symmetric.any()
        and not np.isfinite(c.lower).any()
        and not np.isfinite(c.upper).any()
    )


def _places(field: Field) -> dict[str, NDArray[np.int64]]:
    found, position = {}, 0
    for c in field.coordinates:
        found[c.node] = np.arange(position, position + c.length)
        position += c.length
    return found
