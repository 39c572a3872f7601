"""Formulas on the tape over batches: by row a number, a vector (last axis) or a matrix (last two).

`Functions` records formulas of numbers by row; here registers know the shape of one row's value, so that
formulas of vectors and matrices record as they run in numpy, without a loop over entries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.formulas import Functions, Traced
from dagmodels.numerics.tape import Recorder

Ints = NDArray[np.int64]
Event = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch(Traced):
    """A register of values of one shape, one a row, or one for all rows.

    event : the shape of one value, () for numbers.
    block : of matrices that rows share, the matrix of each row; None where value i is row i's.
    """

    event: Event = ()
    block: Ints | None = None


class Batches(Functions):
    """The namespace that records formulas over batches; shapes of values broadcast as in numpy."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)

    def batch(self, register: int, event: Event = (), block: Ints | None = None) -> Batch:
        """A register as values of a shape."""
        return Batch(self, register, event[-1] if len(event) == 2 else 0, event, block)

    def traced(self, register: int, order: int = 0) -> Batch:
        """A register as numbers, or as square matrices of that order."""
        return self.batch(register, (order, order) if order else ())

    def constant(self, value: Any, event: Event = ()) -> Batch:
        """Known values."""
        return self.batch(self.recorder.constant(value), event)

    def event(self, x: Traced) -> Event:
        """The shape of one value."""
        return x.event if isinstance(x, Batch) else ()

    def rows(self, x: Traced) -> int:
        """How many values there are."""
        return self.recorder.length(x.register) // max(math.prod(self.event(x)), 1)

    def by_row(self, x: Traced) -> Batch:
        """Matrices that rows share, repeated for every row."""
        assert isinstance(x, Batch)
        if x.block is None:
            return x
        size = math.prod(x.event)
        index = (x.block[:, None] * size + np.arange(size)).reshape(-1)
        return self.batch(self.recorder.gather(x.register, index), x.event)

    def spread(self, x: Traced, event: Event, rows: int) -> int:
        """A register with that many values of that shape, by repeating what is one."""
        own = self.event(x)
        have = (self.rows(x), *(1,) * (len(event) - len(own)), *own)
        if have == (rows, *event):
            return x.register
        places = np.arange(self.recorder.length(x.register)).reshape(have)
        return self.recorder.gather(x.register, np.broadcast_to(places, (rows, *event)).reshape(-1).copy())

    def apply(self, name: str, *operands: Any) -> Batch:
        """Record an elementwise operation; plain numbers become constants."""
        parts = [o if isinstance(o, Traced) else self.constant(o) for o in operands]
        blocks = [p for p in parts if isinstance(p, Batch) and p.block is not None]
        block = None
        if len(blocks) == 1 and all(self.recorder.length(p.register) == 1 or p in blocks for p in parts):
            block = blocks[0].block
        elif blocks:
            parts = [self.by_row(p) for p in parts]
        event = np.broadcast_shapes(*(self.event(p) for p in parts))
        rows = max(self.rows(p) for p in parts)
        if any(self.rows(p) == 0 for p in parts):
            rows = 0
        registers = [
            p.register if self.recorder.length(p.register) == 1 else self.spread(p, event, rows)
            for p in parts
        ]
        return self.batch(self.recorder.apply(name, *registers), event, block)

    # -- vectors -----------------------------------------------------------------------------------

    def total(self, vector: Traced) -> Batch:
        """Sum over the last axis."""
        *rest, size = self.event(vector)
        count = self.recorder.length(vector.register) // size
        index = np.repeat(np.arange(count), size)
        return self.batch(self.recorder.segment_sum(vector.register, index, count), tuple(rest))

    def pick(self, vector: Traced, places: Ints) -> Batch:
        """The entries at places of every vector, in that order."""
        size = self.event(vector)[-1]
        index = (np.arange(self.rows(vector))[:, None] * size + places).reshape(-1)
        return self.batch(self.recorder.gather(vector.register, index), (places.size,))

    def cumulated(self, vector: Traced) -> Batch:
        """Sums of the entries up to each, by doubling (Hillis and Steele 1986, CACM 29)."""
        (size,) = self.event(vector)
        found: Any = self.batch(vector.register, (size,))
        step = 1
        while step < size:
            places = np.arange(size)
            before = self.pick(found, np.maximum(places - step, 0))
            found = found + before * self.constant((places >= step).astype(float), (size,))
            step *= 2
        return found

    def largest(self, vector: Traced) -> Batch:
        """The largest entry of every vector, by halving."""
        found: Any = vector
        while (size := self.event(found)[-1]) > 1:
            half = (size + 1) // 2
            first = self.pick(found, np.arange(half))
            found = self.apply("max", first, self.pick(found, np.minimum(np.arange(half) + half, size - 1)))
        return self.batch(found.register)

    # -- matrices ----------------------------------------------------------------------------------

    def matrices(self, name: str, *operands: Traced, transposed: bool = False) -> Batch:
        """A function of square matrices that gives square matrices; rows may share them."""
        first = operands[0]
        assert isinstance(first, Batch)
        parts = [first] if len(operands) == 1 else [self.by_row(o) for o in operands]
        rows = max(self.rows(p) for p in parts)
        registers = [self.spread(p, first.event, rows) for p in parts]
        found = self.recorder.matrix(name, first.event[-1], *registers, transposed=transposed)
        return self.batch(found, first.event, parts[0].block)

    def logdet(self, matrix: Traced) -> Batch:
        """Log determinant by row; nan where the matrix is not positive definite."""
        assert isinstance(matrix, Batch)
        found = self.recorder.matrix("logdet", matrix.event[-1], matrix.register)
        return self.batch(found if matrix.block is None else self.recorder.gather(found, matrix.block))

    def matvec(self, matrix: Traced, vector: Traced) -> Batch:
        """A b by row."""
        left = self.by_row(matrix)
        d = left.event[-1]
        rows = max(self.rows(left), self.rows(vector))
        a = self.spread(left, left.event, rows)
        b = self.spread(self.batch(vector.register, (1, d)), (d, d), rows)
        return self.total(self.batch(self.recorder.apply("*", a, b), (d, d)))

    def transpose(self, matrix: Traced) -> Batch:
        """A' by row."""
        assert isinstance(matrix, Batch)
        d = matrix.event[-1]
        places = np.arange(self.recorder.length(matrix.register)).reshape(-1, d, d)
        index = places.swapaxes(1, 2).reshape(-1).copy()
        return self.batch(self.recorder.gather(matrix.register, index), matrix.event, matrix.block)

    def diagonal(self, matrix: Traced) -> Batch:
        """Diagonals as vectors."""
        own = self.by_row(matrix)
        d = own.event[-1]
        places = np.arange(d) * (d + 1)
        return self.pick(self.batch(own.register, (d * d,)), places)


__all__ = ["Batch", "Batches", "Event"]
