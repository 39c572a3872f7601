"""Several copies of a tape on one workspace, side by side: one walk of the operations serves many points.

An operation costs as much to find as to do on a few dozen numbers. So each register is repeated, copy after
copy; what never changes is shared or repeated, a single number that many meet is spread out first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import CODES, NAMES, Tape, operands

Ints = NDArray[np.int64]
Row = tuple[int, int, int, int, int, int]  # code, out, operands a, b, c, aux
INDEXED = ("gather", "segment_sum", "put")
BLOCKS = ("cholesky", "inverse", "logdet", "root", "softmax", "log_sum_exp", "matmul")


@dataclass(frozen=True, eq=False, slots=True)
class Tiled:
    """A tape of several copies.

    places : (copies, places of the single tape), where each of them lies. fixed, still : so many operations,
    and so many places, come first that no varying input reaches.
    """

    tape: Tape
    places: Ints
    fixed: int
    still: int


def tiled(tape: Tape, copies: int, varying: Ints) -> Tiled | None:
    """So many copies; None where an operation cannot be repeated.

    varying : places of inputs; what does not depend on them is run apart.
    """
    moves = _moves(tape, varying)
    work = _Work(tape, copies, moves)
    rows: list[Row] = []
    code, out, a, b, c, aux, *_ = tape.operations
    for op in range(code.size):
        found = work.repeated((int(code[op]), int(out[op]), int(a[op]), int(b[op]), int(c[op]), int(aux[op])))
        if found is None:
            return None
        rows += found
    late = [r for r in rows if work.moves[r[1]]]
    early = [r for r in rows if not work.moves[r[1]]]
    return work.finished([*early, *late], len(early))


def _moves(tape: Tape, varying: Ints) -> NDArray[np.bool_]:
    """Which registers depend on places of inputs."""
    code, out, a, b, c, _, start, length, _, _ = tape.operations
    found = np.zeros(start.size, dtype=bool)
    for r in np.flatnonzero((start >= 0) & (length > 0)).tolist():
        found[r] = ((varying >= start[r]) & (varying < start[r] + length[r])).any()
    for _ in range(2):  # a register that several operations fill moves as a whole
        for op in range(code.size):
            found[out[op]] |= found[[a[op], b[op], c[op]][: operands(int(code[op]))]].any()
    return found


class _Work:
    """Registers and indices while they are made; registers keep their numbers, further ones follow."""

    def __init__(self, tape: Tape, copies: int, moves: NDArray[np.bool_]) -> None:
        self.copies, self.old = copies, tape
        _, out, *_, start, length, self.ptr, self.idx = tape.operations
        given = np.zeros(start.size, dtype=bool)
        given[out] = True
        for first, size in tape.inputs.values():
            given |= (start < first + size) & (start + length > first)
        self.live = given & (start >= 0)
        self.moves = moves.tolist()
        self.initial: list[NDArray[np.float64]] = []
        for r in range(start.size):
            known = tape.initial[start[r] : start[r] + length[r]] if start[r] >= 0 else np.zeros(0)
            self.initial.append(np.tile(known, copies) if self.live[r] else known)
        self.indices: list[Ints] = []
        self.further: dict[tuple[int, int], int] = {}

    def _index(self, index: Ints) -> int:
        self.indices.append(np.ascontiguousarray(index, dtype=np.int64))
        return len(self.indices) - 1

    def _shifted(self, index: Ints, by: int) -> int:
        return self._index((np.arange(self.copies)[:, None] * by + index).reshape(-1))

    def repeated(self, row: Row) -> list[Row] | None:
        """The operation on all copies, after those that its operands need."""
        code, out, a, b, c, aux = row
        name, length = NAMES[code], self.old.operations[7]
        if name == "chain" or (name == "take" and self.live[a]):
            return None
        before: list[Row] = []
        n = int(length[out])
        if name in INDEXED:
            index = self.idx[self.ptr[aux] : self.ptr[aux + 1]]
            if name == "gather":
                step = int(length[a]) if self.live[a] else 0
                aux = self._shifted(index if length[a] > 1 else np.zeros_like(index), step)
            else:
                aux = self._shifted(index, n)
                a = self._operand(a, index.size, before, shared=name == "put")
            return [*before, (code, out, a, a, a, aux)]
        read = [a, b, c][: operands(code)]
        if name == "take":
            read = [a, self._operand(b, n, before)]
        else:
            read = [self._operand(r, int(length[r]) if name in BLOCKS else n, before) for r in read]
        a, b, k = (read + [read[0]] * 3)[:3]
        return [*before, (code, out, a, b, c if name == "matmul" else k, aux)]

    def _operand(self, r: int, n: int, before: list[Row], shared: bool = True) -> int:
        """A register as long as the copies of one of length n are; where it may be `shared`, a number that
        never changes as it is."""
        known = self.initial[r][: int(self.old.operations[7][r])]
        if (self.live[r] and known.size == n) or (not self.live[r] and shared and known.size == 1):
            return r
        if (r, n) not in self.further:
            new = self.further[r, n] = len(self.initial)
            self.initial.append(np.tile(np.broadcast_to(known, n), self.copies))
            self.moves.append(self.moves[r])
            if self.live[r]:  # one number a copy
                index = self._index(np.repeat(np.arange(self.copies), n))
                before.append((CODES["gather"], new, r, r, r, index))
        return self.further[r, n]

    def finished(self, rows: list[Row], fixed: int) -> Tiled:
        """What moves comes last, operations and registers."""
        length = np.array([x.size for x in self.initial], dtype=np.int64)
        order = np.argsort(self.moves, kind="stable")
        start = np.empty_like(length)
        start[order] = np.cumsum(length[order]) - length[order]
        ptr = np.concatenate([[0], np.cumsum([i.size for i in self.indices])]).astype(np.int64)
        index = np.concatenate([np.zeros(0, np.int64), *self.indices])
        columns = (np.ascontiguousarray(x) for x in np.array(rows, dtype=np.int64).reshape(-1, 6).T)
        initial = np.concatenate([np.zeros(0), *(self.initial[r] for r in order)])
        tape = Tape(initial, {}, (*columns, start, length, ptr, index))
        still = int(length[~np.array(self.moves, dtype=bool)].sum())
        return Tiled(tape, self._places(start), fixed, still)

    def _places(self, new: Ints) -> Ints:
        start, length = self.old.operations[6], self.old.operations[7]
        found = np.full((self.copies, self.old.initial.size), -1, dtype=np.int64)
        for r in np.flatnonzero(start >= 0).tolist():
            n = int(length[r])
            step = n if self.live[r] else 0
            found[:, start[r] : start[r] + n] = new[r] + np.arange(n) + step * np.arange(self.copies)[:, None]
        return found
