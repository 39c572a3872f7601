"""Order of elimination: children before parents, large plates first, chains from their last element back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Elements of one node (or of its standardised shocks) before ordering.

    name : the node. start, size : its range of element numbers. kind : the elimination's code.
    early : eliminated among the scaled ones, whatever the kind.
    """

    name: str
    start: int
    size: int
    kind: int
    early: bool = False


def elimination_order(groups: Sequence[Group], child: Ints, parent: Ints, free: int, profiled: int) -> Ints:
    """Element numbers in the order in which they are eliminated.

    child, parent : edges between elements.
    Groups whose elements depend on one another through lags are interleaved: elements without
    children first, then their parents, so that chains run from their last element back.  Scaled groups
    go first (children before parents, larger before smaller), then counted free ones, then profiled.
    """
    total = sum(g.size for g in groups)
    of = np.empty(total, np.int64)
    for number, group in enumerate(groups):
        of[group.start : group.start + group.size] = number
    direct = _group_parents(len(groups), of, child, parent)
    blocks = _tied(len(groups), direct)
    block_of = np.empty(max(len(groups), 1), np.int64)
    for b, members in enumerate(blocks):
        block_of[members] = b
    above: list[set[int]] = [set() for _ in blocks]
    for c, ps in _group_parents(len(blocks), block_of[of] if total else of, child, parent).items():
        above[c] = ps - {c}
    waiting = [0] * len(blocks)
    for ps in above:
        for p in ps:
            waiting[p] += 1
    stage = [max(_stage(groups[g], free, profiled) for g in members) for members in blocks]
    size = [sum(groups[g].size for g in members) for members in blocks]
    ready = [b for b in range(len(blocks)) if waiting[b] == 0]
    order: list[Ints] = []
    while ready:
        best = min(ready, key=lambda b: (stage[b], -size[b], b))
        ready.remove(best)
        (first, *others) = blocks[best]
        if others or first in direct.get(first, ()):
            order.append(_within(blocks[best], groups, child, parent))
        else:
            order.append(np.arange(groups[first].start, groups[first].start + groups[first].size))
        for p in above[best]:
            waiting[p] -= 1
            if waiting[p] == 0:
                ready.append(p)
    return np.concatenate(order) if order else np.zeros(0, np.int64)


def _group_parents(count: int, of: Ints, child: Ints, parent: Ints) -> dict[int, set[int]]:
    """For each group the groups that its elements depend on; itself for lags."""
    found: dict[int, set[int]] = {}
    if child.size:
        pairs = np.flatnonzero(np.bincount(of[child] * count + of[parent]))
        for c, p in zip((pairs // count).tolist(), (pairs % count).tolist(), strict=True):
            found.setdefault(c, set()).add(p)
    return found


def _stage(group: Group, free: int, profiled: int) -> int:
    if group.early:
        return 0
    return 2 if group.kind == profiled else (1 if group.kind == free else 0)


def _within(members: list[int], groups: Sequence[Group], child: Ints, parent: Ints) -> Ints:
    """Elements of groups tied by lags, interleaved, children first."""
    numbers = np.concatenate([np.arange(groups[g].start, groups[g].start + groups[g].size) for g in members])
    inside = np.isin(child, numbers) & np.isin(parent, numbers)
    from dagmodels.numerics.symbolic_kernels import generations

    local = np.empty(int(numbers.max()) + 1, np.int64)
    local[numbers] = np.arange(numbers.size)
    depth = generations(numbers.size, local[child[inside]], local[parent[inside]])
    return numbers[np.argsort(depth, kind="stable")]


def _tied(n: int, parents: Mapping[int, set[int]]) -> list[list[int]]:
    """Strongly connected groups (Tarjan 1972, iterative by reachability: there are few groups)."""
    reach = [set(parents.get(g, set())) for g in range(n)]
    changed = True
    while changed:
        changed = False
        for g in range(n):
            bigger = set(reach[g]).union(*(reach[p] for p in reach[g])) if reach[g] else reach[g]
            if len(bigger) > len(reach[g]):
                reach[g], changed = bigger, True
    blocks: list[list[int]] = []
    done: set[int] = set()
    for g in range(n):
        if g not in done:
            members = [g] + [h for h in range(g + 1, n) if h in reach[g] and g in reach[h]]
            done.update(members)
            blocks.append(members)
    return blocks
