"""Draws on disk as they come: chunks, checkpoints, and an index that names what is valid.

A folder holds `index.json`, one `.npy` file a chunk (draws, chains, columns) and the last checkpoint. Files
are written beside their place, forced to the disk and renamed; the index last of all. Whatever stops a run
(SIGKILL, a full disk), the index names complete files alone: those of the last step that was finished.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import DagmodelsError
from dagmodels.results.draws.draws import Arrays, Draws

Floats = NDArray[np.float64]
INDEX = "index.json"
FORMAT = 1
RETRIES = 100  # of a reader while the store grows


class StoreError(DagmodelsError):
    """A store that cannot be written, or is damaged: what, where, and what is still valid."""


@dataclass(frozen=True, slots=True)
class File:
    """A complete file: its name, bytes and checksum (CRC-32), and how many draws it holds or came after."""

    name: str
    bytes: int
    checksum: int
    draws: int


@dataclass(frozen=True, slots=True)
class Column:
    """Where a node or a statistic lies in a chunk: columns `start` and on, in the shape of one draw."""

    name: str
    group: str  # "values" or "statistics"
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Store:
    """A store as it was at one moment; `append` and `checkpoint` give the next one.

    path : the folder. columns, chains : the shape of a chunk. chunks : in order.
    state : the last checkpoint, with the number of draws a chain before it; None without.
    about : what `Draws` needs beside the numbers. generation : how often the index was written.
    """

    path: Path
    columns: tuple[Column, ...]
    chains: int
    chunks: tuple[File, ...] = ()
    state: File | None = None
    about: Mapping[str, Any] | None = None
    generation: int = 0

    @classmethod
    def create(cls, path: str | os.PathLike[str], first: Draws) -> Store:
        """A new store whose first chunk is these draws; their nodes, plates and labels hold for all others.

        Raises StoreError where the folder holds something already, or cannot be written.
        """
        folder = Path(path)
        if folder.exists() and any(folder.iterdir()):
            raise StoreError(f"'{folder}' is not empty: open it with Store.open, or name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make '{folder}': {error.strerror or error}") from error
        columns: list[Column] = []
        start = 0
        for group, arrays in (("values", first.values), ("statistics", first.statistics)):
            for name, value in arrays.items():
                columns.append(Column(name, group, tuple(value.shape[2:]), start))
                start += columns[-1].size
        about = {
            "model": first.model,
            "plates": {n: list(p) for n, p in first.plates.items()},
            "labels": {p: np.array(v, dtype=object).tolist() for p, v in first.labels.items()},
            "states": dict(first.states),
            "unknown": {n: u.astype(int).tolist() for n, u in first.unknown.items()},
            "data": {
                g: {n: _plain(v) for n, v in first.groups[g].items()}
                for g in ("observed_data", "constant_data")
                if g in first.groups
            },
            "seed": first.seed,
            "warmup": first.warmup,
            "thin": first.thin,
            "numbered": first.numbered,
        }  # fmt: skip
        return cls(folder, tuple(columns), first.chains, about=about).append(first)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store as its index has it now; it may be growing meanwhile.

        Raises StoreError where there is none, or files are missing or too short.
        """
        found = cls._read(Path(path))
        for _ in range(RETRIES):
            wrong = found._absent()
            if wrong is None:
                return found
            now = cls._read(found.path)
            if now.generation == found.generation:
                raise StoreError(f"'{wrong}' is missing or has another length: the store was changed by hand")
            found = now  # it has grown, and the checkpoint that was named is gone
        raise StoreError(f"'{found.path}' changes faster than it can be read")

    @classmethod
    def _read(cls, folder: Path) -> Store:
        """What the index says."""
        try:
            told = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(f"there is no store of draws at '{folder}'") from None
        except ValueError as error:
            raise StoreError(f"'{folder / INDEX}' is damaged: {error}") from error
        if told.get("format") != FORMAT:
            raise StoreError(f"'{folder}' has the format {told.get('format')}, this version reads {FORMAT}")
        columns = tuple(Column(c["name"], c["group"], tuple(c["shape"]), c["start"]) for c in told["columns"])
        state = File(**told["state"]) if told["state"] else None
        chunks = tuple(File(**f) for f in told["chunks"])
        return cls(folder, columns, told["chains"], chunks, state, told["about"], told["generation"])

    def _absent(self) -> Path | None:
        """The first file that is not there in its length."""
        for file in (*self.chunks, *([self.state] if self.state else [])):
            at = self.path / file.name
            if not at.is_file() or at.stat().st_size != file.bytes:
                return at
        return None

    @property
    def draws(self) -> int:
        """Draws a chain in all chunks."""
        return sum(f.draws for f in self.chunks)

    # -- writing

    def append(self, more: Draws, state: bytes | None = None) -> Store:
        """With one more chunk, and the checkpoint after it: both or neither.

        Raises StoreError where writing fails, or another process has written; this store stays valid.
        """
        rows = np.empty((more.draws, self.chains, self._width))
        for c in self.columns:
            value = (more.values if c.group == "values" else more.statistics).get(c.name)
            want = (self.chains, more.draws, *c.shape)
            if value is None or value.shape != want:
                told = "are missing" if value is None else f"have shape {value.shape}, not {want}"
                raise StoreError(f"the {c.group} '{c.name}' {told} in what is appended to '{self.path}'")
            rows[:, :, c.start : c.start + c.size] = np.moveaxis(value, 0, 1).reshape(
                more.draws, self.chains, -1
            )
        self._check_alone()
        with _told(self):
            file = _write(self.path, f"chunk-{len(self.chunks):06d}.npy", _npy(rows), more.draws)
            return self._with(state, replace(self, chunks=(*self.chunks, file)))

    def checkpoint(self, state: bytes) -> Store:
        """With another checkpoint after the draws there are; the previous one is valid until this one is."""
        self._check_alone()
        with _told(self):
            return self._with(state, self)

    def resumed(self) -> Store:
        """As it was at the last checkpoint: later chunks are forgotten, because its state draws them again.

        Raises StoreError without a checkpoint, or where a chunk or the state is damaged.
        """
        if self.state is None:
            raise StoreError(f"'{self.path}' has no checkpoint to go on from; start again in another folder")
        self.verify()
        kept: list[File] = []
        count = 0
        for file in self.chunks:
            if count + file.draws > self.state.draws:
                break
            kept.append(file)
            count += file.draws
        if len(kept) == len(self.chunks):
            return self
        with _told(self):
            return _commit(replace(self, chunks=tuple(kept)))

    def _with(self, state: bytes | None, after: Store) -> Store:
        """Write the state, then the index; then remove the state that no index names."""
        if state is not None:
            name = f"state-{self.generation + 1:06d}.bin"
            after = replace(after, state=_write(self.path, name, state, after.draws))
        found = _commit(after)
        if state is not None and self.state is not None and found.state != self.state:
            (self.path / self.state.name).unlink(missing_ok=True)
        return found

    def _check_alone(self) -> None:
        index = self.path / INDEX
        if self.generation and json.loads(index.read_text(encoding="utf-8"))["generation"] != self.generation:
            raise StoreError(f"another process has written to '{self.path}': open it again")

    @property
    def _width(self) -> int:
        return sum(c.size for c in self.columns)

    # -- reading

    def last_state(self) -> bytes | None:
        """What the last checkpoint holds, its checksum compared."""
        return None if self.state is None else self._checked(self.state)

    def verify(self) -> None:
        """Read all files and compare checksums; raises StoreError that names the first damaged one."""
        for file in (*self.chunks, *([self.state] if self.state else [])):
            self._checked(file)

    def _checked(self, file: File) -> bytes:
        raw = (self.path / file.name).read_bytes()
        if len(raw) != file.bytes or zlib.crc32(raw) != file.checksum:
            raise StoreError(f"'{self.path / file.name}' is damaged: its checksum is another")
        return raw

    def array(self, name: str, at: slice = slice(None)) -> Floats:
        """(chains, draws, *plates) of a node or statistic; only its own columns are read from the disk.

        at : some of its elements, flattened.
        """
        column = next((c for c in self.columns if c.name == name), None)
        if column is None:
            raise StoreError(
                f"'{self.path}' has no '{name}' (there are {', '.join(c.name for c in self.columns)})"
            )
        which = range(column.start, column.start + column.size)[at]
        parts = [self._mapped(f)[:, :, which.start : which.stop : which.step] for f in self.chunks]
        found = np.moveaxis(np.concatenate(parts), 1, 0)
        return found if at != slice(None) else found.reshape(self.chains, self.draws, *column.shape)

    def _mapped(self, file: File) -> Floats:
        return np.load(self.path / file.name, mmap_mode="r", allow_pickle=False)

    def read(self) -> Draws:
        """All draws in memory."""
        about = dict(self.about or {})
        arrays: dict[str, dict[str, Floats]] = {"values": {}, "statistics": {}}
        for c in self.columns:
            arrays[c.group][c.name] = self.array(c.name)
        data = about.pop("data")
        statistics: Arrays = {
            n: v.astype(bool) if n == "diverging" else v for n, v in arrays["statistics"].items()
        }
        return Draws(
            values=arrays["values"],
            statistics=statistics,
            groups={g: {n: np.array(v, dtype=float) for n, v in d.items()} for g, d in data.items()},
            plates={n: tuple(p) for n, p in about.pop("plates").items()},
            labels={p: tuple(v) for p, v in about.pop("labels").items()},
            unknown={n: np.array(u, dtype=bool) for n, u in about.pop("unknown").items()},
            **about,
        )


