"""Which slots of the state each entry of a register depends on: sparse patterns carried along the tape.

An index that is itself unknown makes an entry depend on all that it may choose from: where it is a known
number and an unknown with finitely many values, on so many entries of the table, else on all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from dagmodels.numerics.tape import NAMES, Recorder, operands

Ints = NDArray[np.int64]


class Influence:
    """Patterns of the registers of one recorder.

    inputs : the first slot of each input register; other inputs count as constants. size : how many slots.
    levels : of input registers that have values 0, 1, ..., how many.
    """

    def __init__(
        self, recorder: Recorder, inputs: dict[int, int], size: int, levels: Mapping[int, int] | None = None
    ) -> None:
        self.recorder = recorder
        self.inputs = dict(inputs)
        self.size = size
        self.levels = dict(levels or {})
        self._seen = 0
        self._ops: dict[int, list[tuple[int, int, int, int, int, int]]] = {}
        self._patterns: dict[int, Any] = {}

    def operations(self, register: int) -> list[tuple[int, int, int, int, int, int]]:
        """What gives a register: several operations where it is put together from parts."""
        recorded = self.recorder.recorded()
        for op in recorded[self._seen :]:
            self._ops.setdefault(op[1], []).append(op)
        self._seen = len(recorded)
        return self._ops.get(register, [])

    def pattern(self, register: int) -> Any:
        """A boolean matrix (entries, slots) in rows, or None for a constant."""
        waiting = [register]
        while waiting:
            top = waiting[-1]
            if top in self._patterns:
                waiting.pop()
                continue
            below = [
                r
                for op in self.operations(top)
                for r in op[2 : 2 + operands(op[0])]
                if r not in self._patterns and self.recorder.constant_value(r) is None
            ]
            if below:
                waiting += below
                continue
            self._patterns[top] = self._found(top)
            waiting.pop()
        return self._patterns[register]

    def depends(self, register: int, slots: Ints) -> bool:
        """Whether any entry depends on any of the slots."""
        pattern = self.pattern(register)
        if pattern is None:
            return False
        mine = np.zeros(self.size, dtype=bool)
        mine[slots] = True
        return bool(mine[pattern.indices].any())

    def _found(self, register: int) -> Any:
        n = self.recorder.length(register)
        if register in self.inputs:
            at = self.inputs[register] + np.arange(n)
            return sp.csr_matrix((np.ones(n), (np.arange(n), at)), shape=(n, self.size))
        parts = [m for op in self.operations(register) if (m := self._through(op, n)) is not None]
        if not parts:
            return None
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return _flagged(total)

    def pairs(self, register: int) -> tuple[Ints, Ints]:
        """(entry, slot) of all dependences of a register."""
        pattern = self.pattern(register)
        if pattern is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        entries = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
        return entries, pattern.indices.astype(np.int64)

    def _through(self, op: tuple[int, int, int, int, int, int], n: int) -> Any:
        code, _, a, b, c, aux = op
        name = NAMES[code]
        own = [self._patterns.get(r) for r in (a, b, c)[: operands(code)]]
        if all(p is None for p in own):
            return None
        first = own[0]
        match name:
            case "gather":
                index = self.recorder.index(aux)
                return first[np.zeros(n, np.int64)] if first.shape[0] == 1 else first[index]
            case "segment_sum":
                index = self.recorder.index(aux)
                return _sum_rows(first, index, n)
            case "put":
                index = self.recorder.index(aux)
                if first.shape[0] == 1 and index.size != 1:
                    first = first[np.zeros(index.size, np.int64)]
                return _sum_rows(first, index, n)
            case "take":
                return self._taken(first, own[1], n, self._range(b))
            case "cholesky" | "inverse" | "root" | "logdet" | "matmul" | "softmax":
                size = aux if name == "softmax" else aux * aux
                return self._blocks([p for p in own if p is not None], size, n)
            case "log_sum_exp":
                return _sum_rows(first, np.arange(first.shape[0]) // aux, n)
        every = [p[np.zeros(n, np.int64)] if p.shape[0] == 1 and n != 1 else p for p in own if p is not None]
        total = every[0]
        for p in every[1:]:
            total = total + p
        return total

    def _range(self, register: int) -> tuple[Ints, Ints] | None:
        """By entry, between which whole numbers a register is; None where that is not known."""
        r, n = self.recorder, self.recorder.length(register)
        known = r.constant_value(register)
        if known is not None:
            if not np.isfinite(known).all():
                return None
            return (at := known.astype(np.int64)), at
        if register in self.levels:
            return np.zeros(n, np.int64), np.full(n, self.levels[register] - 1)
        operations = self.operations(register)
        low, high = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for code, _, a, b, c, aux in operations:
            name = NAMES[code]
            if name not in ("+", "*", "if_else", "gather", "put"):
                return None
            read = (b, c) if name == "if_else" else (a, b)[: operands(code)]
            parts = [p for x in read if (p := self._range(x)) is not None]
            if len(parts) < len(read):
                return None
            (first, last), *other = parts
            if name == "put":
                low[r.index(aux)], high[r.index(aux)] = first, last
            elif name == "gather":
                index = r.index(aux)
                low[:], high[:] = (x if x.size == 1 else x[index] for x in (first, last))
            elif name == "if_else":
                low[:], high[:] = np.minimum(first, other[0][0]), np.maximum(last, other[0][1])
            elif name == "+":
                low[:], high[:] = first + other[0][0], last + other[0][1]
            elif min(first.min(), other[0][0].min()) >= 0:
                low[:], high[:] = first * other[0][0], last * other[0][1]
            else:
                return None
        return (low, high) if operations else None

    def _taken(self, table: Any, places: Any, n: int, ends: tuple[Ints, Ints] | None) -> Any:
        """Any entry that the index allows may be chosen."""
        found = None
        if table is not None and ends is not None and table.shape[0] > 1:
            low, high = (np.broadcast_to(np.clip(e, 0, table.shape[0] - 1), n) for e in ends)
            counts = high - low + 1
            begins = np.concatenate([[0], np.cumsum(counts)])
            columns = np.arange(begins[-1]) - np.repeat(begins[:-1] - low, counts)
            chosen = sp.csr_matrix((np.ones(columns.size), columns, begins), shape=(n, table.shape[0]))
            found = _flagged(chosen @ table)
        elif table is not None:
            union = _sum_rows(table, np.zeros(table.shape[0], np.int64), 1)
            found = _flagged(union)[np.zeros(n, np.int64)]
        if places is None:
            return found
        return places if found is None else found + places

    def _blocks(self, parts: list[Any], size: int, n: int) -> Any:
        """Every entry of a block depends on all entries of the operands' blocks."""
        total = None
        for p in parts:
            count = p.shape[0] // size
            whole = _sum_rows(p, np.repeat(np.arange(count), size), count)
            spread = whole[np.repeat(np.arange(count), n // count)]
            total = spread if total is None else total + spread
        return total


def _sum_rows(matrix: Any, index: Ints, n: int) -> Any:
    if matrix.shape[0] == 1 and index.size != 1:
        matrix = matrix[np.zeros(index.size, np.int64)]
    adding = sp.csr_matrix((np.ones(index.size), (index, np.arange(index.size))), shape=(n, index.size))
    return adding @ matrix


def _flagged(matrix: Any) -> Any:
    found = sp.csr_matrix(matrix)
    found.data[:] = 1.0
    found.sort_indices()
    return found
