"""Linear predictors as pieces: data times a value of the tape times an element, row by row.

A row's predictor is the sum over pieces of data * w[source] * u[element], where w is the tape's
workspace.  Cross-products of pieces are all that a Gaussian leaf keeps of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMALL = 200_000  # rows times pairs of columns up to which products are formed all at once
_FIRST = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """One summand of a predictor.

    element : element of each entry, or one for all. source : place in the workspace, likewise.
    data : number of each entry, or one for all.
    owner : the row of each entry; None when entries are the rows in order.
    """

    element: Ints | int
    source: Ints | int
    data: Floats | float
    owner: Ints | None = None

    def count(self, n: int) -> int:
        """Number of entries."""
        return n if self.owner is None else self.owner.size


def take(values: NDArray[np.generic] | float, index: Ints) -> NDArray[np.generic] | float:
    """values[index], a single number standing for all."""
    return values[index] if isinstance(values, np.ndarray) else values


def scaled(piece: Piece, factor: Floats | float) -> Piece:
    """The piece with its data multiplied by a number of each row."""
    if isinstance(factor, np.ndarray) and piece.owner is not None:
        factor = factor[piece.owner]
    return Piece(piece.element, piece.source, piece.data * factor, piece.owner)


def gathered(piece: Piece, rows: Ints, n_before: int) -> list[Piece]:
    """The piece of other rows: row i of the result is row rows[i] of the piece."""
    if piece.owner is None:
        return [Piece(take(piece.element, rows), take(piece.source, rows), take(piece.data, rows))]
    order = np.argsort(piece.owner, kind="stable")
    low = np.searchsorted(piece.owner[order], rows, side="left")
    count = np.searchsorted(piece.owner[order], rows, side="right") - low
    owner = np.repeat(np.arange(rows.size), count)
    at = order[np.repeat(low, count) + np.arange(owner.size) - np.repeat(np.cumsum(count) - count, count)]
    return [Piece(take(piece.element, at), take(piece.source, at), take(piece.data, at), owner)]


def aligned(pieces: list[Piece], n: int, constant: int, one: int) -> list[Piece]:
    """Pieces with one entry a row each: several entries of a row become several pieces."""
    found = []
    for piece in pieces:
        if piece.owner is None:
            found.append(piece)
            continue
        order = np.argsort(piece.owner, kind="stable")
        owner = piece.owner[order]
        start = np.searchsorted(owner, owner, side="left")
        turn = np.arange(owner.size) - start
        for k in range(int(turn.max(initial=-1)) + 1):
            at = order[turn == k]
            element, source, data = np.full(n, constant), np.full(n, one), np.zeros(n)
            rows = piece.owner[at]
            element[rows], source[rows], data[rows] = (
                take(piece.element, at),
                take(piece.source, at),
                take(piece.data, at),
            )
            found.append(Piece(element, source, data))
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Products:
    """Sums of cross-products: entries of H with what multiplies them (places in the workspace)."""

    i: Ints
    j: Ints
    weight: Ints
    left: Ints
    right: Ints
    value: Floats


def cross_products(first: list[Piece], second: list[Piece] | None, weight: Ints | int, n: int) -> Products:
    """Sum over rows of w * predictor_1 * predictor_2, by pairs of elements.

    first, second : aligned pieces of n rows; second None means the square of the first.
    weight : place of the weight in the workspace, by row or one for all.
    """
    columns = [_column(p, n) for p in first]
    others = columns if second is None else [_column(p, n) for p in second]
    weights = _codes(weight)
    if second is None and weights[0] is None and n * len(columns) ** 2 <= SMALL:
        parts = _together(columns, weights, n)
        return Products(*(np.concatenate([getattr(p, f) for p in parts]) for f in Products.__slots__))
    parts = []
    for a, left in enumerate(columns):
        for b, right in enumerate(others):
            if second is None and b < a:
                continue
            parts.append(_pair(left, right, weights, n, square=second is None and a == b))
    return Products(*(np.concatenate([getattr(p, f) for p in parts]) for f in Products.__slots__))


def _together(columns: list[_Column], weights: tuple[Ints | None, Ints], n: int) -> list[Products]:
    """The squares' products for a few rows of one weight: columns whose entries change together at once."""
    table = np.empty((len(columns), n))
    for row, column in zip(table, columns, strict=True):
        row[:] = column.data
    plain = [k for k, c in enumerate(columns) if c.codes is None]
    groups: list[list[int]] = []
    for k, column in enumerate(columns):
        if column.codes is not None:
            own = next((g for g in groups if _same(columns[g[0]].codes, column.codes)), None)  # type: ignore[arg-type]
            if own is None:
                groups.append([k])
            else:
                own.append(k)
    parts = []
    if plain:
        a, b = np.triu_indices(len(plain)) if len(plain) > 1 else (_FIRST, _FIRST)
        rows = table[plain]
        element = np.array([columns[k].element[0] for k in plain])
        source = np.array([columns[k].source[0] for k in plain])
        value = (rows @ rows.T)[a, b]
        value = np.where((a != b) & (element[a] == element[b]), 2 * value, value)
        weight = np.full(a.size, weights[1][0])
        parts.append(Products(element[a], element[b], weight, source[a], source[b], value))
    for number, group in enumerate(groups):
        codes = columns[group[0]].codes
        assert codes is not None
        pairs = [(a, b) for k, a in enumerate(group) for b in (*group[k:], *plain)]
        left, right = (np.array(x) for x in zip(*pairs, strict=True))
        count = np.bincount(codes)
        levels = count.size
        key = codes + (np.arange(left.size) * levels)[:, None]
        sums = np.bincount(key.ravel(), (table[left] * table[right]).ravel(), levels * left.size)
        keep = count.nonzero()[0]
        sums = sums.reshape(left.size, levels)[:, keep].ravel()
        i, j, from_left, from_right = (
            np.concatenate([_at(getattr(columns[k], what), keep) for k in which])
            for what in ("element", "source")
            for which in (left, right)
        )
        sums = np.where((i == j) & (left != right).repeat(keep.size), 2 * sums, sums)
        parts.append(Products(i, j, np.full(i.size, weights[1][0]), from_left, from_right, sums))
        for other in groups[number + 1 :]:
            parts += [
                _pair(columns[min(a, b)], columns[max(a, b)], weights, n, square=False)
                for a in group
                for b in other
            ]
    return parts


