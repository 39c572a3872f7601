"""Numbers of BUGS expressions that follow from data alone: bounds of loops, indices, data blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.functions import NAMES
from dagmodels.readers.bugs.number_laws import of_law

Values = Mapping[str, NDArray[np.float64]]
Loops = Mapping[str, Any]


class NotFixed(Exception):
    """The expression does not follow from data alone, or has no number; says why and where."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def _special(name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*arguments)

    return call


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **{
        n: getattr(np, n)
        for n in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "trunc", "floor")
    },
    **{f"arc{n}": getattr(np, f"arc{n}") for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "abs": np.abs,
    "pow": np.power,
    "round": lambda x: np.floor(x + 0.5),
    "step": lambda x: np.where(np.asarray(x) >= 0, 1.0, 0.0),
    "equals": lambda a, b: np.where(np.asarray(a) == b, 1.0, 0.0),
    "ifelse": lambda c, a, b: np.where(np.asarray(c) != 0, a, b),
    "logit": _special("logit"),
    "ilogit": _special("expit"),
    "phi": _special("ndtr"),
    "probit": _special("ndtri"),
    "cloglog": lambda p: np.log(-np.log1p(-p)),
    "icloglog": lambda x: -np.expm1(-np.exp(x)),
    "loggam": _special("gammaln"),
    "logfact": lambda x: _special("gammaln")(x + 1),
}
WHOLE: Mapping[str, Callable[..., Any]] = {
    "sum": lambda *a: sum(float(np.sum(x)) for x in a),
    "prod": lambda *a: math.prod(float(np.prod(x)) for x in a),
    "mean": lambda x: float(np.mean(x)),
    "sd": lambda x: float(np.std(x, ddof=1)),
    "max": lambda *a: max(float(np.max(x)) for x in a),
    "min": lambda *a: min(float(np.min(x)) for x in a),
    "inprod": lambda a, b: float(np.sum(np.asarray(a) * b)),
    "length": np.size,
    "nrow": lambda x: np.shape(x)[0],
    "ncol": lambda x: np.shape(x)[1],
    "dim": lambda x: np.array(np.shape(x), dtype=float),
    "inverse": np.linalg.inv,
    "logdet": lambda x: float(np.linalg.slogdet(x)[1]),
    "t": np.transpose,
    "sort": np.sort,
    "rank": lambda x: np.argsort(np.argsort(x)) + 1.0,
    "order": lambda x: np.argsort(x) + 1.0,
    "interp.lin": np.interp,
    "c": lambda *a: np.concatenate([np.ravel(x) for x in a]),
    "rep": lambda x, n: np.repeat(x, n) if np.ndim(n) else np.tile(np.atleast_1d(x), int(n)),
}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": lambda a, b: np.power(np.asarray(a, dtype=float), b),
    "%*%": np.matmul,
    "==": lambda a, b: np.equal(a, b) + 0.0,
    "!=": lambda a, b: np.not_equal(a, b) + 0.0,
    "<": lambda a, b: np.less(a, b) + 0.0,
    "<=": lambda a, b: np.less_equal(a, b) + 0.0,
    ">": lambda a, b: np.greater(a, b) + 0.0,
    ">=": lambda a, b: np.greater_equal(a, b) + 0.0,
    "&&": lambda a, b: np.logical_and(a, b) + 0.0,
    "||": lambda a, b: np.logical_or(a, b) + 0.0,
}


def number(tree: sx.Index, known: Values, loops: Loops) -> NDArray[np.float64]:
    """The value of an expression for one element: loop variables are whole numbers, indices count from 1.

    Raises NotFixed for names that are not known and for elements outside their arrays.
    """
    match tree:
        case sx.Num(value):
            return np.asarray(value)
        case sx.Var(name, None) if name in loops:
            return np.asarray(loops[name], dtype=float)
        case sx.Var(name, indices, at):
            return _element(name, indices, at, known, loops)
        case sx.Op(op, left, right):
            a, b = number(left, known, loops), number(right, known, loops)
            with np.errstate(all="ignore"):
                return np.asarray(_OPERATORS[op](a, b), dtype=float)
        case sx.Neg(operand):
            return -number(operand, known, loops)
        case sx.Fn(name, arguments, at):
            return _call(name, [number(a, known, loops) for a in arguments], at)
        case _:
            raise NotFixed("a range stands where a number is needed", tree.at)


