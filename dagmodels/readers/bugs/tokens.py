"""The text of a BUGS model -> tokens; places for messages, and the faults found in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from dagmodels.errors import ModelError, raise_all

MAX_LENGTH = 2_000_000  # characters of a model's text
WHERE = "the BUGS text"

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|/\*.*?\*/)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[^\W\d_][\w.]*)
  | (?P<symbol><-|\*\*|%[^%\s]*%|==|!=|<=|>=|&&|\|\||[~=<>!+\-*/^:,;(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """kind : "name", "number", "symbol" or "end"; `first` where it begins its line."""

    kind: str
    text: str
    at: int
    first: bool = False


class Source:
    """A model's text, and the faults found in it."""

    def __init__(self, text: str, name: str | None = None) -> None:
        if len(text) > MAX_LENGTH:
            message = f"The text has {len(text)} characters; a model may have {MAX_LENGTH}."
            raise_all([ModelError(message, hint="keep data in a data file", source=name)], name or WHERE)
        self.text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
        self.name = name
        self.faults: list[ModelError] = []
        self._lines = [0, *(m.end() for m in re.finditer("\n", self.text))]

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, counted from 1."""
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def fault(self, message: str, hint: str, at: int, node: str | None = None) -> None:
        """One more fault; of several at one place the first is told."""
        line, column = self.place(at)
        if not any((f.line, f.column) == (line, column) for f in self.faults):
            self.faults.append(self.error(message, hint, line, column, node))

    def error(self, message: str, hint: str | None, line: int, column: int, node: str | None) -> ModelError:
        """A fault at a place."""
        found = ModelError(message, hint=hint, line=line, column=column, node=node, source=self.name)
        found.show_in(self.text)
        return found

    def done(self) -> None:
        """Raise every fault at once, if there is one."""
        raise_all(self.faults, self.name or WHERE)


def tokens(source: Source) -> list[Token]:
    """All tokens, without blanks and comments, and one of kind "end"."""
    found: list[Token] = []
    text, at, last = source.text, 0, -1  # last: the line of the token before
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _strange(source, at)
            at = len(text) if text.startswith("/*", at) else at + 1
            continue
        kind = match.lastgroup or ""
        if kind == "symbol" and match.group() == "/" and text.startswith("/*", at):
            _strange(source, at)
            break
        if kind != "space":
            line = source.place(at)[0]
            found.append(Token(kind, match.group(), at, line != last))
            last = line
        at = match.end()
    found.append(Token("end", "", len(text), True))
    return found


def _strange(source: Source, at: int) -> None:
    if source.text.startswith("/*", at):
        source.fault("The comment is not closed.", "write */ at its end", at)
    else:
        source.fault(f"'{source.text[at]}' is no part of the BUGS language.", "check the spelling", at)
