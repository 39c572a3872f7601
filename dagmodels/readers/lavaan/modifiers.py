"""What stands before a variable: `a*`, `1*`, `NA*`, `start(0.5)*`, `0.5?`, `c(a, b)*` and the like."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields

from dagmodels.readers.lavaan import expressions
from dagmodels.readers.lavaan.tokens import Source, Token

Numbers = tuple[float | None, ...]
CALLS = ("start", "fixed", "label", "equal", "lower", "upper", "c")
_NOT_HERE = {
    "rv": "Random slopes, rv(...), are not read here",
    "efa": "efa(...) is not read here",
    "prior": "prior(...) is not read here",
}


@dataclass(frozen=True, slots=True)
class Modifiers:
    """One value each, or one for every group; None where nothing was said.

    fixed : values; a None among them frees the parameter there (`NA*x`).
    start, lower, upper : starting values and bounds.
    label : "" where a group has none.
    """

    fixed: Numbers | None = None
    start: Numbers | None = None
    label: tuple[str, ...] | None = None
    lower: Numbers | None = None
    upper: Numbers | None = None

    def then(self, later: Modifiers) -> Modifiers:
        """Both together; where both say something the later one holds."""
        if self == NONE or later == NONE:
            return self if later == NONE else later
        pairs = ((getattr(later, f.name), getattr(self, f.name)) for f in fields(self))
        return Modifiers(*(new if new is not None else old for new, old in pairs))

    def changes(self, later: Modifiers) -> tuple[str, ...]:
        """What both say, and say differently."""
        both = ((f.name, getattr(self, f.name), getattr(later, f.name)) for f in fields(self))
        return tuple(n for n, old, new in both if old is not None and new is not None and old != new)

    def adds(self, later: Modifiers) -> bool:
        """Whether the later one says anything that this does not."""
        return any(getattr(later, f.name) is not None for f in fields(self) if getattr(self, f.name) is None)


NONE = Modifiers()


def modifiers(tokens: Sequence[Token], source: Source) -> Modifiers | None:
    """The modifiers of one term, each ended by `*` or `?`; None where there was a fault."""
    found = NONE
    product: list[tuple[Sequence[Token], int]] = []  # factors of one number: 2*3*x
    for part, mark in _parts(tokens):
        try:
            made = _one(part, mark)
        except expressions.Unfit as error:
            source.fault(error.message, error.hint, error.position)
            return None
        if made.fixed is not None and len(made.fixed) == 1 and _is_number(part):
            product.append((part, mark.position))
            if len(product) > 1 and found.fixed is not None and found.fixed[0] is not None:
                made = Modifiers(fixed=((made.fixed[0] or 0.0) * found.fixed[0],))
        found = found.then(made)
    return found


def _is_number(part: Sequence[Token]) -> bool:
    return not (part[0].text in ("NA", "c", "fixed") and part[0].kind == "name")


def _parts(tokens: Sequence[Token]) -> list[tuple[Sequence[Token], Token]]:
    """The tokens before each `*` and `?` outside brackets, with that mark; the last token is one."""
    found: list[tuple[Sequence[Token], Token]] = []
    depth = start = 0
    for i, token in enumerate(tokens):
        if token.kind == "symbol":
            depth += (token.text == "(") - (token.text == ")")
            if depth == 0 and token.text in ("*", "?"):
                found.append((tokens[start:i], token))
                start = i + 1
    return found


def _one(part: Sequence[Token], mark: Token) -> Modifiers:
    if not part:
        raise expressions.Unfit(f"Nothing stands before '{mark.text}'.", "write a modifier", mark.position)
    while len(part) > 2 and part[0].text == "(" and _closes(part, 0) == len(part) - 1:
        part = part[1:-1]
    first = part[0]
    called = len(part) > 1 and first.kind == "name" and part[1].text == "("
    if mark.text == "?":
        return Modifiers(start=_numbers(part, mark.position))
    if called and first.text in _NOT_HERE:
        raise expressions.Unfit(f"{_NOT_HERE[first.text]}.", "leave it out", first.position)
    if called and first.text in CALLS and _closes(part, 1) == len(part) - 1:
        return _call(first, part, mark.position)
    if called and first.text not in expressions.FUNCTIONS:
        near = difflib.get_close_matches(first.text, CALLS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(CALLS)}"
        raise expressions.Unfit(f"No modifier is called '{first.text}'.", hint, first.position)
    if len(part) == 1 and first.kind in ("name", "text") and first.text != "NA":
        return Modifiers(label=(first.text,))
    return Modifiers(fixed=_numbers(part, mark.position))


def _call(first: Token, part: Sequence[Token], end: int) -> Modifiers:
    inside = part if first.text == "c" else part[2:-1]
    if not inside:
        raise expressions.Unfit(f"{first.text}() is empty.", "give it a value", first.position)
    if first.text in ("label", "equal"):
        return Modifiers(label=_labels(inside, quoted=True))
    if first.text == "c":
        items = _items(inside)
        numbers = [_numeric(i) for i in items]
        if any(n is False for n in numbers):
            if any(n is True for n in numbers):
                hint = "write c(a, b)*x + c(1, NA)*x: labels in one, numbers in the other"
                raise expressions.Unfit("c(...) mixes labels and numbers.", hint, first.position)
            return Modifiers(label=_labels(inside, quoted=False))
        return Modifiers(fixed=_numbers(inside, end))
    return Modifiers(**{first.text: _numbers(inside, end)})


def _numeric(item: Sequence[Token]) -> bool | None:
    """Whether an item is a number (True) or a label (False); NA may be either (None)."""
    if len(item) == 1 and item[0].text == "NA" and item[0].kind == "name":
        return None
    return not (len(item) == 1 and item[0].kind in ("name", "text"))


def _labels(tokens: Sequence[Token], quoted: bool) -> tuple[str, ...]:
    found: list[str] = []
    for item in _items(tokens):
        token = item[0]
        if len(item) == 1 and token.text == "NA" and token.kind == "name":
            found.append("")
        elif len(item) == 1 and token.kind in ("text", "name") and token.text.strip():
            found.append(token.text.replace(" ", "") if quoted else token.text)
        else:
            raise expressions.Unfit("A label is a name or a text.", 'write label("a")*x', token.position)
    return tuple(found)


def _numbers(tokens: Sequence[Token], end: int) -> Numbers:
    return tuple(_number(item, end) for item in _items(tokens))


def _number(item: Sequence[Token], end: int) -> float | None:
    first = item[0]
    if len(item) == 1 and first.kind == "name" and first.text == "NA":
        return None
    if len(item) == 1 and first.kind == "text":
        raise expressions.Unfit(f"'{first.text}' is no number.", "write a number", first.position)
    return expressions.number(item, end)


def _items(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """The arguments of `c(...)`, or the tokens themselves as the only one."""
    if not (len(tokens) > 1 and tokens[0].text == "c" and tokens[1].text == "("):
        return [tokens]
    found: list[Sequence[Token]] = []
    depth, start = 0, 2
    for i, token in enumerate(tokens):
        if token.kind != "symbol":
            continue
        depth += (token.text == "(") - (token.text == ")")
        if (token.text == "," and depth == 1) or (token.text == ")" and depth == 0):
            if i == start:
                raise expressions.Unfit("c(...) has an empty place.", "write NA there", token.position)
            found.append(tokens[start:i])
            start = i + 1
    return found


def _closes(tokens: Sequence[Token], start: int) -> int:
    """Where the bracket that opens at `start` closes; past the end when it does not."""
    depth = 0
    for i in range(start, len(tokens)):
        if tokens[i].kind == "symbol":
            depth += (tokens[i].text == "(") - (tokens[i].text == ")")
            if depth == 0:
                return i
    return len(tokens)
