"""The part of a tape that some entries of its registers need, entry by entry.

Of choices whose conditions are data only the branch chosen is kept, entry by entry too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import CODES, NAMES, Tape, operands

Ints = NDArray[np.int64]
BLOCKS = ("cholesky", "inverse", "logdet", "matmul", "softmax", "root", "log_sum_exp")


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
    choices = _choices(tape)
    keep = _kept(tape, read, choices)
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
    rows: list[tuple[int, int, int, int, int, int]] = []
    end = int(keep.sum())
    further: list[tuple[int, int]] = []  # start and length of registers that are new

    def indexed(name: str, target: int, source: int, index: Ints) -> None:
        indices.append(index)
        rows.append((CODES[name], target, source, source, source, len(indices) - 1))

    def chosen(op: int, own: NDArray[np.bool_]) -> None:
        """The entries of either branch that are chosen, put into their places."""
        nonlocal end
        o, n = int(out[op]), own.size
        for r, where in ((int(b[op]), choices[op]), (int(c[op]), ~choices[op])):
            at = np.flatnonzero(own & where)
            if not at.size:
                continue
            source = r
            if length[r] == n and n > 1 and size[r] != at.size:
                further.append((end, at.size))
                source = start.size + len(further) - 1
                end += at.size
                indexed("gather", source, r, within[r][at])
            indexed("put", o, source, within[o][at])

    for op in range(code.size):
        o, x, name = int(out[op]), int(a[op]), NAMES[int(code[op])]
        own = keep[start[o] : start[o] + length[o]]
        if not own.any():
            continue
        if op in choices:
            chosen(op, own)
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
        rows.append((int(code[op]), o, x, int(b[op]), int(c[op]), number))
    columns = tuple(np.ascontiguousarray(x) for x in np.array(rows, dtype=np.int64).reshape(-1, 6).T)
    ends = np.concatenate([[0], np.cumsum([i.size for i in indices])]).astype(np.int64)
    table = np.array(further, dtype=np.int64).reshape(-1, 2)
    operations = (*columns, np.concatenate([begin, table[:, 0]]), np.concatenate([size, table[:, 1]]), ends)
    initial = np.concatenate([tape.initial[keep], np.zeros(int(table[:, 1].sum()))])
    index = np.concatenate([np.zeros(0, np.int64), *indices])
    inputs = {}
    for name, (s, n) in tape.inputs.items():
        own = keep[s : s + n]
        inputs[name] = (int(places[s + int(np.argmax(own))]) if own.any() else 0, int(own.sum()))
    return Slice(Tape(initial, inputs, (*operations, index)), places)


def needed(tape: Tape, read: Ints) -> NDArray[np.bool_]:
    """The places of the workspace that the values at the places `read` are made of."""
    return _kept(tape, read, _choices(tape), equal=False)


def _choices(tape: Tape) -> dict[int, NDArray[np.bool_]]:
    """Operations that choose by data, with what they choose, entry by entry."""
    code, out, a, *_, start, length, _, _ = tape.operations
    data = np.ones(tape.initial.size, dtype=bool)
    for first, size in [*tape.inputs.values(), *((int(start[r]), int(length[r])) for r in out)]:
        data[first : first + size] = False
    found = {}
    for op in np.flatnonzero(code == CODES["if_else"]).tolist():
        at = slice(int(start[a[op]]), int(start[a[op]] + length[a[op]]))
        if data[at].all():
            found[op] = np.broadcast_to(tape.initial[at] != 0.0, int(length[out[op]]))
    return found


def _kept(
    tape: Tape, read: Ints, choices: Mapping[int, NDArray[np.bool_]], equal: bool = True
) -> NDArray[np.bool_]:
    """Places that are needed: passes backward until none is added.

    equal : whether registers that an operation reads must keep equal lengths.
    """
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
            index = idx[ptr[aux[op]] : ptr[aux[op] + 1]] if name in ("gather", "segment_sum", "put") else idx
            first = part(read_from[0])
            if op in choices:
                for r, where in zip(read_from[1:], (choices[op], ~choices[op]), strict=True):
                    x = part(r)
                    if x.size == own.size:
                        x |= own & where
                    else:
                        x |= (own & where).any()
            elif name == "gather":
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
                for x in same if equal else ():
                    own |= x
                for r in read_from:
                    part(r)[:] |= own if length[r] == length[o] else True
    return keep


def _blocks(name: str, d: int, own: NDArray[np.bool_], read: list[NDArray[np.bool_]]) -> None:
    entries = d if name in ("softmax", "log_sum_exp") else d * d
    wide = 1 if name in ("logdet", "log_sum_exp") else entries
    need = own.reshape(-1, wide).any(axis=1)
    for x in read:
        need |= x.reshape(-1, entries).any(axis=1)
    own |= np.repeat(need, wide)
    for x in read:
        x |= np.repeat(need, entries)
