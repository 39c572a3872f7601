"""A run on disk, so that one killed at any moment goes on where it was.

A folder: `run.json` says what the draws hang on; `chain-K.log` holds chain K, one record a unit of work: its
length, the SHA-256 of its content, and the pickled draws with the state after them.  Records are only ever
appended, so a run killed while it writes leaves whole records and at most a torn last one, which is cut off
when the run goes on.  Pickles run code when they are read: go on from checkpoints of your own alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dagmodels.backends.gibbs.engine import Chain, Done
from dagmodels.backends.gibbs.fingerprint import differences, fingerprint
from dagmodels.backends.gibbs.recipe import Recipe
from dagmodels.errors import FitError

FORMAT = 3
HEAD = struct.Struct("<Q32s")
SYNC = 1.0  # seconds between two waits for the disk: a loss of power costs no more


@dataclass
class Checkpoint:
    """An open folder: chains as they were found, and a log a chain to append to."""

    folder: Path
    chains: tuple[Chain, ...]
    logs: list[IO[bytes]]
    synced: float = field(default_factory=time.monotonic)

    def add(self, chain: Chain, done: Done) -> None:
        """Append a unit of work; the chain is the one after it.

        Raises `FitError` where the disk refuses: the units before it stay.
        """
        content = pickle.dumps(done, protocol=5)
        log = self.logs[chain.number]
        begin = log.tell()
        try:
            _append(log, HEAD.pack(len(content), hashlib.sha256(content).digest()) + content)
            if time.monotonic() - self.synced > SYNC:
                self.sync()
        except OSError as error:
            with suppress(OSError):  # a torn record is cut off by the next run anyhow
                log.truncate(begin)
            before = chain.kept - (0 if done.part is None else done.part.draws)
            raise FitError(
                f"cannot write the checkpoint '{self.folder}': {error.strerror or error}; it stays valid, "
                f"with {before:,} draws of chain {chain.number + 1}: "
                "free some space and run the same call again"
            ) from error

    def sync(self) -> None:
        """Wait until the disk has everything."""
        for log in self.logs:
            os.fsync(log.fileno())
        self.synced = time.monotonic()


@contextmanager
def opened(
    folder: Path, recipe: Recipe, kept: Callable[[Chain], Chain] = lambda chain: chain
) -> Generator[Checkpoint]:
    """A checkpoint to begin or to go on with.

    kept : what becomes of a chain after each unit that is read.

    Raises `FitError` for a folder that is no checkpoint, is one of another run (saying what differs), is at
    work in another process, or cannot be written.
    """
    try:
        _begin(folder, recipe)
        logs = [_log(folder, k) for k in range(recipe.chains)]
    except OSError as error:
        raise FitError(f"cannot keep a checkpoint at '{folder}': {error.strerror or error}") from error
    try:
        _lock(folder, logs[0])
        found = Checkpoint(folder, tuple(_read(log, k, kept) for k, log in enumerate(logs)), logs)
        yield found
        found.sync()
    finally:
        for log in logs:
            log.close()


def _begin(folder: Path, recipe: Recipe) -> None:
    here = json.loads(json.dumps({"format": FORMAT, **fingerprint(recipe)}))
    stated = folder / "run.json"
    if stated.exists():
        differ = differences(json.loads(stated.read_text(encoding="utf-8")), here)
        if differ:
            hint = "name another checkpoint, or remove this one to begin anew"
            raise FitError(f"the checkpoint '{folder}' is of another run: {', '.join(differ)}; {hint}")
        return
    if folder.exists() and (not folder.is_dir() or any(not n.name.startswith(".") for n in folder.iterdir())):
        raise FitError(f"'{folder}' is there already and is no checkpoint; name another place")
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".run.{os.getpid()}.json"
    with beside.open("w", encoding="utf-8") as file:
        json.dump(here, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, stated)


def _log(folder: Path, number: int) -> IO[bytes]:
    path = folder / f"chain-{number}.log"
    path.touch()
    return path.open("r+b", buffering=0)


def _append(log: IO[bytes], record: bytes) -> None:
    """All of it: a file without a buffer may take a part."""
    rest = memoryview(record)
    while rest:
        rest = rest[log.write(rest) :]


def _lock(folder: Path, log: IO[bytes]) -> None:
    """Kept by the system until the process ends, however it does; systems without `flock` go without."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FitError(f"another run is at work on the checkpoint '{folder}'") from error


def _read(log: IO[bytes], number: int, kept: Callable[[Chain], Chain]) -> Chain:
    """The chain of all whole records; what follows them is cut off."""
    chain, end = Chain(number), 0
    while (content := _record(log)) is not None:
        found: Any = pickle.loads(content)
        chain, end = kept(chain.after(found)), log.tell()
    log.seek(end)
    log.truncate()
    return chain


def _record(log: IO[bytes]) -> bytes | None:
    head = log.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, wanted = HEAD.unpack(head)
    left = os.fstat(log.fileno()).st_size - log.tell()
    content = log.read(length) if length <= left else b""
    return content if hashlib.sha256(content).digest() == wanted else None
