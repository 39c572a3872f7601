"""Is a network table whole: parents that are discrete, every row once, sums of 1?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, product

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.names import label_text
from dagmodels.graph.resolve import REFUSED, Resolver
from dagmodels.graph.scope import base
from dagmodels.graph.validate import values

Levels = tuple[ex.Label, ...] | None


def check_table(
    table: st.Distribution, resolver: Resolver, values_in: str | None, constants: Mapping[str, float]
) -> st.Distribution:
    """The table with names resolved."""
    parents: list[tuple[str, st.Argument]] = []
    levels: list[tuple[str, Levels]] = []
    numbers: st.Argument | None = None
    for key, value in table.arguments:
        if key == "rows":
            if numbers is not None:
                resolver.fault("Table is given numbers twice.", "give one table of numbers", "Table")
            numbers = value
        else:
            resolved, plate = _parent(value, resolver)
            parents.append((str(len(parents)), resolved))
            levels.append((plate or "", _levels(resolver, plate)))
    size = None if values_in is None else _levels(resolver, values_in)
    holder = resolver.plates.get(base(resolver.plates, values_in)) if values_in is not None else None
    nested = holder is not None and bool(holder.parents)  # its levels recur in each parent element
    width = len(size) if size is not None and not nested else None
    if numbers is None:
        return st.Distribution("Table", tuple(parents))
    if isinstance(numbers, ex.Vector):
        if parents:
            resolver.fault(
                "A Table with parents has a row for each combination of their states.",
                'write {"yes": [...], "no": [...]}',
                "Table",
            )
        entries = _entries(numbers.items, "The row of Table", width, values_in, resolver, constants)
        return st.Distribution("Table", (*parents, ("rows", ex.Vector(entries))))
    assert isinstance(numbers, st.Rows)
    rows = _rows(numbers, levels, width, values_in, resolver, constants)
    return st.Distribution("Table", (*parents, ("rows", rows)))


def _levels(resolver: Resolver, plate: str | None) -> Levels:
    holder = resolver.plates.get(base(resolver.plates, plate)) if plate is not None else None
    return holder.levels if holder is not None else None


def _parent(value: object, resolver: Resolver) -> tuple[ex.Expression, str | None]:
    if not isinstance(value, ex.Reference):
        resolver.fault(
            "A parent of Table is not the name of a node.", "write the discrete node's name", "Table"
        )
        return REFUSED, None
    resolved = resolver.reference(value, resolver.bound)
    symbol = resolver.symbols.get(value.name)
    if symbol is not None and symbol.values_in is None:
        resolver.fault(
            f"`{value.name}` has no states, so it cannot be a parent of a Table.",
            f"write `{value.name} in plate ~ ...`",
            value.name,
        )
    resolver.refuse_vector(resolved, "A parent of Table")
    return resolved, symbol.values_in if symbol is not None else None


def _rows(
    rows: st.Rows,
    levels: list[tuple[str, Levels]],
    width: int | None,
    values_in: str | None,
    resolver: Resolver,
    constants: Mapping[str, float],
) -> st.Rows:
    found: dict[tuple[ex.Label, ...], tuple[ex.Expression, ...]] = {}
    if not rows.rows or not levels:
        message = "Table has an empty table of numbers." if levels else "Table has rows, but no parents."
        resolver.fault(
            message, 'write Table([0.2, 0.8]) or Table(parent, {"state": [0.2, 0.8], ...})', "Table"
        )
        return rows
    for row in rows.rows:
        shown = _key(row.labels)
        if len(row.labels) != len(levels):
            resolver.fault(
                f"The row {shown} of Table names {len(row.labels)} states; there are {len(levels)} parents.",
                "one state for each parent, in the order written",
                "Table",
            )
        else:
            for label, (plate, _) in zip(row.labels, levels, strict=True):
                resolver.check_level(label, plate, "Table")
        if row.labels in found:
            resolver.fault(f"The row {shown} of Table is given twice.", "give each row once", "Table")
        entries = _entries(row.entries, f"The row {shown} of Table", width, values_in, resolver, constants)
        found[row.labels] = entries
    sizes = [known for _, known in levels]
    if all(known is not None for known in sizes):
        every = product(*(known for known in sizes if known is not None))
        missing = list(islice((labels for labels in every if labels not in found), 4))
        if missing:
            shown = ", ".join(map(_key, missing[:3])) + (", ..." if len(missing) > 3 else "")
            resolver.fault(
                f"Table has no row for {shown}.", "give every combination of states a row", "Table"
            )
    return st.Rows(tuple(st.Row(labels, entries) for labels, entries in found.items()))


def _key(labels: tuple[ex.Label, ...]) -> str:
    text = ", ".join(map(label_text, labels))
    return text if len(labels) == 1 else f"({text})"


def _entries(
    entries: tuple[ex.Expression, ...],
    what: str,
    width: int | None,
    values_in: str | None,
    resolver: Resolver,
    constants: Mapping[str, float],
) -> tuple[ex.Expression, ...]:
    resolved = tuple(resolver.scalar(e, f"An entry of {what[4:]}") for e in entries)
    if width is not None and len(resolved) != width:
        resolver.fault(
            f"{what} has {len(resolved)} entries, but {values_in} has {width} levels.",
            "one entry for each level, in their order",
            "Table",
        )
        return resolved
    numbers = [values.constant(e, constants) for e in resolved]
    known = [n for n in numbers if n is not None]
    wrong = next((n for n in known if not 0 <= n <= 1), None)
    if wrong is not None:
        resolver.fault(
            f"{what} has the entry {wrong:g}, which is no probability.", "write numbers from 0 to 1", "Table"
        )
    elif len(known) == len(numbers) and abs(sum(known) - 1) > values.TOLERANCE:
        resolver.fault(
            f"{what} sums to {sum(known):.9g}, not to 1.", "entries of a row are probabilities", "Table"
        )
    return resolved
