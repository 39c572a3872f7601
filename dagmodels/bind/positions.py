"""Elements that no level column tells: numbered by the axes of arrays, or named by values."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.claims import Work
from dagmodels.bind.found import Found, numbered
from dagmodels.bind.sources import suggest
from dagmodels.data.levels import in_order
from dagmodels.graph.dag import Node
from dagmodels.graph.plate import Plate
from dagmodels.graph.statement import Constant


def said(work: Work, plate: Plate) -> bool:
    """Whether anything but level columns tells of the plate's elements."""
    name, sources = plate.name, work.sources
    given = (
        name in sources.listed or name in sources.sizes or (plate.levels is not None and not plate.parents)
    )
    return given or any(n in sources.arrays for n in _on(work, name))


def _on(work: Work, plate: str) -> list[str]:
    """Nodes on the plate or an alias of it."""
    return [n for n, node in work.dag.nodes.items() if plate in map(work.dag.base, node.plates)]


def from_positions(work: Work, plate: Plate) -> Found | None:
    """Numbered by the axes of arrays and constants, or named by the values of discrete nodes."""
    name = plate.name
    lengths = _axes(work, name)
    if plate.parents:
        told = f"which element of {' and '.join(map(repr, plate.parents))} each element of {name!r} lies in"
        if lengths or name in work.sources.listed or name in work.sources.sizes:
            hint = f"give a frame with a column {plate.parents[0]!r}"
            hint = suggest(plate.parents[0], work.sources.unused, hint)
            work.fail(name, f"the data do not say {told}", hint)
            return None
    elif lengths:
        return numbered(lengths[0])
    else:
        labels = _values(work, name)
        if labels:
            return Found(in_order(labels), np.arange(len(labels)), {})
    if not used(work, plate):
        return Found([], np.zeros(0, dtype=np.int64), {p: np.zeros(0, dtype=np.int64) for p in plate.parents})
    names = [n for sheet in work.sources.sheets for n in sheet.table.names if n not in work.dag.nodes]
    for sheet, row in zip(work.sources.sheets, work.rows, strict=True):
        if row.plate is not None and name in work.dag.lies_in(row.plate):
            told = f"{sheet.table.source} needs a column {name!r}: each row is an element of {row.plate!r}, "
            columns = f"the columns are {', '.join(sheet.table.names)}"
            work.fail(name, f"{told}which lies in it", suggest(name, names, columns))
            return None
    hint = f'give its level column {name!r}, or sizes={{"{name}": 10}} to simulate'
    work.fail(name, f"nothing says what the elements of plate {name!r} are", suggest(name, names, hint))
    return None


def _axes(work: Work, plate: str) -> list[int]:
    found = []
    for name, node in work.dag.nodes.items():
        shape = work.sources.arrays[name].shape if name in work.sources.arrays else constant_shape(node)
        if shape is not None and len(shape) == len(node.plates):
            found += [n for p, n in zip(node.plates, shape, strict=True) if work.dag.base(p) == plate]
    return found


def constant_shape(node: Node) -> tuple[int, ...] | None:
    """Shape of a constant's literal, None for other nodes."""
    statement = node.statements[0]
    if not isinstance(statement, Constant):
        return None
    shape: list[int] = []
    value = statement.value
    while isinstance(value, tuple):
        shape.append(len(value))
        value = value[0] if value else 0
    return tuple(shape)


def _values(work: Work, plate: str) -> set[object]:
    found: set[object] = set()
    for name, node in work.dag.nodes.items():
        if node.values_in is not None and work.dag.base(node.values_in) == plate:
            if name in work.sources.arrays:
                found.update(work.sources.arrays[name].column.factor().labels)
            for sheet in work.sources.sheets:
                if name in sheet.table:
                    found.update(sheet.table.column(name).factor().labels)
    return found


def used(work: Work, plate: Plate) -> bool:
    """Whether a node, a nested plate or a discrete node's values need the plate."""
    names = {plate.name, *(p.name for p in work.dag.plates if p.alias_of == plate.name)}
    return any(names & {*node.plates, node.values_in} for node in work.dag.nodes.values()) or any(
        names & set(p.parents) for p in work.dag.plates
    )
