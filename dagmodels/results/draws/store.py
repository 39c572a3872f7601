"""Draws on the disk as they come: a Zarr folder that is readable at any moment, its arrays read late.

Zarr's format 2 is plain files: an array's chunk is a file of numbers in C order, its shape stands in JSON.
Chunks hold so many draws of one chain.  They are written first, each whole or not at all; then one file,
`.zmetadata`, tells the new length of all arrays at once.  A run killed in between leaves the length
before.  The first tree (labels, data, attributes) is written by xarray, so that ArviZ reads it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError, ModelErrors
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.stored import StoredArray, chunk_name, tree_name
from dagmodels.results.writing import write_files

Array = NDArray[Any]
Arrays = Mapping[str, Array]
BYTES = 8e6  # of the chunks of one chain and block, all nodes together
MOST = 1000  # draws of a chunk
POSTERIOR, STATISTICS = "posterior", "sample_stats"


@dataclass
class Store:
    """A folder that draws are written to.

    path : ends in .zarr. run : what tells runs apart. chains : how many. block : draws of a chunk.
    length : draws of each chain that the folder tells of. metadata : all of `.zmetadata`.
    """

    path: Path
    run: str
    chains: int
    block: int = 0
    length: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether the folder is there."""
        return bool(self.metadata)

    def begin(self, first: Draws) -> None:
        """Make the folder, with no draws yet.

        first : some draws, of which nothing but names, shapes and all other groups is used.
        """
        self.block = block_of(first)
        encoding: dict[str, Any] = {}
        for group, arrays in ((POSTERIOR, first.values), (STATISTICS, first.statistics)):
            plain = {"compressors": None, "filters": None}
            own = {"draw": {**plain, "chunks": (self.block,)}}
            for node, value in arrays.items():
                shape = (1, self.block, *value.shape[2:])
                own[_name(group, node)] = {**plain, "chunks": shape}
            encoding[f"/{group}"] = own
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            first.to_arviz().to_zarr(beside, zarr_format=2, consolidated=True, encoding=encoding)
            found = json.loads((beside / ".zmetadata").read_text(encoding="utf-8"))
            found["metadata"][".zattrs"] = {**found["metadata"].get(".zattrs", {}), "run": self.run}
            _put({beside / ".zattrs": json.dumps(found["metadata"][".zattrs"])})
            self.metadata = found
            self._tell(beside, 0)
            os.replace(beside, self.path)
        except (OSError, ModelErrors) as error:
            raise FitError(f"cannot keep draws at '{self.path}': {_reason(error)}") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def put(self, chain: int, block: int, values: Arrays, statistics: Arrays) -> None:
        """Write one chunk of every array: up to `block` draws of one chain, whole or not at all.

        Raises `FitError` where the disk refuses: what the folder tells of stays.
        """
        for group, arrays in ((POSTERIOR, values), (STATISTICS, statistics)):
            for node, value in arrays.items():
                folder, stated = self._array(group, node)
                chunk = np.zeros((self.block, *value.shape[1:]), stated)
                chunk[: len(value)] = value
                self._put({folder / chunk_name(chain, block, value.ndim - 1): chunk.tobytes()})

    def commit(self, length: int) -> None:
        """Tell of so many draws of each chain, whose chunks are written."""
        if length == self.length:
            return
        groups = [g for g in (POSTERIOR, STATISTICS) if f"{g}/draw/.zarray" in self.metadata["metadata"]]
        first = min(self.length, length) // self.block
        for block in range(first, -(-length // self.block)):
            places = np.arange(block * self.block, (block + 1) * self.block, dtype=np.int64)
            for group in groups:
                stated = np.dtype(self.metadata["metadata"][f"{group}/draw/.zarray"]["dtype"])
                self._put({self.path / group / "draw" / str(block): places.astype(stated).tobytes()})
        try:
            self._tell(self.path, length)
        except (OSError, ModelErrors) as error:
            raise self._full(error) from error

    def _tell(self, folder: Path, length: int) -> None:
        """The length of every array, first in its own file, then in the one of all."""
        files: dict[str | os.PathLike[str], str] = {}
        for name, about in self.metadata["metadata"].items():
            group, _, rest = name.partition("/")
            if group not in (POSTERIOR, STATISTICS) or not rest.endswith("/.zarray"):
                continue
            axes = self.metadata["metadata"][name.replace(".zarray", ".zattrs")]["_ARRAY_DIMENSIONS"]
            if "draw" in axes:
                about["shape"][axes.index("draw")] = length
                files[folder / name] = json.dumps(about)
        _put(files)
        _put({folder / ".zmetadata": json.dumps(self.metadata)})
        self.length = length

    def _put(self, files: Mapping[str | os.PathLike[str], str | bytes]) -> None:
        try:
            write_files(files)
        except ModelErrors as error:
            raise self._full(error) from error

    def _full(self, error: Exception) -> FitError:
        return not_written(self.path, self.length, error)

    def _array(self, group: str, node: str) -> tuple[Path, np.dtype[Any]]:
        name = _name(group, node)
        return self.path / group / name, np.dtype(
            self.metadata["metadata"][f"{group}/{name}/.zarray"]["dtype"]
        )

    def read(self, like: Draws) -> Draws:
        """All draws that the folder tells of, their arrays read when asked for.

        like : some draws of the run, as for `begin`.
        """

        def stored(group: str, arrays: Arrays) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for node, value in arrays.items():
                folder, stated = self._array(group, node)
                found[node] = StoredArray(
                    folder, (self.chains, self.length, *value.shape[2:]), stated, self.block
                )
            return found

        return replace(
            like,
            values=stored(POSTERIOR, like.values),
            statistics=stored(STATISTICS, like.statistics),
            place=self.path,
        )


def block_of(first: Draws) -> int:
    """Draws of a chunk, by the size of one."""
    size = sum(v[0, 0].size * v.dtype.itemsize for v in (*first.values.values(), *first.statistics.values()))
    return int(max(1, min(MOST, BYTES // max(size, 1))))


def not_written(path: Path, length: int, error: Exception) -> FitError:
    """What a disk that refuses means."""
    return FitError(
        f"cannot write the store '{path}': {_reason(error)}; it stays valid, with {length:,} "
        "draws of each chain: free some space and go on by checkpoint=, or draw again"
    )


def reopened(path: Path, run: str, chains: int) -> Store:
    """A store that a run goes on with; one that is not there yet is begun by it.

    Raises `FitError` for a folder that is no store, or is one of another run.
    """
    found = Store(path, run, chains)
    try:
        metadata = json.loads((path / ".zmetadata").read_text(encoding="utf-8"))
        theirs = metadata["metadata"][".zattrs"].get("run")
        shape = next(v for k, v in metadata["metadata"].items() if k == f"{POSTERIOR}/draw/.zarray")
    except FileNotFoundError:
        if path.exists():
            raise FitError(f"'{path}' is there already and is no store; name another place") from None
        return found
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise FitError(f"'{path}' is there already and is no store of draws; name another place") from error
    if theirs != run:
        raise FitError(
            f"the store '{path}' is of another run; name another place, or remove it to begin anew"
        )
    found.metadata, found.block, found.length = metadata, shape["chunks"][0], shape["shape"][0]
    return found


def _name(group: str, node: str) -> str:
    """What an array is called in the tree: nodes never as an axis of all draws."""
    return tree_name(node) if group == POSTERIOR else node


def _put(files: Mapping[str | os.PathLike[str], str | bytes]) -> None:
    write_files(files)


def _reason(error: Exception) -> str:
    if isinstance(error, ModelErrors):
        return "; ".join(getattr(e, "message", str(e)).rpartition(": ")[2] for e in error.exceptions)
    return getattr(error, "strerror", None) or str(error)


__all__ = ["Store", "block_of", "not_written", "reopened"]
