"""What the data say about the elements of one plate: level columns, rows, arrays, values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import BoundPlate, Codes, Problem
from dagmodels.bind.rowplate import RowPlate, Wide
from dagmodels.bind.sources import Sources
from dagmodels.data.frames import Table
from dagmodels.data.levels import Factor, canonical, in_order
from dagmodels.errors import ModelError
from dagmodels.graph.dag import Dag, Place


@dataclass(slots=True, eq=False)
class Work:
    """The state of one binding while it goes on; nothing outside `bind` sees it.

    rows : for each sheet what its rows are; wide : its nodes spread over columns.
    codes : for each sheet, by plate or alias, the element of each row.
    plates : bound so far. failed : plates whose elements could not be determined (already told).
    by_column : base plates whose levels come from columns alone, so that positions mean nothing.
    old : the problem whose levels are kept. silent : sheets and plates already complained of.
    notes : what is no error, but worth a sentence; each once.
    cells : for observed nodes given by the rows of a table in another order than their elements', the
        flat place of each row's element.
    """

    dag: Dag
    sources: Sources
    old: Problem | None
    errors: list[ModelError]
    rows: list[RowPlate] = field(default_factory=list)
    wide: list[dict[str, Wide]] = field(default_factory=list)
    codes: list[dict[str, Codes]] = field(default_factory=list)
    plates: dict[str, BoundPlate] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    by_column: set[str] = field(default_factory=set)
    new: dict[str, Codes] = field(default_factory=dict)
    silent: set[tuple[int, str]] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)
    cells: dict[str, Codes] = field(default_factory=dict)

    def complain(self, message: str, name: str, hint: str | None = None, place: Place | None = None) -> None:
        """Collect a problem; the place is that of the node's or plate's statement unless given."""
        if place is not None:
            pass
        elif name in self.dag.plate:
            place = self.dag.plate[name].place
        elif name in self.dag.nodes:
            place = getattr(self.dag.nodes[name].statements[0], "place", None)
        line, column = (place.line, place.column) if place else (None, None)
        self.errors.append(
            ModelError(
                message, node=name, line=line, column=column, hint=hint or None, source=self.dag.source
            )
        )

    def told(self, sheet: int) -> str:
        """What messages call the sheet."""
        return self.sources.sheets[sheet].table.source

    def fail(self, plate: str, message: str, hint: str | None = None) -> None:
        """Collect a problem that leaves the plate without elements."""
        self.failed.add(plate)
        self.complain(message, plate, hint)


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """One sheet's word about a plate.

    name : the plate or alias that the column is named by.
    factor : its level column; None where the rows themselves are the elements.
    rows : each row is one element.
    """

    sheet: int
    name: str
    factor: Factor | None
    rows: bool

    def size(self, work: Work) -> int:
        """Number of rows."""
        return work.sources.sheets[self.sheet].table.n


def claims(work: Work, plate: str) -> list[Claim]:
    """Level columns of the plate and its aliases, and frames whose rows are its elements."""
    names = [plate, *(p.name for p in work.dag.plates if p.alias_of == plate)]
    found: list[Claim] = []
    for i, sheet in enumerate(work.sources.sheets):
        row_name = work.rows[i].plate
        if row_name is not None and work.dag.base(row_name) != plate:
            row_name = None
        for name in names:
            if name in sheet.table:
                factor = _factor(work, sheet.table, name)
                if factor is not None:
                    found.append(Claim(i, name, factor, sheet.plate == plate and name == plate))
        if row_name is not None and row_name not in sheet.table:
            found.append(Claim(i, row_name, None, True))
    return found


def _factor(work: Work, table: Table, name: str) -> Factor | None:
    try:
        factor = table.column(name).factor()
    except ModelError as error:
        work.errors.append(error)
        work.failed.add(work.dag.base(name))
        return None
    row = factor.first_missing
    if row is None:
        return factor
    lost = int(np.count_nonzero(factor.codes < 0))
    work.fail(
        work.dag.base(name),
        f"{table.source}: the level of {name!r} is missing in row {row + 1}{others(lost)}",
        "every row needs its levels; drop the row or name the level",
    )
    return None


def vocabulary(work: Work, found: list[Claim], fixed: list[object] | None) -> tuple[list[object], bool]:
    """Labels in the order that elements take, and whether that order is a stated or declared one.

    Parameters
    ----------
    fixed : labels that the model or the user states, in order.
    """
    if fixed is not None:
        return fixed, True
    factors = [c.factor for c in found if c.factor is not None]
    if len(factors) == 1:
        return list(factors[0].labels), factors[0].ordered
    ranked: dict[object, None] = {}
    for claim in found:
        if claim.factor is not None and claim.factor.ranked:
            categories = work.sources.sheets[claim.sheet].table.column(claim.name).labels
            ranked.update(dict.fromkeys(map(canonical, categories)))
    present = {x for f in factors for x in f.labels}
    first = [x for x in ranked if x in present]
    rest = in_order(x for x in present if x not in ranked)
    return first + rest, not rest and any(f.ordered for f in factors)


def combine(columns: list[NDArray[np.int64]], sizes: list[int]) -> NDArray[np.int64]:
    """Several code columns -> one integer a row that sorts as the columns do, first column first.

    Codes beyond 64 bits are first made dense over the rows at hand.
    """
    key = np.zeros(len(columns[0]), dtype=np.int64)
    span = 1
    for codes, size in zip(columns, sizes, strict=True):
        if span * max(size, 1) >= 2**62:
            _, key = np.unique(key, return_inverse=True)
            span = int(key.max(initial=0)) + 1
        key = key * max(size, 1) + codes
        span *= max(size, 1)
    return key


def others(count: int) -> str:
    """ " and 3 others" after a first example."""
    return "" if count <= 1 else f" and {count - 1} other{'s' if count > 2 else ''}"
