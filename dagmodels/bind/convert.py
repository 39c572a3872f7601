"""One column as a node's values: numbers, or codes of the plate that its values lie in."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.checks import Where
from dagmodels.bind.claims import Work, others
from dagmodels.bind.problem import Values
from dagmodels.bind.sources import suggest
from dagmodels.data.column import Column, NotNumbers
from dagmodels.data.levels import canonical, spellings
from dagmodels.graph.dag import Node


def axes(node: Node) -> str:
    return f"[{', '.join(node.plates)}]" if node.plates else ""


def sizes_of(work: Work, node: Node) -> tuple[int, ...]:
    return tuple(work.plates[p].size for p in node.plates)


def shape_text(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) if sizes else "a single number"


def expected(work: Work, node: Node) -> str:
    told = " x ".join(f"{work.plates[p].size} ({p})" for p in node.plates)
    return told or "a single number"


def numbers(work: Work, node: Node, column: Column, where: Where) -> Values | None:
    """A column as the node's values: numbers, or codes of the plate that its values lie in."""
    if node.values_in is not None:
        return _codes(work, node, column, where)
    try:
        values = column.floats()
        if column.numbers is None and column.labels:
            told = f"The numbers of {column.name!r} are written as text in {where.source}."
            work.notes.setdefault(told)
        return values
    except NotNumbers as bad:
        work.complain(
            f"{where.source}: {bad.value!r} {where(bad.row)} of {node.name!r} is not a number",
            node.name,
            f"correct it; for labels write `{node.name}{axes(node)} in PLATE`, the plate of its values",
        )
        return None


def _codes(work: Work, node: Node, column: Column, where: Where) -> Values | None:
    plate = work.plates[str(node.values_in)]
    factor = column.factor()
    place: dict[object, int] = {}
    for i, label in enumerate(plate.levels):
        place.setdefault(canonical(label), i)
    places = (next((place[s] for s in spellings(x) if s in place), -1) for x in factor.labels)
    table = np.array([*places, np.nan])
    values = table[factor.codes]
    strange = np.flatnonzero(values < 0)
    if strange.size:
        label = factor.labels[factor.codes[strange[0]]]
        work.complain(
            f"{where.source}: {label!r} {where(int(strange[0]))} of {node.name!r}"
            f"{others(int(np.count_nonzero(table < 0)))} is no level of plate {plate.name!r}",
            node.name,
            suggest(
                str(label), map(str, plate.levels), f"the levels are {', '.join(map(str, plate.levels[:6]))}"
            ),
        )
        return None
    return values
