"""A provisional fit by least squares, taken off before cross-products are summed.

Elements are written u = shift + u'.  Any shift is exact, because what it leaves in the parents'
equations goes into their offsets; a good one keeps the digits of data far from zero.  The shift
solves ordinary least squares in the free coefficients along those parts of the graph whose
coefficients are plain numbers, so that y - A shift is of the size of the residuals.  Columns far from
zero are centred first (`centre`).

Where scales are drawn, not maximised, residual scales may come near zero, and a posterior density far down
such an arm is a difference of huge numbers. There the shift fits the elements of plates as well (`local`):
what is left in the rows is what no element explains, and only that is multiplied by a huge precision.
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
MOST_STEPS = 50  # of conjugate gradients


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
    local: NDArray[np.bool_] | None = None,
) -> Provisional:
    """Fit, shift and rewrite; element numbers are elimination rows, the constant is row kind.size.

    local : elements with an equation of their own that are to be fitted too; None: no such.
    """
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
    moved = [_shifted_response(r, shift, one, q) for r in responses]
    leaves = [Leaf(r.node, r.n, math.sqrt(r.y @ r.y / r.n)) for r in moved if not r.curved]
    edges = _shifted_edges(child, parent, value, source, plain, shift, q)
    if local is not None and fitted:
        own = elements_fitted([moved[k] for k in fitted], one, local)
        if own.any():
            moved = [_shifted_response(r, own, one, q) for r in moved]
            edges = _with_offsets(edges, own, one)
            shift = shift + own
    return Provisional(shift, edges, moved, leaves, moves)


def elements_fitted(responses: list[Response], one: int, local: NDArray[np.bool_]) -> Floats:
    """Values of the local elements that explain most of what is left in the rows, others zero.

    Conjugate gradients for least squares, columns scaled (Bjorck 1996, Numerical Methods for Least Squares
    Problems, section 7.4); the shortest solution where there are many. Any values are right.
    """
    parts = [_plain_columns(r, one, local) for r in responses]
    q = local.size

    def times(v: Floats) -> list[Floats]:
        return [sum((d * v[e] for e, d in p), np.zeros(r.n)) for r, p in zip(responses, parts, strict=True)]

    def back(rest: list[Floats]) -> Floats:
        found = np.zeros(q)
        for r, p in zip(rest, parts, strict=True):
            for e, d in p:
                found += np.bincount(e, weights=d * r, minlength=q)
        return found

    size = np.zeros(q)
    for p in parts:
        for e, d in p:
            size += np.bincount(e, weights=d * d, minlength=q)
    scale = np.where(size > 0.0, 1.0 / np.sqrt(np.where(size > 0.0, size, 1.0)), 0.0)
    rest, found = [r.y.astype(np.float64) for r in responses], np.zeros(q)
    slope = scale * back(rest)
    way, power = slope, float(slope @ slope)
    enough = 1e-30 * sum(float(r @ r) for r in rest)
    for _ in range(MOST_STEPS):
        if power <= enough:
            break
        move = times(scale * way)
        step = power / sum(float(m @ m) for m in move)
        found = found + step * scale * way
        rest = [r - step * m for r, m in zip(rest, move, strict=True)]
        slope = scale * back(rest)
        power, before = float(slope @ slope), power
        way = slope + power / before * way
    return found


def _plain_columns(r: Response, one: int, local: NDArray[np.bool_]) -> list[tuple[Ints, Floats]]:
    """For each piece with plain coefficients of local elements: element and coefficient by row."""
    found = []
    inside = np.append(local, False)
    for p in r.pieces:
        element = np.broadcast_to(p.element, r.n)
        some = (np.asarray(p.source) == one) & inside[element]
        if some.any():
            found.append((np.where(some, element, 0), np.where(some, p.data, 0.0)))
    return found


def _with_offsets(edges: Edges, own: Floats, one: int) -> Edges:
    """Edges of elements moved by `own`: what their plain parents do not move with them is an offset."""
    child, parent, value, source = edges
    q = own.size
    inner = parent != q
    follows = np.append(own, 0.0)[parent] * value
    offset = -own
    plain = inner & (source == one)
    np.add.at(offset, child[plain], follows[plain])
    extra = np.flatnonzero(inner & ~plain & (follows != 0.0))  # by factors of the tape
    at = np.flatnonzero(offset)
    return (
        np.concatenate([child, at, child[extra]]),
        np.concatenate([parent, np.full(at.size + extra.size, q)]),
        np.concatenate([value, offset[at], follows[extra]]),
        np.concatenate([source, np.full(at.size, one), source[extra]]),
    )


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
