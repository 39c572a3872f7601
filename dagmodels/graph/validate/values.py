"""Are constant arguments inside their domains? Only literals and scalar constants are known here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dagmodels.graph import expression as ex

_BINARY: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": math.pow,
}
_CALLS: Mapping[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": math.fabs,
}
TOLERANCE = 1e-6  # of sums that must be 1: tables are printed with few digits


def constant(tree: object, constants: Mapping[str, float]) -> float | None:
    """The number an expression stands for, or None when it depends on data or unknowns.

    constants : scalar constants of the model by name.
    NaN says that the expression has no finite value, such as 1/0.
    """
    try:
        value = _value(tree, constants)
    except (ArithmeticError, ValueError):
        return math.nan
    return math.nan if value is not None and not math.isfinite(value) else value


def undefined(tree: object, constants: Mapping[str, float]) -> tuple[str, tuple[str, ...]]:
    """The innermost part without a finite value, with the constants in it: text and their names."""
    parts = ex.children(tree) if isinstance(tree, ex.Expression) else ()
    for part in parts:
        value = constant(part, constants)
        if value is not None and math.isnan(value):
            return undefined(part, constants)
    named = tuple(dict.fromkeys(r.name for r in ex.references(tree) if r.name in constants))  # type: ignore[arg-type]
    where = " and ".join(f"{n} = {constants[n]:g}" for n in named)
    return f"`{tree}` is not a finite number" + (f" where {where}" if where else ""), named


def _value(tree: object, constants: Mapping[str, float]) -> float | None:
    match tree:
        case ex.Number(value):
            return value
        case ex.Reference(name, ()):
            return constants.get(name)
        case ex.Unary(op, operand):
            inner = _value(operand, constants)
            return None if inner is None else -inner if op == "-" else inner
        case ex.Binary(op, left, right) if op in _BINARY:
            a, b = _value(left, constants), _value(right, constants)
            if a is None or b is None:
                return None
            return _BINARY[op](float(a), float(b))
        case ex.Call(name, arguments) if name in _CALLS:
            inner = _value(arguments[0], constants)
            return None if inner is None else _CALLS[name](inner)
        case _:
            return None


def outside(value: float, domain: str) -> str | None:
    """What the domain demands and the value does not fulfil, or None."""
    if math.isnan(value):
        return "has no finite value"
    match domain:
        case "positive" if not value > 0:
            return "must be greater than 0"
        case "nonnegative" if not value >= 0:
            return "must not be negative"
        case "probability" if not 0 <= value <= 1:
            return "must lie between 0 and 1"
        case "count" if value < 0 or value != math.floor(value):
            return "must be one of 0, 1, 2, ..."
        case "simplex" if not 0 <= value <= 1:
            return "must hold probabilities between 0 and 1"
        case _:
            return None


def matrix_fault(rows: list[list[float]], domain: str) -> str | None:
    """Why the numbers are no covariance or correlation matrix, or None; other domains take any matrix."""
    if domain not in ("covariance", "correlation"):
        return None
    size = len(rows)
    if any(rows[i][j] != rows[j][i] for i in range(size) for j in range(i)):
        return "must be symmetric"
    if domain == "correlation" and any(rows[i][i] != 1 for i in range(size)):
        return "must have ones on its diagonal"
    import numpy as np

    values = np.linalg.eigvalsh(np.asarray(rows, dtype=float))
    if values.min() < -1e-10 * max(1.0, float(values.max())):
        return "must not have a negative eigenvalue"
    return None
