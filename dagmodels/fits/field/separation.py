"""Is an outcome separated, so that a coefficient has no finite estimate?

Where a combination of covariates tells rows apart without error (all successes on one side, or no counts at
all in a group), the likelihood rises for ever along it, and the search stops where rounding ends it
(Albert and Anderson 1984, Biometrika 71).  There the rows that know anything of the combination have lost
their weight: their information is nothing beside what the same rows have at ordinary predictors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.measurement import covariates_with_error
from dagmodels.analysis.reach import Reach
from dagmodels.distributions import family
from dagmodels.forms.cells import element_label
from dagmodels.forms.field import Curved, Evaluator, Field
from dagmodels.forms.leaf_laws import families_in
from dagmodels.forms.mode import ModeEvaluator
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Stochastic

Floats = NDArray[np.float64]
FAR = 10.0  # a coefficient beyond this that tells nothing of itself is on its way to infinity
NOTHING = 1e-6  # information left, as a share of what it would be at ordinary predictors


@dataclass(frozen=True, slots=True)
class Separation:
    """The outcome, and of the coefficients in the combination that separates it the one gone farthest."""

    node: str
    coefficient: str


def separated(field: Field, evaluator: Evaluator, x: Floats) -> Separation | None:
    """The first separation at x, if any."""
    if not isinstance(evaluator, ModeEvaluator) or not x.size:
        return None
    names, places = _coefficients(field)
    if not names or not np.isfinite(evaluator.criterion(x).total):
        return None
    at_mode = evaluator.eta.copy()
    position = 0
    for c, typical in zip(field.curved, evaluator.typical_weights(), strict=True):
        own = at_mode[position : position + c.n]
        position += c.eta.size
        if (0, 0) not in c.weights or not typical > 0 or not _counted(field, c.node):
            continue
        columns = _columns(field, evaluator, c, x, places)
        columns = _with_slope(field, columns, names, x[np.array(places)], own - evaluator.w[c.offset[0]])
        size = np.sqrt((columns**2).sum(axis=0))
        used = np.flatnonzero(size > 0)
        if not used.size:
            continue
        scaled = columns[:, used] / size[used]
        weight = np.maximum(evaluator.w[c.weights[0, 0]], 0.0)
        ordinary = scaled.T @ scaled
        values, vectors = np.linalg.eigh(ordinary)
        keep = values > 1e-9 * values[-1]
        root = vectors[:, keep] / np.sqrt(values[keep])
        share, directions = np.linalg.eigh(root.T @ ((scaled.T * weight) @ scaled) @ root)
        lost = share < NOTHING * typical
        if lost.any():
            part = np.sqrt(((root @ directions[:, lost]) ** 2).sum(axis=1))
            far = np.abs(x[np.array(places)[used]]) * size[used]
            far[part < 0.3 * part.max()] = 0.0  # not in the combination
            return Separation(c.node, names[used[int(np.argmax(far))]])
    return None


def alone(field: Field, evaluator: Evaluator, x: Floats) -> Separation | None:
    """As `separated` for a discrete outcome without latents, where a coordinate has lost its meaning.

    Its predictor is not kept by row: the largest coefficient is named.
    """
    names, places = _coefficients(field)
    if not isinstance(evaluator, ModeEvaluator) or not names:
        return None
    far = np.abs(x[np.array(places)])
    for c in field.curved:
        if (0, 0) not in c.weights and _counted(field, c.node) and far.max() > FAR:
            return Separation(c.node, names[int(np.argmax(far))])
    return None


def _with_slope(field: Field, columns: Floats, names: list[str], x: Floats, latent: Floats) -> Floats:
    """The columns with that of a slope on true values, where there is one: what latents add to the predictor,
    over the slope (the modes held)."""
    dag = field.problem.graph
    slopes = {
        n
        for m in covariates_with_error(dag)
        for n in dag.nodes
        if n in names and any(_beside(dag, outcome, m.node, n) for outcome in m.outcomes)
    }
    idle = [k for k, n in enumerate(names) if n in slopes and not columns[:, k].any()]
    if len(idle) != 1 or x[idle[0]] == 0.0:
        return columns
    found = columns.copy()
    found[:, idle[0]] = latent / x[idle[0]]
    return found


def _beside(dag: Dag, outcome: str, latent: str, name: str) -> bool:
    """Whether an outcome's mean depends on a true value and on an unknown."""
    reach = Reach(dag)
    found = (reach.of(t) for s in dag.nodes[outcome].statements for t in expressions(s))
    return any(latent in names and name in names for names in found)


def _counted(field: Field, node: str) -> bool:
    """Whether an outcome is discrete: only then a density has a bound that it may reach."""
    laws = (s for s in field.problem.graph.nodes[node].statements if isinstance(s, Stochastic))
    return all(family(name).discrete for s in laws for name in families_in(s.distribution))


def _coefficients(field: Field) -> tuple[list[str], list[int]]:
    """Names and positions of the coordinates on the whole line."""
    names, places, position = [], [], 0
    for c in field.coordinates:
        free = c.kind == "identity" and not c.symmetric.any()
        for k in range(c.length):
            if free and not np.isfinite(c.lower[k]) and not np.isfinite(c.upper[k]):
                names.append(element_label(field.problem, c.node, k))
                places.append(position + k)
        position += c.length
    return names, places


def _columns(field: Field, evaluator: Evaluator, c: Curved, x: Floats, places: list[int]) -> Floats:
    """Derivatives of what is known of the leaf's first predictor in the coefficients, by row."""
    here = evaluator.w[c.offset[0]].copy()
    w = evaluator.w.copy()
    found = np.zeros((c.n, len(places)))
    for k, place in enumerate(places):
        moved = x.copy()
        step = max(1.0, abs(x[place]))
        moved[place] += step
        w[field.x_places] = moved
        field.tape.forward(w)
        found[:, k] = (w[c.offset[0]] - here) / step
    return found
