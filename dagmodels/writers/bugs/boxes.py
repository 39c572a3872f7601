"""Which elements each statement of a node gives: where statements overlap, BUGS must say each element once.

A statement's elements are a box: along each axis all places, one, or the first few.  From it are taken the
boxes of the statements that hold before it (those that name more levels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagmodels.graph import statement as st
from dagmodels.graph.validate.overlaps import named_levels, pattern
from dagmodels.writers.bugs.names import Names, Unwritable

END = 0  # stands for the last place of an axis whose size only data tell


@dataclass(frozen=True, slots=True)
class Run:
    """Places from first to last along one axis, counted from 1; last END for all that there are."""

    first: int
    last: int

    @property
    def single(self) -> bool:
        return self.first == self.last

    def holds(self, other: Run) -> bool:
        """Whether all of the other lies in it."""
        return self.first <= other.first and (self.last == END or 0 < other.last <= self.last)

    def meets(self, other: Run) -> bool:
        """Whether they share a place."""
        a, b = self.last or 10**12, other.last or 10**12
        return self.first <= b and other.first <= a

    def without(self, other: Run) -> list[Run]:
        """What is left, in order."""
        found: list[Run] = []
        if other.first > self.first:
            found.append(Run(self.first, other.first - 1))
        if other.last != END and (self.last == END or other.last < self.last):
            found.append(Run(other.last + 1, self.last))
        return found


Box = tuple[Run, ...]


def boxes(names: Names, statements: Sequence[st.Statement]) -> list[tuple[st.Statement, list[Box]]]:
    """Each statement of one node with the boxes it gives, those that name more levels first."""
    ordered = sorted(statements, key=lambda s: -named_levels(pattern(s)))
    taken: list[Box] = []
    found: list[tuple[st.Statement, list[Box]]] = []
    for statement in ordered:
        own = tuple(_run(names, slot) for slot in pattern(statement))
        left = [own]
        for other in taken:
            left = [piece for box in left for piece in _without(box, other)]
        taken.append(own)
        found.append((statement, left))
    return found


def _run(names: Names, slot: st.Slot) -> Run:
    assert slot.plate is not None
    if slot.label is not None:
        place = names.place(slot.plate, slot.label)
        return Run(place, place)
    if slot.first:
        if names.plates[slot.plate].parents:
            raise Unwritable(f"the first of '{slot.plate}' within another plate", "write rows of a matrix")
        return Run(1, slot.first)
    bound = names.bounds[slot.plate]
    return Run(1, int(bound) if bound.isdigit() else END)


def _without(box: Box, other: Box) -> list[Box]:
    """The box less another: along one axis where the other holds it along all the rest."""
    if not all(a.meets(b) for a, b in zip(box, other, strict=True)):
        return [box]
    cut = [k for k, (a, b) in enumerate(zip(box, other, strict=True)) if not b.holds(a)]
    if not cut:
        return []
    found: list[Box] = []
    rest = list(box)
    for k in cut:
        found += [(*rest[:k], run, *rest[k + 1 :]) for run in rest[k].without(other[k])]
        inner = max(rest[k].first, other[k].first)
        ends = [e for e in (rest[k].last, other[k].last) if e != END]
        rest[k] = Run(inner, min(ends) if ends else END)
    return found


__all__ = ["END", "Box", "Run", "boxes"]
