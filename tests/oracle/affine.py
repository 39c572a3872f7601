"""Numbers of the form constant + sum of coefficients times named unknowns, and labelled arrays of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Scalar = float | complex


class NotLinearGaussian(Exception):
    """The graph leaves the affine-Gaussian class at the place that the message names."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`constant + sum(coefficient * unknown)`; only sums and multiples by constants stay affine."""

    constant: Scalar
    coefficients: Mapping[Hashable, Scalar] = field(default_factory=dict)

    def __add__(self, other: Number) -> Affine:
        right = as_affine(other)
        merged = dict(self.coefficients)
        for unknown, c in right.coefficients.items():
            merged[unknown] = merged.get(unknown, 0.0) + c
        return Affine(self.constant + right.constant, merged)

    __radd__ = __add__

    def __neg__(self) -> Affine:
        return Affine(-self.constant, {u: -c for u, c in self.coefficients.items()})

    def __sub__(self, other: Number) -> Affine:
        return self + (-other)

    def __rsub__(self, other: Number) -> Affine:
        return -self + other

    def __mul__(self, other: Number) -> Number:
        if isinstance(other, Affine):
            if not other.coefficients:
                return self * other.constant
            if not self.coefficients:
                return other * self.constant
            raise NotLinearGaussian(f"product of two unknowns: {self.names()} times {other.names()}")
        return Affine(self.constant * other, {u: c * other for u, c in self.coefficients.items()})

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Number:
        return self * (1.0 / constant(other, "a denominator"))

    def __rtruediv__(self, other: Scalar) -> Number:
        return other / constant(self, "a denominator")

    def names(self) -> str:
        """The unknowns, for messages."""
        return ", ".join(str(u) for u in self.coefficients)


Number = float | complex | Affine


def as_affine(value: Number) -> Affine:
    """A number as an affine one without unknowns."""
    return value if isinstance(value, Affine) else Affine(value)


def constant(value: Number, where: str) -> Scalar:
    """The value as a plain number; raises NotLinearGaussian when it holds an unknown."""
    if isinstance(value, Array):
        raise TypeError(f"{where} is a vector over {value.axes}, a scalar was expected")
    if isinstance(value, Affine):
        if value.coefficients:
            raise NotLinearGaussian(f"{where} depends on {value.names()}")
        return value.constant
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Numbers along free plates.

    axes : the plate of each axis; None for an axis of a literal vector.
    data : object array of numbers.
    """

    axes: tuple[str | None, ...]
    data: np.ndarray[Any, Any]


def apply(f: Callable[..., Number], *values: Number | Array) -> Number | Array:
    """`f` element by element; axes are matched by plate name, literal axes by their place."""
    arrays = [v for v in values if isinstance(v, Array)]
    if not arrays:
        return f(*values)
    shapes = {a.axes: a.data.shape for a in arrays}
    if any(None in axes for axes in shapes) and len(shapes) > 1:
        named = next((a.axes for a in arrays if None not in a.axes), arrays[0].axes)
        if any(a.data.ndim != len(named) for a in arrays):
            raise TypeError(f"vectors over {sorted(map(str, shapes))} do not match")
        arrays = [Array(named, a.data) for a in arrays]
        values = tuple(Array(named, v.data) if isinstance(v, Array) else v for v in values)
    sizes: dict[str | None, int] = {}
    if None in arrays[0].axes:
        axes, shape = arrays[0].axes, arrays[0].data.shape
        places = [range(len(axes)) for _ in arrays]
    else:
        for a in arrays:
            sizes.update(zip(a.axes, a.data.shape, strict=True))
        axes, shape = tuple(sizes), tuple(sizes.values())
        places = [[axes.index(x) for x in a.axes] for a in arrays]
    out = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        picked = iter(a.data[tuple(at[i] for i in p)] for a, p in zip(arrays, places, strict=True))
        out[at] = f(*(next(picked) if isinstance(v, Array) else v for v in values))
    return Array(axes, out)


def literal(items: list[Number | Array]) -> Array:
    """`[a, b]`, or rows of a matrix, as an array with literal axes."""
    if not any(isinstance(i, Array) for i in items):
        data = np.empty(len(items), dtype=object)
        data[:] = items
        return Array((None,), data)
    rows = [i for i in items if isinstance(i, Array)]
    if len(rows) != len(items) or len({r.data.shape for r in rows}) != 1:
        raise TypeError("the rows of a literal matrix differ in length")
    return Array((None, *rows[0].axes), np.stack([r.data for r in rows]))


__all__ = [
    "Affine",
    "Array",
    "NotLinearGaussian",
    "Number",
    "Scalar",
    "apply",
    "as_affine",
    "constant",
    "literal",
]
