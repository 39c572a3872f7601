"""Sort out what the user gave: tables, arrays by node name, sizes and levels of plates."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagmodels.bind.rowplate import row_plate, stated_levels, wide_nodes
from dagmodels.data import files, frames
from dagmodels.data.column import Column, column
from dagmodels.data.frames import Table
from dagmodels.data.levels import canonical
from dagmodels.errors import ModelError
from dagmodels.graph.dag import Dag


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A table; `plate` is what its rows are where the user said so (one frame per plate)."""

    table: Table
    plate: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Positional:
    """A node's values by position: one axis a plate, flattened in C order."""

    column: Column
    shape: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Sources:
    """All data of one binding.

    listed : levels given for a plate, canonical, in the order given.
    sizes : number of elements given for a plate; `per_parent` the numbers in each parent element.
    spread : plates whose elements may be spread over their parents (sizes given for simulation).
    unread : some of the data could not be read, so that what they lack is not known.
    """

    sheets: list[Sheet] = field(default_factory=list)
    arrays: dict[str, Positional] = field(default_factory=dict)
    listed: dict[str, list[object]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    per_parent: dict[str, list[int]] = field(default_factory=dict)
    spread: set[str] = field(default_factory=set)
    unused: list[str] = field(default_factory=list)
    unread: bool = False
    errors: list[ModelError] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """No data were given, sizes apart."""
        return not (self.sheets or self.arrays or self.unused)


def suggest(name: str, known: Iterable[str], else_: str = "") -> str:
    """A hint: the known name nearest to a misspelt one, never that one itself."""
    near = difflib.get_close_matches(name, [n for n in known if n != name], 1)
    return f"did you mean {near[0]!r}?" if near else else_


def read_sources(dag: Dag, data: Any, sizes: Mapping[str, Any] | None) -> Sources:
    """Classify what was given; faults are collected in `errors`."""
    sources = Sources()
    try:
        _read(dag, data, sources)
    except ModelError as error:
        sources.errors.append(error)
    sources.unread = bool(sources.errors)
    for plate, size in (sizes or {}).items():
        _read_size(dag, plate, size, sources)
    return sources


def _read(dag: Dag, data: Any, sources: Sources) -> None:
    if data is None:
        return
    if files.is_file_name(data) or isinstance(data, str):
        data = files.read(data)
    if isinstance(data, Mapping):
        _read_dict(dag, data, sources)
    else:
        sources.sheets.append(Sheet(frames.table(data)))


def _read_dict(dag: Dag, data: Mapping[Any, Any], sources: Sources) -> None:
    listed: dict[str, Column] = {}
    for key, value in data.items():
        name = str(key)
        try:
            if _is_table(value, name in dag.plate):
                _tagged(dag, name, value, sources)
            elif name in dag.plate:
                _plate_entry(dag, name, value, listed, sources)
            else:
                sources.arrays[name] = positional(name, value)
        except ModelError as error:
            sources.errors.append(error)
    _tables_among_columns(dag, listed, sources)
    for name, entry in listed.items():
        sources.listed[dag.base(name)] = [canonical(entry.value(i)) for i in range(len(entry))]
    for name in [n for n in sources.arrays if n not in dag.nodes]:
        del sources.arrays[name]
        sources.unused.append(name)


def _is_table(value: Any, plate: bool) -> bool:
    return (
        isinstance(value, Mapping | Table) or frames.is_frame(value) or (plate and files.is_file_name(value))
    )


def _tagged(dag: Dag, name: str, value: Any, sources: Sources) -> None:
    if name not in dag.plate:
        hint = suggest(
            name, dag.plate, "one frame per plate: name each by the plate whose elements are its rows"
        )
        raise ModelError(
            f"there is a frame under {name!r}, which is no plate of the model", node=name, hint=hint
        )
    source = f"the frame of {name!r}"
    found = files.read(value) if files.is_file_name(value) else value
    sources.sheets.append(Sheet(frames.table(found, source).named(source), dag.base(name)))


def _plate_entry(dag: Dag, name: str, value: Any, listed: dict[str, Column], sources: Sources) -> None:
    """A size, or a list: levels, or the level column of other entries."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        sources.sizes[dag.base(name)] = int(value)
        return
    entry = positional(name, value)
    if len(entry.shape) != 1:
        raise ModelError(
            f"plate {name!r} is given by {value!r:.60}",
            node=name,
            hint="give its size, its levels or a frame",
        )
    listed[name] = entry.column


def positional(name: str, value: Any) -> Positional:
    """A scalar, nested list or array of any number of axes -> Positional."""
    if frames.is_series(value):
        flat = frames.series(name, value)
        return Positional(flat, (len(flat),))
    if isinstance(value, range) or (isinstance(value, list | tuple) and not any(map(_nested, value))):
        flat = column(name, value)
        return Positional(flat, (len(flat),))
    if isinstance(value, np.ndarray):
        array: np.ndarray = value
    else:
        array = np.empty((), dtype=object)
        array[()] = value
        if _nested(value):
            array = _nested_array(name, value)
    return Positional(column(name, array.reshape(-1)), array.shape)


def _nested(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _nested_array(name: str, value: Any) -> np.ndarray:
    told = f"the rows given for {name!r} differ in length"
    try:
        array = np.array(value, dtype=object)
    except ValueError:
        raise ModelError(told, node=name, hint="fill short rows with None") from None
    if any(map(_nested, array.reshape(-1))):
        raise ModelError(told, node=name, hint="fill short rows with None")
    return array


def _tables_among_columns(dag: Dag, listed: dict[str, Column], sources: Sources) -> None:
    """Level columns in a dict make tables of the entries of their length; other lists are levels.

    A plate's list is a level column when a label repeats, or when all entries have its length and
    read as the columns of one frame; so do columns named by the levels of a plate.
    """
    flat = {n: a.column for n, a in sources.arrays.items() if len(a.shape) == 1}
    matrices = any(len(a.shape) > 1 for a in sources.arrays.values())
    lengths = {len(c) for c in (*listed.values(), *flat.values())}
    if len(lengths) == 1 and not matrices and not sources.sheets:
        names = (*listed, *flat)
        wide, _ = wide_nodes(dag, names, stated_levels(dag))
        if (listed or wide) and row_plate(dag, names, wide=wide).because is None:
            _make_table(listed, list(names), lengths.pop(), sources)
            return
    repeated = {n for n, c in listed.items() if _repeats(c)}
    for length in sorted({len(listed[n]) for n in repeated}):
        names = [n for n, c in (*listed.items(), *flat.items()) if len(c) == length]
        _make_table(listed, names, length, sources)


def _make_table(listed: dict[str, Column], names: list[str], length: int, sources: Sources) -> None:
    columns = {n: listed.pop(n) if n in listed else sources.arrays.pop(n).column for n in names}
    sources.sheets.append(Sheet(Table(tuple(columns), length, columns.__getitem__)))


def _repeats(entry: Column) -> bool:
    return len(entry.factor().labels) < len(entry)


def _read_size(dag: Dag, plate: str, size: Any, sources: Sources) -> None:
    if plate not in dag.plate:
        sources.errors.append(
            ModelError(
                f"sizes: {plate!r} is no plate of the model", node=plate, hint=suggest(plate, dag.plate)
            )
        )
        return
    base = dag.base(plate)
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if whole and size >= 0:
        sources.sizes[base] = int(size)
    elif isinstance(size, list | tuple | np.ndarray | range) and dag.plate[base].parents:
        sources.per_parent[base] = [int(n) for n in size]
        sources.sizes[base] = sum(sources.per_parent[base])
    elif isinstance(size, list | tuple | np.ndarray | range):
        sources.listed[base] = [canonical(x) for x in size]
    else:
        sources.errors.append(
            ModelError(
                f"sizes: {size!r} is no size for plate {plate!r}", node=plate, hint="give a whole number"
            )
        )
        return
    sources.spread.add(base)