def _at(values: Ints, codes: Ints) -> Ints:
    return values[codes] if values.size > 1 else values.repeat(codes.size)


@dataclass(frozen=True, eq=False, slots=True)
class _Column:
    """A piece with its distinct (element, source) pairs numbered."""

    codes: Ints | None
    element: Ints
    source: Ints
    data: Floats | float


def _codes(values: Ints | int) -> tuple[Ints | None, Ints]:
    if not isinstance(values, np.ndarray):
        return None, np.array([values], dtype=np.int64)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low == high:
        return None, np.array([low], dtype=np.int64)
    return values - low, np.arange(low, high + 1)


def _column(piece: Piece, n: int) -> _Column:
    (e, elements), (s, sources) = _codes(piece.element), _codes(piece.source)
    if e is None or s is None:
        codes = s if e is None else e
        if elements.size < sources.size:
            elements = np.full(sources.size, elements[0])
        elif sources.size < elements.size:
            sources = np.full(elements.size, sources[0])
        return _Column(codes, elements, sources, piece.data)
    unique, codes = np.unique(e * sources.size + s, return_inverse=True)
    return _Column(
        codes.reshape(-1), elements[unique // sources.size], sources[unique % sources.size], piece.data
    )


def _pair(
    left: _Column, right: _Column, weights: tuple[Ints | None, Ints], n: int, *, square: bool
) -> Products:
    w, table = weights
    if square or (left.codes is not None and right.codes is not None and _same(left.codes, right.codes)):
        right = _Column(None, right.element, right.source, right.data)
        return _paired(left, right, weights, n, square=square)
    value = _by_row(left.data * right.data, n)
    if w is not None and table.size == n:
        return _row_by_row(left, right, table[w], value)
    sizes = (left.element.size, right.element.size, table.size)
    key: Ints | int = 0
    for codes, size in zip((left.codes, right.codes, w), sizes, strict=True):
        key = key * size + (0 if codes is None else codes)
    keys, sums = _grouped(key, value, sizes[0] * sizes[1] * sizes[2])
    k = keys % sizes[2]
    b = keys // sizes[2] % sizes[1]
    a = keys // (sizes[2] * sizes[1])
    i, j = left.element[a], right.element[b]
    if not square:  # an entry off the diagonal stands once for both orders
        sums = np.where(i == j, 2 * sums, sums)
    return Products(i, j, table[k], left.source[a], right.source[b], sums)


def _row_by_row(
    left: _Column, right: _Column, weight: Ints, value: Floats, *, square: bool = False
) -> Products:
    """As `_pair`, where every row has a weight of its own: there is nothing to add up."""
    every = np.arange(value.size)
    i, j, from_left, from_right = (
        _at(getattr(side, what), every if side.codes is None else side.codes)
        for what in ("element", "source")
        for side in (left, right)
    )
    return Products(i, j, weight, from_left, from_right, value if square else np.where(i == j, 2, 1) * value)


def _by_row(value: Floats | float, n: int) -> Floats:
    return value if isinstance(value, np.ndarray) else np.full(n, value)


def _same(a: Ints, b: Ints) -> bool:
    return a is b or np.array_equal(a, b)


def _paired(
    left: _Column, right: _Column, weights: tuple[Ints | None, Ints], n: int, *, square: bool
) -> Products:
    """As `_pair`, for columns whose entries change together row by row: one key serves both."""
    w, table = weights
    value = _by_row(left.data * right.data, n)
    if w is not None and table.size == n:
        right = _Column(left.codes, right.element, right.source, right.data)
        return _row_by_row(left, right, table[w], value, square=square)
    key: Ints | int = 0 if left.codes is None else left.codes
    key = key * table.size + (0 if w is None else w)
    keys, sums = _grouped(key, value, left.element.size * table.size)
    a, k = keys // table.size, keys % table.size
    i, j = left.element[a], right.element[a]
    if not square:
        sums = np.where(i == j, 2 * sums, sums)
    return Products(i, j, table[k], left.source[a], right.source[a], sums)


def _grouped(key: Ints | int, value: Floats, size: int) -> tuple[Ints, Floats]:
    """Sums of values by key, zero sums left out."""
    if not isinstance(key, np.ndarray):
        return np.zeros(1, np.int64), np.array([value.sum()])
    if size <= max(4 * value.size, 4096):
        total = np.bincount(key, weights=value, minlength=1)
        keep = np.flatnonzero(np.bincount(key, minlength=1))
        return keep, total[keep]
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    at = np.concatenate([[0], 1 + np.flatnonzero(ordered[1:] != ordered[:-1])])
    return ordered[at], np.add.reduceat(value[order], at)


def merged(products: list[Products]) -> Products:
    """Equal entries of several lists added up."""
    arrays = [np.concatenate([getattr(p, f) for p in products]) for f in Products.__slots__]
    i, j, weight, left, right, value = arrays
    low, high = np.minimum(i, j), np.maximum(i, j)
    swap = left > right
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    listed = (low, high, weight, left, right)
    key = _one_key(listed)
    order = np.lexsort(listed[::-1]) if key is None else np.argsort(key, kind="stable")
    columns = [c[order] for c in listed]
    new = np.zeros(order.size, dtype=bool)
    new[:1] = True
    for c in columns if key is None else (key[order],):
        new[1:] |= c[1:] != c[:-1]
    at = np.flatnonzero(new)
    if at.size == order.size:
        return Products(*columns, value[order])
    total = np.add.reduceat(value[order], at) if at.size else value
    return Products(*(c[at] for c in columns), total)


def _one_key(columns: tuple[Ints, ...]) -> Ints | None:
    """Numbers that sort as the columns do, the first before all; None where they would be too large."""
    key, size = np.zeros(columns[0].size, dtype=np.int64), 1
    for c in columns:
        low, high = (int(c.min()), int(c.max())) if c.size else (0, 0)
        size *= high - low + 1
        if size > 2**62:
            return None
        if high > low:
            key = key * (high - low + 1) + (c - low)
    return key
