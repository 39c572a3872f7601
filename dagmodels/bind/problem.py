"""A graph with its data: plate sizes and levels, membership maps, values and what is observed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.data.missing import missing_counts
from dagmodels.graph.dag import Dag

Codes = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class BoundPlate:
    """A plate with its elements.

    name : as in the graph. An alias is bound too; it shares levels with its base.
    levels : the labels in element order. A nested plate's label is unique only within its
        parents; `full_labels` prints it inner:outer.
    parents : for every plate that this one lies in directly, the parent element of each element.
    base : the plate that holds the elements (itself, unless this is an alias).
    order : for an ordered plate the previous element of each element within its parents, -1 for a
        first one; else None.
    labelled : the data name the elements, or number them by position (0, 1, ...). False where rows
        of a frame are the elements and no column names them: such elements are never met again in
        other data.
    """

    name: str
    levels: tuple[object, ...]
    parents: Mapping[str, Codes] = field(default_factory=dict)
    base: str = ""
    order: Codes | None = None
    labelled: bool = True

    @property
    def size(self) -> int:
        return len(self.levels)


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """The elements that a head ranges over, flattened in C order of its plates.

    n : how many there are.
    codes : for every bound plate (the head's plates, and those they lie in) each row's element.
    axes : the plates whose elements the rows run through, last fastest; empty for a part of them.
    """

    n: int
    codes: Mapping[str, Codes]
    axes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """Graph + data; holds no choices.

    graph : the model.
    plates : every plate and alias by name.
    values : for each node with data (observed, covariate, constant), an array with one axis a
        plate of the node, in order (0-d without plates); NaN where missing. A node with values in
        a plate holds element codes as floats, NaN where missing.
    observed : for each node with data, which entries are given (same shape).
    unused : columns of the data that no node takes.
    labels : how a plate's elements are written in results, by plate. A nested level that is not
        unique by itself is written inner:outer (with two parents inner:first:second). Left out, it
        is made from the levels when first asked for.
    notes : what a reader of `check` should know of the data, as sentences.
    cells : for observed nodes that the rows of a table gave in another order (or shape) than that of
        their elements, the flat place of each row's element.
    new : where other data fixed the levels (`bind(..., levels=problem)`), the elements of each base
        plate that those do not have; empty otherwise.
    memo : answers kept, because rows and cells are asked for again and again.
    repeats : how often each element of a plate occurs, by plate; once where it is not told. Of data in
        pieces whose equal rows were counted.
    """

    graph: Dag
    plates: Mapping[str, BoundPlate]
    values: Mapping[str, Values]
    observed: Mapping[str, NDArray[np.bool_]]
    unused: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new: Mapping[str, Codes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cells: Mapping[str, Codes] = field(default_factory=dict)
    memo: dict[object, Any] = field(default_factory=dict, repr=False)
    repeats: Mapping[str, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", _Labels(self.plates))

    def __reduce__(self) -> tuple[object, ...]:
        """What a copy or another process needs: all but the answers kept."""
        kept = (self.graph, dict(self.plates), dict(self.values), dict(self.observed), self.unused)
        labels = {} if isinstance(self.labels, _Labels) else dict(self.labels)
        last = (self.notes, dict(self.cells), {}, dict(self.repeats))
        return Problem, (*kept, labels, dict(self.new), *last)

    def shape(self, node: str) -> tuple[int, ...]:
        """Sizes of a node's plates."""
        key = ("shape", node)
        found = self.memo.get(key)
        if found is None:
            found = tuple(self.plates[p].size for p in self.graph.nodes[node].plates)
            self.memo[key] = found
        return found

    def rows(self, plates: tuple[str, ...]) -> Rows:
        """The elements of a head with these plates, with membership in every plate bound by it."""
        key = ("rows", *plates)
        if key not in self.memo:
            self.memo[key] = self._rows(tuple(plates))
        return self.memo[key]

    def _rows(self, plates: tuple[str, ...]) -> Rows:
        sizes = [self.plates[p].size for p in plates]
        n = math.prod(sizes)
        codes: dict[str, Codes] = {}
        for axis, plate in enumerate(plates):
            repeat, tile = math.prod(sizes[axis + 1 :]), math.prod(sizes[:axis])
            own = np.arange(sizes[axis])
            own = np.repeat(own, repeat) if repeat != 1 else own
            self._bind(plate, np.tile(own, tile) if tile != 1 else own, codes)
        return Rows(n, codes, plates)

    def element(self, node: str, index: int) -> str:
        """How one element of a node is written: `alpha[AITKIN]`, `y[rat, week]`, `tau`.

        index : place of the element in the node's array, flattened in C order.
        """
        plates = self.graph.nodes[node].plates
        if not plates:
            return node
        places = np.unravel_index(index, self.shape(node))
        told = (self.labels[p][int(i)] for p, i in zip(plates, places, strict=True))
        return f"{node}[{', '.join(told)}]"

    def missing(self) -> dict[str, int]:
        """How many entries of each node with data are missing, for nodes that miss any."""
        return missing_counts(self.observed)

    def _bind(self, plate: str, own: Codes, codes: dict[str, Codes]) -> None:
        codes.setdefault(plate, own)
        for parent, map_ in self.plates[plate].parents.items():
            if parent not in codes:
                self._bind(parent, map_[own], codes)


class _Labels(Mapping[str, tuple[str, ...]]):
    """Printed labels, made when first asked for: a plate of 10^6 rows is rarely printed."""

    def __init__(self, plates: Mapping[str, BoundPlate]) -> None:
        self._plates = plates
        self._made: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, plate: str) -> tuple[str, ...]:
        if plate not in self._made:
            self._made[plate] = _printed(self._plates, plate)
        return self._made[plate]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plates)

    def __len__(self) -> int:
        return len(self._plates)


def _printed(plates: Mapping[str, BoundPlate], name: str) -> tuple[str, ...]:
    plate = plates[plates[name].base or name]
    texts = tuple(map(str, plate.levels))
    if not plate.parents or not plate.labelled or len(set(texts)) == len(texts):
        return texts
    outer = [[_printed(plates, p)[i] for i in codes.tolist()] for p, codes in plate.parents.items()]
    return tuple(":".join(parts) for parts in zip(texts, *outer, strict=True))
