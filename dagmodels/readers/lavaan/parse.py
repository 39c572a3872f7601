"""lavaan's model text -> elements, blocks and constraints, each with its place; every fault at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from dagmodels.errors import shown_in
from dagmodels.graph.expression import Expression
from dagmodels.readers.lavaan import expressions
from dagmodels.readers.lavaan.modifiers import NONE, Modifiers, modifiers
from dagmodels.readers.lavaan.tokens import CONSTRAINTS, LATER, OPERATORS, Source, Token, statements

BLOCKS = ("group", "level")
_WORDS = frozenset(
    ("TRUE", "FALSE", "NULL", "NA", "NaN", "Inf", "if", "else", "for", "while", "repeat", "function")
    + ("break", "next", "in")
)
_KINDS = {
    "fixed": "the value", "start": "the start", "label": "the label", "lower": "the lower bound",
    "upper": "the upper bound",
}  # fmt: skip
_NOT_HERE = {
    "efa": "exploratory blocks, efa(...), are not read here",
    "rv": "random slopes, rv(...), are not read here",
}


@dataclass(frozen=True, slots=True)
class Element:
    """`lhs op rhs` with its modifiers, sums taken apart; an intercept has the operator "~1" and no rhs.

    notes : sentences on what was said twice.
    """

    lhs: str
    op: str
    rhs: str
    modifiers: Modifiers
    line: int
    column: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """`group: 1` or `level: within`: what follows belongs there."""

    kind: str
    label: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Constraint:
    """`a == b`, `a > 0`, `a < b` or `indirect := a*b`; the sides as text without spaces and as trees."""

    lhs: str
    op: str
    rhs: str
    left: Expression
    right: Expression
    line: int
    column: int


Statement = Element | Block | Constraint


def parse(text: str, name: str | None = None) -> tuple[Statement, ...]:
    """The statements of a lavaan text in order; an element said twice is one, with all its modifiers.

    Parameters
    ----------
    text : the model.
    name : of its file, for messages.

    Raises
    ------
    ModelErrors : every fault of syntax with line, column, hint, and the line with a mark.
    """
    source = Source(text, name)
    reader = _Reader(source)
    for tokens in statements(source):
        reader.statement(tokens)
    if not reader.found and not source.faults:
        source.fault("The model is empty.", "write at least one formula, such as f =~ x1 + x2 + x3", 0)
    with shown_in(text):
        source.done()
    return tuple(reader.found.values())


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: dict[object, Statement] = {}
        self.block = 0

    def statement(self, tokens: list[Token]) -> None:
        at = next((i for i, t in enumerate(tokens) if t.kind == "operator"), None)
        if at is None:
            first = tokens[0]
            hint = "a formula has one of =~ ~ ~~ | ~*~ <~ == < > :="
            self.source.fault(f"The formula that begins with '{first.text}' has no operator.", hint, first[2])
            return
        if tokens[at].text == ":" and tokens[0].text.lower() not in BLOCKS:  # a product on the left
            at = next((i for i, t in enumerate(tokens) if t.text in OPERATORS and t.kind == "operator"), at)
        operator = tokens[at].text
        if operator in LATER:
            self._later(tokens[at])
        elif operator == ":":
            self._block(tokens, at)
        elif not tokens[:at]:
            self.source.fault(f"Nothing stands before '{operator}'.", "name a variable", tokens[at][2])
        elif not tokens[at + 1 :]:
            self.source.fault(f"Nothing stands after '{operator}'.", "name a variable", tokens[at][2])
        elif operator in CONSTRAINTS:
            self._constraint(tokens, at)
        else:
            self._formula(tokens, at)

    def _later(self, token: Token) -> None:
        hints = {
            "=": "write == for a constraint, := for a definition, =~ for indicators",
            "<=": "write <",
            ">=": "write >",
        }
        message = f"{LATER[token.text]} are not read here" if token.text in ("|~", ":~") else None
        self.source.fault(
            f"{message or LATER[token.text] + ' is no operator of lavaan'}.",
            hints.get(token.text, "leave the line out"),
            token.position,
        )

    def _block(self, tokens: list[Token], at: int) -> None:
        kind = tokens[0].text.lower()
        if at != 1 or tokens[0].kind != "name" or kind not in BLOCKS:
            near = difflib.get_close_matches(kind, BLOCKS, n=1)
            hint = f"did you mean '{near[0]}:'?" if near else "blocks begin with group: or level:"
            hint += "" if near else "; a product a:b stands on the right of ~"
            self.source.fault(f"'{tokens[0].text}:' begins no block.", hint, tokens[0].position)
            return
        if len(tokens) != 3 or tokens[2].kind not in ("name", "number", "text"):
            position = tokens[3 if len(tokens) > 3 else at].position
            self.source.fault(f"'{kind}:' needs one number or label.", f"write {kind}: 1", position)
            return
        self.block += 1
        self.found[("block", self.block)] = Block(kind, tokens[2].text, *self.source.place(tokens[0][2]))

    def _constraint(self, tokens: list[Token], at: int) -> None:
        before, after = tokens[:at], tokens[at + 1 :]
        operator, position = tokens[at].text, tokens[at].position
        if operator == ":=" and (len(before) != 1 or before[0].kind != "name"):
            self.source.fault("':=' defines one name.", "write name := expression", before[0].position)
            return
        left = expressions.side(before, position, self.source)
        right = expressions.side(after, _end(after), self.source)
        if left is not None and right is not None:
            texts = ("".join(t.text for t in part) for part in (before, after))
            lhs, rhs = texts
            place = self.source.place(before[0].position)
            key = ("constraint", len(self.found))
            self.found[key] = Constraint(lhs, operator, rhs, left, right, *place)

    def _formula(self, tokens: list[Token], at: int) -> None:
        operator = tokens[at]
        lefts = [self._left(part) for part in _split(tokens[:at], self.source)]
        rights = [self._right(operator.text, part) for part in _split(tokens[at + 1 :], self.source)]
        for left in lefts:
            for right in rights:
                if left is not None and right is not None:
                    self._element(left, operator, *right)

    def _element(self, left: Token, operator: Token, variable: str, made: Modifiers, at: int) -> None:
        lhs, op, rhs = left.text, operator.text, variable
        if op == "~" and variable == "1":
            op, rhs = "~1", ""
        elif op == "=~" and variable == "0":  # a latent without indicators
            rhs, made = lhs, Modifiers(fixed=(0.0,))
        elif op == "=~" and variable == lhs:
            self.source.fault(f"'{lhs}' cannot be its own indicator.", f"write {lhs} =~ 0 for none", at)
            return
        elif variable in ("0", "1"):
            self.source.fault(
                f"'{variable}' stands for an intercept, which '{op}' has not.", "name a variable", at
            )
            return
        if not self._fits(left, op, rhs, at):
            return
        key = (self.block, lhs, op, rhs)
        earlier = self.found.get(key)
        if isinstance(earlier, Element):
            both = earlier.modifiers.then(made)
            notes = (*earlier.notes, *_twice(earlier, made, self.source.place(at)[0]))
            self.found[key] = Element(lhs, op, rhs, both, earlier.line, earlier.column, notes)
        else:
            self.found[key] = Element(lhs, op, rhs, made, *self.source.place(at))

    def _fits(self, left: Token, op: str, rhs: str, at: int) -> bool:
        if op == "|" and not (rhs[0] == "t" and rhs[1:].isdigit()):
            self.source.fault(f"'{rhs}' is no threshold.", "thresholds are t1, t2, ...", at)
        elif op == "~*~" and rhs != left.text:
            hint = f"write {left.text} ~*~ {left.text}"
            self.source.fault("'~*~' is the scale of one variable.", hint, at)
        elif op in ("~", "<~") and rhs == left.text:
            hint = f"write {rhs} ~~ {rhs} for its variance"
            self.source.fault(f"'{rhs}' cannot depend on itself.", hint, at)
        else:
            return True
        return False

    def _left(self, tokens: Sequence[Token]) -> Token | None:
        first = tokens[0]
        if len(tokens) == 3 and tokens[1].text == ":" and all(map(self._named, tokens[::2])):
            return Token("name", f"{first.text}:{tokens[2].text}", first.position)
        if len(tokens) > 1 and first.text in _NOT_HERE:
            self.source.fault(f"{_NOT_HERE[first.text]}.", "write the loadings out", first.position)
        elif len(tokens) > 1:
            hint = "modifiers stand on the right, before each variable"
            self.source.fault("The left side names variables only.", hint, first.position)
        elif self._named(first):
            return first
        return None

    def _right(self, op: str, tokens: Sequence[Token]) -> tuple[str, Modifiers, int] | None:
        """A term: its variable ("1" for an intercept), its modifiers, and where the variable stands."""
        variable, before = _variable(tokens)
        first = variable[0] if variable else tokens[-1]
        if not variable or (before and before[-1].text not in ("*", "?")):
            self._no_variable(tokens, first)
            return None
        if len(variable) > 3:
            hint = "put the product into the data under a name of its own"
            self.source.fault("Products of more than two variables are not read.", hint, first.position)
            return None
        made = modifiers(before, self.source) if before else NONE
        if first.kind == "number":
            value = float(first.text)
            if value not in (0.0, 1.0) or len(variable) > 1:
                hint = (
                    f"write {first.text}*1 for an intercept fixed at {first.text}"
                    if op == "~"
                    else "name one"
                )
                self.source.fault(f"'{first.text}' is no variable.", hint, first.position)
                return None
            if value == 0.0 and op == "~":
                made = (made or NONE).then(Modifiers(fixed=(0.0,)))
                return "1", made, first.position
            return (str(int(value)), made, first.position) if made is not None else None
        if not all(self._named(t) for t in variable[::2]) or made is None:
            return None
        return ":".join(t.text for t in variable[::2]), made, first.position

    def _no_variable(self, tokens: Sequence[Token], last: Token) -> None:
        minus = next((t for t in tokens if t.text == "-" and t.kind == "symbol"), None)
        operator = next((t for t in tokens if t.kind == "operator"), None)
        if operator is not None:
            message, hint = f"A second operator, '{operator.text}'.", "write one formula a line"
            last = operator
        elif minus is not None and tokens[0] is not minus:
            message, hint = "Terms are added, never subtracted.", "write + 0*x to leave a term out"
            last = minus
        elif last.kind == "name":
            message, hint = f"'{last.text}' does not belong here.", "a '+' or a '*' is missing before it"
        else:
            message, hint = f"'{last.text}' is no variable.", "a term is a variable, or modifier*variable"
        self.source.fault(message, hint, last.position)

    def _named(self, token: Token) -> bool:
        if token.kind != "name":
            self.source.fault(
                f"'{token.text}' is no variable.", "name a column or a latent variable", token[2]
            )
            return False
        if token.text in _WORDS:
            self.source.fault(f"'{token.text}' is a word of R, not a name.", "rename it", token.position)
            return False
        return True


def _twice(earlier: Element, later: Modifiers, line: int) -> tuple[str, ...]:
    """What to tell of an element that stands in the text again; nothing where it adds a modifier."""
    said = f"'{earlier.lhs} ~ 1'" if earlier.op == "~1" else f"'{earlier.lhs} {earlier.op} {earlier.rhs}'"
    lines = f"line {line}" if line == earlier.line else f"lines {earlier.line} and {line}"
    old = earlier.modifiers
    if changed := old.changes(later):
        pairs = (
            f"{_KINDS[n]} {_shown(getattr(old, n))} and then {_shown(getattr(later, n))}" for n in changed
        )
        return (f"{said} is given {', '.join(pairs)} ({lines}): the later one holds",)
    if not old.adds(later):
        return (f"{said} stands in the text twice ({lines}), and counts once",)
    return ()


def _shown(values: Sequence[object]) -> str:
    shown = ["NA" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    return shown[0] if len(shown) == 1 else f"c({', '.join(shown)})"


def _end(tokens: Sequence[Token]) -> int:
    return tokens[-1].position + len(tokens[-1].text)


def _split(tokens: Sequence[Token], source: Source) -> list[Sequence[Token]]:
    """The parts between the `+` outside brackets; empty parts are faults."""
    parts: list[Sequence[Token]] = []
    depth = start = 0
    for i, (kind, text, _) in enumerate(tokens):
        if kind != "symbol":
            continue
        depth += (text == "(") - (text == ")")
        if depth < 0:
            source.fault("A bracket closes that was not opened.", "remove ')'", tokens[i].position)
            return []
        if text == "+" and depth == 0 and not _signs(tokens, i):
            parts.append(tokens[start:i])
            start = i + 1
    if depth:
        position = next(t.position for t in reversed(tokens) if t.text == "(")
        source.fault("A bracket is not closed.", "add ')'", position)
        return []
    parts.append(tokens[start:])
    if all(parts):
        return parts
    place = next((i for i, part in enumerate(parts) if not part), 0)
    position = tokens[sum(len(p) + 1 for p in parts[:place]) - (place == len(parts) - 1)].position
    source.fault("A term is missing beside '+'.", "remove the '+', or name a variable", position)
    return [part for part in parts if part]


def _signs(tokens: Sequence[Token], i: int) -> bool:
    """Whether the `+` is the sign of a number: nothing or `*` stands before it, and a number behind."""
    return (
        (i == 0 or tokens[i - 1].text in ("*", "?"))
        and i + 1 < len(tokens)
        and tokens[i + 1].kind == "number"
    )


def _variable(tokens: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """The variable that ends a term (`x`, `x:z` or a number), and the tokens before it."""
    start = len(tokens) - 1
    if tokens[start].kind not in ("name", "number"):
        return (), tokens
    while start >= 2 and tokens[start - 1].text == ":" and tokens[start - 2].kind == "name":
        start -= 2
    return tokens[start:], tokens[:start]


__all__ = ["BLOCKS", "OPERATORS", "Block", "Constraint", "Element", "Statement", "parse"]
