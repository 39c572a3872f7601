"""The part of a tape that some of its registers need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import Tape, operands

Ints = NDArray[np.int64]


def only(tape: Tape, registers: Iterable[int]) -> Tape:
    """The operations that these registers need, on the same workspace."""
    at, _ = _needed(tape, registers)
    code, out, a, b, c, aux, *rest = tape.operations
    return replace(tape, operations=(code[at], out[at], a[at], b[at], c[at], aux[at], *rest))


def compact(tape: Tape, registers: Iterable[int]) -> Tape:
    """The same, on a workspace without the places that nothing needs.

    Inputs come first, in the order in which they were recorded; registers keep their numbers.
    """
    at, needed = _needed(tape, registers)
    code, out, a, b, c, aux, start, length, ptr, idx = tape.operations
    inputs = sorted(tape.inputs.values())
    known = {int(s): r for r, s in enumerate(start) if s >= 0 and length[r] > 0}
    order = [known[s] for s, n in inputs if n > 0]
    first = set(order)
    order += [r for r in sorted(needed, key=lambda r: start[r]) if r not in first and start[r] >= 0]
    moved = np.full_like(start, -1)
    size, pieces = 0, [np.zeros(0)]
    for r in order:
        moved[r] = size
        size += int(length[r])
        pieces.append(tape.initial[start[r] : start[r] + length[r]])
    places = {name: (int(moved[known[s]]) if n else 0, n) for name, (s, n) in tape.inputs.items()}
    operations = (code[at], out[at], a[at], b[at], c[at], aux[at], moved, length, ptr, idx)
    return Tape(initial=np.concatenate(pieces), inputs=places, operations=operations)


def _needed(tape: Tape, registers: Iterable[int]) -> tuple[Ints, set[int]]:
    """The operations, in order, and the registers that they and the given ones are made of."""
    code, out, *read = (column.tolist() for column in tape.operations[:5])
    needed = set(registers)
    kept = []
    for op in range(len(code) - 1, -1, -1):
        if out[op] in needed:
            kept.append(op)
            needed.update(column[op] for column in read[: operands(code[op])])
    return np.array(kept[::-1], dtype=np.int64), needed
