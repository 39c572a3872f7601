"""Anything tabular -> named columns, without importing a library that the user did not import."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagmodels.data.column import Column, categorical, column
from dagmodels.errors import ModelError

_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf", "dask", "duckdb", "ibis", "pyspark", "narwhals")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Named columns of one length; each is read from its frame when first asked for.

    names : of the columns, in order, as text.
    n : number of rows.
    source : what messages call it, such as "the data" or a file's name.
    """

    names: tuple[str, ...]
    n: int
    read: Callable[[str], Column]
    source: str = "the data"
    _cache: dict[str, Column] = field(default_factory=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def column(self, name: str) -> Column:
        """The column of that name."""
        if name not in self._cache:
            self._cache[name] = self.read(name)
        return self._cache[name]

    def without(self, names: Collection[str]) -> Table:
        """The same table without some columns."""
        kept = tuple(n for n in self.names if n not in names)
        return Table(kept, self.n, self.read, self.source, self._cache)

    def named(self, source: str) -> Table:
        """The same table, called otherwise in messages."""
        return Table(self.names, self.n, self.read, source, self._cache)


def is_frame(value: object) -> bool:
    """A data frame of a library, a structured array or a list of records; dicts are the caller's."""
    if isinstance(value, np.ndarray):
        return value.dtype.names is not None
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(row, Mapping) for row in value)
    return is_native(value) and not is_series(value)


def is_native(value: object) -> bool:
    """A frame or series of a data frame library."""
    root = type(value).__module__.partition(".")[0]
    return root in _LIBRARIES or hasattr(value, "__narwhals_dataframe__")


def is_series(value: object) -> bool:
    """One column of a data frame library."""
    return is_native(value) and type(value).__name__ in (
        "Series",
        "ChunkedArray",
        "Index",
        "Categorical",
        "CategoricalIndex",
        "DatetimeIndex",
        "RangeIndex",
    )


