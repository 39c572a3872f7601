"""The text of a formula -> a tree. R's operators with R's precedence; nothing is ever evaluated as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from dagmodels.errors import ModelError, raise_all

MAX_DEPTH = 60
MAX_LENGTH = 100_000


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or a word such as `contr.sum`."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; `1` and `0` stand for the intercept in sums of terms."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """`poly(x, degree = 2)`: arguments with their names, "" where none is given."""

    function: str
    arguments: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Op:
    """An operator with its operands: one for a sign, `!` and parentheses ("("), else two."""

    operator: str
    operands: tuple[Node, ...]


Node = Name | Number | Text | Call | Op

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>(?:[^\W\d_]|\.(?!\d))[\w.]*)
  | (?P<quoted>`[^`]+`)
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<operator>\*\*|\|\||&&|==|!=|<=|>=|%[^%\s]*%|[-+*/^:|~()=,<>!&])
    )""",
    re.VERBOSE,
)
_BINDS = {
    **dict.fromkeys(("|", "||"), 2),
    **dict.fromkeys(("&", "&&"), 3),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 4),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/"), 6),
    "%in%": 7,
    ":": 8,
    "^": 10,
    "**": 10,
}
_SIGN, _NOT = 9, 4


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    column: int


def parse(text: str) -> tuple[Node | None, Node]:
    """The two sides of `response ~ terms`; the left one is None in `~ terms`.

    Raises
    ------
    ModelErrors : what is wrong, with its column.
    """
    if len(text) > MAX_LENGTH:
        refuse(f"the formula has {len(text)} characters.", "write columns of the data instead", text)
    return _Parser(text).formula()


def refuse(message: str, hint: str, text: str, column: int | None = None) -> NoReturn:
    """Raise one problem of a formula."""
    where = text if len(text) <= 60 else text[:57] + "..."
    line = 1 if column is not None else None
    raise_all([ModelError(message, hint=hint, line=line, column=column)], f"the formula '{where}'")
    raise AssertionError("unreachable")


class _Parser:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.at = 0
        self.depth = 0

    def _tokens(self) -> Iterator[Token]:
        position, text = 0, self.text
        end = len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                self.fault(f"'{text[start]}' is no part of a formula", "check the spelling", start + 1)
            kind = found.lastgroup
            yield Token(kind, found.group(kind), found.start(kind) + 1)
            position = found.end()
        yield Token("end", "", end + 1)

    def fault(self, message: str, hint: str, column: int) -> NoReturn:
        refuse(f"{message}.", hint, self.text, column)

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self, operator: str) -> bool:
        """Step over this operator, if it is next."""
        if self.token.kind == "operator" and self.token.text == operator:
            self.at += 1
            return True
        return False

    def formula(self) -> tuple[Node | None, Node]:
        left = None
        if not self.take("~"):
            left = self.expression(0)
            if not self.take("~"):
                if self.token.kind == "end":
                    self.fault("there is no '~'", "write response ~ terms", self.token.column)
                self._unexpected()
        right = self.expression(0)
        if self.token.kind != "end":
            self._unexpected()
        return left, right

    def _unexpected(self) -> NoReturn:
        token = self.token
        if token.kind == "end":
            self.fault("the formula ends too early", "a term or a bracket is missing", token.column)
        hint = "a formula has one '~'" if token.text == "~" else "an operator or a bracket is missing"
        self.fault(f"'{token.text}' does not belong here", hint, token.column)

    def expression(self, least: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fault("brackets are nested too deeply", "write it flatter", self.token.column)
        left = self._operand()
        while self.token.kind == "operator":
            operator = self.token.text
            binds = _BINDS.get(operator)
            if operator.startswith("%") and binds is None:
                self.fault(f"'{operator}' is not known", "only %in% is", self.token.column)
            if binds is None or binds < least:
                break
            self.at += 1
            right = self.expression(binds if binds == 10 else binds + 1)  # powers bind to the right
            left = Op("^" if operator == "**" else operator, (left, right))
        self.depth -= 1
        return left

    def _operand(self) -> Node:
        token = self.token
        if token.kind == "operator" and token.text in ("-", "+", "!"):
            self.at += 1
            return Op(token.text, (self.expression(_NOT if token.text == "!" else _SIGN),))
        if self.take("("):
            inner = self.expression(0)
            self._close()
            return Op("(", (inner,))
        if token.kind in ("end", "operator"):
            self._unexpected()
        self.at += 1
        match token.kind:
            case "number":
                value = float(token.text)
                return Number(int(value) if value.is_integer() and abs(value) < 2**53 else value)
            case "text":
                return Text(token.text[1:-1])
            case "quoted":
                return Name(token.text[1:-1])
            case _:
                return self._call(token.text) if self.take("(") else Name(token.text)

    def _call(self, function: str) -> Node:
        arguments: list[tuple[str, Node]] = []
        while not self.take(")"):
            if arguments and not self.take(","):
                self._unexpected()
            key, following = self.token, self.tokens[self.at + 1 : self.at + 2]
            named = key.kind == "name" and following and following[0].text == "="
            if named:
                self.at += 2
            arguments.append((key.text if named else "", self.expression(0)))
        return Call(function, tuple(arguments))

    def _close(self) -> None:
        if not self.take(")"):
            if self.token.kind == "end":
                self.fault("a bracket is not closed", "add ')'", self.token.column)
            self._unexpected()
