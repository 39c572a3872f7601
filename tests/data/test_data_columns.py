"""Columns as numbers or labels, from lists, arrays and frames of every library."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dagmodels.data.column import Column, NotNumbers, column
from dagmodels.data.frames import _native_column, is_frame, series, table
from dagmodels.errors import ModelError

DAYS = [datetime.date(2020, 1, 2), None, datetime.date(2019, 5, 1)]
DATA: dict[str, list[object]] = {
    "whole": [3, 1, 2],
    "holes": [1, None, 3],
    "real": [0.5, None, -2.0],
    "truth": [True, False, True],
    "doubt": [True, None, False],
    "text": ["b", None, "a"],
    "day": DAYS,
}


def _records(data: dict[str, list[object]]) -> list[dict[str, object]]:
    return [{k: v[i] for k, v in data.items()} for i in range(3)]


def _structured(data: dict[str, list[object]]) -> np.ndarray:
    rows = list(zip(*data.values(), strict=True))
    return np.array(rows, dtype=[(name, object) for name in data])


KINDS: dict[str, Callable[[dict[str, list[object]]], object]] = {
    "dict": dict,
    "records": _records,
    "structured": _structured,
    "arrays": lambda d: {k: np.array(v, dtype=object) for k, v in d.items()},
    "pandas": pd.DataFrame,
    "pandas nullable": lambda d: pd.DataFrame(d).convert_dtypes(),
    "pandas arrow": lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="pyarrow"),
    "pandas index": lambda d: pd.DataFrame(d).set_index("text"),
    "polars": pl.DataFrame,
    "polars lazy": lambda d: pl.DataFrame(d).lazy(),
    "arrow": pa.table,
    "series": lambda d: {k: pd.Series(v) for k, v in d.items()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_the_same_columns(kind: str) -> None:
    found = table(KINDS[kind](DATA))
    assert set(found.names) == set(DATA)
    assert found.n == 3
    for name, expected in (
        ("whole", [3, 1, 2]),
        ("holes", [1, np.nan, 3]),
        ("real", [0.5, np.nan, -2]),
        ("truth", [1, 0, 1]),
        ("doubt", [1, np.nan, 0]),
    ):
        np.testing.assert_array_equal(found.column(name).floats(), expected)
        np.testing.assert_array_equal(found.column(name).missing, np.isnan(expected))
    for name, labels, codes in (
        ("text", ("a", "b"), [1, -1, 0]),
        ("day", ("2019-05-01", "2020-01-02"), [1, -1, 0]),
        ("whole", (1, 2, 3), [2, 0, 1]),
        ("holes", (1, 3), [0, -1, 1]),
    ):
        factor = found.column(name).factor()
        assert factor.labels == labels
        assert factor.codes.tolist() == codes


CATEGORIES = ["low", "middle", "high"]
ORDERED: dict[str, Callable[[], object]] = {
    "pandas": lambda: pd.Series(pd.Categorical(["high", None, "low"], CATEGORIES, ordered=True)),
    "bare": lambda: pd.Categorical(["high", None, "low"], CATEGORIES, ordered=True),
    "polars": lambda: pl.Series(["high", None, "low"], dtype=pl.Enum(CATEGORIES)),
    "arrow": lambda: pa.chunked_array(
        [pa.DictionaryArray.from_arrays(pa.array([2, None, 0]), CATEGORIES, ordered=True)]
    ),
}


@pytest.mark.parametrize("kind", ORDERED)
def test_ordered_categoricals(kind: str) -> None:
    factor = series("x", ORDERED[kind]()).factor()
    assert factor.labels == ("low", "high")
    assert factor.codes.tolist() == [1, -1, 0]
    assert factor.ordered


def test_arrow_dictionaries_in_several_chunks() -> None:
    parts = [pa.array(["b", "a"]).dictionary_encode(), pa.array(["c", None]).dictionary_encode()]
    factor = series("x", pa.chunked_array(parts)).factor()
    assert [factor.labels[c] if c >= 0 else None for c in factor.codes] == ["b", "a", "c", None]


def test_polars_categories_have_no_order_of_their_own() -> None:
    factor = series("x", pl.Series(["b", "a", None], dtype=pl.Categorical)).factor()
    assert factor.labels == ("a", "b")
    assert not factor.ordered


def test_numbers_written_as_text() -> None:
    np.testing.assert_array_equal(column("x", ["1.5", None, "-2", "1e3"]).floats(), [1.5, np.nan, -2, 1000])


def test_the_first_row_that_is_no_number() -> None:
    with pytest.raises(NotNumbers) as caught:
        column("x", ["1", "two", "3", "four"]).floats()
    assert (caught.value.row, caught.value.value) == (1, "two")


def test_python_spelling_of_thousands_is_no_number() -> None:
    with pytest.raises(NotNumbers):
        column("x", ["1_000"]).floats()


def test_dates_are_no_numbers() -> None:
    with pytest.raises(NotNumbers):
        column("x", np.array(["2020-01-01"], dtype="M8[D]")).floats()


def test_large_whole_numbers_stay_exact() -> None:
    big = [2**53, 2**53 + 1]
    assert column("x", big).factor().labels == tuple(big)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], dtype=np.uint8),
        np.array([1, 2], dtype=np.float32),
        [decimal.Decimal(1), 2],
        (1, 2),
        range(1, 3),
    ],
)
def test_number_types(values: object) -> None:
    assert column("x", values).floats().tolist() == [1, 2]  # type: ignore[arg-type]


def test_masked_entries_are_missing() -> None:
    found = column("x", np.ma.masked_array([1.0, 2.0], mask=[False, True]))
    assert found.missing.tolist() == [False, True]


@pytest.mark.parametrize("values", [np.zeros((2, 2)), [[1], [2]], [{1}, {2}], [1j, 2j]])
def test_no_column(values: object) -> None:
    with pytest.raises(ModelError, match="'x'"):
        column("x", values)  # type: ignore[arg-type]


def test_value_as_written() -> None:
    assert Column("x", numbers=np.array([1, 2])).value(1) == 2
    assert column("x", ["a", None]).value(1) is None


def test_columns_of_unequal_length() -> None:
    with pytest.raises(ModelError, match=r"differ in length \(a 2, b 1\)"):
        table({"a": [1, 2], "b": [1]})


def test_records_may_leave_keys_out() -> None:
    assert table([{"a": 1}, {"b": 2}]).column("a").missing.tolist() == [False, True]


def test_names_that_are_no_text() -> None:
    assert table(pd.DataFrame({1: [5], 2: [6]})).names == ("1", "2")


def test_a_name_twice() -> None:
    with pytest.raises(ModelError, match=r"twice|unique|duplicate"):
        table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_what_is_no_table() -> None:
    with pytest.raises(ModelError, match="int is not a table"):
        table(5)
    assert not is_frame(np.zeros(3))
    assert not is_frame(pd.Series([1]))
    assert is_frame(pl.DataFrame({"a": [1]}))


def test_no_library_is_imported_that_the_user_did_not_import() -> None:
    script = (
        "import sys, numpy as np\n"
        "from dagmodels.data.frames import table\n"
        "t = table({'x': ['a', 'b'], 'y': [1.0, 2.0]}); t.column('x').factor(); t.column('y').floats()\n"
        "print([m for m in ('pandas', 'polars', 'pyarrow', 'narwhals', 'scipy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PANDAS = {
    "integers": pd.Series([3, 1, 2], dtype="int32"),
    "unsigned": pd.Series([3, 1], dtype="uint8"),
    "floats": pd.Series([1.5, np.nan], dtype="float32"),
    "truth": pd.Series([True, False]),
    "text": pd.Series(["b", None, "a", "b"]),
    "numbers as text": pd.Series(["10", "9", "10"]),
    "python text": pd.Series(["b", "a", None], dtype=pd.StringDtype("python", na_value=np.nan)),
    "nullable text": pd.Series(["b", pd.NA, "a"], dtype="string"),
    "nothing but missing text": pd.Series([None, None], dtype="str"),
    "no rows": pd.Series([], dtype="str"),
    "objects": pd.Series(["a", 1, None], dtype=object),
    "nullable integers": pd.Series([1, None], dtype="Int64"),
    "categories": pd.Series(pd.Categorical(["b", "a", None], categories=["b", "c", "a"], ordered=True)),
    "dates": pd.Series(pd.to_datetime(["2024-01-02", None, "2023-01-01"])),
}


@pytest.mark.parametrize("kind", PANDAS)
def test_a_pandas_column_is_what_the_general_way_makes_of_it(kind: str) -> None:
    """Plain columns are taken at once; narwhals, which reads all other libraries, says the same."""
    import narwhals as nw

    values = PANDAS[kind]
    fast = table(pd.DataFrame({"x": values})).column("x")
    slow = _native_column("x", nw.from_native(values, series_only=True))
    assert (fast.labels, fast.ranked, fast.ordered) == (slow.labels, slow.ranked, slow.ordered)
    for one, other in ((fast.numbers, slow.numbers), (fast.codes, slow.codes)):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
