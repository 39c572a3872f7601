"""Text, files and objects to a Dag. One line of `FORMATS` a format; one module a format.

A format's function takes the text and, where it came from a file, the file's name, and returns a
checked Dag. Which format a text has is guessed from the file's ending, then from its first line.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.dag import Dag

Source = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Format:
    """One readable format.

    name : as `format=` gives it.
    endings : of its files, in lower case.
    reader : "module:function" of `(text, source) -> Dag`; imported when first used.
    begins : what such a text begins with, comments left out of account, or None when its
        beginning does not tell.
    """

    name: str
    endings: tuple[str, ...]
    reader: str
    begins: re.Pattern[str] | None = None

    def load(self) -> Callable[[str, str | None], Dag]:
        module, function = self.reader.split(":")
        return getattr(import_module(module), function)


FORMATS = (
    Format("dag", (".dag",), "dagmodels.readers.dag:from_text", re.compile(r"model[ \t]+[^\s{]")),
    Format("json", (".json",), "dagmodels.readers.json:from_json", re.compile(r"\{\s*\"")),
    Format(
        "bugs",
        (".bug", ".bugs", ".jags"),
        "dagmodels.readers.bugs:from_text",
        re.compile(r"var\s+[^\W\d]|(?:data|model)\s*\{"),
    ),
    Format("xmlbif", (".xmlbif", ".bifxml"), "dagmodels.readers.pgmpy:from_xmlbif"),
    Format("net", (".net",), "dagmodels.readers.pgmpy:from_net"),
    Format("uai", (".uai",), "dagmodels.readers.pgmpy:from_uai"),
    Format("xdsl", (".xdsl",), "dagmodels.readers.pgmpy:from_xdsl"),
    Format("bif", (".bif",), "dagmodels.readers.bif:from_bif", re.compile(r"network\b[^{;~=]*\{")),
)

_BLANK = re.compile(r"\ufeff?(?:\s|#[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
MAX_BYTES = 64_000_000
MAX_PATH = 4096  # characters; no system has longer paths


def read(source: Source, format: str | None = None) -> Dag:
    """The model in a file or a text.

    Parameters
    ----------
    source : a path, or the text itself. A string is a text when it has more than one line or begins
        as one of the formats does (with `format="json"`, also with any other bracket); otherwise it is
        a path.
    format : one of `FORMATS`; guessed from the file's ending or the text's beginning when None.

    Raises
    ------
    ModelErrors : a missing or unreadable file, an unknown format, or every static fault of the model.
    """
    text, path = _content(source, format)
    found = _format(format, text, path)
    return found.load()(text, str(path) if path is not None else None)


def is_format(name: str, source: object) -> bool:
    """Whether a file's ending or a text's beginning says that a source has this format."""
    found = next(f for f in FORMATS if f.name == name)
    if is_text(source):
        assert isinstance(source, str)
        assert found.begins is not None
        return found.begins.match(_BLANK.sub("", source, count=1)) is not None
    return isinstance(source, str | os.PathLike) and os.fspath(source).lower().endswith(found.endings)


def is_text(source: object) -> bool:
    """Whether a source is the text of a model, not a path."""
    if not isinstance(source, str):
        return False
    begin = _BLANK.sub("", source, count=1)
    return "\n" in source or any(f.begins and f.begins.match(begin) for f in FORMATS)


def read_file(path: Path) -> str:
    """A file's text; refuses what is missing, too large or not UTF-8."""
    shown = str(path)
    try:
        if path.is_dir():
            _refuse(f"{shown} is a folder, not a file.", "name the model's file", shown)
        if path.stat().st_size > MAX_BYTES:
            _refuse(f"{shown} has more than {MAX_BYTES} bytes.", "a model's file is smaller than that", shown)
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        near = _similar_file(path)
        _refuse(f"There is no file {shown}.", f"did you mean {near}?" if near else "check the path", shown)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        _refuse(
            f"{shown} is not UTF-8: byte {error.start} is 0x{byte:02x}.",
            "save the file as UTF-8",
            shown,
            line=error.object.count(b"\n", 0, error.start) + 1,
        )
    except OSError as error:
        _refuse(f"{shown} cannot be read: {error.strerror}.", "check the path and its permissions", shown)
    raise AssertionError("unreachable")


def _content(source: Source, format: str | None) -> tuple[str, Path | None]:
    if isinstance(source, os.PathLike):
        path = Path(source)
        return read_file(path), path
    if not isinstance(source, str):
        _refuse(
            f"A model is read from a path or a text, not from {type(source).__name__}.",
            "pass a str or Path",
            None,
        )
    bracket = format == "json" and _BLANK.sub("", source, count=1)[:1] in ("[", "{")
    if is_text(source) or bracket:
        return source, None
    if not source.strip():
        _refuse("The text is empty.", "write `model` and a name as its first line", None)
    if "\0" in source or len(source) > MAX_PATH:
        shown = repr(source[:40]) + ("..." if len(source) > 40 else "")
        message = f"The string {shown} is neither a path nor the text of a model."
        _refuse(message, "a text begins with `model` and a name; or give format=", None)
    path = Path(source)
    return read_file(path), path


def _format(name: str | None, text: str, path: Path | None) -> Format:
    if name is not None:
        found = next((f for f in FORMATS if f.name == name), None)
        if found is None:
            known = ", ".join(f.name for f in FORMATS)
            near = difflib.get_close_matches(name, [f.name for f in FORMATS], n=1)
            hint = f"known: {known}" + (f"; did you mean '{near[0]}'?" if near else "")
            _refuse(f"No format is called '{name}'.", hint, None)
            raise AssertionError("unreachable")
        return found
    if path is not None:
        for found in FORMATS:
            if path.suffix.lower() in found.endings:
                return found
    begin = _BLANK.sub("", text, count=1)
    for found in FORMATS:
        if found.begins is not None and found.begins.match(begin):
            return found
    if path is None:
        return FORMATS[0]  # its error says that `model NAME` is missing
    known = ", ".join(e for f in FORMATS for e in f.endings)
    _refuse(
        f"The format of {path} is not known by its ending.", f"known: {known}; or give format=", str(path)
    )
    raise AssertionError("unreachable")


def _similar_file(path: Path) -> str | None:
    try:
        names = [p.name for p in path.parent.iterdir()][:1000]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1)
    return str(path.with_name(near[0])) if near else None


def _refuse(message: str, hint: str, source: str | None, line: int | None = None) -> None:
    raise_all([ModelError(message, hint=hint, line=line)], source or "the model's source")


__all__ = ["FORMATS", "Format", "is_format", "is_text", "read", "read_file"]
