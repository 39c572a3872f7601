"""Which estimates of a saturated set stand on the edge of their domain, by the matrix they make up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.cells import element_label
from dagmodels.forms.saturated import CORRELATION

if TYPE_CHECKING:
    from dagmodels.fits.field.solve import Solution
    from dagmodels.forms.outer import Coordinate

Floats = NDArray[np.float64]
ZERO = 1e-6  # a standard deviation below this share of what a component could explain is zero
SINGULAR = 1e-10  # smallest eigenvalue of a correlation matrix that counts as zero


@dataclass(slots=True)
class Edges:
    """Names of estimates of saturated sets.

    boundary : on the edge of their domain. valueless : without a value (and a standard error).
    errorless : without a standard error.
    """

    boundary: list[str] = field(default_factory=list)
    valueless: list[str] = field(default_factory=list)
    errorless: list[str] = field(default_factory=list)


def set_edges(solution: Solution) -> Edges:
    """A scale of zero stands on its edge, and correlations beside it have no value.

    Among components that vary, correlations of one stand on the edge; where only a larger matrix is
    singular, all of its correlations (or covariances) do.
    """
    found = Edges()
    position = 0
    parts: dict[str, tuple[Coordinate, Floats, Floats]] = {}
    for c in solution.field.coordinates:
        at = slice(position, position + c.length)
        position += c.length
        parts[c.node] = (c, solution.optimum.x[at], solution.scale[at])
    for c, _, _ in parts.values():
        if c.group is not None and c.node == c.group.names[0]:
            members = [parts[name] for name in c.group.names]
            for element in range(c.length):
                _matrix_edges(solution, members, element, found)
    return found


def below_zero(solution: Solution) -> NDArray[np.bool_]:
    """Elimination rows whose variance is negative: they have conditional means, but no variances."""
    return solution.evaluator.elimination.s[:-1] < 0


def negative_variances(solution: Solution) -> list[str]:
    """A sentence for every node whose variance is estimated below zero."""
    negative = below_zero(solution)
    found = []
    for name, rows in solution.field.rows.items():
        rows = rows[rows >= 0]
        if negative[rows].any():
            least = float(solution.evaluator.elimination.s[rows].min())
            found.append(
                f"the variance of '{name}' is estimated below zero ({least:.4g}), so that no distribution of "
                f"'{name}' itself has these moments: its elements have estimates but no standard deviations; "
                "declare the variance '> 0' to keep it one"
            )
    return found


def _matrix_edges(
    solution: Solution, members: list[tuple[Coordinate, Floats, Floats]], element: int, found: Edges
) -> None:
    group = members[0][0].group
    assert group is not None
    k = group.order
    factor, size = np.zeros((k, k)), np.zeros(k)
    for (_, x, scale), (i, j) in zip(members, group.places, strict=True):
        factor[i, j] = x[element]
        size[i] = scale[element]
    deviation = np.sqrt((factor**2).sum(axis=1))
    zero = deviation <= ZERO * size
    rows = np.where(zero[:, None], 0.0, factor / np.where(zero, 1.0, deviation)[:, None])
    correlation = rows @ rows.T
    varying = np.flatnonzero(~zero)
    singular = bool(varying.size > 1) and bool(
        np.linalg.eigvalsh(correlation[np.ix_(varying, varying)])[0] <= SINGULAR
    )
    pairs = [(i, j) for i, j in group.places if i > j and not zero[i] and not zero[j]]
    tight = [p for p in pairs if abs(correlation[p]) >= 1 - SINGULAR] or pairs
    for (c, _, _), what, (i, j) in zip(members, group.what, group.places, strict=True):
        name = element_label(solution.field.problem, c.node, element)
        if i > j and what == CORRELATION and (zero[i] or zero[j]):
            found.valueless.append(name)
        elif zero[i] or zero[j]:
            found.boundary.append(name)
            found.errorless.append(name)
        elif i > j and singular and (i, j) in tight:
            found.boundary.append(name)
            if what == CORRELATION:
                found.errorless.append(name)
