"""Data in pieces that never stand in memory together: frames, files, Arrow datasets, Dask frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.data import files, frames
from dagmodels.data.column import Column
from dagmodels.errors import ModelError, raise_all

Floats = NDArray[np.float64]
MOST = 100_000  # different rows that are kept in the place of all
SPAN = 1 << 16  # integers within so many of one another are counted without sorting
AHEAD = 8  # pieces given to an executor before the first of them is asked for
CELLS = 1 << 22  # combinations of columns that are counted in one table


@dataclass(frozen=True, eq=False, slots=True)
class Partitions:
    """Pieces of one table, each of whole units; they may be gone through again and again.

    pieces : gives a fresh iterator of anything that reads as a table. executor : of `concurrent.futures`, for
    what is done piece by piece; None does it here, one piece in memory at a time.
    """

    pieces: Callable[[], Iterator[Any]] = field(repr=False)
    executor: Executor | None = None

    def __iter__(self) -> Iterator[Any]:
        return self.pieces()

    def map(self, function: Callable[[Any], Any]) -> Iterator[Any]:
        """The function's values, piece by piece and in order; an executor gets a few pieces at a time."""
        if self.executor is None:
            yield from map(function, self)
            return
        waiting: list[Any] = []
        for piece in self:
            waiting.append(self.executor.submit(function, piece))
            if len(waiting) > AHEAD:
                yield waiting.pop(0).result()
        for job in waiting:
            yield job.result()


def partitions(source: Any, executor: Executor | None = None) -> Partitions:
    """Data larger than memory, for `fit`.

    Parameters
    ----------
    source : a list of frames or of names of data files, a dataset of `pyarrow.dataset`, a Dask data frame, a
        function that gives a fresh iterator of frames, or anything else that can be iterated more than once.
    executor : of `concurrent.futures`, to read and count pieces elsewhere; the answer is the same.

    A unit's rows must lie in one piece.

    Raises `ModelErrors` for a source that can be gone through but once, and for what is no sequence of
    tables.
    """
    if isinstance(source, Partitions):
        return Partitions(source.pieces, executor or source.executor)
    if callable(source):
        return Partitions(lambda: iter(source()), executor)
    if hasattr(source, "to_batches") and hasattr(source, "schema"):
        return Partitions(source.to_batches, executor)
    if hasattr(source, "partitions") and hasattr(source, "compute"):
        return Partitions(lambda: (piece.compute() for piece in source.partitions), executor)
    if _is_one_table(source) or not isinstance(source, Iterable) or isinstance(source, str | bytes | dict):
        told = f"{type(source).__name__} is no sequence of tables"
        raise_all([ModelError(told, hint="give a list of frames or of file names")], "the partitions")
    if isinstance(source, Iterator):
        told = "an iterator can be gone through only once"
        hint = "give a list, or a function that makes a new iterator: partitions(lambda: ...)"
        raise_all([ModelError(told, hint=hint)], "the partitions")
    return Partitions(lambda: iter(source), executor)


def _is_one_table(source: object) -> bool:
    """A frame, or a list of records; a list of dicts of columns is none."""
    if isinstance(source, list | tuple) and source and isinstance(source[0], Mapping):
        return not any(
            hasattr(value, "__len__") and not isinstance(value, str) for value in source[0].values()
        )
    return frames.is_frame(source)


def read(piece: Any) -> frames.Table:
    """One piece as a table."""
    if files.is_file_name(piece):
        return frames.table(files.read(piece))
    if type(piece).__name__ == "RecordBatch":
        import pyarrow

        piece = pyarrow.Table.from_batches([piece])
    return frames.table(piece)


@dataclass(frozen=True, slots=True)
class Count:
    """Counts the different rows of one piece; travels to other processes. names : columns that count."""

    names: tuple[str, ...]
    most: int = MOST

    def __call__(self, piece: Any) -> tuple[list[list[Any]], Floats] | None:
        """Columns of the different rows, and how often each occurs; None if there are too many."""
        table = read(piece)
        missing = [n for n in self.names if n not in table]
        if missing:
            told = f"a piece has no column {missing[0]!r}, which others have"
            raise_all([ModelError(told, hint="every piece needs the same columns")], "the partitions")
        columns = [_coded(table.column(n)) for n in self.names]
        found = _counted([codes for codes, _ in columns], [len(v) for _, v in columns], table.n, self.most)
        if found is None:
            return None
        rows, counts = found
        picked = [[values[c] for c in row] for row, (_, values) in zip(rows, columns, strict=True)]
        return picked, counts


def distinct(
    parts: Partitions, names: Sequence[str], most: int = MOST
) -> tuple[dict[str, list[Any]], Floats] | None:
    """The different rows of all pieces, in the order of their first appearance, and how often each occurs.

    None as soon as there are more than `most`.
    """
    total: dict[tuple[Any, ...], float] = {}
    for found in parts.map(Count(tuple(names), most)):
        if found is None:
            return None
        columns, counts = found
        keys = zip(*columns, strict=True) if columns else iter([()] * counts.size)
        for key, count in zip(keys, counts.tolist(), strict=True):
            total[key] = total.get(key, 0.0) + count
        if len(total) > most:
            return None
    rows = list(total)
    return {n: [row[k] for row in rows] for k, n in enumerate(names)}, np.array(list(total.values()))


def _coded(column: Column) -> tuple[NDArray[np.int64], list[Any]]:
    """Codes, and the value of each; None stands for what is missing."""
    if column.numbers is None:
        assert column.codes is not None
        return np.where(column.codes < 0, len(column.labels), column.codes), [*column.labels, None]
    numbers = column.numbers
    if numbers.dtype.kind in "iub" and numbers.size:
        least, greatest = int(numbers.min()), int(numbers.max())
        if greatest - least < SPAN:
            return numbers.astype(np.int64) - least, list(range(least, greatest + 1))
    values, codes = np.unique(numbers, return_inverse=True)
    plain = [None if v != v else v for v in values.tolist()]
    return codes.reshape(-1).astype(np.int64), plain


def _counted(
    codes: list[NDArray[np.int64]], sizes: list[int], n: int, most: int
) -> tuple[NDArray[np.int64], Floats] | None:
    """(columns, rows) codes of the different rows, and their numbers; None if there are more than `most`."""
    if not codes:
        return np.zeros((0, 1), dtype=np.int64), np.array([float(n)])
    key, size = np.zeros(n, dtype=np.int64), 1
    for column, k in zip(codes, sizes, strict=True):
        if size * k > 2**62:
            kept, key = np.unique(key, return_inverse=True)
            if kept.size > most:
                return None
            size = kept.size
        key, size = key * k + column, size * k
    if size <= CELLS:
        counts = np.bincount(key, minlength=1)
        present = np.flatnonzero(counts)
        first = np.zeros(counts.size, dtype=np.int64)
        first[key[::-1]] = np.arange(n - 1, -1, -1)
        first, counts = first[present], counts[present]
    else:
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
    if first.size > most:
        return None
    order = np.argsort(first, kind="stable")
    return np.stack([c[first[order]] for c in codes]), counts[order].astype(np.float64)
