"""Arrays of draws that stay on the disk, and tables of draws in blocks of columns that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dagmodels.numerics.chains.diagnose import Diagnosis
    from dagmodels.results.draws.draws import Draws

Array = NDArray[Any]
LEAD = ("chain", "draw")
MOST = 64e6  # bytes of a block of columns
LOOKED_AT = 64  # quantities that are diagnosed before the rest


def tree_name(node: str) -> str:
    """A plate or node that bears the name of an axis of all draws gets another in trees and files."""
    return f"{node}_" if node in LEAD else node


def chunk_name(chain: int, block: int, plates: int) -> str:
    """The file of one chunk of an array (chains, draws, *plates)."""
    return ".".join(map(str, (chain, block, *([0] * plates))))


@dataclass(frozen=True, eq=False, slots=True)
class OnDisk:
    """An array (chains, draws, *plates) on the disk: `numpy.asarray` and indices read it.

    place : where. dtype : of what is read.
    """

    place: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = self[:, :]
        return found if dtype is None else found.astype(dtype)

    def __getitem__(self, key: Any) -> Array:
        """Whole draws: keys other than of chains and draws are applied afterwards."""
        key = key if isinstance(key, tuple) else (key,)
        return self.columns(None)[key]

    def columns(self, which: slice | None) -> Array:
        """Some of the elements, flat: (chains, draws, elements); None: all, in the node's shape."""
        size = math.prod(self.shape[2:])
        own = slice(0, size) if which is None else which
        count = len(range(*own.indices(size)))
        found = np.empty((*self.shape[:2], count), self.dtype)
        if found.size:
            self._fill(found, own)
        return found.reshape(self.shape) if which is None else found

    def _fill(self, found: Array, own: slice) -> None:
        """Read elements of all draws, flat, into an array."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, slots=True)
class StoredArray(OnDisk):
    """Of a Zarr folder. place : the folder of its chunks. block : draws of a chunk."""

    block: int

    def _fill(self, found: Array, own: slice) -> None:
        size = math.prod(self.shape[2:])
        for chain in range(self.shape[0]):
            for first in range(0, self.shape[1], self.block):
                last = min(first + self.block, self.shape[1])
                file = self.place / chunk_name(chain, first // self.block, self.ndim - 2)
                chunk = np.memmap(file, self.dtype, "r")
                found[chain, first:last] = chunk.reshape(self.block, size)[: last - first, own]


@dataclass(frozen=True, eq=False, slots=True)
class RecordArray(OnDisk):
    """Of a NetCDF file. begin : where its first draw stands. record : bytes from one draw to the next.
    written : its type there."""

    begin: int
    record: int
    written: np.dtype[Any]

    def _fill(self, found: Array, own: slice) -> None:
        chains, draws = self.shape[:2]
        size, item = math.prod(self.shape[2:]), self.written.itemsize
        file = np.memmap(self.place, np.uint8, "r")
        strides = (self.record, size * item, item)
        view = np.ndarray((draws, chains, size), self.written, file, self.begin, strides)
        found[:] = view.transpose(1, 0, 2)[:, :, own]


def column_blocks(draws: Draws, most: float = MOST) -> Iterator[tuple[list[str], NDArray[np.float64]]]:
    """Names and draws of all unknown elements, as `Draws.table` with indicators, by blocks of bytes."""
    for node, value in draws.values.items():
        if not isinstance(value, OnDisk) or value.ndim == 2:
            yield draws.table([node], indicators=True)
            continue
        size = math.prod(value.shape[2:])
        step = max(1, int(most // (8 * value.shape[0] * max(value.shape[1], 1))))
        names = draws.names(node)
        keep = draws.unknown.get(node, np.ones(size, dtype=bool)).reshape(-1)
        for first in range(0, size, step):
            part = slice(first, min(first + step, size))
            if not keep[part].any():
                continue
            own = [n for n, k in zip(names[part], keep[part], strict=True) if k]
            table = value.columns(part)[:, :, keep[part]]
            if node in draws.states:
                levels = draws.labels[draws.states[node]]
                own = [f"{n} == {level}" for n in own for level in levels]
                table = (table[..., None] == np.arange(len(levels))).reshape(*table.shape[:2], len(own))
            yield own, np.asarray(table, dtype=np.float64)


Told = tuple[list[str], "Diagnosis"]


def diagnosed(draws: Draws, probabilities: Sequence[float] = (0.025, 0.975)) -> Told:
    """Names of all quantities and what `diagnose` says of them; of draws on the disk block by block."""
    from dagmodels.numerics.chains.diagnose import diagnose

    if draws.place is None:
        names, table = draws.table(indicators=True)
        return names, diagnose(table, probabilities)
    return _joined([(names, diagnose(table, probabilities)) for names, table in column_blocks(draws)])


def diagnosed_if(draws: Draws, enough: Callable[[Told], bool]) -> Told | None:
    """As `diagnosed`, or None as soon as some quantities are not `enough`.

    Nodes of few elements come first: what all the others hang on moves slowest.
    """
    from dagmodels.numerics.chains.diagnose import diagnose

    found: dict[str, list[Told]] = {n: [] for n in draws.values}
    for node in sorted(found, key=lambda n: math.prod(draws.values[n].shape[2:])):
        for names, table in column_blocks(replace(draws, values={node: draws.values[node]})):
            for first in range(0, len(names), LOOKED_AT):
                part = slice(first, first + LOOKED_AT)
                told = names[part], diagnose(table[:, :, part])
                if not enough(told):
                    return None
                found[node].append(told)
    return _joined([told for parts in found.values() for told in parts])


def _joined(parts: list[Told]) -> Told:
    from dagmodels.numerics.chains.diagnose import Diagnosis

    every = [found for _, found in parts]
    joined = [np.concatenate([getattr(p, f.name) for p in every], axis=-1) for f in fields(Diagnosis)]
    return [n for names, _ in parts for n in names], Diagnosis(*joined)
