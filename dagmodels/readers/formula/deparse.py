"""A tree -> text as R writes it: what columns and grouping factors are called."""

from __future__ import annotations

import re

from dagmodels.readers.formula.syntax import Call, Name, Node, Number, Op, Text

_PLAIN = re.compile(r"(?:[^\W\d_]|\.(?!\d))[\w.]*\Z")
_TIGHT = {"^", ":", "/"}


def deparse(node: Node) -> str:
    """R's text of a tree: `log(x)`, `I(x^2)`, `1 + x | g`."""
    match node:
        case Name(name):
            return name if _PLAIN.match(name) else f"`{name}`"
        case Number(value):
            return f"{value:.15g}"
        case Text(value):
            return f'"{value}"'
        case Call(function, arguments):
            told = (f"{key} = {deparse(a)}" if key else deparse(a) for key, a in arguments)
            return f"{function}({', '.join(told)})"
        case Op("(", (inner,)):
            return f"({deparse(inner)})"
        case Op(operator, (operand,)):
            return f"{operator}{deparse(operand)}"
    assert isinstance(node, Op)
    parts: list[str] = []
    while isinstance(node, Op) and len(node.operands) == 2:  # long sums lean to the left
        space = "" if node.operator in _TIGHT else " "
        parts.append(f"{space}{node.operator}{space}{deparse(node.operands[1])}")
        node = node.operands[0]
    return deparse(node) + "".join(reversed(parts))


def variable_name(node: Node) -> str:
    """A name without its backquotes, else the text: what responses and grouping factors are called.

    In the names of coefficients R keeps the backquotes.
    """
    return node.name if isinstance(node, Name) else deparse(node)
