"""What an order of elimination costs, counted before anything is allocated, and an order that fills less.

Plates give the first order (children first, larger plates first).  Where that means much work, the rows are
ordered once more by approximate minimum degree (`minimum_degree`): with few rows a level (workers and
firms, buyers and products) most levels of all plates can go before anything is nearly full.  Either order
ends in a dense tail; whichever means less work is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCALED, FREE, PROFILED = 0, 1, 2
_DENSE_SHARE = 0.5  # the tail is dense from where at least this share of its pairs is filled ...
_MUCH_WORK = 1e6  # ... and, above this many pairs to update, from where least time is spent:
_PAIR, _PRODUCT = 1.0, 0.04  # nanoseconds for one pair of a sparse row, and one in a product of blocks

DEAR, DEAR_ROW = 3e7, 300.0  # nanoseconds of one elimination, and by row, from which another order is tried
GAIN = 0.9  # it is taken when it leaves this share of the work
FULL = 0.7  # the other order stops where each row left is coupled to this share of all that are left
MANY_FREE = 256  # free rows, usually a few coefficients, are ordered with the others only if so many
HUB = 10.0  # a row with this many times sqrt(n) neighbours is left for the end


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """Who is coupled to whom, in an order of elimination, and the fill that follows.

    kind : code of each element, the constant (last row) not among them.
    keys : coupled pairs (low, high) as low * n + high, each once, sorted; parents included.
    child, parent : pairs coupled by T.
    degree, first : of each row the number of later neighbours after fill, and the first of them (n: none).
    ts : first row of the dense tail.
    """

    n: int
    kind: NDArray[np.uint8]
    keys: Ints
    child: Ints
    parent: Ints
    degree: Ints
    first: Ints
    ts: int

    @property
    def tail(self) -> int:
        """Order of the dense tail, the constant included."""
        return self.n - self.ts

    @property
    def work(self) -> float:
        """Nanoseconds of one elimination, roughly."""
        return least_work(self.degree, self.first, self.ts)

    @property
    def pairs(self) -> int:
        """Pairs of neighbours of sparse rows, each of which has a place to be remembered."""
        degree = self.degree[: self.ts].astype(np.float64)
        listed = ~_wide(degree, self.first[: self.ts], self.ts, self.tail)
        return int((degree * (degree + 1) / 2)[listed].sum())

    @property
    def memory(self) -> int:
        """Bytes that a fit will need: matrices and their adjoints, lists of the pattern."""
        sparse = int(self.degree[: self.ts].sum())
        above = np.unique(self.child[self.child >= self.ts]).size  # rows of T in the tail
        return 16 * self.tail**2 + 16 * self.tail * above + 70 * sparse + 4 * self.pairs + 300 * self.n


def outline(kind: NDArray[np.uint8], i: Ints, j: Ints, child: Ints, parent: Ints) -> Outline:
    """Count the fill.

    kind : one code an element, in elimination order.
    i, j : pairs of elements coupled by data (the constant included).
    child, parent : pairs coupled by T, children first.
    """
    if np.any(child >= parent):
        raise ValueError("elements must be ordered children first")
    n = kind.size + 1
    low = np.concatenate([np.minimum(i, j), child])
    high = np.concatenate([np.maximum(i, j), parent])
    return _counted(n, kind, distinct((low * n + high)[low != high]), child, parent)


def _counted(n: int, kind: NDArray[np.uint8], keys: Ints, child: Ints, parent: Ints) -> Outline:
    from dagmodels.numerics.symbolic_kernels import fill_counts

    ptr = np.searchsorted(keys, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    degree, first = fill_counts(n, ptr, (keys % n).astype(np.int32))
    return Outline(n, kind, keys, child, parent, degree, first, tail(degree, first))


def less_fill(given: Outline, dear: float | None = None) -> tuple[Ints, Outline] | None:
    """For each row its place in an order with less work, and what that costs; None: keep the given one.

    dear : nanoseconds of one elimination from which another order is tried, of free rows too; None for what
    is eliminated a few hundred times, where coefficients come last.
    """
    if given.work <= (max(DEAR, DEAR_ROW * given.n) if dear is None else dear):
        return None
    place = _by_degree(given, free=dear is not None)
    low, high = place[given.keys // given.n], place[given.keys % given.n]
    keys = np.sort(np.minimum(low, high) * given.n + np.maximum(low, high))
    kind = np.empty_like(given.kind)
    kind[place[:-1]] = given.kind
    found = _counted(given.n, kind, keys, place[given.child], place[given.parent])
    return (place, found) if found.work < GAIN * given.work else None


def _by_degree(given: Outline, *, free: bool = False) -> Ints:
    """Places by minimum degree; rows that are not scaled, hubs and their ancestors stay at the end."""
    from dagmodels.numerics.minimum_degree import minimum_degree

    n = given.n
    several = free or np.count_nonzero(given.kind == FREE) > MANY_FREE
    late = np.append(given.kind == PROFILED if several else given.kind != SCALED, True)
    low, high = given.keys // n, given.keys % n
    both = ~(late[low] | late[high])
    count = np.bincount(np.concatenate([low[both], high[both]]), minlength=n)
    late |= count > max(HUB * np.sqrt(n), 16)
    if np.any(late[given.child] & ~late[given.parent]):
        for child, parent in _rising(given):
            late[parent] |= late[child]
    moved = np.flatnonzero(~late)
    own = np.cumsum(~late) - 1
    both = ~(late[low] | late[high])
    a, b = own[low[both]], own[high[both]]
    m = moved.size
    keys = np.sort(np.concatenate([a * m + b, b * m + a]))
    ptr = np.searchsorted(keys, np.arange(m + 1, dtype=np.int64) * m).astype(np.int64)
    inner = ~(late[given.child] | late[given.parent])
    child, parent = own[given.child[inner]], own[given.parent[inner]]
    by = np.argsort(child, kind="stable")
    above = np.searchsorted(child[by], np.arange(m + 1)).astype(np.int64)
    order = minimum_degree(m, ptr, (keys % m).astype(np.int32), above, parent[by].astype(np.int32), FULL)
    place = np.empty(n, np.int64)
    place[moved[order]] = np.arange(m)
    place[late] = m + np.arange(n - m)
    return place


def _rising(given: Outline) -> list[tuple[int, int]]:
    """Pairs of child and parent, children first."""
    by = np.argsort(given.child, kind="stable")
    return list(zip(given.child[by].tolist(), given.parent[by].tolist(), strict=True))


def distinct(keys: Ints) -> Ints:
    """Sorted, each once; sorting is faster by far than the table of numpy's `unique`."""
    found = np.sort(keys)
    return found[np.concatenate([[True], found[1:] != found[:-1]])] if found.size else found


