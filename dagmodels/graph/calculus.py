"""Trees as formulas: symbolic derivatives, light simplification, values.

`derivative` works element by element: a reference stands for one number, and everything else in the
tree that is not the same reference is constant.  For vectors and matrices it takes a direction and
gives the directional derivative; with unit directions that is the gradient, entry by entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dagmodels.errors import ModelError
from dagmodels.graph.expression import (
    Binary,
    Call,
    Expression,
    Number,
    Reduction,
    Reference,
    Text,
    Unary,
    Vector,
    as_expression,
    literal,
)
from dagmodels.graph.functions import FUNCTIONS, ZERO
from dagmodels.graph.functions import tree as f

ONE = Number(1)
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def derivative(tree: Expression, reference: Reference, direction: Expression | None = None) -> Expression:
    """The derivative of a tree in one reference, as a simplified tree.

    Parameters
    ----------
    tree : any expression; `sum`, `prod` and `mean` are differentiated under the sign.
    reference : the variable; references equal in name and indices are the same variable, all others
        are constants.
    direction : a tree of the shape of the reference, along which to differentiate; 1 when left out,
        which is the partial derivative where everything is a number.

    Raises `ModelError` for a function without derivative where the tree depends on the reference.
    """
    along = ONE if direction is None else direction
    done: dict[int, Expression] = {}  # by identity: shared subtrees are differentiated once

    def d(t: Expression) -> Expression:
        if id(t) not in done:
            done[id(t)] = _rule(t, reference, along, d)
        return done[id(t)]

    return simplify(d(tree))


Differentiate = Callable[[Expression], Expression]


def _rule(t: Expression, reference: Reference, along: Expression, d: Differentiate) -> Expression:
    match t:
        case Reference():
            return along if t == reference else ZERO
        case Unary(operator, operand):
            change = d(operand)
            return change if operator == "+" else _negative(change)
        case Binary(operator, left, right):
            return ZERO if operator in COMPARISONS else _arithmetic(operator, t, left, right, d)
        case Call(name, arguments):
            return _call(name, arguments, tuple(d(a) for a in arguments))
        case Reduction(kind, body, plates):
            return _reduction(kind, t, body, plates, d(body))
        case Vector(items):
            changes = tuple(d(i) for i in items)
            return ZERO if all(c == ZERO for c in changes) else Vector(changes)
        case _:
            return ZERO


def _arithmetic(
    operator: str, whole: Expression, left: Expression, right: Expression, d: Differentiate
) -> Expression:
    dl, dr = d(left), d(right)
    match operator:
        case "+":
            return _plus(dl, dr)
        case "-":
            return _minus(dl, dr)
        case "*":
            return _plus(_times(dl, right), _times(left, dr))
        case "/":
            return _minus(_over(dl, right), _over(_times(whole, dr), right))
        case "**":
            by_base = ZERO if dl == ZERO else _times(_times(right, _power(left, _minus(right, ONE))), dl)
            by_exponent = ZERO if dr == ZERO else _times(_times(whole, f.log(left)), dr)
            return _plus(by_base, by_exponent)
        case _:
            raise ModelError(f"the operator '{operator}' has no derivative")


def _call(name: str, arguments: tuple[Expression, ...], changes: tuple[Expression, ...]) -> Expression:
    if all(c == ZERO for c in changes):
        return ZERO
    function = FUNCTIONS.get(name)
    if function is None:
        raise ModelError(f"no function is called '{name}'", hint="see dagmodels.graph.functions")
    if function.tangent is not None:
        return function.tangent(arguments, changes)
    total: Expression = ZERO
    for partial, change in zip(function.derivative, changes, strict=True):
        if partial is not None and change != ZERO:
            formula: Callable[..., Expression] = partial
            total = _plus(total, _times(formula(*arguments), change))
    return total


def _reduction(
    kind: str, whole: Expression, body: Expression, plates: tuple[str, ...], change: Expression
) -> Expression:
    if change == ZERO:
        return ZERO
    if kind == "prod":  # d prod = prod * sum(d log); not defined where a factor is zero
        return _times(whole, Reduction("sum", _over(change, body), plates))
    return Reduction(kind, change, plates)


# The four operations with the folding of constants that keeps derivatives short.


def _negative(a: Expression) -> Expression:
    if a == ZERO:
        return ZERO
    return a.operand if isinstance(a, Unary) and a.operator == "-" else Unary("-", a)


def _plus(a: Expression, b: Expression) -> Expression:
    if literal(a) == 0:
        return b
    if literal(b) == 0:
        return a
    if isinstance(b, Unary) and b.operator == "-" and literal(b) is None:
        return _minus(a, b.operand)
    return _folded("+", a, b)


def _minus(a: Expression, b: Expression) -> Expression:
    if literal(b) == 0:
        return a
    if literal(a) == 0:
        return _negative(b)
    if isinstance(b, Unary) and b.operator == "-" and literal(b) is None:
        return _plus(a, b.operand)
    return _folded("-", a, b)


def _times(a: Expression, b: Expression) -> Expression:
    if literal(a) == 0 or literal(b) == 0:
        return ZERO
    if literal(a) == 1:
        return b
    if literal(b) == 1:
        return a
    if literal(a) == -1:
        return _negative(b)
    if literal(b) == -1:
        return _negative(a)
    return _folded("*", a, b)


def _over(a: Expression, b: Expression) -> Expression:
    if literal(a) == 0 and literal(b) != 0:
        return ZERO
    if literal(b) == 1:
        return a
    return _folded("/", a, b)


def _power(a: Expression, b: Expression) -> Expression:
    if literal(b) == 1:
        return a
    if literal(b) == 0:
        return ONE
    return _folded("**", a, b)


_FOLD: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: float(a) ** float(b),  # never a huge integer
}


def _folded(operator: str, a: Expression, b: Expression) -> Expression:
    value = _constant(operator, a, b)
    return Binary(operator, a, b) if value is None else value


def _constant(operator: str, a: Expression, b: Expression) -> Expression | None:
    """The number that two numbers give, unless that is not a finite real number."""
    left, right = literal(a), literal(b)
    if left is None or right is None:
        return None
    try:
        value = _FOLD[operator](left, right)
        return None if isinstance(value, complex) or not math.isfinite(value) else as_expression(value)
    except (ZeroDivisionError, OverflowError):
        return None  # the tree stays as written; its value is infinite or undefined


_BUILD: Mapping[str, Callable[[Expression, Expression], Expression]] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _over,
    "**": _power,
}


def simplify(tree: Expression) -> Expression:
    """The tree with constants folded, neutral elements dropped and stable forms for logarithms.

    `log(expit(a))` becomes `-softplus(-a)`, `log1p(-Phi(a))` becomes `log_Phi(-a)` and the like:
    the same function with its digits kept in the tails.  Zero times anything is zero.
    """
    done: dict[int, Expression] = {}

    def s(t: Expression) -> Expression:
        if id(t) not in done:
            done[id(t)] = _simpler(t, s)
        return done[id(t)]

    return s(tree)


def _simpler(t: Expression, s: Differentiate) -> Expression:
    match t:
        case Unary("+", operand):
            return s(operand)
        case Unary(_, operand):
            return _negative(s(operand))
        case Binary(operator, left, right) if operator in _BUILD:
            return _BUILD[operator](s(left), s(right))
        case Binary(operator, left, right):
            return Binary(operator, s(left), s(right))
        case Call(name, arguments):
            return _simpler_call(name, tuple(s(a) for a in arguments))
        case Reduction(kind, body, plates):
            inner = s(body)
            return ZERO if kind in ("sum", "mean") and inner == ZERO else Reduction(kind, inner, plates)
        case Vector(items):
            return Vector(tuple(s(i) for i in items))
        case _:
            return t


def _simpler_call(name: str, arguments: tuple[Expression, ...]) -> Expression:
    if name == "if_else":
        condition = literal(arguments[0])
        if condition is not None:
            return arguments[1] if condition != 0 else arguments[2]
        if arguments[1] == arguments[2]:
            return arguments[1]
    if name in ("total", "expand", "element", "diagonal", "transpose") and arguments[0] == ZERO:
        return ZERO
    if name == "log" and isinstance(arguments[0], Call) and arguments[0].function in _LOG_OF:
        return _LOG_OF[arguments[0].function](arguments[0].arguments[0])
    if name == "log1p":
        match arguments[0]:
            case Unary("-", Call(inner, (a,))) if inner in _LOG_OF_COMPLEMENT:
                return _LOG_OF_COMPLEMENT[inner](a)
            case _:
                pass
    return Call(name, arguments)


_LOG_OF: Mapping[str, Differentiate] = {
    "exp": lambda a: a,
    "expit": lambda a: _negative(f.softplus(_negative(a))),
    "Phi": lambda a: f.log_Phi(a),
    "sqrt": lambda a: _times(Number(0.5), f.log(a)),
}
_LOG_OF_COMPLEMENT: Mapping[str, Differentiate] = {
    "expit": lambda a: _negative(f.softplus(a)),
    "Phi": lambda a: f.log_Phi(_negative(a)),
    "icloglog": lambda a: _negative(f.exp(a)),
}


def value(
    tree: Expression,
    bindings: Mapping[Any, Any],
    functions: Any = None,
    axes: Mapping[str, int] | None = None,
) -> Any:
    """The tree's value on numbers and arrays, element by element with numpy's broadcasting.

    Parameters
    ----------
    bindings : values by `Reference`, or by name for every reference of that name.
    functions : the namespace; numpy's (`distributions._numeric`) when left out.
    axes : for trees with reductions, the array axis of each plate summed over; it is kept with
        length one, so count axes from the end.
    """
    import numpy as np

    if functions is None:
        from dagmodels.distributions import _numeric

        functions = _numeric
    done: dict[int, Any] = {}

    def v(t: Expression) -> Any:
        if id(t) not in done:
            done[id(t)] = _value(t, bindings, functions, axes or {}, v)
        return done[id(t)]

    with np.errstate(all="ignore"):
        return v(tree)


def number(tree: Expression, bindings: Mapping[Any, Any]) -> float:
    """The value of a tree over plain numbers; nan where that is no finite real number."""
    found = float(value(tree, bindings))
    return found if math.isfinite(found) else math.nan


def _value(
    t: Expression, bindings: Mapping[Any, Any], functions: Any, axes: Mapping[str, int], v: Callable[..., Any]
) -> Any:
    import numpy as np

    match t:
        case Number(number):
            return np.float64(number)
        case Text(text):
            return text
        case Reference(name, _):
            return np.asarray(_bound(t, name, bindings))
        case Unary(operator, operand):
            return -v(operand) if operator == "-" else v(operand)
        case Binary(operator, left, right):
            return _binary(operator, v(left), v(right))
        case Call(name, arguments):
            function = getattr(functions, "where" if name == "if_else" else name)
            result = function(*(v(a) for a in arguments))
            return result + 0.0 if np.asarray(result).dtype == bool else result
        case Reduction(kind, body, plates):
            missing = [p for p in plates if p not in axes]
            if missing:
                raise ModelError(f"the axis of plate '{missing[0]}' is needed to evaluate '{kind}'")
            reduce = getattr(np, kind)
            return reduce(v(body), axis=tuple(axes[p] for p in plates), keepdims=True)
        case Vector(items):
            depth = _depth(t)
            return np.stack(np.broadcast_arrays(*(v(i) for i in items)), axis=-depth)
        case _:
            raise TypeError(f"{type(t).__name__} has no value")


def _bound(reference: Reference, name: str, bindings: Mapping[Any, Any]) -> Any:
    if reference in bindings:
        return bindings[reference]
    if name in bindings:
        return bindings[name]
    raise ModelError(f"no value is bound to '{name}'", node=name)


def _depth(t: Expression) -> int:
    return 1 + max(_depth(i) for i in t.items) if isinstance(t, Vector) else 0


def _binary(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "**":
            return left**right
        case "==":
            return (left == right) + 0.0
        case "!=":
            return (left != right) + 0.0
        case "<":
            return (left < right) + 0.0
        case "<=":
            return (left <= right) + 0.0
        case ">":
            return (left > right) + 0.0
        case ">=":
            return (left >= right) + 0.0
        case _:
            raise TypeError(f"the operator '{operator}' has no value")
