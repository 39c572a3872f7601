"""Outer unknowns: internal coordinates in which the optimiser works, and how they map to nodes.

Scales that may be zero keep their own (Cholesky) scale, where zero is an ordinary point; those of
observed nodes, where zero is impossible, and precisions use logarithms; covariance matrices use
the entries of their Cholesky factor, correlation matrices the angles whose sines are the canonical
partial correlations (so that one and minus one are ordinary points).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import Recorder, factors
from dagmodels.numerics.triangle import lower_triangle

if TYPE_CHECKING:
    from dagmodels.forms.saturated import Saturated

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Coordinate:
    """Coordinates of one outer node.

    kind : "identity", "log", "cholesky", "partial", "ordered", "simplex", or "entry" (of the factor of a
        saturated set).
    length : how many coordinates. lower, upper : closed bounds of each.
    symmetric : which ones the criterion takes with either sign (diagonals of factors, scales).
    use : "scale", "precision", "variance", "coefficient" or "other": for starting values.
    order, batch : order and number of the matrices, for the matrix kinds; 0 and number of other vectors.
    start : value stated by the user, on the node's own scale.
    group : the set that an "entry" belongs to; the coordinates of a set stand together, in its order.
    """

    node: str
    kind: str
    length: int
    lower: Floats
    upper: Floats
    symmetric: NDArray[np.bool_]
    use: str = "other"
    order: int = 0
    batch: int = 1
    start: float | None = None
    group: Saturated | None = None


def register(recorder: Recorder, coordinate: Coordinate) -> tuple[int, int | None]:
    """Record a node's value from its coordinates: its register, and its factor's for matrices."""
    raw = recorder.input(coordinate.node, coordinate.length)
    match coordinate.kind:
        case "log":
            return recorder.apply("exp", raw), None
        case "cholesky":
            factor = recorder.segment_sum(*_lower_places(raw, coordinate))
            return recorder.matrix("matmul", coordinate.order, factor, factor, transposed=True), factor
        case "ordered":
            return _increasing(recorder, raw, coordinate), None
        case "simplex":
            return _simplex(recorder, raw, coordinate), None
        case "partial":
            factor = _correlation_factor(recorder, raw, coordinate)
            return recorder.matrix("matmul", coordinate.order, factor, factor, transposed=True), factor
        case _:
            return raw, None


def _increasing(recorder: Recorder, raw: int, c: Coordinate) -> int:
    """Increasing vectors: the first entry, then logarithms of the steps."""
    d = c.length // c.batch
    places = np.arange(c.batch * d)
    first, later = places[places % d == 0], places[places % d > 0]
    parts = [(recorder.gather(raw, first), first)]
    if later.size:
        parts.append((recorder.apply("exp", recorder.gather(raw, later)), later))
    steps = recorder.assemble(places.size, parts)
    to = np.concatenate([np.full(k % d + 1, k) for k in places])
    of = np.concatenate([np.arange(k - k % d, k + 1) for k in places])
    return recorder.segment_sum(recorder.gather(steps, of), to, places.size)


def _simplex(recorder: Recorder, raw: int, c: Coordinate) -> int:
    """Probabilities: logarithms of their ratios to the last one."""
    d = c.length // c.batch + 1
    places = np.arange(c.batch * d)
    last = places % d == d - 1
    parts = [
        (raw, places[~last]),
        (recorder.constant(np.zeros(c.batch)), places[last]),
    ]
    return recorder.softmax(recorder.assemble(places.size, parts), d)


def _lower_places(raw: int, coordinate: Coordinate) -> tuple[int, NDArray[np.int64], int]:
    d, batch = coordinate.order, coordinate.batch
    i, j = lower_triangle(d)
    places = (np.arange(batch)[:, None] * d * d + (i * d + j)[None, :]).reshape(-1)
    return raw, places, batch * d * d


def _correlation_factor(recorder: Recorder, raw: int, coordinate: Coordinate) -> int:
    """Cholesky factor from canonical partial correlations (Lewandowski et al. 2009, J. Multiv. Anal. 100).

    Row i is made of sin(angle_ij) times the cosines before it, and ends with the cosines' product.
    """
    d, batch = coordinate.order, coordinate.batch
    size = d * (d - 1) // 2
    parts = []
    k = 0
    for i in range(d):
        rest = recorder.constant(np.ones(batch))
        for j in range(d):
            places = np.arange(batch) * d * d + i * d + j
            if j > i:
                parts.append((recorder.constant(np.zeros(batch)), places))
                continue
            if j == i:
                parts.append((rest, places))
                continue
            angle = recorder.gather(raw, np.arange(batch) * size + k)
            k += 1
            parts.append((recorder.apply("*", recorder.apply("sin", angle), rest), places))
            rest = recorder.apply("*", recorder.apply("cos", angle), rest)
    return recorder.assemble(batch * d * d, parts)


def coordinates_of(coordinate: Coordinate, value: Floats) -> Floats:
    """The coordinates that give a node these values (the inverse of `register`)."""
    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    match coordinate.kind:
        case "log":
            return np.log(flat)
        case "cholesky":
            i, j = lower_triangle(coordinate.order)
            blocks = flat.reshape(-1, coordinate.order, coordinate.order)
            return factors(blocks)[:, i, j].reshape(-1)
        case "ordered":
            rows = flat.reshape(coordinate.batch, -1)
            return np.concatenate([rows[:, :1], np.log(np.diff(rows, axis=1))], axis=1).reshape(-1)
        case "simplex":
            rows = np.log(flat.reshape(coordinate.batch, -1))
            return (rows[:, :-1] - rows[:, -1:]).reshape(-1)
        case "partial":
            blocks = flat.reshape(-1, coordinate.order, coordinate.order)
            return np.concatenate([_angles(factor) for factor in factors(blocks)])
        case _:
            return flat.copy()


def _angles(factor: Floats) -> Floats:
    found: list[float] = []
    for i in range(factor.shape[0]):
        rest = 1.0
        for j in range(i):
            angle = np.arcsin(np.clip(factor[i, j] / rest, -1.0, 1.0)) if rest > 0 else 0.0
            found.append(float(angle))
            rest *= np.cos(angle)
    return np.array(found)
