"""Values of expressions over a fit's numbers: `:=` definitions, and the sides of constraints."""

from __future__ import annotations

import math
from collections.abc import Callable

from dagmodels.graph import expression as ex

Meaning = Callable[[ex.Reference], float]
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "expit": lambda v: 1.0 / (1.0 + math.exp(-v)),
    "plogis": lambda v: 1.0 / (1.0 + math.exp(-v)),
    "logit": lambda v: math.log(v / (1.0 - v)),
    "qlogis": lambda v: math.log(v / (1.0 - v)),
    "Phi": lambda v: 0.5 * math.erfc(-v / math.sqrt(2.0)),
    "pnorm": lambda v: 0.5 * math.erfc(-v / math.sqrt(2.0)),
}


def value(tree: ex.Expression, meaning: Meaning) -> float:
    """The value of a tree; nan where it is undefined.

    meaning : the number of a reference; may raise KeyError.
    """
    try:
        return _value(tree, meaning)
    except (ArithmeticError, ValueError):
        return math.nan


def _value(tree: ex.Expression, meaning: Meaning) -> float:
    match tree:
        case ex.Number(number):
            return float(number)
        case ex.Reference():
            return meaning(tree)
        case ex.Unary(op, operand):
            inner = _value(operand, meaning)
            return -inner if op == "-" else inner
        case ex.Binary(op, left, right):
            a, b = _value(left, meaning), _value(right, meaning)
            match op:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "/":
                    return a / b
                case _:
                    return math.pow(a, b)
        case ex.Call(function, (argument,)) if function in FUNCTIONS:
            return FUNCTIONS[function](_value(argument, meaning))
        case _:
            return math.nan
