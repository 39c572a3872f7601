"""Node values: from long columns, wide columns, arrays by position, and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagmodels.bind.checks import Where, check_values
from dagmodels.bind.claims import Work
from dagmodels.bind.convert import axes, expected, numbers, shape_text, sizes_of
from dagmodels.bind.long import from_long
from dagmodels.bind.positions import constant_shape
from dagmodels.bind.problem import Values
from dagmodels.bind.rowplate import takes_data
from dagmodels.bind.sources import Positional
from dagmodels.bind.wide import from_wide
from dagmodels.errors import ModelError
from dagmodels.graph.dag import Node


def fill(work: Work) -> dict[str, Values]:
    """Values by node for every node that data are given for, and constants."""
    values: dict[str, Values] = {}
    for name, node in work.dag.nodes.items():
        if any(work.dag.base(p) in work.failed for p in node.plates):
            _look(work, node)
            continue
        if node.values_in is not None and work.dag.base(node.values_in) in work.failed:
            continue
        try:
            found = _constant(work, node) if node.kind == "constant" else _given(work, node)
        except ModelError as error:
            work.errors.append(error)
            continue
        if found is not None:
            values[name] = found
    return values


def _look(work: Work, node: Node) -> None:
    """Check the entries of a column although its plates are not known."""
    for sheet in work.sources.sheets:
        if node.name in sheet.table and not takes_data(node):
            _not_data(work, node)
        elif node.name in sheet.table and node.values_in is None:
            where = Where(sheet.table.source)
            values = numbers(work, node, sheet.table.column(node.name), where)
            if values is not None:
                check_values(work, node, values, where)


def _constant(work: Work, node: Node) -> Values | None:
    shape = constant_shape(node)
    sizes = sizes_of(work, node)
    value = np.asarray(node.statements[0].value, dtype=np.float64)  # type: ignore[union-attr]
    if shape != sizes:
        work.complain(
            f"constant {node.name!r} is written with shape {shape_text(value.shape)}, its plates need "
            f"{expected(work, node)}",
            node.name,
        )
        return None
    return value


def _given(work: Work, node: Node) -> Values | None:
    """The node's values from wherever they are; more than one place is an error."""
    sheets = [i for i, s in enumerate(work.sources.sheets) if node.name in s.table]
    wide = [i for i, w in enumerate(work.wide) if node.name in w]
    array = work.sources.arrays.get(node.name)
    if not (sheets or wide or array is not None):
        return None
    if not takes_data(node):
        _not_data(work, node)
        return None
    if len(sheets) + len(wide) + (array is not None) > 1:
        work.complain(
            f"values of {node.name!r} are given in more than one place", node.name, "give them once"
        )
        return None
    if array is not None:
        return _by_position(work, node, array)
    if wide:
        return from_wide(work, node, wide[0], work.wide[wide[0]][node.name])
    return from_long(work, node, sheets[0])


def _not_data(work: Work, node: Node) -> None:
    if node.kind == "stochastic":
        message = f"data are given for {node.name!r}, which is not marked observed"
        hint = f"write `observed {node.name}{axes(node)} ~ ...`, or rename the column"
    else:
        message = f"data are given for {node.name!r}, which is a {node.kind} of the model"
        hint = "rename the column or the node"
    work.complain(message, node.name, hint)


def _by_position(work: Work, node: Node, given: Positional) -> Values | None:
    if given.shape != sizes_of(work, node):
        work.complain(
            f"{node.name!r} is given with shape {shape_text(given.shape)}, its plates need "
            f"{expected(work, node)}",
            node.name,
        )
        return None
    for plate in node.plates:
        base = work.dag.base(plate)
        if base in work.by_column and not _numbered(work.plates[base].levels):
            work.complain(
                f"{node.name!r} is given by position, but the levels of {base!r} come from a column "
                "and have none",
                node.name,
                f"give a frame of {base!r} with its level column, or its levels as a list",
            )
            return None
    where = Where("the data", given.shape)
    values = numbers(work, node, given.column, where)
    if values is None or not check_values(work, node, values, where):
        return None
    return values.reshape(given.shape)


def _numbered(levels: tuple[Any, ...]) -> bool:
    """Consecutive whole numbers: their order is the positions that arrays mean."""
    return all(isinstance(x, int) for x in levels) and levels == tuple(
        range(levels[0], levels[0] + len(levels))
    )