def tail(degree: Ints, first: Ints) -> int:
    """First row of the dense tail.

    degree, first : number of later neighbours of each row after fill, and the first of them.
    It is the longest suffix whose pairs are filled to a good share; where that means much work, the
    suffix for which `least_work` is least, by a search that narrows a grid three times.
    """
    n = degree.size
    sizes = np.arange(n, 0, -1, dtype=np.float64)
    filled = np.cumsum(degree[::-1])[::-1]
    good = filled >= _DENSE_SHARE * sizes * (sizes - 1) / 2
    good[-1] = True
    best = int(np.argmax(good))
    if least_work(degree, first, best) <= _MUCH_WORK:
        return best
    low, high = 0, n - 1
    for _ in range(3):
        step = max((high - low) // 24, 1)
        candidates = {best, *range(low, high + 1, step)}
        best = min(candidates, key=lambda ts: (least_work(degree, first, ts), ts))
        low, high = max(best - step, 0), min(best + step, n - 1)
    return best


def least_work(degree: Ints, first: Ints, ts: int) -> float:
    """Nanoseconds, roughly, of one elimination whose dense tail begins at ts."""
    size = degree.size - ts
    sparse = degree[:ts].astype(np.float64)
    by_pairs = _PAIR * sparse * (sparse + 1) / 2
    rows = by_pairs.sum() + (_PRODUCT * size * size / 2 - by_pairs)[_wide(sparse, first[:ts], ts, size)].sum()
    return float(rows) + _PRODUCT * size**3 / 6


def _wide(degree: Floats, first: Ints, ts: int, size: int) -> NDArray[np.bool_]:
    """Rows before the tail that go by blocks: see `symbolic_kernels.targets`."""
    from dagmodels.numerics.tail_kernels import LONG, WIDE, WIDE_LEAST

    if size <= LONG:
        return np.zeros(degree.size, dtype=bool)
    return (first >= ts) & (degree >= WIDE_LEAST) & (degree * WIDE >= size)
