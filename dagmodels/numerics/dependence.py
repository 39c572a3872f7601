"""Which parts of a tape belong together: places that depend on the same of some chosen inputs.

Labels start at chosen places, one each, and follow the operations. Where two meet, they belong together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.tape import INDEXED, NAMES, Tape, operands

Ints = NDArray[np.int64]
BLOCKS = ("cholesky", "inverse", "logdet", "matmul", "softmax", "root", "log_sum_exp", "chain", "take")


def components(tape: Tape, chosen: Ints, read: Ints) -> tuple[Ints, Ints]:
    """Group places of a workspace by the chosen inputs that they depend on.

    Parameters
    ----------
    chosen : places of inputs. read : places that are asked about; all operations count, so give a tape with
        those only that these places need (`pruning.compact`).

    Returns
    -------
    The component of each chosen place, numbered from 0, and of each place read (-1: depends on none).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    label = np.full(tape.initial.size, -1, dtype=np.int64)
    label[chosen] = np.arange(chosen.size)
    met: list[tuple[Ints, Ints]] = []
    code, out, a, b, c, aux, start, length, ptr, idx = tape.operations

    def joined(x: Ints, y: Ints) -> Ints:
        both = (x >= 0) & (y >= 0) & (x != y)
        if both.any():
            met.append((x[both], y[both]))
        return np.maximum(x, y)

    def summed(x: Ints, to: Ints, n: int) -> Ints:
        top = np.full(n, -1, dtype=np.int64)
        np.maximum.at(top, to, x)
        joined(x, top[to])
        return top

    for op in range(code.size):
        name, n, o = NAMES[int(code[op])], int(length[out[op]]), int(start[out[op]])
        if not n:
            continue
        mine = [label[int(start[r]) : int(start[r] + length[r])] for r in (a[op], b[op], c[op])]
        mine = mine[: operands(int(code[op]))]
        index = idx[ptr[aux[op]] : ptr[aux[op] + 1]] if name in INDEXED else idx[:0]
        match name:
            case "gather":
                found = mine[0][index] if mine[0].size > 1 else np.broadcast_to(mine[0], n)
            case "segment_sum":
                found = summed(mine[0], index, n)
            case "put":
                found = label[o : o + n].copy()
                found[index] = mine[0]
            case "cholesky" | "inverse" | "logdet" | "matmul" | "softmax" | "root":
                d = int(aux[op])
                entries = d if name == "softmax" else d * d
                found = np.full(mine[0].size // entries, -1, dtype=np.int64)
                for x in mine:
                    block = np.arange(x.size) // entries
                    found = joined(found, summed(x, block, found.size))
                found = found if name == "logdet" else np.repeat(found, entries)
            case "log_sum_exp":
                found = summed(mine[0], np.arange(mine[0].size) // int(aux[op]), n)
            case _:
                found = np.full(n, -1, dtype=np.int64)
                for x in mine:
                    found = joined(found, np.broadcast_to(x, n))
        label[o : o + n] = found
    pairs = [np.concatenate([np.zeros(0, np.int64), *side]) for side in zip(*met, strict=True)] or [
        np.zeros(0, np.int64)
    ] * 2
    graph = coo_array((np.ones(pairs[0].size), (pairs[0], pairs[1])), shape=(chosen.size, chosen.size))
    number = np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
    return number, np.where(label[read] >= 0, number[np.maximum(label[read], 0)], -1)


def reached(tape: Tape, groups: list[Ints], read: Ints) -> NDArray[np.bool_]:
    """Which of some groups of inputs the places read depend on, (groups, places read).

    Told of whole registers where an operation takes blocks of them; one pass serves all groups.
    """
    found = np.zeros((len(groups), tape.initial.size), dtype=bool)
    for row, places in zip(found, groups, strict=True):
        row[places] = True
    code, out, a, b, c, aux, start, length, ptr, idx = tape.operations
    for op in range(code.size):
        name, n, o = NAMES[int(code[op])], int(length[out[op]]), int(start[out[op]])
        read_from = (a[op], b[op], c[op])[: operands(int(code[op]))]
        mine = [found[:, int(start[r]) : int(start[r] + length[r])] for r in read_from]
        target = found[:, o : o + n]
        if name == "gather":
            target |= mine[0][:, idx[ptr[aux[op]] : ptr[aux[op] + 1]]] if mine[0].shape[1] > 1 else mine[0]
        elif name == "put":
            target[:, idx[ptr[aux[op]] : ptr[aux[op] + 1]]] |= mine[0]
        elif name == "segment_sum":
            for row, x in zip(target, mine[0], strict=True):
                row[idx[ptr[aux[op]] : ptr[aux[op] + 1]][x]] = True
        else:
            for x in mine:
                target |= x if x.shape[1] in (1, n) and name not in BLOCKS else x.any(axis=1)[:, None]
    return found[:, read]
