"""What a node is distributed as or equal to, in a few short lines below its name."""

from __future__ import annotations

import re

from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Node
from dagmodels.graph.statement import (
    Argument,
    Deterministic,
    Distribution,
    Domain,
    Joint,
    Parameter,
    Rows,
    Stochastic,
)
from dagmodels.render.labels import SMALLER, Symbol, as_html, escape, number

_WIDTH = 24
_MOST_LINES = 3
_BINDS = {"==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "**": 5}
_SIGNS = {"-": "−", "*": "·", "<=": "≤", ">=": "≥", "!=": "≠", "**": "^", "==": "="}
_UNARY = 4


def described(node: Node, shown: dict[str, Symbol]) -> list[str]:
    """Escaped lines such as `~ Normal(μ, τ)`, at most three, for the node's most general statement."""
    statement = node.statements[0]
    match statement:
        case Stochastic(distribution=d) | Joint(distribution=d):
            text = f"~ {_distribution(d, shown)}"
        case Deterministic(expression=tree):
            text = f"= {_expression(tree, shown)}"
        case Parameter(domain=Domain() as domain):
            text = _domain(domain)
        case _:
            return []
    lines = _wrapped(text)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1] + " …"]
    return [_set(line) for line in lines]


# A symbol inside a text that is still to be wrapped: private characters around its parts.
_MARKS = re.compile("[\ue000-\ue003]")
_MARKED = re.compile("\ue000(\ue003?)([^\ue001]*)\ue001([^\ue002]*)\ue002")


def _wrapped(text: str) -> list[str]:
    """Lines of at most `_WIDTH` letters in print, longer only where there is no space to break at."""
    lines: list[str] = []
    for word in text.split(" ") if text else []:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and len(_MARKS.sub("", longer)) <= _WIDTH:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _set(line: str) -> str:
    """The line as HTML-like text, marked symbols in print."""
    out, end = "", 0
    for mark in _MARKED.finditer(line):
        out += escape(line[end : mark.start()]) + as_html(Symbol(mark[2], mark[3], bool(mark[1])), SMALLER)
        end = mark.end()
    return out + escape(line[end:])


def _marked(shown: Symbol) -> str:
    base = shown.base.replace(" ", "\u00a0")
    return f"\ue000{chr(0xE003) if shown.letter else ''}{base}\ue001{shown.subscript}\ue002"


def _domain(domain: Domain) -> str:
    if domain.kind != "interval":
        return domain.kind
    if domain.upper == float("inf"):
        return f"> {number(domain.lower)}"
    if domain.lower == float("-inf"):
        return f"< {number(domain.upper)}"
    return f"in ({number(domain.lower)}, {number(domain.upper)})"


def _distribution(distribution: Distribution, shown: dict[str, Symbol]) -> str:
    parts = []
    for name, value in distribution.arguments:
        text = _argument(value, shown)
        if text:
            named = name in ("tau", "cov", "chol", "lower", "upper")
            parts.append(f"{name} = {text}" if named else text)
    return f"{distribution.family}({', '.join(parts)})"


def _argument(value: Argument, shown: dict[str, Symbol]) -> str:
    match value:
        case Distribution():
            return _distribution(value, shown)
        case Rows():
            return ""
        case tuple():
            return "[" + ", ".join(_distribution(d, shown) for d in value) + "]"
        case _:
            return _expression(value, shown)


def _expression(tree: ex.Expression, shown: dict[str, Symbol], outer: int = 0) -> str:
    """Infix text; brackets where an operator binds less than the one around it."""
    match tree:
        case ex.Number(value):
            return f"{value:g}"
        case ex.Text(value):
            return f"“{value}”"
        case ex.Reference():
            return _reference(tree, shown)
        case ex.Unary(operator, operand):
            text = f"{_SIGNS.get(operator, operator)}{_expression(operand, shown, _UNARY)}"
            return f"({text})" if outer > _UNARY else text
        case ex.Binary(operator, left, right):
            binds = _BINDS[operator]
            first = _expression(left, shown, binds + (operator == "**"))
            second = _expression(right, shown, binds + (operator in ("-", "/")))
            space = "" if operator in ("*", "/", "**") else " "
            text = f"{first}{space}{_SIGNS.get(operator, operator)}{space}{second}"
            return f"({text})" if binds < outer else text
        case ex.Call(function, arguments):
            return f"{function}({', '.join(_expression(a, shown) for a in arguments)})"
        case ex.Reduction(kind, body, plates):
            return f"{kind}({_expression(body, shown)} for {', '.join(plates)})"
        case ex.Vector(items):
            return f"[{', '.join(_expression(i, shown) for i in items)}]"
        case _:
            raise TypeError(f"{type(tree).__name__} is no expression that can be drawn")


def _reference(reference: ex.Reference, shown: dict[str, Symbol]) -> str:
    """The name, with those indices that say more than its plates: lags, levels, nodes."""
    name = _marked(shown[reference.name]) if reference.name in shown else reference.name
    said = []
    for index in reference.indices or ():
        match index:
            case ex.LagIndex(plate, lag):
                said.append(f"{plate}−{lag}")
            case ex.LevelIndex(label):
                said.append(str(label))
            case ex.NodeIndex(inner):
                said.append(_reference(inner, shown))
            case _:
                pass
    return f"{name}[{', '.join(said)}]" if said else name