class _told:
    """Errors of the file system as `StoreError`, with what is still valid."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, OSError):
            return
        s = self.store
        valid = f"{s.draws} draws a chain" + (f", checkpoint after {s.state.draws}" if s.state else "")
        told = f"cannot write to '{s.path}': {error.strerror or error}; what was there is valid ({valid})"
        raise StoreError(f"{told}: free some space and go on from it") from error


def _commit(store: Store) -> Store:
    """Write the index: from here on the store is this one."""
    found = replace(store, generation=store.generation + 1)
    told = {
        "format": FORMAT,
        "generation": found.generation,
        "chains": found.chains,
        "columns": [asdict(c) for c in found.columns],
        "chunks": [asdict(f) for f in found.chunks],
        "state": asdict(found.state) if found.state else None,
        "about": found.about,
    }
    _write(found.path, INDEX, json.dumps(told).encode(), 0)
    return found


def _write(folder: Path, name: str, content: bytes, draws: int) -> File:
    """A file that is there whole or not at all, even after a loss of power."""
    part = folder / f".{name}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(folder)
    return File(name, len(content), zlib.crc32(content), draws)


def _sync(folder: Path) -> None:
    """Force the folder's list of names to the disk, where the system knows folders as files."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(value: NDArray[Any]) -> Any:
    """Numbers as JSON has them: None for what is missing."""
    found = value.astype(object)
    found[~np.isfinite(value)] = None
    return found.tolist()


def _npy(rows: Floats) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, rows, allow_pickle=False)
    return buffer.getvalue()
