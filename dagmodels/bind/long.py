"""Node values from a long column: each row's value goes to the cell of its levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.checks import Where, check_values
from dagmodels.bind.claims import Work, combine, others
from dagmodels.bind.convert import expected, numbers, sizes_of
from dagmodels.bind.problem import Codes, Values
from dagmodels.bind.sources import suggest
from dagmodels.data.column import Column
from dagmodels.data.distinct import count_distinct
from dagmodels.data.frames import Table
from dagmodels.graph.dag import Node

CELLS = 2**28  # of one node: 2 GB of numbers


def row_codes(work: Work, node: Node, sheet: int, plates: tuple[str, ...]) -> list[Codes] | None:
    known, table = work.codes[sheet], work.sources.sheets[sheet].table
    if any((sheet, p) in work.silent for p in plates):
        return None
    if work.rows[sheet].because is not None and work.rows[sheet].needs in plates:
        return None
    lacking = [p for p in plates if p not in known]
    if lacking:
        work.complain(
            f"{table.source} holds {node.name!r} but no level column {lacking[0]!r}",
            node.name,
            suggest(lacking[0], (n for n in table.names if n not in work.dag.nodes), "every plate needs one"),
        )
        return None
    return [known[p] for p in plates]


def from_long(work: Work, node: Node, sheet: int) -> Values | None:
    table = work.sources.sheets[sheet].table
    column = table.column(node.name)
    where = Where(table.source)
    values = numbers(work, node, column, where)
    codes = row_codes(work, node, sheet, node.plates)
    if values is None or codes is None or not check_values(work, node, values, where):
        return None
    sizes = sizes_of(work, node)
    if len(codes) == 1 and len(values) == sizes[0] and np.array_equal(codes[0], np.arange(len(values))):
        return values
    if int(np.prod(sizes, dtype=object)) > CELLS:
        work.complain(
            f"{node.name!r} would have {expected(work, node)} cells",
            node.name,
            f"declare a plate for the rows: `plate row in {', '.join(node.plates)}`",
        )
        return None
    cells = combine(codes, list(sizes)) if codes else np.zeros(len(values), dtype=np.int64)
    flat = np.full(int(np.prod(sizes)), np.nan)
    given = ~np.isnan(values)
    flat[cells[given]] = values[given]
    if not constant_within(work, node, table, column, values, cells, flat):
        return None
    if not _one_row_a_cell(work, node, sheet, cells):
        return None
    if node.observed and node.plates:
        work.cells[node.name] = cells
    return flat.reshape(sizes)


def constant_within(
    work: Work,
    node: Node,
    table: Table,
    column: Column,
    values: Values,
    cells: Codes,
    flat: NDArray[np.float64],
) -> bool:
    """A column of an outer plate must not vary within an outer element."""
    differs = np.flatnonzero(flat[cells] != values)
    differs = differs[~np.isnan(values[differs])]
    if not differs.size:
        return True
    row = int(differs[0])
    same = np.flatnonzero((cells == cells[row]) & ~np.isnan(values) & (values != values[row]))
    other = int(same[0])
    element = _element(work, node, int(cells[row]))
    first, second = sorted((row, other))
    if node.plates:
        inside = ", ".join(node.plates)
        hint = f"if each row has its own value, declare a plate for the rows: `plate row in {inside}`"
    else:
        hint = "put it on a plate"
    count = count_distinct(cells[differs])
    work.complain(
        f"{table.source}: {node.name!r} is not constant within {element}{others(count)}: "
        f"{column.value(first)!r} in row {first + 1}, {column.value(second)!r} in row {second + 1}",
        node.name,
        hint,
    )
    return False


def _one_row_a_cell(work: Work, node: Node, sheet: int, cells: Codes) -> bool:
    """Where rows are cells of crossed plates, two rows of one cell are two measurements, not one."""
    innermost = work.rows[sheet].innermost
    if not node.observed or len(innermost) < 2 or not set(innermost) <= set(node.plates):
        return True
    _, first, counts = np.unique(cells, return_index=True, return_counts=True)
    twice = np.flatnonzero(counts > 1)
    if not twice.size:
        return True
    row = int(first[twice].min())
    again = int(np.flatnonzero(cells == cells[row])[1])
    work.complain(
        f"{work.told(sheet)}: rows {row + 1} and {again + 1} both give {node.name!r} of "
        f"{_element(work, node, int(cells[row]))}{others(len(twice))}",
        node.name,
        f"declare a plate for the rows: `plate row in {', '.join(node.plates)}`",
    )
    return False


def _element(work: Work, node: Node, cell: int) -> str:
    if not node.plates:
        return "the data"
    places = np.unravel_index(cell, sizes_of(work, node))
    levels = (work.plates[p].levels[int(i)] for p, i in zip(node.plates, places, strict=True))
    return ", ".join(f"{p} {x!r}" for p, x in zip(node.plates, levels, strict=True))
