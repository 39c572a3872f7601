"""Arithmetic in lavaan's texts: the sides of constraints -> trees, and modifiers such as `2/3` -> numbers.

The operators and functions below are all there is; nothing is ever evaluated as code.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

from dagmodels.graph import calculus
from dagmodels.graph import expression as ex
from dagmodels.readers.lavaan.tokens import Source, Token

_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN = 3
FUNCTIONS = {name: name for name in ("exp", "log", "sqrt", "abs")} | {
    "plogis": "expit",
    "qlogis": "logit",
    "pnorm": "Phi",
}
MAX_DEPTH = 60  # of brackets and signs
MAX_HEIGHT = 150  # of trees; the language takes 200
CONSTANTS = {"pi": math.pi}


class Unfit(Exception):
    """Tokens that are no expression; says what and where."""

    def __init__(self, message: str, hint: str, position: int) -> None:
        super().__init__(message)
        self.message, self.hint, self.position = message, hint, position


def tree(tokens: Sequence[Token], end: int) -> ex.Expression:
    """The tokens as a tree over names; `end` is the position behind them.

    Raises
    ------
    Unfit : what is wrong.
    """
    found = _Parser(tokens, end).whole()
    if ex.depth(found) > MAX_HEIGHT:
        hint = "define parts of it first: part := a + b + ..."
        raise Unfit("The expression has too many terms in a row.", hint, tokens[0].position)
    return found


def side(tokens: Sequence[Token], end: int, source: Source) -> ex.Expression | None:
    """`tree`, or None with the fault told to `source`."""
    try:
        return tree(tokens, end)
    except Unfit as error:
        source.fault(error.message, error.hint, error.position)
        return None


def number(tokens: Sequence[Token], end: int) -> float:
    """The value of an expression without names, such as `-2/3` or `sqrt(2)`.

    Raises
    ------
    Unfit : it is no expression, names something, or has no finite value.
    """
    first = tokens[0] if tokens else Token("end", "", end)
    lone = len(tokens) == 1 and first.kind == "number"
    found = float(first.text) if lone else evaluate(tree(tokens, end))
    if found is None:
        unknown = next((t for t in tokens if t.kind == "name" and t.text not in FUNCTIONS), first)
        raise Unfit(f"'{unknown.text}' is no number.", "write a number", unknown.position)
    if not math.isfinite(found):
        raise Unfit("This has no finite value.", "write a number", first.position)
    return found


def evaluate(expression: ex.Expression) -> float | None:
    """The value of an expression over constants, None where it names anything else; NaN where undefined."""
    if any(r.name not in CONSTANTS for r in ex.references(expression)):
        return None
    return calculus.number(expression, CONSTANTS)


class _Parser:
    """Precedence climbing; R's precedence: a sign binds looser than a power, tighter than a product."""

    def __init__(self, tokens: Sequence[Token], end: int) -> None:
        self.tokens = [*tokens, Token("end", "", end)]
        self.at = 0
        self.depth = 0

    def whole(self) -> ex.Expression:
        found = self.expression(0)
        token = self.tokens[self.at]
        if token.kind != "end":
            raise self.unexpected(token)
        return found

    def unexpected(self, token: Token) -> Unfit:
        if token.kind == "end":
            return Unfit("The expression ends too early.", "a name or a number is missing", token.position)
        if token.text in ("<", ">", "=="):
            return Unfit(f"A second '{token.text}'.", "write one comparison a line", token.position)
        return Unfit(f"'{token.text}' does not belong here.", "an operator is missing", token.position)

    def expression(self, least: int) -> ex.Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unfit(
                "The expression is nested too deeply.", "write it flatter", self.tokens[self.at].position
            )
        left = self.operand()
        while True:
            operator = self.tokens[self.at].text if self.tokens[self.at].kind == "symbol" else ""
            binds = _BINDS.get(operator)
            if binds is None or binds < least:
                break
            self.at += 1
            right = self.expression(binds if operator == "^" else binds + 1)  # powers bind to the right
            left = ex.Binary("**" if operator == "^" else operator, left, right)
        self.depth -= 1
        return left

    def operand(self) -> ex.Expression:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            value = float(token.text)
            if not math.isfinite(value):
                raise Unfit(f"'{token.text}' is no finite number.", "write a smaller one", token.position)
            return ex.Number(int(value) if value.is_integer() and abs(value) < 2**53 else value)
        if token.kind == "name":
            following = self.tokens[self.at]
            return self.call(token) if following.text == "(" else ex.Reference(token.text)
        if token.kind == "symbol" and token.text in "+-":
            inner = self.expression(_SIGN)
            return ex.Unary("-", inner) if token.text == "-" else inner
        if token.kind == "symbol" and token.text == "(":
            inner = self.expression(0)
            self.close()
            return inner
        self.at -= 1
        raise self.unexpected(token)

    def call(self, token: Token) -> ex.Expression:
        function = FUNCTIONS.get(token.text)
        if function is None:
            near = difflib.get_close_matches(token.text, FUNCTIONS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(FUNCTIONS)}"
            raise Unfit(f"No function is called '{token.text}'.", hint, token.position)
        self.at += 1
        inner = self.expression(0)
        self.close()
        return ex.Call(function, (inner,))

    def close(self) -> None:
        token = self.tokens[self.at]
        if token.text != ")" or token.kind != "symbol":
            raise Unfit("A bracket is not closed.", "add ')'", token.position)
        self.at += 1
