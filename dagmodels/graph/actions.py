"""What each rule of the grammar builds: unresolved statements, with the places of their heads.

A name in an index or a slot stays a name here (`NodeIndex(Reference(name))`, `Slot(name)`);
`graph.build` says which are plates. A call with named arguments, and every call after `~`, is a
`Distribution` whose positional arguments have the name "".
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.names import REDUCTIONS


class Slip(Exception):
    """A mistake that the grammar lets pass: message, hint, and the position of its token."""

    def __init__(self, message: str, hint: str, token: object = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.position: int | None = getattr(token, "start_pos", None)


@dataclass(frozen=True, slots=True)
class Target:
    """One name on the left-hand side, where it stands, and the plate its values lie in."""

    head: st.Head
    position: int
    values_in: str | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """A statement before places are known: its kind, its targets and the rest."""

    kind: str
    targets: tuple[Target, ...]
    parts: dict[str, Any]


def name_of(token: str) -> str:
    """The name without its backquotes."""
    text = str(token)
    return text[1:-1] if text[0] == "`" else text


def number_of(token: str) -> ex.Scalar:
    text = str(token)
    if text.isdecimal():
        if len(text) > 300:
            raise Slip("The number has too many digits.", "write it as 1e300 or smaller", token)
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise Slip(f"{text} is too large for a number.", "the largest is about 1.8e308", token)
    return value


def whole_of(token: str, what: str) -> int:
    value = number_of(token)
    if not isinstance(value, int):
        raise Slip(f"{what} is a whole number, not {token}.", "write a whole number", token)
    return value


def string_of(token: str) -> str:
    try:
        return json.loads(str(token))
    except json.JSONDecodeError:
        raise Slip(
            f"{token} has an escape that does not exist.",
            'write \\" for a quote and \\\\ for a backslash',
            token,
        ) from None


def _as_distribution(call: object) -> st.Distribution:
    if isinstance(call, ex.Call):
        return st.Distribution(call.function, tuple(("", a) for a in call.arguments))
    if isinstance(call, ex.Reduction):
        raise Slip(f"{call.kind}(... for ...) is no distribution.", "write `=` before an expression")
    assert isinstance(call, st.Distribution)
    return call


@cache
def actions() -> Any:
    """The transformer that lark calls while it parses (made late: importing lark takes time)."""
    from lark import Transformer

    class Actions(Transformer[Any, Any]):
        # -- declarations
        def model(self, c: list[Any]) -> Raw:
            return Raw("model", (), {"name": name_of(c[0])})

        def data(self, c: list[Any]) -> Raw:
            return Raw("data", (), {"file": string_of(c[1])})

        def alias(self, c: list[Any]) -> Raw:
            return Raw("plate", (_target(c[0]),), {"alias_of": name_of(c[1])})

        def plate(self, c: list[Any]) -> Raw:
            return Raw("plate", (_target(c[0]),), dict(c[1:]))

        def within(self, c: list[Any]) -> tuple[str, Any]:
            return "parents", tuple(map(name_of, c))

        def level_range(self, c: list[Any]) -> tuple[str, Any]:
            low, high = c
            if not isinstance(low, int) or not isinstance(high, int):
                raise Slip("A range of levels has whole numbers on both sides.", 'write `1..3`, or "a", "b"')
            if high < low:
                raise Slip(f"The range {low}..{high} has no element.", "write the smaller number first")
            if high - low >= 1_000_000:
                raise Slip(f"The range {low}..{high} has more than 1000000 levels.", "leave it to the data")
            return "levels", tuple(range(low, high + 1))

        def level_list(self, c: list[Any]) -> tuple[str, Any]:
            return "levels", tuple(c)

        def is_ordered(self, c: list[Any]) -> tuple[str, Any]:
            return "ordered", True

        def covariate(self, c: list[Any]) -> Raw:
            return Raw("covariate", tuple(t for t, _ in c), {"plates": [p for _, p in c]})

        def declared(self, c: list[Any]) -> tuple[Target, tuple[str, ...]]:
            plates = next((part for part in c[1:] if isinstance(part, tuple)), ())
            values_in = next((part for part in c[1:] if isinstance(part, str)), None)
            return _target(c[0], values_in), plates

        named = declared

        def values_in(self, c: list[Any]) -> str:
            return name_of(c[0])

        def axes(self, c: list[Any]) -> tuple[str, ...]:
            return tuple(map(name_of, c))

        def constant(self, c: list[Any]) -> Raw:
            plates = c[1] if len(c) == 3 else ()
            return Raw("constant", (_target(c[0]),), {"plates": plates, "value": c[-1]})

        def rows(self, c: list[Any]) -> tuple[Any, ...]:
            return tuple(c)

        def signed(self, c: list[Any]) -> ex.Scalar:
            value = number_of(c[-1])
            return -value if len(c) == 2 and c[0] == "-" else value

        def parameter(self, c: list[Any]) -> Raw:
            names = [part for part in c if isinstance(part, tuple)]
            domain = next((part for part in c if isinstance(part, st.Domain)), None)
            start = next((part["start"] for part in c if isinstance(part, dict)), None)
            parts = {"plates": [p for _, p in names], "domain": domain, "start": start}
            return Raw("parameter", tuple(t for t, _ in names), parts)

        def lower(self, c: list[Any]) -> st.Domain:
            return st.Domain("interval", lower=float(c[0]))

        def upper(self, c: list[Any]) -> st.Domain:
            return st.Domain("interval", upper=float(c[0]))

        def interval(self, c: list[Any]) -> st.Domain:
            return st.Domain("interval", float(c[0]), float(c[1]))

        def ordered(self, c: list[Any]) -> st.Domain:
            return st.Domain("ordered")

        def simplex(self, c: list[Any]) -> st.Domain:
            return st.Domain("simplex")

        def covariance_matrix(self, c: list[Any]) -> st.Domain:
            return st.Domain("covariance")

        def correlation_matrix(self, c: list[Any]) -> st.Domain:
            return st.Domain("correlation")

        def start(self, c: list[Any]) -> dict[str, Any]:
            return {"start": c[0]}

        # -- equations
        def stochastic(self, c: list[Any]) -> Raw:
            observed = len(c) == 3
            parts = {"distribution": _as_distribution(c[-1]), "observed": observed}
            return Raw("stochastic", c[-2], parts)

        def joint(self, c: list[Any]) -> Raw:
            observed = getattr(c[0], "type", "") == "OBSERVED"
            names = c[1:] if observed else c
            plates = names[-2] if isinstance(names[-2], tuple) else ()
            targets = tuple(_target(n) for n in names if getattr(n, "type", "") == "NAME")
            parts = {"plates": plates, "distribution": _as_distribution(c[-1]), "observed": observed}
            return Raw("joint", targets, parts)

        def deterministic(self, c: list[Any]) -> Raw:
            if len(c) == 3:
                raise Slip(
                    "`observed` marks nodes that have a distribution.",
                    "drop `observed`, or write `~` and a distribution",
                    c[0],
                )
            for target in c[0]:
                if target.values_in is not None:
                    raise Slip(
                        f"`in {target.values_in}` stands only before `~`.",
                        f"drop `in {target.values_in}`",
                    )
            return Raw("deterministic", c[0], {"expression": _number(c[1])})

        def covariance(self, c: list[Any]) -> Raw:
            heads = tuple(Target(head, position) for head, position in c[:2])
            return Raw("covariance", heads, {"expression": _number(c[2])})

        def targets(self, c: list[Any]) -> tuple[Target, ...]:
            return tuple(c)

        def target(self, c: list[Any]) -> Target:
            head, position = c[0]
            return Target(head, position, c[1] if len(c) == 2 else None)

        def head(self, c: list[Any]) -> tuple[st.Head, int]:
            return st.Head(name_of(c[0]), tuple(c[1:])), c[0].start_pos

        def plate_slot(self, c: list[Any]) -> st.Slot:
            return st.Slot(name_of(c[0]))

        def first_slot(self, c: list[Any]) -> st.Slot:
            first = whole_of(c[1], "The number of first elements") if len(c) == 2 else 1
            if first < 1:
                raise Slip("`first 0` names no element.", "write `first`, or `first 2` and so on", c[1])
            return st.Slot(name_of(c[0]), first=first)

        def level_slot(self, c: list[Any]) -> st.Slot:
            return st.Slot(None, label=c[0])

        def level(self, c: list[Any]) -> ex.Label:
            if c[-1].type == "STRING":
                return string_of(c[-1])
            value = whole_of(c[-1], "A level")
            return -value if c[0] == "-" else value

        # -- expressions
        def binary(self, c: list[Any]) -> ex.Expression:
            return ex.Binary(str(c[1]), _number(c[0]), _number(c[2]))

        def unary(self, c: list[Any]) -> ex.Expression:
            return ex.Unary(str(c[0]), _number(c[1]))

        def number(self, c: list[Any]) -> ex.Expression:
            return ex.Number(number_of(c[0]))

        def text(self, c: list[Any]) -> ex.Expression:
            return ex.Text(string_of(c[0]))

        def vector(self, c: list[Any]) -> ex.Expression:
            return ex.Vector(tuple(c))

        def ref(self, c: list[Any]) -> ex.Reference:
            return ex.Reference(name_of(c[0]), tuple(c[1:]) or None)

        def by_name(self, c: list[Any]) -> ex.Index:
            return ex.NodeIndex(c[0])

        def by_lag(self, c: list[Any]) -> ex.Index:
            if c[1] == "+":
                raise Slip(
                    f"`{c[0]}+{c[2]}` looks ahead; an index can only look back.",
                    f"write the model so that it uses `{c[0]}-{c[2]}`",
                    c[0],
                )
            lag = whole_of(c[2], "A lag")
            return ex.LagIndex(name_of(c[0]), lag)

        def by_level(self, c: list[Any]) -> ex.Index:
            return ex.LevelIndex(c[0])

        def call(self, c: list[Any]) -> ex.Expression | st.Distribution:
            name, parts = name_of(c[0]), c[1:]
            if parts and isinstance(parts[-1], _Over):
                return _reduction(name, parts[:-1], parts[-1].plates, c[0])
            if any(isinstance(p, st.Rows | tuple) for p in parts):
                return st.Distribution(name, _arguments(parts, c[0]))
            if any(_holds_distribution(p) for p in parts):
                return st.Distribution(name, tuple(("", _argument(p)) for p in parts))
            return ex.Call(name, tuple(parts))

        def over(self, c: list[Any]) -> _Over:
            return _Over(tuple(map(name_of, c)))

        def named_argument(self, c: list[Any]) -> tuple[str, Any]:
            return name_of(c[0]), _argument(c[1])

        def table(self, c: list[Any]) -> st.Rows:
            return st.Rows(tuple(c))

        def row(self, c: list[Any]) -> st.Row:
            return st.Row((c[0],), tuple(map(_number, c[1:])))

        def long_row(self, c: list[Any]) -> st.Row:
            labels = tuple(p for p in c if not isinstance(p, ex.Expression | st.Distribution))
            return st.Row(labels, tuple(map(_number, c[len(labels) :])))

    return Actions()


@dataclass(frozen=True, slots=True)
class _Over:
    plates: tuple[str, ...]


def _target(token: Any, values_in: str | None = None) -> Target:
    return Target(st.Head(name_of(token)), token.start_pos, values_in)


def _number(part: object) -> ex.Expression:
    """The part, if it is an expression; a call with named arguments is not one."""
    if _holds_distribution(part):
        name = part.family if isinstance(part, st.Distribution) else "[...]"
        raise Slip(
            f"{name}(...) with these arguments is a distribution, not a number.",
            "give it a name of its own by `~`, and use the name",
        )
    assert isinstance(part, ex.Expression)
    return part


def _holds_distribution(part: object) -> bool:
    if isinstance(part, ex.Vector):
        return any(_holds_distribution(i) for i in part.items)
    return isinstance(part, st.Distribution)


def _argument(part: Any) -> Any:
    """A distribution's argument: a vector that holds calls with named arguments becomes a tuple of them."""
    if isinstance(part, ex.Vector) and _holds_distribution(part):
        return tuple(_as_distribution(i) for i in part.items)
    return part


def _arguments(parts: Sequence[Any], name: Any) -> tuple[tuple[str, Any], ...]:
    found: list[tuple[str, Any]] = []
    for part in parts:
        if isinstance(part, tuple):
            found.append(part)
        elif found and found[-1][0] not in ("", "rows"):
            raise Slip(
                f"An argument of {name} without a name follows one with a name.",
                "write the arguments without names first",
                name,
            )
        elif isinstance(part, st.Rows):
            found.append(("rows", part))
        else:
            found.append(("", _argument(part)))
    return tuple(found)


def _reduction(name: str, parts: Sequence[Any], plates: tuple[str, ...], token: Any) -> ex.Expression:
    if name not in REDUCTIONS:
        raise Slip(
            f"`for` stands only in sum, prod and mean, not in {name}.", "write sum(... for plate)", token
        )
    if len(parts) != 1 or isinstance(parts[0], tuple | st.Rows):
        raise Slip(
            f"{name}(... for ...) has one expression before `for`.", f"write {name}(x for plate)", token
        )
    return ex.Reduction(name, _number(parts[0]), plates)
