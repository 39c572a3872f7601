"""Columns far from zero are centred beside an intercept, exactly.

A free coefficient g whose design column is nearly a multiple c of an intercept f's (a covariate far
from zero beside a constant) costs digits: the pivot of one is a difference of sums of squares.
In new elements u'_i = u_i + c d_i u_g, for f and for every element that hangs on f but not on g
(d is their plain dependence on f), all equations keep their form, and only g's own entries change,
to x - c d: what remains of the column beside the intercept.  The old elements are u = u' - M u'.
Flat and profiled coefficients may be exchanged like this because the determinant is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.pieces import Piece

if TYPE_CHECKING:
    from dagmodels.forms.build_field import Response

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Edges = tuple[Ints, Ints, Floats, Ints]

NEARLY = 0.999  # squared cosine of two columns from which one is centred beside the other


@dataclass(frozen=True, eq=False, slots=True)
class Move:
    """u[rows] = u'[rows] - weights * u'[by]."""

    rows: Ints
    by: int
    weights: Floats


def centred(
    responses: list[Response],
    edges: Edges,
    free: Ints,
    one: int,
    columns_of: Callable[[Edges], Floats],
    design: Floats,
) -> tuple[list[Response], Edges, list[Move]]:
    """Centre what needs it.

    columns_of : plain dependence of every element on the free ones (see `shift`), from edges.
    design : the rows' plain dependence on the free elements.
    """
    moves: list[Move] = []
    pairs = _pairs(design)
    columns = columns_of(edges) if pairs else None
    for g, f in pairs:
        assert columns is not None
        moved = _move(responses, edges, free, one, columns, g, f)
        if moved is not None:
            responses, edges, move = moved
            moves.append(move)
            columns = columns_of(edges)
    return responses, edges, moves


def _pairs(design: Floats) -> list[tuple[int, int]]:
    """Columns to centre, each with its intercept: the flatter of two nearly parallel ones."""
    gram = design.T @ design
    size = np.sqrt(np.diag(gram))
    size[size == 0] = 1.0
    near = (gram / np.outer(size, size)) ** 2 > NEARLY
    np.fill_diagonal(near, False)
    if not near.any():
        return []
    spread = np.array([_relative_spread(c) for c in design.T])
    found = []
    for g in range(design.shape[1]):
        beside = [f for f in np.flatnonzero(near[g]) if spread[f] < spread[g]]
        if beside:
            found.append((g, int(min(beside, key=lambda f: spread[f]))))
    return found


def _relative_spread(column: Floats) -> float:
    """Standard deviation over mean of a column's entries that are not zero."""
    some = column[column != 0]
    mean = abs(float(some.mean())) if some.size else 0.0
    return float(some.std()) / mean if mean else np.inf


def _move(
    responses: list[Response], edges: Edges, free: Ints, one: int, columns: Floats, g: int, f: int
) -> tuple[list[Response], Edges, Move] | None:
    """Centre coefficient number g beside number f; None where a factor of the tape stands between."""
    child, parent, value, source = edges
    plain = source == one
    inside = (columns[:, f] != 0) & (columns[:, g] == 0)
    inside[-1] = False
    weight = np.where(inside, columns[:, f], 0.0)
    if inside[parent[~plain]].any():
        return None
    if any(_touched(p, one, inside) for r in responses for p in r.pieces):
        return None
    outside = plain & inside[parent] & ~inside[child]
    received = np.zeros(weight.size)
    np.add.at(received, child[outside], value[outside] * weight[parent[outside]])
    own = plain & (parent == free[g])
    given = np.zeros(weight.size)
    np.add.at(given, child[own], value[own])
    rows = [
        (_plain_part(r, one, weight), _plain_part(r, one, _unit(weight.size, free[g]))) for r in responses
    ]
    top = float(received @ given) + sum(float(a @ x) for a, x in rows)
    bottom = float(received @ received) + sum(float(a @ a) for a, _ in rows)
    if bottom == 0.0:
        return None
    c = top / bottom
    at = np.flatnonzero(received)
    keep = ~(own & np.isin(child, at))
    new_edges = (
        np.concatenate([child[keep], at]),
        np.concatenate([parent[keep], np.full(at.size, free[g])]),
        np.concatenate([value[keep], given[at] - c * received[at]]),
        np.concatenate([source[keep], np.full(at.size, one)]),
    )
    new_responses = [
        _with_column(r, one, int(free[g]), x - c * a) for r, (a, x) in zip(responses, rows, strict=True)
    ]
    which = np.flatnonzero(inside)
    return new_responses, new_edges, Move(which, int(free[g]), c * weight[which])


def _touched(p: Piece, one: int, inside: NDArray[np.bool_]) -> bool:
    """Whether a factor of the tape multiplies an element that would move."""
    return bool(np.any((np.asarray(p.source) != one) & inside[p.element]))


def _unit(size: int, at: int) -> Floats:
    found = np.zeros(size)
    found[at] = 1.0
    return found


def _plain_part(r: Response, one: int, values: Floats) -> Floats:
    """Sum of the plain pieces with these values of the elements, by row."""
    total = np.zeros(r.n)
    for p in r.pieces:
        total += np.where(np.asarray(p.source) == one, p.data * values[p.element], 0.0)
    return total


def _with_column(r: Response, one: int, g: int, column: Floats) -> Response:
    """The response with its plain entries on element g replaced by one column."""
    pieces = []
    for p in r.pieces:
        mine = (np.asarray(p.source) == one) & (np.asarray(p.element) == g)
        if not mine.any():
            pieces.append(p)
        elif not mine.all():
            pieces.append(replace(p, data=np.where(mine, 0.0, p.data)))
    if column.any():
        pieces.append(Piece(g, one, column))
    return replace(r, pieces=pieces)
