"""CSV, Parquet and JSON files, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagmodels.data.files import is_file_name, read
from dagmodels.data.frames import table
from dagmodels.errors import ModelError

CSV = """id,name,x,flag,day,code
1,"A, or B",1.5,TRUE,2020-01-31,007
2,NA,,FALSE,2020-02-01,010
3,c,-1e3,NA,NA,011
"""


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv(tmp_path: Path) -> None:
    found = read(_write(tmp_path, "d.csv", CSV))
    assert found.names == ("id", "name", "x", "flag", "day", "code")
    assert found.column("id").factor().labels == (1, 2, 3)
    assert found.column("name").factor().codes.tolist() == [0, -1, 1]
    np.testing.assert_array_equal(found.column("x").floats(), [1.5, np.nan, -1000])
    np.testing.assert_array_equal(found.column("flag").floats(), [1, 0, np.nan])
    assert found.column("day").factor().labels == ("2020-01-31", "2020-02-01")
    assert found.column("code").factor().labels == ("007", "010", "011")
    np.testing.assert_array_equal(found.column("code").floats(), [7, 10, 11])


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_and_byte_order_mark(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ending.join(["a,b", "1,2", "", "3,4"]).encode())
    assert read(path).column("a").factor().labels == (1, 3)


def test_tabs_and_gzip(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n1\t2\n"))
    assert read(path).names == ("a", "b")


def test_whole_numbers_beyond_64_bits(tmp_path: Path) -> None:
    found = read(_write(tmp_path, "d.csv", f"x\n{10**30}\n1\n"))
    np.testing.assert_array_equal(found.column("x").floats(), [1e30, 1])


def test_csv_agrees_with_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"g": rng.choice(["a", "b", "ä"], 50), "x": rng.normal(size=50), "n": rng.integers(9, size=50)}
    )
    frame.to_csv(tmp_path / "d.csv", index=False)
    found, direct = read(tmp_path / "d.csv"), table(frame)
    for name in ("x", "n"):
        np.testing.assert_array_equal(found.column(name).floats(), direct.column(name).floats())
    assert found.column("g").factor().labels == direct.column("g").factor().labels


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"g": pd.Categorical(["b", "a"], ["b", "a"], ordered=True), "x": [1.0, None]})
    frame.to_parquet(tmp_path / "d.parquet")
    found = read(tmp_path / "d.parquet")
    assert found.column("g").factor().labels == ("b", "a")
    assert found.column("g").factor().ordered
    assert found.column("x").missing.tolist() == [False, True]


def test_json_records_and_arrays(tmp_path: Path) -> None:
    records = read(_write(tmp_path, "r.json", '[{"a": 1, "b": null}, {"a": 2, "b": "x"}]'))
    assert records.column("b").missing.tolist() == [True, False]
    assert read(_write(tmp_path, "a.json", '{"N": 2, "Y": [[1, null], [3, 4]]}')) == {
        "N": 2,
        "Y": [[1, None], [3, 4]],
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.csv", "", "d.csv is empty"),
        ("d.csv", "a,b\n1\n", "row 1 has 1 fields, the header 2"),
        ("d.csv", "a,a\n1,2\n", "column name 'a' occurs twice"),
        ("d.csv", 'a\n"open\n', "unexpected end of data"),
        ("d.json", "[1, 2", "d.json:1:6: Expecting"),
        ("d.json", "[1, 2]", "list of records or an object"),
        ("d.json", "[" * 100_000, "nested too deeply"),
        ("d.parquet", "no", "not a Parquet file"),
        ("d.xls", "", "unknown kind of data file"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(_write(tmp_path, name, text))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_absent_file_has_a_suggestion(tmp_path: Path) -> None:
    _write(tmp_path, "radon.csv", "a\n1\n")
    with pytest.raises(ModelError) as caught:
        read(tmp_path / "radn.csv")
    assert caught.value.hint == "did you mean 'radon.csv'?"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("a\nÄ\n".encode("latin-1"))
    with pytest.raises(ModelError, match=r"d\.csv is not UTF-8 text: byte 2"):
        read(path)


def test_what_is_a_file_name() -> None:
    assert is_file_name("a.csv")
    assert is_file_name(Path("a"))
    assert is_file_name("a.csv.gz")
    assert not is_file_name("yes")
    assert not is_file_name(3)
