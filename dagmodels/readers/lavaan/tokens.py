"""The text of a lavaan model -> tokens, cut into statements; comments and line ends are gone afterwards."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from dagmodels.errors import ModelError, raise_all

MAX_LENGTH = 2_000_000  # characters of a model's text
MAX_BRACKETS = 60  # open at one time
WHERE = "the lavaan text"

OPERATORS = ("=~", "<~", "~*~", "~~", "~", "|")
CONSTRAINTS = ("==", "<", ">", ":=")
LATER = {"|~": "instruments", ":~": "moderated loadings", "<=": "'<='", ">=": "'>='", "=": "'='"}

_TOKEN = re.compile(
    r"""(?P<space>[^\S\n]+|[\#!][^\n]*)
  | (?P<newline>[\n;])
  | (?P<operator>~\*~|=~|<~|~~|:=|==|\|~|:~|<=|>=|[~|<>=:])
  | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<symbol>[()+\-*/^?,])
  | (?P<text>"[^"\n]*"|'[^'\n]*')
    """,
    re.VERBOSE,
)
_GOES_ON = frozenset({"+", "-", "*", "/", "^", "?", ",", ")"})  # as a line's first token
_WAITS = frozenset({"+", "-", "*", "/", "^", "?", ",", "("})  # as a line's last token


class Token(NamedTuple):
    """kind : "name", "number", "text" (without its quotes), "operator", "symbol" or "end"."""

    kind: str
    text: str
    position: int


class Source:
    """A model's text, for places in messages, and the faults found in it."""

    def __init__(self, text: str, name: str | None = None) -> None:
        if len(text) > MAX_LENGTH:
            message = f"The text has {len(text)} characters; a model may have {MAX_LENGTH}."
            raise_all([ModelError(message, hint="keep data in a data file", source=name)], name or WHERE)
        text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
        self.text = text.replace("\u02dc", "~")  # the tilde of some keyboards and documents
        self.name = name
        self.faults: list[ModelError] = []
        self.strange: set[int] = set()  # lines with characters that are no tokens: nothing more is said there
        self._lines = [0, *(m.end() for m in re.finditer("\n", self.text))]

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, counted from 1."""
        line = bisect_right(self._lines, position)
        return line, position - self._lines[line - 1] + 1

    def fault(self, message: str, hint: str, position: int, node: str | None = None) -> None:
        line, column = self.place(position)
        if line in self.strange:
            return
        self.faults.append(
            ModelError(message, hint=hint, line=line, column=column, node=node, source=self.name)
        )

    def done(self) -> None:
        """Raise every fault at once, if there is one."""
        raise_all(self.faults, self.name or WHERE)


def statements(source: Source) -> list[list[Token]]:
    """Tokens of each statement. A line goes on where a bracket is open, after an operator, and where
    the next one begins with an operator."""
    found: list[list[Token]] = []
    current: list[Token] = []
    depth = 0
    ended = False  # a line end was met since the last token
    for token in _tokens(source):
        kind, text, _ = token
        if kind == "newline":
            ended = ended or text == ";" or not (depth or _waits(current))
            if text == ";":
                depth = 0
            continue
        if ended and current and not _goes_on(token, current):
            found.append(current)
            current, depth = [], 0
        ended = False
        current.append(token)
        if kind == "symbol":
            depth += (text == "(") - (text == ")" and depth > 0)
            if depth == MAX_BRACKETS:
                source.fault("Brackets are nested too deeply.", "write it flatter", token.position)
                return []
    if current:
        found.append(current)
    return found


def _waits(current: list[Token]) -> bool:
    """Whether a line that ends here asks for more; `group:` and the like included."""
    if not current:
        return False
    kind, text, _ = current[-1]
    return kind == "operator" or (kind == "symbol" and text in _WAITS)


def _goes_on(token: Token, current: list[Token]) -> bool:
    """Whether a new line's first token belongs to the statement before."""
    if token.kind == "symbol":
        return token.text in _GOES_ON
    return token.kind == "operator" and all(t.kind != "operator" for t in current)


def _tokens(source: Source) -> list[Token]:
    text, position, end = source.text, 0, len(source.text)
    found: list[Token] = []
    match = _TOKEN.match
    while position < end:
        got = match(text, position)
        if got is None:
            position = _strange(source, position)
            continue
        kind = got.lastgroup or ""
        if kind == "text":
            found.append(Token(kind, got.group()[1:-1], position))
        elif kind != "space":
            found.append(Token(kind, got.group(), position))
        position = got.end()
    return found


def _strange(source: Source, position: int) -> int:
    """Report a character that no token begins with; the scan goes on with the next line."""
    text = source.text
    character = text[position]
    stop = text.find("\n", position)
    if character in "\"'":
        source.fault("The quote is not closed on its line.", f"add a {character}", position)
    elif character == "`":
        hint = "rename the column: names have letters, digits, dots and underscores"
        source.fault("lavaan's names have no backquotes.", hint, position)
    else:
        source.fault(f"'{character}' is no part of lavaan's syntax.", "check the spelling", position)
    source.strange.add(source.place(position)[0])
    return len(text) if stop < 0 else stop
