"""Data and initial values: R's dump format, the lists of WinBUGS, JSON and dicts -> arrays by name.

A matrix of R (`structure(c(...), .Dim = c(3, 2))`) holds its columns one after the other; with `.Data =`, as
in WinBUGS' lists, its rows. JSON holds rows as inner lists. Missing values are NaN.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import ModelError, raise_all

Arrays = dict[str, NDArray[np.float64]]

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
  | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?(?![\w.]))
  | (?P<quoted>"[^"\n]*"|'[^'\n]*'|`[^`\n]*`)
  | (?P<name>[A-Za-z.][\w.]*)
  | (?P<symbol><-|[=(),:;{}])
    """,
    re.VERBOSE,
)
_MISSING = {"NA", "NaN", "NA_real_", "NA_integer_"}


def arrays(given: object, what: str, base: Path | None = None) -> Arrays:
    """Numbers by name.

    Parameters
    ----------
    given : a dict of numbers, lists and arrays (None and NaN are missing), or the name of a file: JSON, else
        R's dump.
    what : of messages, such as "data".
    base : folder of relative names.

    Raises
    ------
    ModelErrors : a file that cannot be read, entries that are no numbers.
    """
    where = f"the {what} of the BUGS model"
    if isinstance(given, str | os.PathLike):
        path = Path(given) if base is None or Path(given).exists() else base / Path(given)
        text = _text(path, where)
        where = str(path)
        given = _json(text, where) if path.suffix.lower() == ".json" else read_dump(text, where)
    if not isinstance(given, Mapping):
        told = f"{what} is {type(given).__name__}, not a dict by name"
        raise_all([ModelError(told, hint="give a dict, or the name of a JSON or R dump file")], where)
    assert isinstance(given, Mapping)
    faults: list[ModelError] = []
    found: Arrays = {}
    for key, value in given.items():
        try:
            found[str(key)] = _array(value)
        except (TypeError, ValueError):
            told = f"'{key}' of the {what} is no number, list or array of numbers"
            hint = "rows must be of one length; missing numbers are null (JSON), NA (R) or NaN"
            faults.append(ModelError(told, node=str(key), hint=hint))
    raise_all(faults, where)
    return found


def _array(value: Any) -> NDArray[np.float64]:
    found = np.asarray(value)
    if found.dtype.kind in "US":
        raise TypeError
    return np.asarray(value, dtype=np.float64)


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is not UTF-8"
        raise_all([ModelError(f"the file '{path}' cannot be read: {told}", hint="check the path")], where)
    raise AssertionError("unreachable")


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"this is no JSON: {error.msg}"
        raise_all([ModelError(message, line=error.lineno, column=error.colno, source=where)], where)
    raise AssertionError("unreachable")


class _Bad(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def read_dump(text: str, where: str = "the R dump") -> Arrays:
    """The arrays of a text as R's `dump` writes it (`x <- c(1, NA)`), or of one `list(x = c(1, NA))`."""
    try:
        return _Dump(text).all()
    except _Bad as bad:
        line, column = text.count("\n", 0, bad.at) + 1, bad.at - text.rfind("\n", 0, bad.at)
        hint = "known: numbers, NA, a:b, c(...), structure(c(...), .Dim = c(...)), list(...)"
        raise_all([ModelError(str(bad), line=line, column=column, hint=hint, source=where)], where)
    raise AssertionError("unreachable")


class _Dump:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _Bad(f"'{text[at]}' is no part of R's dump format", at)
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup or "", match.group(), at))
            at = match.end()
        self.tokens.append(("end", "", len(text)))
        self.i = 0

    def next(self) -> tuple[str, str, int]:
        token = self.tokens[self.i]
        self.i += token[0] != "end"
        return token

    def take(self, text: str) -> bool:
        found = self.tokens[self.i][1] == text
        self.i += found
        return found

    def need(self, text: str) -> None:
        if not self.take(text):
            raise _Bad(f"'{text}' is missing before '{self.tokens[self.i][1]}'", self.tokens[self.i][2])

    def all(self) -> Arrays:
        found: Arrays = {}
        if self.tokens[0][1] == "list":
            self.i = 1
            self.need("(")
            while not self.take(")"):
                name = self.name()
                self.need("=")
                found[name] = self.value()
                self.take(",")
            return found
        while self.tokens[self.i][0] != "end":
            if self.take(";"):
                continue
            name = self.name()
            if not (self.take("<-") or self.take("=")):
                raise _Bad(f"'<-' is missing after '{name}'", self.tokens[self.i][2])
            found[name] = self.value()
        return found

    def name(self) -> str:
        kind, text, at = self.next()
        if kind not in ("name", "quoted"):
            raise _Bad(f"'{text}' is no name", at)
        return text.strip("\"'`")

    def value(self) -> NDArray[np.float64]:
        kind, text, at = self.next()
        if kind == "number":
            first = float(text.removesuffix("L"))
            if self.take(":"):
                last = float(self.next()[1].removesuffix("L"))
                return np.arange(first, last + 1)
            return np.array(first)
        if text in _MISSING:
            return np.array(np.nan)
        if text in ("c", "structure", "as.integer", "as.numeric") and kind == "name":
            self.need("(")
            if text == "structure":
                return self.structure(at)
            return self.items() if text == "c" else self.closed()
        raise _Bad(f"'{text}' is no number", at)

    def closed(self) -> NDArray[np.float64]:
        found = self.value()
        self.need(")")
        return found

    def items(self) -> NDArray[np.float64]:
        found: list[NDArray[np.float64]] = []
        while not self.take(")"):
            found.append(np.atleast_1d(self.value()))
            self.take(",")
        return np.concatenate(found) if found else np.zeros(0)

    def structure(self, at: int) -> NDArray[np.float64]:
        rows = self.take(".Data")
        if rows:
            self.need("=")
        body = np.atleast_1d(self.value())
        shape: tuple[int, ...] = body.shape
        while not self.take(")"):
            self.need(",")
            key = self.name()
            self.need("=")
            if key == ".Dim":
                shape = tuple(np.atleast_1d(self.value()).astype(int).tolist())
            else:
                self.skip()
        if int(np.prod(shape)) != body.size:
            raise _Bad(f"structure has {body.size} numbers for .Dim {shape}", at)
        return body.reshape(shape, order="C" if rows else "F")

    def skip(self) -> None:
        """Names of dimensions and classes, which BUGS has no use for."""
        depth = 0
        while depth or self.tokens[self.i][1] not in (",", ")"):
            kind, text, at = self.next()
            if kind == "end":
                raise _Bad("a bracket is not closed", at)
            depth += (text == "(") - (text == ")")