def table(data: object, source: str = "the data") -> Table:
    """Any frame -> Table.

    Parameters
    ----------
    data : a data frame (pandas, polars, Arrow, ... whatever narwhals reads), a dict of columns of
        one length, a list of records (dicts), or a structured array.
    source : what messages call it.

    Raises
    ------
    ModelError : it is none of these, columns differ in length, or a name occurs twice.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, Mapping):
        return _from_mapping(data, source)
    if isinstance(data, np.ndarray) and data.dtype.names:
        return _from_mapping({n: data[n] for n in data.dtype.names}, source)
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        return _from_records(data, source)
    if is_series(data):
        name = getattr(data, "name", None)
        raise ModelError(
            f"{source}: a {type(data).__name__} is one column, not a table",
            hint=f"give a data frame, or a dict such as {{{str(name or 'y')!r}: the series}}",
        )
    if is_native(data):
        return _from_native(data, source)
    raise ModelError(
        f"{source}: {type(data).__name__} is not a table",
        hint="give a data frame, a dict of columns, a list of records or the name of a data file",
    )


def series(name: str, values: Any) -> Column:
    """A list, array or series of a data frame library -> Column."""
    if not is_series(values):
        return column(name, values)
    if _is_pandas(values, "Series"):
        return _pandas_column(name, values)
    import narwhals as nw

    kind = type(values).__name__
    if kind in ("Categorical", "CategoricalIndex"):
        return categorical(
            name, np.asarray(values.codes), list(values.categories), ordered=bool(values.ordered)
        )
    if kind.endswith("Index"):
        return column(name, values.to_numpy())
    return _native_column(name, nw.from_native(values, series_only=True))


def _from_mapping(data: Mapping[Any, Any], source: str) -> Table:
    columns = {str(name): series(str(name), values) for name, values in data.items()}
    lengths = {name: len(c) for name, c in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ModelError(f"{source}: columns of one table differ in length ({told})")
    return Table(tuple(columns), next(iter(lengths.values()), 0), columns.__getitem__, source)


def _from_records(rows: Sequence[Mapping[Any, Any]], source: str) -> Table:
    names = dict.fromkeys(name for row in rows for name in row)

    def read(name: str) -> Column:
        return column(name, [row.get(keys[name]) for row in rows])

    keys = {str(name): name for name in names}
    return Table(tuple(keys), len(rows), read, source)


def _from_native(data: Any, source: str) -> Table:
    index = getattr(data, "index", None)
    if any(
        name is not None for name in getattr(index, "names", ())
    ):  # a pandas index with a name is a column
        data = data.reset_index()
    names = getattr(data, "columns", ()) if hasattr(data, "iloc") else ()
    names = names.tolist() if hasattr(names, "tolist") else names
    if any(not isinstance(name, str) for name in names):
        names = [str(name) for name in names]
        data = data.set_axis(names, axis=1)
    if _is_pandas(data, "DataFrame"):
        columns = tuple(names)
        _refuse_duplicates(columns, source)
        return Table(columns, len(data), lambda name: _pandas_column(name, data[name]), source)
    import narwhals as nw

    try:
        frame = nw.from_native(data)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        columns = tuple(frame.columns)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise ModelError(f"{source}: not a usable data frame: {error}") from error
    _refuse_duplicates(columns, source)
    return Table(columns, len(frame), lambda name: _native_column(name, frame[name]), source)


def _refuse_duplicates(names: Iterable[str], source: str) -> None:
    seen: set[str] = set()
    twice = [n for n in names if n in seen or seen.add(n)]  # type: ignore[func-returns-value]
    if twice:
        raise ModelError(f"{source}: column name {twice[0]!r} occurs twice", node=twice[0], hint="rename one")


def _is_pandas(value: object, kind: str) -> bool:
    """A pandas object of this very class: the commonest data need no translation."""
    found = type(value)
    return found.__name__ == kind and found.__module__.partition(".")[0] == "pandas"


def _pandas_column(name: str, values: Any) -> Column:
    """A pandas series -> Column: plain numbers and text at once, the rest through narwhals."""
    kind = values.dtype
    if isinstance(kind, np.dtype):
        if kind.kind in "iufb":
            return column(name, values.to_numpy())
        if kind.kind == "O":
            return column(name, values.tolist())
    elif kind == "str":
        codes, labels = values.factorize()
        if len(labels):
            return Column(name, codes=codes, labels=tuple(labels.tolist()))
        return column(name, values.tolist())  # all are missing
    import narwhals as nw

    return _native_column(name, nw.from_native(values, series_only=True))


def _native_column(name: str, values: Any) -> Column:
    """A narwhals series -> Column."""
    import narwhals as nw

    kind = values.dtype
    if isinstance(kind, nw.Categorical | nw.Enum) or kind in (nw.Categorical, nw.Enum):
        return _native_categorical(name, values)
    if kind.is_float():
        return column(name, values.to_numpy().astype(np.float64, copy=False))
    if kind.is_integer():
        if values.null_count():
            return column(name, values.cast(nw.Float64).to_numpy())
        return column(name, values.to_numpy())
    if kind.is_decimal():
        return column(name, values.cast(nw.Float64).to_numpy())
    if kind.is_temporal() or (kind == nw.Boolean and not values.null_count()):
        return column(name, values.to_numpy())
    return column(name, values.to_list())


def _native_categorical(name: str, values: Any) -> Column:
    """Categories in their order; those of a polars Categorical have none, so they are sorted later."""
    native = values.to_native()
    root = type(native).__module__.partition(".")[0]
    if root == "pyarrow":
        whole = native.unify_dictionaries().combine_chunks()
        whole = whole.chunk(0) if hasattr(whole, "num_chunks") else whole
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return categorical(name, codes, whole.dictionary.to_pylist(), ordered=whole.type.ordered)
    if hasattr(native, "cat") and hasattr(native.cat, "codes"):
        cat = native.cat
        return categorical(name, np.asarray(cat.codes), cat.categories.tolist(), ordered=bool(cat.ordered))
    labels = column(name, native.to_list())
    if type(native.dtype).__name__ != "Enum":
        return labels
    categories = list(native.dtype.categories)
    place = {c: i for i, c in enumerate(categories)}
    if labels.codes is None:  # no row has a label
        return labels
    codes = np.array([place[x] for x in labels.labels] + [-1], dtype=np.int64)[labels.codes]
    return categorical(name, codes, categories, ordered=True)
