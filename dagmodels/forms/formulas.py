"""A family's formula on the tape: numbers whose operators record operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagmodels.forms.lower import NotLowered
from dagmodels.numerics.tape import SPECIAL, UNARY, Recorder


@dataclass(frozen=True, eq=False)
class Traced:
    """A register that behaves like a number, or (order > 0) like a batch of square matrices."""

    functions: Functions
    register: int
    order: int = 0

    def _with(self, name: str, other: Any, *, swap: bool = False) -> Traced:
        pair = (other, self) if swap else (self, other)
        return self.functions.apply(name, *pair)

    def __add__(self, other: Any) -> Traced:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Traced:
        return self._with("+", other, swap=True)

    def __sub__(self, other: Any) -> Traced:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Traced:
        return self._with("-", other, swap=True)

    def __mul__(self, other: Any) -> Traced:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Traced:
        return self._with("*", other, swap=True)

    def __truediv__(self, other: Any) -> Traced:
        return self._with("/", other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self._with("/", other, swap=True)

    def __pow__(self, other: Any) -> Traced:
        return self._with("**", other)

    def __rpow__(self, other: Any) -> Traced:
        return self._with("**", other, swap=True)

    def __neg__(self) -> Traced:
        return self.functions.apply("neg", self)

    def __lt__(self, other: Any) -> Traced:
        return self._with("<", other)

    def __le__(self, other: Any) -> Traced:
        return self._with("<=", other)

    def __gt__(self, other: Any) -> Traced:
        return self._with(">", other)

    def __ge__(self, other: Any) -> Traced:
        return self._with(">=", other)


def log_beta(f: Any, a: Any, b: Any) -> Any:
    """log B(a, b), large or small: Stirling's large terms are combined by hand, `binet` holds the rest."""
    rest = f.binet(a) + f.binet(b) - f.binet(a + b) + 0.5 * math.log(2 * math.pi)
    return rest - (a - 0.5) * f.log1p(b / a) - (b - 0.5) * f.log1p(a / b) - 0.5 * f.log(a + b)


class Functions:
    """The namespace `f` that formulas are written over, recording on a tape."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def traced(self, register: int, order: int = 0) -> Traced:
        """A register as a number, or as square matrices of that order."""
        return Traced(self, register, order)

    def apply(self, name: str, *operands: Any) -> Traced:
        """Record an elementwise operation; plain numbers become constants."""
        registers = (o.register if isinstance(o, Traced) else self.recorder.constant(o) for o in operands)
        order = max((o.order for o in operands if isinstance(o, Traced)), default=0)
        return Traced(self, self.recorder.apply(name, *registers), order)

    def equal(self, left: Any, right: Any) -> Traced:
        """1 where equal, else 0."""
        return self.apply("==", left, right)

    def where(self, test: Any, yes: Any, no: Any) -> Traced:
        """yes where test is not 0, else no."""
        return self.apply("if_else", test, yes, no)

    def lbeta(self, a: Any, b: Any) -> Traced:
        """log beta function; see `log_beta`."""
        return log_beta(self, a, b)

    def size(self, matrix: Traced) -> int:
        """Order of a matrix."""
        return matrix.order

    def logdet(self, matrix: Traced) -> Traced:
        """Log determinant; nan where the matrix is not positive definite."""
        return Traced(self, self.recorder.matrix("logdet", matrix.order, matrix.register))

    def posdef(self, matrix: Traced) -> Traced:
        """Stands for true: `logdet` of the same formula is nan where it is false."""
        del matrix
        return Traced(self, self.recorder.constant(1.0))

    def trace_solve(self, left: Traced, right: Traced) -> Traced:
        """trace(left^-1 right) of symmetric matrices."""
        inverse = self.recorder.matrix("inverse", left.order, left.register)
        cells = left.order**2
        a, b = self.recorder.length(inverse), self.recorder.length(right.register)
        if a != b:  # one matrix beside a batch of them
            index = np.tile(np.arange(cells), max(a, b) // cells)
            inverse = inverse if a > b else self.recorder.gather(inverse, index)
            right = right if b > a else self.traced(self.recorder.gather(right.register, index), right.order)
        product = self.recorder.apply("*", inverse, right.register)
        count = self.recorder.length(product) // cells
        return Traced(self, self.recorder.segment_sum(product, np.repeat(np.arange(count), cells), count))

    def diagonal(self, matrix: Traced) -> Traced:
        """Diagonals, one after the other."""
        d = matrix.order
        count = self.recorder.length(matrix.register) // (d * d)
        places = (np.arange(count)[:, None] * d * d + np.arange(d)[None, :] * (d + 1)).reshape(-1)
        return Traced(self, self.recorder.gather(matrix.register, places), d)

    def total(self, vector: Traced) -> Traced:
        """Sums of vectors as long as the matrices that they were taken from."""
        count = self.recorder.length(vector.register) // vector.order
        index = np.repeat(np.arange(count), vector.order)
        return Traced(self, self.recorder.segment_sum(vector.register, index, count))

    def mvlgamma(self, a: Any, d: int) -> Traced:
        """Log of the multivariate gamma function of order d."""
        found: Any = 0.25 * d * (d - 1) * math.log(math.pi)
        for j in range(d):
            found = self.apply("lgamma", a - 0.5 * j) + found
        return found

    def __getattr__(self, name: str) -> Any:
        if name in UNARY or name in SPECIAL or name in ("min", "max"):
            return lambda *operands: self.apply(name, *operands)
        raise NotLowered(f"the tape has no function '{name}'")
