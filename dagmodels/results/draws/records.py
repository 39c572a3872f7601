"""Draws in one NetCDF file as they come: classic NetCDF, whose numbers stand where the header says, by draw.

A file of format 3 (64-bit offsets) ends in records: the numbers of one draw of all nodes, one record after
the other, and four bytes near its start say how many there are. So draws are written behind the records that
the file tells of, each chain's in their places, and then these four bytes are written anew. A run killed in
between leaves the number before. The header is written by xarray, so that xarray reads the file; it has no
groups: what is not of the posterior is called by its group and name (`sample_stats.lp`). Numbers are
big-endian, and whole numbers have 32 bits.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.store import POSTERIOR, STATISTICS, block_of, not_written
from dagmodels.results.draws.stored import LEAD, RecordArray, tree_name

Array = NDArray[Any]
Arrays = Mapping[str, Array]
TYPES = {1: ">i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8"}
MAGIC = b"CDF\x02"
COUNT = 4  # where the number of records stands
LARGEST = 2**31 - 1
RUN, BLOCK = "dagmodels_run", "dagmodels_block"


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """Where the first record has a variable: its dimensions after the draws, its type as the file has it."""

    begin: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Header:
    """What the start of a file says.

    length : records. size : bytes of one. places : of the variables in records. attributes : of the file.
    """

    length: int
    size: int
    places: Mapping[str, Place]
    attributes: Mapping[str, Any]


@dataclass
class RecordStore:
    """A file that draws are written to; as `Store` otherwise.

    path : ends in .nc. header : what it says, None until there is a file.
    """

    path: Path
    run: str
    chains: int
    block: int = 0
    length: int = 0
    header: Header | None = field(default=None)

    @property
    def begun(self) -> bool:
        """Whether the file is there."""
        return self.header is not None

    def begin(self, first: Draws) -> None:
        """Make the file, with no draws yet; see `Store.begin`."""
        self.block = block_of(first)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            flat = _flat(first).assign_attrs({RUN: self.run, BLOCK: self.block})
            flat.to_netcdf(beside, engine="scipy", format="NETCDF3_64BIT", unlimited_dims=["draw"])
            with open(beside, "r+b", buffering=0) as file:
                _write(file, COUNT, struct.pack(">i", 0))
            self.header = header_of(beside)
            os.replace(beside, self.path)
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise FitError(f"cannot keep draws at '{self.path}': {told}") from error
        finally:
            beside.unlink(missing_ok=True)

    def put(self, chain: int, block: int, values: Arrays, statistics: Arrays) -> None:
        """Write up to `block` draws of one chain; see `Store.put`."""
        assert self.header is not None
        first, size = block * self.block, self.header.size
        try:
            with open(self.path, "r+b", buffering=0) as file:
                for group, arrays in ((POSTERIOR, values), (STATISTICS, statistics)):
                    for node, value in arrays.items():
                        at = self.header.places[_name(group, node)]
                        rows = np.ascontiguousarray(value, at.dtype).reshape(len(value), -1)
                        width = rows.shape[1] * at.dtype.itemsize
                        for k, row in enumerate(rows):
                            _write(file, at.begin + (first + k) * size + chain * width, row.tobytes())
        except OSError as error:
            raise not_written(self.path, self.length, error) from error

    def commit(self, length: int) -> None:
        """Tell of so many draws of each chain, which are written."""
        if length == self.length:
            return
        assert self.header is not None
        size, at = self.header.size, self.header.places["draw"]
        end = min(p.begin for p in self.header.places.values()) + length * size
        try:
            with open(self.path, "r+b", buffering=0) as file:
                for draw in range(min(self.length, length), length):
                    _write(file, at.begin + draw * size, np.array(draw, at.dtype).tobytes())
                if os.fstat(file.fileno()).st_size < end:  # the padding of the last record
                    file.truncate(end)
                os.fsync(file.fileno())
                _write(file, COUNT, struct.pack(">i", length))
        except OSError as error:
            raise not_written(self.path, self.length, error) from error
        self.length = length

    def read(self, like: Draws) -> Draws:
        """All draws that the file tells of; see `Store.read`."""
        assert self.header is not None
        size, places = self.header.size, self.header.places

        def stored(group: str, arrays: Arrays) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for node, value in arrays.items():
                at = places[_name(group, node)]
                shape = (self.chains, self.length, *value.shape[2:])
                found[node] = RecordArray(self.path, shape, value.dtype, at.begin, size, at.dtype)
            return found

        return replace(
            like,
            values=stored(POSTERIOR, like.values),
            statistics=stored(STATISTICS, like.statistics),
            place=self.path,
        )


def reopened(path: Path, run: str, chains: int) -> RecordStore:
    """A store that a run goes on with; one that is not there yet is begun by it.

    Raises `FitError` for a file that is no store, or is one of another run.
    """
    found = RecordStore(path, run, chains)
    if not path.exists():
        return found
    try:
        header = header_of(path)
        theirs, block = header.attributes[RUN], int(header.attributes[BLOCK])
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise FitError(f"'{path}' is there already and is no store of draws; name another place") from error
    if theirs != run:
        raise FitError(
            f"the store '{path}' is of another run; name another place, or remove it to begin anew"
        )
    found.header, found.block, found.length = header, block, header.length
    return found


def is_records(path: Path) -> bool:
    """Whether a file is of this format."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def parts(path: Path) -> dict[str, Any]:
    """Datasets by group, read when asked for; chains before draws."""
    import xarray

    found = xarray.open_dataset(path, engine="scipy")
    names: dict[str, list[str]] = {}
    for name in map(str, found.data_vars):
        group = name.partition(".")[0] if "." in name else POSTERIOR
        names.setdefault(group, []).append(name)
    told = {k: v for k, v in found.attrs.items() if k not in (RUN, BLOCK)}
    groups = {}
    for group, own in names.items():
        plain = {n: n.partition(".")[2] for n in own if "." in n}
        lead = [d for d in LEAD if any(d in found[n].dims for n in own)]
        chosen = found[own].rename_vars(plain).transpose(*lead, ...)
        groups[group] = chosen.drop_attrs(deep=False).assign_attrs(told if lead else {})
    return groups