def _call(name: str, arguments: list[NDArray[np.float64]], at: int) -> NDArray[np.float64]:
    name = NAMES.get(name, name)
    function = ELEMENTWISE.get(name) or WHOLE.get(name) or of_law(name)
    if function is None:
        raise NotFixed(f"'{name}' is no function that is known here", at)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arguments), dtype=float)
    except (TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise NotFixed(f"'{name}' cannot be computed: {error}", at) from None


def _element(
    name: str, indices: tuple[sx.Index, ...] | None, at: int, known: Values, loops: Loops
) -> NDArray[np.float64]:
    if name not in known:
        raise NotFixed(f"'{name}' is not known from the data", at)
    array = known[name]
    if indices is None:
        return array
    if len(indices) != array.ndim:
        raise NotFixed(f"'{name}' has {array.ndim} dimensions, not {len(indices)}", at)
    picks = [places(i, known, loops, n, name) for i, n in zip(indices, array.shape, strict=True)]
    if not any(isinstance(p, list) for p in picks):  # one element, or one a row
        return np.asarray(array[tuple(picks)])
    for axis in reversed(range(len(picks))):
        array = np.take(array, picks[axis], axis=axis)
    return array


def places(index: sx.Index, known: Values, loops: Loops, n: int | None, name: str) -> Any:
    """Places, counted from 0, that an index picks of `n`: a number, or for a range a list."""
    match index:
        case sx.Whole(at):
            if n is None:
                raise NotFixed(f"the size of '{name}' is not known", at)
            return list(range(n))
        case sx.Span(low, high):
            first, last = (whole(e, known, loops) for e in (low, high))
            if first.ndim or last.ndim:
                raise NotFixed(f"the range {sx.text(index)} of '{name}' is not one for all", index.at)
            found: Any = list(range(int(first) - 1, int(last)))
        case _:
            found = whole(index, known, loops) - 1
            found = found if np.ndim(found) else int(found)
    flat = np.asarray(found)
    if flat.size and n is not None and (flat.min() < 0 or flat.max() >= n):
        wrong = int(flat[(flat < 0) | (flat >= n)].reshape(-1)[0] if flat.ndim else flat) + 1
        raise NotFixed(f"the index {wrong} of '{name}' is outside 1:{n}", index.at)
    return found


def whole(tree: sx.Index, known: Values, loops: Loops) -> NDArray[np.int64]:
    """A whole number, or one a row."""
    value = number(tree, known, loops)
    if not np.all(value == np.floor(value)):
        raise NotFixed(f"{sx.text(tree)} is no whole number", tree.at)
    return value.astype(np.int64)


def along(tree: sx.Expr, known: Values, rows: Mapping[str, NDArray[np.int64]], n: int) -> NDArray[np.float64]:
    """A number for each of `n` rows, loop variables being given for each."""
    if any(_wide(t, known, rows) for t in sx.walk(tree)):
        each = [number(tree, known, {v: int(c[k]) for v, c in rows.items()}) for k in range(n)]
        if any(np.ndim(v) for v in each):
            raise NotFixed(f"{sx.text(tree)} is no single number", tree.at)
        return np.array([float(v) for v in each])
    return np.broadcast_to(number(tree, known, rows), (n,))


def _wide(tree: object, known: Values, rows: Mapping[str, NDArray[np.int64]]) -> bool:
    """Whether a tree holds whole vectors, so that it is computed row by row."""
    match tree:
        case sx.Var(name, None):
            return name not in rows and name in known and known[name].ndim > 0
        case sx.Fn(name):
            return name in WHOLE
        case _:
            return isinstance(tree, sx.Whole | sx.Span)
