"""The mode of a density of the outer unknowns on the unconstrained scale, looked for from several starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.field import Field
from dagmodels.forms.outer_scale import ABOVE, PLAIN, Scale
from dagmodels.forms.start import starting_points
from dagmodels.numerics.optimise import (
    NEAR,
    TOLERANCE,
    Curvature,
    Descent,
    Objective,
    Optimum,
    certify,
    descend,
)

Floats = NDArray[np.float64]
CERTIFIED = 1e-3  # Newton decrement of what counts as a mode
SAME = 1e-4  # difference of criterion values, and of points in standard deviations, of one mode
ENOUGH = 3  # starts that end at one mode end the search: the third has latent scales near zero


@dataclass(frozen=True, eq=False, slots=True)
class Modes:
    """Maxima of a density in y, as minima of minus twice its logarithm.

    best : the highest. others : further ones that other starts led to, the highest first.
    """

    best: Optimum
    others: tuple[Optimum, ...]


def find_modes(f: Objective, field: Field, scale: Scale, names: tuple[str, ...]) -> Modes:
    """Minimise f (minus twice a log density in y, with its gradient) from the field's starting points.

    names : of the coordinates, for messages. Raises `FitError` where no start leads to a mode: the density
    rises without end, or is not finite.
    """
    return modes_from(f, _starts(f, field, scale), names)


class NoMode(FitError):
    """No maximum was found. went : some search went far, as where there is no integral; else the density has
    kinks, or the searches ended too early."""

    def __init__(self, message: str, went: bool) -> None:
        super().__init__(message)
        self.went = went


def modes_from(
    f: Objective,
    starts: Iterable[tuple[Floats, Floats]],
    names: tuple[str, ...],
    curvature: Curvature | None = None,
) -> Modes:
    """The same from starts with the size of every coordinate; several that end at one mode end the search.

    curvature : Hessians that cost less than as many gradients, where there are such.
    """
    free = np.full(len(names), np.inf)
    found: list[tuple[Optimum, int]] = []  # with the number of starts that ended there
    failed: list[Optimum] = []
    for start, size in starts:
        tolerance = TOLERANCE if curvature is None else NEAR
        end = descend(f, start, size, -free, free, tolerance=tolerance, curvature=curvature)
        at = next((k for k, (known, _) in enumerate(found) if _same(known, end)), None)
        if at is None:  # certified, as another may be near
            dear = curvature is not None
            optimum = certify(f, end.x, size, -free, free, end.iterations, end.message, dear=dear)
            if not is_mode(optimum):
                failed.append(optimum)
                continue
            at = next((k for k, (known, _) in enumerate(found) if _same(known, optimum)), None)
        if at is None:
            found.append((optimum, 1))
        else:
            found[at] = found[at][0], found[at][1] + 1
            if found[at][1] >= ENOUGH:
                break
    if not found:
        raise NoMode(_no_mode(failed, names), any(np.abs(o.x).max(initial=0.0) > FAR for o in failed))
    best, *others = sorted((o for o, _ in found), key=lambda o: o.value)
    return Modes(best, tuple(others))


def _starts(f: Objective, field: Field, scale: Scale) -> Iterator[tuple[Floats, Floats]]:
    """Points where the density is finite, each with the size of every coordinate."""
    for x, typical in starting_points(field):
        y = scale.unconstrained(x, 0.01 * typical)  # a start of 0 is moved inside, small ones stay
        size = np.where(scale.kind == PLAIN, typical, 0.5)
        positive = scale.kind == ABOVE
        for moved in (y, y + 0.5 * positive, y + 2.0 * positive):
            if math.isfinite(f(moved)[0]):
                yield moved, size
                break


def is_mode(o: Optimum) -> bool:
    """Whether a search ended at a maximum: a small decrement, and downward curvature in all directions."""
    return math.isfinite(o.value) and o.decrement < CERTIFIED and (o.x.size == 0 or o.smallest > 0.0)


def _same(a: Optimum, b: Optimum | Descent) -> bool:
    if abs(a.value - b.value) > SAME:
        return False
    away = b.x - a.x
    return float(away @ a.hessian @ away) <= 2.0 * SAME**2 + 1e-3 * SAME


FAR = 30.0  # on the unconstrained scale


def _no_mode(failed: list[Optimum], names: tuple[str, ...]) -> str:
    if not failed:
        return "the posterior density is not finite at any starting value; give tighter priors"
    best = min(failed, key=lambda o: o.value)
    far = int(np.argmax(np.abs(best.x)))
    return (
        f"the posterior density of the outer unknowns has no maximum that was found: '{names[far]}' went to "
        f"{best.x[far]:.3g} on its unconstrained scale; give it a tighter prior"
    )
