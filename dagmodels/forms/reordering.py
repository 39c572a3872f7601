"""Another order of elimination for what a builder has made, where the plates' order fills too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.ordering import Group
from dagmodels.forms.pieces import Piece, Products, take
from dagmodels.forms.shift import Provisional
from dagmodels.numerics.fill import DEAR, Outline, less_fill
from dagmodels.numerics.memory import available

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
GIB = 2.0**30
MANY = 200_000  # elements from which memory is asked about, however little there is to do


@dataclass(frozen=True, eq=False, slots=True)
class Arranged:
    """What a builder has made, in the order that is taken; row : of each element (the constant last)."""

    fit: Provisional
    products: Products
    row: Ints
    outline: Outline
    told: str


def arrange(
    fit: Provisional, products: Products, row: Ints, found: Outline, groups: Sequence[Group]
) -> Arranged:
    """The cheaper of two orders: by plates, which everything is in, or by minimum degree.

    Raises FitError where neither fits into memory.
    """
    if found.work <= DEAR and found.n <= MANY:
        return Arranged(fit, products, row, found, "by plates, the largest first")
    before, better = found, less_fill(found)
    if better is not None:
        place, found = better
        fit, products, row = moved_fit(fit, place), moved_products(products, place), place[row]
    require_memory(found, groups, row, available())
    return Arranged(fit, products, row, found, told(found, None if better is None else before))


def moved_fit(fit: Provisional, place: Ints) -> Provisional:
    """The provisional fit with row i at place[i]."""
    shift = np.empty_like(fit.shift)
    shift[place[:-1]] = fit.shift
    child, parent, value, source = fit.edges
    responses = [replace(r, pieces=[_moved(p, place) for p in r.pieces]) for r in fit.responses]
    moves = [replace(m, rows=place[m.rows], by=int(place[m.by])) for m in fit.moves]
    return replace(
        fit, shift=shift, edges=(place[child], place[parent], value, source), responses=responses, moves=moves
    )


def moved_products(products: Products, place: Ints) -> Products:
    """Cross-products with row i at place[i]."""
    return replace(products, i=place[products.i], j=place[products.j])


def _moved(piece: Piece, place: Ints) -> Piece:
    if isinstance(piece.element, np.ndarray):
        return replace(piece, element=take(place, piece.element))
    return replace(piece, element=int(place[piece.element]))


def told(found: Outline, before: Outline | None) -> str:
    """Which order was taken and why, for a fit's diagnostics."""
    size = f"{found.n - 1:,} elements, {found.tail:,} of them in a dense remainder; {amount(found.memory)}"
    if before is None:
        return f"by plates, the largest first: {size}"
    return (
        f"by minimum degree: {size}; by plates the remainder would have {before.tail:,} and one elimination"
        f" {before.work / found.work:,.3g} times the work"
    )


def amount(size: float) -> str:
    """Bytes in words."""
    return f"{size / GIB:.3g} GiB" if size >= 0.1 * GIB else f"{size / 2**20:.3g} MiB"


def require_memory(found: Outline, groups: Sequence[Group], row: Ints, there: int | None) -> None:
    """Refuse, before anything is allocated, what does not fit.

    row : of each element its row. there : bytes that can be had, None when unknown.

    Raises FitError with what is needed, what is there, and whose elements remain.
    """
    places = int(found.degree[: found.ts].sum()) + found.tail**2 + found.n
    if places < 2**31 and (there is None or found.memory <= there):
        return
    left = _remaining(groups, row, found.ts)
    listed = ", ".join(f"{count:,} of {size:,} of '{name}'" for name, (count, size) in left.items())
    have = f"{amount(there)} are there" if there is not None else "that is more than can be numbered"
    raise FitError(
        f"integrating {found.n - 1:,} elements needs {amount(found.memory)}, and {have}: whichever are "
        f"eliminated first, {found.tail:,} meet one another in a dense remainder ({listed}); merge or leave "
        "out levels with few rows, fit parts of the data that hang together loosely one by one, drop the "
        "plate that tells least, or use a machine with more memory"
    )


def _remaining(groups: Sequence[Group], row: Ints, ts: int) -> Mapping[str, tuple[int, int]]:
    """By node how many of its elements are in the tail, and how many there are."""
    found: dict[str, tuple[int, int]] = {}
    for group in groups:
        count = int(np.count_nonzero(row[group.start : group.start + group.size] >= ts))
        name = group.name.split("#")[0]
        if count:
            before = found.get(name, (0, 0))
            found[name] = before[0] + count, before[1] + group.size
    return found
