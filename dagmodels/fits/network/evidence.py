"""What is known about nodes, as the user says it: a state, weights of states, or a column of states."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.separation import suggestion
from dagmodels.data import files, frames
from dagmodels.data.column import Column
from dagmodels.data.levels import canonical, is_missing, spellings
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.tables import Tables

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
QUESTION = "a question to a network"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One set of evidence, by position of the node.

    seen : codes of the states seen.
    weights : likelihoods of the states (Pearl's virtual evidence), where it is soft.
    """

    seen: Mapping[int, int]
    weights: Mapping[int, Floats]

    @property
    def nodes(self) -> tuple[int, ...]:
        """All nodes about which something is known."""
        return (*self.seen, *self.weights)

    def only(self, nodes: Iterable[int]) -> Evidence:
        """The part about some nodes."""
        kept = set(nodes)
        return Evidence(
            {i: c for i, c in self.seen.items() if i in kept},
            {i: w for i, w in self.weights.items() if i in kept},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Rows of evidence.

    nodes : positions of the nodes of the columns.
    codes : (rows, columns), -1 where nothing is seen.
    """

    nodes: Longs
    codes: Longs


def read(tables: Tables, given: Any) -> Evidence | Cases:
    """Evidence by node name, or a table with a column for each node (a frame, a dict of columns, a file).

    Raises
    ------
    ModelErrors : names that are no nodes, states that a node does not have, weights that are no likelihood.
    """
    if given is None:
        return Evidence({}, {})
    if files.is_file_name(given):
        given = files.read(given)
    if isinstance(given, frames.Table) or frames.is_frame(given):
        return _cases(tables, frames.table(given, "the evidence"))
    if not isinstance(given, Mapping):
        told = f"evidence is a {type(given).__name__}"
        raise_all([ModelError(told, hint='give a dict such as {"smoke": "yes"}, or a table')], QUESTION)
    if any(_is_column(value) for value in given.values()):
        return _cases(tables, frames.table(given, "the evidence"))
    return _evidence(tables, given)


def _is_column(value: object) -> bool:
    return isinstance(value, list | tuple) or frames.is_series(value) or getattr(value, "ndim", 0) == 1


def _evidence(tables: Tables, given: Mapping[Any, Any]) -> Evidence:
    seen: dict[int, int] = {}
    weights: dict[int, Floats] = {}
    faults: list[ModelError] = []
    for name, value in given.items():
        at = tables.index.get(name)
        if at is None:
            faults.append(no_node(tables, name))
        elif isinstance(value, Mapping):
            try:
                weights[at] = _weights(tables, at, value)
            except ModelError as error:
                faults.append(error)
        elif not is_missing(value):
            code = code_of(tables, at, value)
            if code is None:
                faults.append(no_state(tables, at, value))
            else:
                seen[at] = code
    raise_all(faults, QUESTION)
    return Evidence(seen, weights)


def code_of(tables: Tables, node: int, value: object) -> int | None:
    """The code of a state, by its label or the label's text; None where there is no such state."""
    codes = tables.codes[node]
    try:
        found = codes.get(value)
    except TypeError:  # what cannot be hashed is no label
        return None
    if found is None:
        found = next((codes[s] for s in (str(value), *spellings(value)) if s in codes), None)
    return found


def _weights(tables: Tables, node: int, value: Mapping[Any, Any]) -> Floats:
    """Likelihoods of all states."""
    name, labels = tables.names[node], tables.states[node]
    found = np.full(len(labels), np.nan)
    for state, weight in value.items():
        code = code_of(tables, node, state)
        if code is None:
            raise no_state(tables, node, state)
        try:
            found[code] = float(weight)
        except (TypeError, ValueError):
            raise ModelError(f"the weight of {state!r} of '{name}' is {weight!r}", node=name) from None
    lacking = [str(label) for label, w in zip(labels, found, strict=True) if np.isnan(w)]
    if lacking:
        told = f"soft evidence on '{name}' has no weight for {', '.join(map(repr, lacking))}"
        raise ModelError(told, node=name, hint="give each state its likelihood")
    if (found < 0).any() or not np.isfinite(found).all() or not found.any():
        told = f"the weights of soft evidence on '{name}' are no likelihood"
        raise ModelError(told, node=name, hint="give finite numbers from 0, not all 0")
    return found


def _cases(tables: Tables, given: frames.Table) -> Cases:
    faults: list[ModelError] = []
    nodes: list[int] = []
    columns: list[Longs] = []
    for name in given.names:
        at = tables.index.get(name)
        if at is None:
            faults.append(no_node(tables, name))
            continue
        try:
            nodes.append(at)
            columns.append(codes_of(tables, at, given.column(name)))
        except ModelError as error:
            faults.append(error)
    raise_all(faults, QUESTION)
    stacked = np.stack(columns, axis=1) if columns else np.zeros((given.n, 0), dtype=np.int64)
    return Cases(np.array(nodes, dtype=np.int64), np.ascontiguousarray(stacked))


def codes_of(tables: Tables, node: int, column: Column) -> Longs:
    """Codes of a column's states, -1 where it is empty.

    Raises ModelError for the first value that is no state.
    """
    if column.codes is not None:
        labels: Sequence[object] = column.labels
        codes = column.codes
    else:
        assert column.numbers is not None
        values, codes = np.unique(column.numbers, return_inverse=True)
        labels = [canonical(v) for v in values.tolist() if v == v]
        codes = np.where(column.missing, -1, codes)
    places = np.full(len(labels) + 1, -1, dtype=np.int64)
    for k, label in enumerate(labels):
        found = code_of(tables, node, label)
        if found is None and (codes == k).any():
            row = int(np.flatnonzero(codes == k)[0])
            fault = no_state(tables, node, label)
            raise ModelError(f"row {row + 1}: {fault.message}", node=fault.node, hint=fault.hint)
        places[k] = -1 if found is None else found
    return places[codes]


def no_node(tables: Tables, name: object) -> ModelError:
    """The fault of a name that is no node of the network."""
    shown = str(name)
    return ModelError(
        f"'{shown}' is no node of the network", node=shown, hint=suggestion(shown, tables.names)
    )


def no_state(tables: Tables, node: int, value: object) -> ModelError:
    """The fault of a state that a node does not have."""
    name, labels = tables.names[node], [str(label) for label in tables.states[node]]
    near = difflib.get_close_matches(str(value), labels, n=1)
    some = ", ".join(map(repr, labels[:8])) + (", ..." if len(labels) > 8 else "")
    hint = f"did you mean '{near[0]}'?" if near else f"its states are {some}"
    return ModelError(f"'{value}' is no state of '{name}'", node=name, hint=hint)
