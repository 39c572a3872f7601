"""Draws at points of a posterior's outer unknowns, by portions of what fits into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Visit(NamedTuple):
    """Points visited, one a row: log densities, values that hang on a point alone, draws of elements."""

    density: Floats
    values: Floats
    elements: Floats

    def put(self, rows: Ints, other: Visit) -> None:
        """Take these visits in place of those of some rows."""
        for own, new in zip(self, other, strict=True):
            own[rows] = new


Visiting = Callable[[slice, np.random.Generator], Visit]
"""Visits of some rows, in their order, with the generator for what is drawn there."""
Choose = Callable[[Floats], Ints]
"""From log densities of points to the number of the point that each draw is at; -1: at the one before all."""


def asked_for(drawn: Collection[str], nodes: Collection[str] | None, refused: Mapping[str, str]) -> list[str]:
    """The nodes wanted (None: all), in order; `FitError` for those of which there are no draws."""
    unknown = [n for n in nodes or () if n not in drawn]
    if unknown:
        told = dict.fromkeys(refused.get(n, f"'{n}' is no unknown of the model") for n in unknown)
        raise FitError(f"no draws of {', '.join(map(repr, unknown))}: {'; '.join(told)}")
    return [n for n in drawn if nodes is None or n in nodes]


def portioned(
    count: int,
    portion: int,
    shapes: Mapping[str, tuple[int, ...]],
    visit: Callable[[slice], Visit],
    complete: Callable[[Visit], Mapping[str, Floats]],
) -> tuple[dict[str, Floats], Floats]:
    """Draws of nodes (draws, *shape) and log densities.

    portion : rows at once. complete : flat draws of these nodes, and perhaps others, after a visit.
    """
    found = {n: np.empty((count, math.prod(s))) for n, s in shapes.items()}
    densities = np.empty(count)
    for begin in range(0, count, portion):
        part = slice(begin, min(begin + portion, count))
        at = visit(part)
        all_inside(at.density)
        densities[part] = at.density
        own = complete(at)
        for name, values in found.items():
            values[part] = own[name]
    return {n: v.reshape(count, *shapes[n]) for n, v in found.items()}, densities


def all_inside(density: Floats) -> None:
    """Raise `FitError` where points have no density."""
    outside = int((~np.isfinite(density)).sum())
    if outside:
        raise FitError(
            f"{outside} of {density.size} points have no posterior density: nothing is drawn there"
        )
