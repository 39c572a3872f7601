"""Plates: named index sets. Declared, never guessed from shapes; their labels are kept."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column of a statement in its text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Plate:
    """An index set.

    name : as written.
    parents : the plates it lies in; one (`plate house in county`) nests it, several say that each
        element belongs to one element of each (`plate rating in student, item`: crossed).
    levels : stated labels in order, or None: the data give them.
    ordered : elements have an order, so that `x[year-1]` means the element before within the parents.
    alias_of : for `plate p2 as point`, the plate whose elements these are.
    """

    name: str
    parents: tuple[str, ...] = ()
    levels: tuple[str | int, ...] | None = None
    ordered: bool = False
    alias_of: str | None = None
    note: str = field(default="", compare=False)
    place: Place | None = field(default=None, compare=False)
