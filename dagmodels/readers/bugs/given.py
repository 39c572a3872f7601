"""Data and initial values in the shape that the graph takes: a table for each plate, arrays by node.

Elements of a plate are labelled 1, 2, ...; those of a nested plate by their number in their outer element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.readers.bugs.dump import Arrays
from dagmodels.readers.bugs.scope import Parts
from dagmodels.readers.bugs.spaces import Space
from dagmodels.readers.bugs.used import used_elements

Floats = NDArray[np.float64]


def binding(parts: Parts, dag: Dag) -> dict[str, Any]:
    """What `bind` takes."""
    names = parts.names
    values: dict[str, Floats] = {}
    called = {parts.called(n): n for n in parts.given}
    for name, node in dag.nodes.items():
        if name in parts.made:
            made = parts.made[name]
            if made.array is not None:
                values[name] = np.nan_to_num(made.array, nan=0.0 if made.values_in is None else 1.0)
        elif node.kind == "covariate":
            own = called.get(name, name)
            values[name] = _without_holes(parts, own, shaped(parts, own, names.known[own]))
        elif node.observed:
            values[name] = shaped(parts, name, names.known[name])
            if name in parts.spaces.rows:  # what stands behind the end of a row that is seen is 0
                seen = ~np.isnan(values[name]).all(axis=-1, keepdims=True)
                values[name] = np.where(seen, np.nan_to_num(values[name]), values[name])
    found: dict[str, Any] = {}
    by_name = {s.name: s for s in parts.spaces.every()}
    for plate in dag.plates:
        if plate.alias_of is None:
            found[plate.name] = _table(by_name[plate.name], dag, values)
    for name, array in values.items():
        if len(dag.nodes[name].plates) != 1:
            found[name] = array if array.ndim else float(array)
    found.update({n: names.known[n] for n in names.data if n not in found and _unused(parts, dag, n)})
    return found


def _without_holes(parts: Parts, name: str, values: Floats) -> Floats:
    """A covariate with some number where it is missing and nothing uses it."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    if name in parts.spaces.rows:
        return np.nan_to_num(values)
    used = used_elements(parts, name, values.shape).reshape(values.shape)
    filler = 0.0 if parts.spaces.values(name) is None else 1.0
    return np.where(missing & ~used, filler, values)


def _unused(parts: Parts, dag: Dag, name: str) -> bool:
    """Data that the text does not use at all; what bounds loops is used."""
    return name not in dag.nodes and name not in parts.names.used


def _table(space: Space, dag: Dag, values: Mapping[str, Floats]) -> dict[str, Any]:
    """A plate's elements, where they lie, and its nodes."""
    own = {space.name, *space.aliases}
    table: dict[str, Any] = {}
    for parent, codes in space.parents.values():
        table[parent.name] = (codes + 1).tolist()
    labels = range(1, space.size + 1) if space.pairs is None else space.pairs[:, 1].tolist()
    table[space.name] = list(labels)
    for name, array in values.items():
        plates = dag.nodes[name].plates
        if len(plates) == 1 and plates[0] in own:
            table[name] = array
    return table


def shaped(parts: Parts, name: str, array: Floats) -> Floats:
    """An array of the text with one axis a plate."""
    if name not in parts.spaces.pairs:
        return array
    pairs = parts.spaces.dims(name)[0].pairs
    assert pairs is not None
    inside = (pairs <= array.shape).all(axis=1)
    found = np.full(len(pairs), np.nan)
    found[inside] = array[pairs[inside, 0] - 1, pairs[inside, 1] - 1]
    return found


def starts(
    parts: Parts, chains: Sequence[Arrays], dag: Dag
) -> tuple[tuple[Mapping[str, Floats], ...], tuple[str, ...]]:
    """Initial values by node, one dict a chain, and what was left out.

    Raises
    ------
    ModelErrors : values for observed or defined nodes, and arrays of other shapes.
    """
    faults: list[ModelError] = []
    notes: dict[str, None] = {}
    found: list[Mapping[str, Floats]] = []
    for chain in chains:
        own: dict[str, Floats] = {}
        for name, array in chain.items():
            if name.startswith(".RNG."):
                notes[f"'{name}' of the initial values is JAGS' own and is not used"] = None
            elif name not in parts.names.relations or name not in dag.nodes:
                notes[f"'{name}' of the initial values is no node of the model"] = None
            else:
                made = _start(parts, name, array, dag, faults)
                if made is not None:
                    own[name] = made
        found.append(own)
    raise_all(faults, "the initial values of the BUGS model")
    return tuple(found), tuple(notes)


def _start(parts: Parts, name: str, array: Floats, dag: Dag, faults: list[ModelError]) -> Floats | None:
    def fault(message: str, hint: str) -> None:
        faults.append(ModelError(f"the initial values of '{name}' {message}", node=name, hint=hint))

    wanted = _shape(parts, name)
    if array.shape == (1,) and wanted == ():
        array = array.reshape(())
    if array.ndim != len(wanted) or any(
        a != w for a, w in zip(array.shape, wanted, strict=True) if w is not None
    ):
        told = " x ".join("?" if w is None else str(w) for w in wanted) or "one number"
        fault(
            f"have the shape {array.shape}, not {told}",
            "rows of JSON arrays are inner lists; fill up with null",
        )
        return None
    given = shaped(parts, name, array)
    if not np.isnan(given).all() and not any(
        isinstance(s, st.Stochastic) for s in dag.nodes[name].statements
    ):
        fault("are for a definition", "only nodes with a distribution start somewhere")
        return None
    known = parts.names.known.get(name) if name in parts.names.data else None
    if known is not None and bool((~np.isnan(given) & ~np.isnan(shaped(parts, name, known))).any()):
        fault("are for elements that the data give", "leave these missing: null or NA")
        return None
    return given


def _shape(parts: Parts, name: str) -> tuple[int | None, ...]:
    if name in parts.spaces.pairs:
        return (None, None)
    sizes = [s.size for s in parts.spaces.dims(name)]
    return tuple(None if parts.names.trial else n for n in sizes)
