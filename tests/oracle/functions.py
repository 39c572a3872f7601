"""Functions, operators and small conversions of the oracle's interpreter; complex numbers pass through."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from dagmodels.graph.statement import Distribution

from .affine import Array, Number, constant


def given(d: Distribution, name: str, default: object) -> object:
    """An argument of a distribution, or its default."""
    found = d.argument(name)
    return default if found is None else found


def vector_of(value: Number | Array, size: int) -> list[Number]:
    """A vector's entries; a scalar is repeated."""
    if not isinstance(value, Array):
        return [value] * size
    if value.data.shape != (size,):
        raise TypeError(f"a vector of {size} was expected, not one over {value.axes} of {value.data.shape}")
    return list(value.data)


def matrix_of(value: Number | Array, size: int, where: str) -> np.ndarray[Any, Any]:
    """A matrix of plain numbers."""
    if not isinstance(value, Array) or value.data.shape != (size, size):
        raise TypeError(f"{where} is not a {size} x {size} matrix")
    flat = [constant(v, where) for v in value.data.ravel()]
    return numeric(np.array(flat, dtype=object).reshape(size, size))


def numeric(m: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An object array as floats, or as complex numbers where one is."""
    return m.astype(complex if any(isinstance(v, complex) for v in m.ravel()) else float)


def real(value: Number) -> float:
    """The real part, which decides comparisons."""
    plain = constant(value, "a comparison")
    return plain.real if isinstance(plain, complex) else plain


def _power(a: Number, b: Number) -> Number:
    base, exponent = constant(a, "a power"), constant(b, "an exponent")
    whole = isinstance(exponent, float) and exponent.is_integer()
    return base ** int(exponent) if whole else base**exponent


def _f(of_complex: Any, of_real: Any) -> Any:
    return lambda x: of_complex(x) if isinstance(x, complex) else of_real(x)


def _erfc(z: complex) -> complex:
    from scipy.special import erfc

    return complex(erfc(z))


ARITHMETIC = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": _power,
}
COMPARE = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_exp, _log, root = _f(cmath.exp, math.exp), _f(cmath.log, math.log), _f(cmath.sqrt, math.sqrt)
FUNCTIONS: dict[str, Any] = {
    "exp": _exp,
    "log": _log,
    "sqrt": root,
    "logit": lambda p: _log(p / (1 - p)),
    "expit": lambda x: 1 / (1 + _exp(-x)),
    "Phi": lambda x: 0.5 * _f(_erfc, math.erfc)(-x / math.sqrt(2.0)),
    "cloglog": lambda p: _log(-_log(1 - p)),
    "icloglog": lambda x: 1 - _exp(-_exp(x)),
    "abs": lambda x: -x if real(x) < 0 else x,
    "sin": _f(cmath.sin, math.sin),
    "cos": _f(cmath.cos, math.cos),
    "arctan": _f(cmath.atan, math.atan),
    "tanh": _f(cmath.tanh, math.tanh),
    "floor": lambda x: math.floor(real(x)),
    "min": lambda *x: min(x, key=real),
    "max": lambda *x: max(x, key=real),
}
