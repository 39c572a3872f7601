"""A provisional fit by least squares, taken off before cross-products are summed.

Elements are written u = shift + u'.  Any shift is exact, because what it leaves in the parents'
equations goes into their offsets; a good one keeps the digits of data far from zero.  The shift
solves ordinary least squares in the free coefficients along those parts of the graph whose
coefficients are plain numbers, so that y - A shift is of the size of the residuals.  Columns far from
zero are centred first (`centre`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.centre import Edges, Move, centred
from dagmodels.forms.field import Leaf
from dagmodels.forms.pieces import Piece
from dagmodels.numerics.elimination import SCALED
from dagmodels.numerics.triangle import inverse_of_regular

if TYPE_CHECKING:
    from dagmodels.forms.build_field import Response

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_COLUMNS = 40


@dataclass(frozen=True, eq=False, slots=True)
class Provisional:
    """The shift, the edges and responses it leaves, the size of the residuals, and centred columns."""

    shift: Floats
    edges: tuple[Ints, Ints, Floats, Ints]
    responses: list[Response]
    leaves: list[Leaf]
    moves: list[Move]


def provisional_fit(
    responses: list[Response],
    kind: NDArray[np.uint8],
    child: Ints,
    parent: Ints,
    value: Floats,
    source: Ints,
    one: int,
) -> Provisional:
    """Fit, shift and rewrite; element numbers are elimination rows, the constant is row kind.size."""
    q = kind.size
    free = np.flatnonzero(kind != SCALED)[:MOST_COLUMNS]

    def columns_of(edges: Edges) -> Floats:
        plain = edges[3] == one
        return _propagated(q, free, edges[0][plain], edges[1][plain], edges[2][plain])

    edges = (child, parent, value, source)
    columns = columns_of(edges)
    values = [_row_values(r, columns, one) for r in responses]
    moves: list[Move] = []
    if free.size > 1 and responses:
        design = np.concatenate([v[:, :-1] for v in values]) if len(values) > 1 else values[0][:, :-1]
        responses, edges, moves = centred(responses, edges, free, one, columns_of, design)
    if moves:
        columns = columns_of(edges)
        values = [_row_values(r, columns, one) for r in responses]
    child, parent, value, source = edges
    plain = source == one
    shift = columns[:q, -1].copy()
    fitted = [k for k, r in enumerate(responses) if not r.curved]
    if free.size and fitted:
        coefficients = _least_squares([responses[k] for k in fitted], [values[k] for k in fitted])
        shift = shift + columns[:q, :-1] @ coefficients
        shift[free] = coefficients
    edges = _shifted_edges(child, parent, value, source, plain, shift, q)
    moved = [_shifted_response(r, shift, one, q) for r in responses]
    leaves = [Leaf(r.node, r.n, math.sqrt(r.y @ r.y / r.n)) for r in moved if not r.curved]
    return Provisional(shift, edges, moved, leaves, moves)


def deviation(y: Floats) -> float:
    """Standard deviation (the mean square's root, zero without values), at less cost than numpy's `std`."""
    if not y.size:
        return 0.0
    centred = y - y.sum() / y.size
    return math.sqrt(centred @ centred / y.size)


def _propagated(q: int, free: Ints, child: Ints, parent: Ints, value: Floats) -> Floats:
    """Each row's plain dependence on the free elements (columns) and on the constant (last column)."""
    columns = np.zeros((q + 1, free.size + 1))
    columns[free, np.arange(free.size)] = 1.0
    columns[q, -1] = 1.0
    order = np.argsort(-child, kind="stable")  # parents have larger numbers: they come first
    if order.size:
        from dagmodels.numerics.field_kernels import propagate

        propagate(child[order], parent[order], value[order], columns)
    return columns


def _row_values(r: Response, columns: Floats, one: int) -> Floats:
    """Plain part of a predictor for each column of element values."""
    total = np.zeros((r.n, columns.shape[1]))
    for p in r.pieces:
        plain = np.asarray(p.source) == one
        data = np.broadcast_to(np.where(plain, p.data, 0.0), r.n)
        if not data.any():
            continue
        part = columns[p.element]
        total += data[:, None] * part
    return total


def _least_squares(responses: list[Response], values: list[Floats]) -> Floats:
    """Coefficients of the free elements; responses are weighed by their spread."""
    design, target = [], []
    for r, v in zip(responses, values, strict=True):
        spread = deviation(r.y) or 1.0
        weight = r.root_weight
        if isinstance(weight, np.ndarray):
            weight = (weight / (weight.mean() * spread))[:, None]
        else:
            weight = 1.0 / spread
        rows = v * weight
        design.append(rows[:, :-1])
        target.append(r.y * np.ravel(weight) - rows[:, -1])
    X, y = np.concatenate(design), np.concatenate(target)
    scale = np.sqrt((X**2).sum(axis=0))
    scale[scale == 0] = 1.0
    X = X / scale
    gram = X.T @ X
    solve = inverse_of_regular(gram)
    if solve is None:
        solve = _pseudo_inverse(gram)
    b = solve @ (X.T @ y)
    b = b + solve @ (X.T @ (y - X @ b))  # one refinement gives back the digits that the Gram matrix lost
    return b / scale


def _pseudo_inverse(gram: Floats) -> Floats:
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-12 * values[-1]
    return (vectors[:, keep] / values[keep]) @ vectors[:, keep].T


def _shifted_edges(
    child: Ints, parent: Ints, value: Floats, source: Ints, plain: NDArray[np.bool_], shift: Floats, q: int
) -> tuple[Ints, Ints, Floats, Ints]:
    """Plain parts of a mean cancel against the shift; other parts send theirs to the offset."""
    keep = ~(plain & (parent == q))
    extra = ~plain & (parent != q)
    moved = value[extra] * shift[parent[extra]]
    some = moved != 0
    at = np.flatnonzero(extra)[some]
    return (
        np.concatenate([child[keep], child[at]]),
        np.concatenate([parent[keep], np.full(at.size, q)]),
        np.concatenate([value[keep], moved[some]]),
        np.concatenate([source[keep], source[at]]),
    )


def _shifted_response(r: Response, shift: Floats, one: int, q: int) -> Response:
    """The response less the shift's plain part; what has a factor of the tape goes to the constant."""
    full = np.append(shift, 1.0)
    y = r.y.astype(np.float64)
    pieces = []
    for p in r.pieces:
        amount = p.data * full[p.element]
        plain = p.source == one
        constant = p.element == q
        if isinstance(plain, np.ndarray):
            y = y - np.where(plain, amount, 0.0)
            rest = np.where(plain, 0.0, amount)
        else:
            y, rest = (y - amount, 0.0) if plain else (y, amount)
        if isinstance(constant, np.ndarray):
            some = constant.any()
            pieces.append(replace(p, data=np.where(constant, 0.0, p.data)) if some else p)
        elif not constant:
            pieces.append(p)
        if np.any(rest):
            pieces.append(Piece(q, p.source, rest))
    return replace(r, y=y, pieces=pieces)
