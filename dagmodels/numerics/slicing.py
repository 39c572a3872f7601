"""The part of a tape that some entries of its registers need, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import NAMES, Tape, operands

Ints = NDArray[np.int64]
BLOCKS = ("cholesky", "inverse", "logdet", "matmul", "softmax", "root")


@dataclass(frozen=True, eq=False, slots=True)
class Slice:
    """A smaller tape.

    tape : its workspace holds what is kept, in the order of the larger one.
    places : for each place of the larger workspace that in the smaller, -1 where it is gone.
    """

    tape: Tape
    places: Ints


def sliced(tape: Tape, read: Ints) -> Slice:
    """The operations and entries that the places `read` of the workspace need; registers keep numbers."""
    keep = _kept(tape, read)
    code, out, a, b, c, aux, start, length, ptr, idx = tape.operations
    places = np.cumsum(keep) - 1
    places[~keep] = -1
    begin, size = np.full_like(start, -1), np.zeros_like(length)
    within: dict[int, Ints] = {}  # for registers that lost entries, the new number of each old entry
    for r in np.flatnonzero(start >= 0).tolist():
        own = keep[start[r] : start[r] + length[r]]
        size[r] = own.sum()
        if size[r]:
            begin[r] = places[start[r] + int(np.argmax(own))]
            within[r] = np.cumsum(own) - 1
    indices: list[Ints] = []
    kept: list[tuple[int, int]] = []  # operation and its new aux
    for op in range(code.size):
        o, x, name = int(out[op]), int(a[op]), NAMES[int(code[op])]
        own = keep[start[o] : start[o] + length[o]]
        if not own.any():
            continue
        number = int(aux[op])
        if name in ("gather", "segment_sum", "put"):
            index = idx[ptr[number] : ptr[number + 1]]
            if name == "gather":
                index = index[own]
                index = within[x][index] if length[x] > 1 else np.zeros_like(index)
            elif name == "segment_sum":
                index = within[o][index[keep[start[x] : start[x] + length[x]]]]
            else:
                if not own[index].any():
                    continue
                index = within[o][index[own[index]]]
            number = len(indices)
            indices.append(index)
        kept.append((op, number))
    at = np.array([op for op, _ in kept], dtype=np.int64)
    numbers = np.array([number for _, number in kept], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum([i.size for i in indices])]).astype(np.int64)
    operations = (code[at], out[at], a[at], b[at], c[at], numbers, begin, size, ends)
    index = np.concatenate([np.zeros(0, np.int64), *indices])
    inputs = {}
    for name, (s, n) in tape.inputs.items():
        own = keep[s : s + n]
        inputs[name] = (int(places[s + int(np.argmax(own))]) if own.any() else 0, int(own.sum()))
    return Slice(Tape(tape.initial[keep], inputs, (*operations, index)), places)


def _kept(tape: Tape, read: Ints) -> NDArray[np.bool_]:
    """Places that are needed: passes backward until none is added, as equal lengths must stay equal."""
    code, out, a, b, c, aux, start, length, ptr, idx = tape.operations
    keep = np.zeros(tape.initial.size, dtype=bool)
    keep[read] = True

    def part(r: int) -> NDArray[np.bool_]:
        return keep[start[r] : start[r] + length[r]]

    before = -1
    while (now := int(keep.sum())) != before:
        before = now
        for op in range(code.size - 1, -1, -1):
            name, o = NAMES[int(code[op])], int(out[op])
            own, read_from = part(o), [int(r) for r in (a[op], b[op], c[op])][: operands(int(code[op]))]
            if not own.any():
                continue
            index = idx[ptr[aux[op]] : ptr[aux[op] + 1]]
            first = part(read_from[0])
            if name == "gather":
                first[index[own] if first.size > 1 else 0] = True
            elif name == "segment_sum":
                first |= own[index]
            elif name == "put":
                if first.size > 1:
                    first |= own[index]
                else:
                    first |= own[index].any()
            elif name in BLOCKS:
                _blocks(name, int(aux[op]), own, [part(r) for r in read_from])
            else:
                same = [part(r) for r in read_from if length[r] == length[o]]
                for x in same:
                    own |= x
                for r in read_from:
                    part(r)[:] |= own if length[r] == length[o] else True
    return keep


def _blocks(name: str, d: int, own: NDArray[np.bool_], read: list[NDArray[np.bool_]]) -> None:
    entries = d if name == "softmax" else d * d
    wide = 1 if name == "logdet" else entries
    need = own.reshape(-1, wide).any(axis=1)
    for x in read:
        need |= x.reshape(-1, entries).any(axis=1)
    own |= np.repeat(need, wide)
    for x in read:
        x |= np.repeat(need, entries)
