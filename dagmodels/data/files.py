"""CSV, Parquet and JSON files -> a Table, or for JSON what the file holds.

In text files an empty field, NA, NaN and null are missing. A text column is read as whole numbers,
numbers or booleans where every given entry is one; numbers with leading zeros ("007") stay labels.
Fields are separated by commas, tabs or semicolons, whichever parts the header; where it is semicolons,
numbers may have a decimal comma.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from dagmodels.data.column import Column, column
from dagmodels.data.frames import Table, table
from dagmodels.errors import ModelError

ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".json")
MISSING = frozenset({"", "NA", "NaN", "nan", "NULL", "null"})
DELIMITERS = (",", "\t", ";")
_SPOKEN = {",": "the comma", "\t": "the tab", ";": "the semicolon"}
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?\Z")
_TRUTH = {"TRUE": True, "True": True, "true": True, "FALSE": False, "False": False, "false": False}
_LABEL_LIKE = re.compile(r"^[+-]?0[0-9]|_", re.MULTILINE)  # leading zeros; 1_000 is Python's alone


def is_file_name(value: object) -> bool:
    """A path, or text that ends like a data file."""
    return isinstance(value, Path) or (isinstance(value, str) and _ending(Path(value)) in ENDINGS)


def read(path: str | Path) -> Any:
    """Read a data file.

    Returns
    -------
    A Table for CSV (also `.tsv`, also gzipped) and Parquet; for JSON the list of records, dict of
    columns or arrays, or dict of tables that the file holds.

    Raises
    ------
    ModelError : the file is absent, not UTF-8, of an unknown kind, or malformed (with its line).
    """
    file = Path(path)
    ending = _ending(file)
    if ending not in ENDINGS:
        raise ModelError(
            f"{file.name}: unknown kind of data file", hint="write it as .csv, .parquet or .json"
        )
    try:
        match ending:
            case ".parquet" | ".pq":
                return _parquet(file)
            case ".json":
                return _json(file)
            case _:
                return _delimited(file)
    except FileNotFoundError:
        raise ModelError(f"no data file {str(file)!r}", hint=_near(file)) from None
    except OSError as error:
        raise ModelError(f"cannot read {str(file)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{file.name} is not UTF-8 text: byte {error.start}", hint="save it as UTF-8"
        ) from None


def _ending(file: Path) -> str:
    return (file.with_suffix("") if file.suffix == ".gz" else file).suffix.lower()


def _near(file: Path) -> str:
    import difflib

    there = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
    near = difflib.get_close_matches(file.name, there, 1)
    return f"did you mean {near[0]!r}?" if near else "check the path"


def _text(file: Path) -> str:
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return raw.decode("utf-8-sig")


def _delimiter(text: str) -> str:
    """What separates the fields: of the comma, the tab and the semicolon the first that parts the header."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    for delimiter in DELIMITERS:
        if len(next(csv.reader([header], delimiter=delimiter), [])) > 1:
            return delimiter
    return ","


def _delimited(file: Path) -> Table:
    text = _text(file)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise ModelError(f"{error}", source=file.name, line=reader.line_num) from None
    if not rows:
        raise ModelError(f"{file.name} is empty", hint="its first line names the columns")
    names = tuple(name.strip() for name in rows.pop(0))
    for name in names:
        if names.count(name) > 1:
            raise ModelError(
                f"column name {name!r} occurs twice", source=file.name, line=1, hint="rename one"
            )
    wrong = next((i for i, row in enumerate(rows) if len(row) != len(names)), None)
    if wrong is not None:
        told = f"row {wrong + 1} has {len(rows[wrong])} fields, the header {len(names)}"
        hint = f"quote fields that hold the delimiter, here {_SPOKEN[delimiter]}"
        raise ModelError(told, source=file.name, hint=hint)
    places = {name: i for i, name in enumerate(names)}

    def read_column(name: str) -> Column:
        place = places[name]
        return text_column(name, [row[place] for row in rows], decimal_comma=delimiter == ";")

    return Table(names, len(rows), read_column, file.name)


def text_column(name: str, entries: list[str], *, decimal_comma: bool = False) -> Column:
    """A column of text -> whole numbers, numbers, booleans or labels, missing entries marked.

    decimal_comma : numbers may be written 1,5 (all of a column, as R's `read.csv2` has it).
    """
    entries = list(map(str.strip, entries))
    if decimal_comma and all(x in MISSING or _DECIMAL_COMMA.match(x) for x in set(entries)):
        entries = [x.replace(",", ".") for x in entries]
    distinct = set(entries)
    lost = distinct & MISSING
    given = distinct - MISSING
    if given and not _LABEL_LIKE.search("\n".join(given)):
        for convert in (int, float):
            try:
                return _numbers(name, entries, lost, convert)
            except ValueError:
                continue
    if given and given <= _TRUTH.keys():
        return column(name, [_TRUTH.get(x) for x in entries])
    return column(name, [None if x in MISSING else x for x in entries] if lost else entries)


def _numbers(name: str, entries: list[str], lost: set[str], convert: type[int] | type[float]) -> Column:
    if not lost:
        kind = np.int64 if convert is int else np.float64
        try:
            return Column(name, numbers=np.array(list(map(convert, entries)), dtype=kind))
        except OverflowError:  # whole numbers beyond 64 bits
            raise ValueError(name) from None
    return Column(name, numbers=np.array([np.nan if x in MISSING else float(x) for x in entries]))


def _parquet(file: Path) -> Table:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ModelError(
            f"{file.name}: reading Parquet needs pyarrow", hint="pip install 'dagmodels[frames]'"
        ) from None
    import pyarrow

    try:
        return table(parquet.read_table(file), file.name)
    except pyarrow.ArrowInvalid as error:
        raise ModelError(f"{file.name} is not a Parquet file: {error}") from None


def _json(file: Path) -> Any:
    try:
        found = json.loads(_text(file))
    except json.JSONDecodeError as error:
        raise ModelError(error.msg, source=file.name, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise ModelError(f"{file.name}: nested too deeply") from None
    if isinstance(found, list) and all(isinstance(row, dict) for row in found):
        return table(found, file.name)
    if isinstance(found, dict):
        return found
    raise ModelError(f"{file.name}: a JSON data file holds a list of records or an object of columns")
