"""Node values from columns named by levels: in the frame of plate a, one column per level of b."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.checks import Where, check_values
from dagmodels.bind.claims import Work, combine, others
from dagmodels.bind.convert import numbers, sizes_of
from dagmodels.bind.long import constant_within, row_codes
from dagmodels.bind.problem import Values
from dagmodels.bind.rowplate import Wide
from dagmodels.bind.sources import suggest
from dagmodels.data.frames import Table
from dagmodels.data.levels import canonical
from dagmodels.graph.dag import Node


def from_wide(work: Work, node: Node, sheet: int, wide: Wide) -> Values | None:
    """One column per level of `wide.plate`, in the frame of the node's other plates."""
    table = work.sources.sheets[sheet].table
    plate = work.plates[wide.plate]
    if not _all_columns(work, node, table, wide):
        return None
    axis = node.plates.index(wide.plate)
    rest = node.plates[:axis] + node.plates[axis + 1 :]
    codes = row_codes(work, node, sheet, rest)
    if codes is None:
        return None
    sizes = sizes_of(work, node)
    outer = tuple(n for i, n in enumerate(sizes) if i != axis)
    cells = combine(codes, list(outer)) if codes else np.zeros(table.n, dtype=np.int64)
    result = np.full((plate.size, int(np.prod(outer))), np.nan)
    for i, level in enumerate(plate.levels):
        column = table.column(wide.columns[canonical(level)])
        where = Where(f"{table.source}, column {column.name!r}")
        values = numbers(work, node, column, where)
        if values is None or not check_values(work, node, values, where):
            return None
        given = ~np.isnan(values)
        result[i, cells[given]] = values[given]
        if not constant_within(work, _without(node, rest), table, column, values, cells, result[i]):
            return None
    return np.ascontiguousarray(np.moveaxis(result.reshape(plate.size, *outer), 0, axis))


def _without(node: Node, plates: tuple[str, ...]) -> Node:
    return Node(node.name, node.kind, plates, node.observed, node.values_in, node.statements)


def _all_columns(work: Work, node: Node, table: Table, wide: Wide) -> bool:
    levels = [canonical(x) for x in work.plates[wide.plate].levels]
    lacking = [x for x in levels if x not in wide.columns]
    if len(set(levels)) < len(levels):
        work.complain(
            f"columns named by levels of {wide.plate!r} are ambiguous: these repeat across its parents",
            node.name,
            f"give {node.name!r} as one long column",
        )
        return False
    if lacking:
        free = [n for n in table.names if n not in work.dag.nodes and n not in wide.columns.values()]
        work.complain(
            f"{table.source}: {node.name!r} has columns for levels of {wide.plate!r}, but none for "
            f"{lacking[0]!r}{others(len(lacking))}",
            node.name,
            suggest(str(lacking[0]), free, "add a column of missing values if it was not measured"),
        )
        return False
    return True