# -- the file ----------------------------------------------------------------------------------------------


def _flat(first: Draws) -> Any:
    """All groups as one Dataset, draws first: one of them, because sizes of records are taken from it."""
    import xarray

    groups = []
    for group, node in first.to_arviz().children.items():
        own = node.to_dataset()
        if group != POSTERIOR:
            own = own.rename_vars({n: f"{group}.{n}" for n in own.data_vars}).drop_attrs(deep=False)
        if "draw" in own.dims:
            own = own.isel(draw=slice(0, 1)).transpose("draw", "chain", ...)
        groups.append(own)
    flat = xarray.merge(groups, join="exact", combine_attrs="no_conflicts")
    told = {
        k: str(v) if isinstance(v, int) and abs(v) > LARGEST else v  # a seed
        for k, v in flat.attrs.items()
    }
    return flat.drop_attrs(deep=False).assign_attrs(told)


def _name(group: str, node: str) -> str:
    return tree_name(node) if group == POSTERIOR else f"{group}.{node}"


def _write(file: Any, at: int, content: bytes) -> None:
    """All of it; an unbuffered file may take less at once."""
    file.seek(at)
    while content:
        content = content[file.write(content) :]


def header_of(path: Path) -> Header:
    """Read the start of a file (Rew and Davis 1990, IEEE Comput. Graph. Appl. 10:76; the format's grammar is
    in the NetCDF user's guide).

    Raises ValueError for another format.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"'{path}' is no NetCDF file of format 3 with 64-bit offsets")
        (length,) = struct.unpack(">i", file.read(4))
        dimensions = [(_text(file), _whole(file)) for _ in range(_list(file))]
        attributes = _attributes(file)
        size, places = 0, {}
        for _ in range(_list(file)):
            name = _text(file)
            axes = [_whole(file) for _ in range(_whole(file))]
            _attributes(file)
            dtype, _, begin = (
                np.dtype(TYPES[_whole(file)]),
                _whole(file),
                struct.unpack(">q", file.read(8))[0],
            )
            if axes and dimensions[axes[0]][1] == 0:  # the one that grows
                shape = tuple(dimensions[a][1] for a in axes[1:])
                places[name] = Place(begin, shape, dtype)
                size += -(-math.prod(shape) * dtype.itemsize // 4) * 4
    return Header(length, size, places, attributes)


def _whole(file: Any) -> int:
    found: int = struct.unpack(">i", file.read(4))[0]
    return found


def _list(file: Any) -> int:
    """Entries of a list, after its tag."""
    _whole(file)
    return _whole(file)


def _padded(file: Any, n: int) -> bytes:
    found: bytes = file.read(-(-n // 4) * 4)[:n]
    return found


def _text(file: Any) -> str:
    return _padded(file, _whole(file)).decode("utf-8")


def _attributes(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(_list(file)):
        name, kind, n = _text(file), np.dtype(TYPES[_whole(file)]), _whole(file)
        raw = _padded(file, n * kind.itemsize)
        found[name] = raw.decode("utf-8") if kind.kind == "S" else np.frombuffer(raw, kind)[0]
    return found


__all__ = ["RecordStore", "header_of", "is_records", "parts", "reopened"]
