"""Tables of probabilities as arrays, under any names -> Dag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.bif import plate_names
from dagmodels.graph.build import build
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate

Floats = NDArray[np.float64]
EXACT = 1e-12  # of a row's sum, below which it is one but for rounding
REFUSED = 1e-3  # of a row's sum


@dataclass(frozen=True, slots=True, eq=False)
class ArrayTable:
    """One node: labels of its states, its parents, probabilities: an axis for each parent, its own last."""

    states: tuple[ex.Label, ...]
    parents: tuple[str, ...]
    numbers: Floats


def network_of(name: str, nodes: Mapping[str, ArrayTable], source: str | None = None) -> Dag:
    """The network of these tables; rows are divided by their sums.

    Raises
    ------
    ModelErrors : shapes that do not fit the states, numbers that are no probabilities, and all that the
        language itself refuses (names, unknown parents, loops).
    """
    faults: list[ModelError] = []
    texts = plate_names({n: tuple(map(str, t.states)) for n, t in nodes.items()})
    plates: dict[str, Plate] = {}
    statements: list[st.Statement] = []
    for node, table in nodes.items():
        plate = texts[tuple(map(str, table.states))]
        known = plates.setdefault(plate, Plate(plate, levels=table.states))
        if known.levels != table.states:  # the same words, once as text and once as numbers
            plate = f"{node}_states"
            plates[plate] = Plate(plate, levels=table.states)
        missing = [p for p in table.parents if p not in nodes]
        if missing:
            faults.append(ModelError(f"'{missing[0]}', a parent of '{node}', has no table", node=node))
            continue
        shape = tuple(len(nodes[p].states) for p in table.parents) + (len(table.states),)
        fault = _wrong(node, table.numbers, shape)
        if fault is not None:
            faults.append(fault)
            continue
        total = table.numbers.sum(axis=-1, keepdims=True)
        numbers = np.where(np.abs(total - 1) <= EXACT, table.numbers, table.numbers / total)
        law = _law(table.parents, [nodes[p].states for p in table.parents], numbers)
        statements.append(st.Stochastic(st.Head(node), law, False, plate))
    raise_all(faults, source or f"network '{name}'")
    return build(name, plates.values(), statements, source=source)


def _wrong(node: str, numbers: Floats, shape: tuple[int, ...]) -> ModelError | None:
    """What keeps an array from being a table."""
    if numbers.shape != shape:
        told = f"the table of '{node}' has the shape {numbers.shape}, its states need {shape}"
        return ModelError(told, node=node, hint="an axis for each parent, then its own states")
    if not np.isfinite(numbers).all() or (numbers < 0).any():
        return ModelError(f"the table of '{node}' holds what is no probability", node=node)
    off = np.abs(numbers.sum(axis=-1) - 1)
    if (off > REFUSED).any():
        at = tuple(map(int, np.unravel_index(int(np.argmax(off)), off.shape))) if off.ndim else ()
        told = f"a row of the table of '{node}' sums to {numbers.sum(axis=-1)[at]:.9g}, not to 1"
        return ModelError(told, node=node, hint="divide the row by its sum")
    return None


def _law(parents: Sequence[str], states: Sequence[tuple[ex.Label, ...]], numbers: Floats) -> st.Distribution:
    rows = [tuple(map(ex.Number, row)) for row in numbers.reshape(-1, numbers.shape[-1]).tolist()]
    if not parents:
        return st.Distribution("Table", (("rows", ex.Vector(rows[0])),))
    stated = tuple(st.Row(labels, row) for labels, row in zip(product(*states), rows, strict=True))
    references = tuple((str(k), ex.Reference(p)) for k, p in enumerate(parents))
    return st.Distribution("Table", (*references, ("rows", st.Rows(stated))))


def plain_name(name: object) -> str:
    """A node's name as text without what the language cannot hold."""
    return re.sub(r"[`\x00-\x1f\x7f]", "_", str(name)).strip() or "_"
