"""An order of elimination of an undirected graph whose cliques are small, found greedily.

Neighbours are bit masks in Python integers, so that counting missing edges is a few operations on words.
Kjaerulff (1990), "Triangulation of graphs: algorithms giving small total state space", compares the rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True)
class Elimination:
    """An order and the clique of each node in it.

    order : nodes as they are eliminated.
    cliques : for each of them the bit mask of the node and its neighbours at that time.
    """

    order: tuple[int, ...]
    cliques: tuple[int, ...]

    def cells(self, sizes: Sequence[int]) -> int:
        """Entries of all cliques together, an exact integer."""
        return sum(math.prod(sizes[i] for i in bits(clique)) for clique in self.cliques)


def elimination(neighbours: Sequence[int], sizes: Sequence[int], last: int = 0) -> Elimination:
    """The best of three greedy orders: weighted minimum fill, minimum fill, minimum weight.

    Parameters
    ----------
    neighbours : bit mask of each node's neighbours, without itself.
    sizes : numbers of states.
    last : mask of nodes that are eliminated after all others.
    """
    first, filled = _greedy(neighbours, sizes, last, _weighted_fill)
    if not filled:  # the graph is chordal: its own cliques are the least there are
        return first
    found = [first, *(_greedy(neighbours, sizes, last, rule)[0] for rule in (_fill, _weight))]
    return min(found, key=lambda e: e.cells(sizes))


def bits(mask: int) -> Iterator[int]:
    """Positions of the ones, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


Rule = Callable[[int, Sequence[int], Sequence[float]], tuple[float, ...]]


def _greedy(
    neighbours: Sequence[int], sizes: Sequence[int], last: int, rule: Rule
) -> tuple[Elimination, bool]:
    """The order, and whether it joined nodes that were no neighbours."""
    filled = False
    near = list(neighbours)
    weights = [math.log2(s) if s > 1 else 1e-3 for s in sizes]
    left = (1 << len(near)) - 1
    score = {i: rule(i, near, weights) for i in bits(left)}
    late = {i: bool(last >> i & 1) for i in score}
    waiting = [(late[i], score[i], i) for i in score]  # what was scored anew since stands there twice
    heapify(waiting)
    order: list[int] = []
    cliques: list[int] = []
    while left:
        _, scored, node = heappop(waiting)
        if not left >> node & 1 or scored != score[node]:
            continue
        around = near[node]
        order.append(node)
        cliques.append(around | 1 << node)
        left &= ~(1 << node)
        changed = around
        for i in bits(around):
            missing = around & ~near[i] & ~(1 << i)
            if missing:
                filled = True
                changed |= near[i]  # a new edge among neighbours of a third node lowers its fill
            near[i] = (near[i] | around) & ~(1 << i | 1 << node)
        for i in bits(changed & left):
            new = rule(i, near, weights)
            if new != score[i]:
                score[i] = new
                heappush(waiting, (late[i], new, i))
    return Elimination(tuple(order), tuple(cliques)), filled


def _fill(node: int, near: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    """Missing edges among the neighbours, then the size of the clique."""
    around = near[node]
    missing = sum((around & ~near[i] & ~(1 << i)).bit_count() for i in bits(around))
    return (missing, _weight(node, near, weights)[0])


def _weighted_fill(node: int, near: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    """Missing edges, each with the product of its ends' weights, then the size of the clique."""
    around, total = near[node], 0.0
    for i in bits(around):
        missing = around & ~near[i] & ~(1 << i)
        if missing:
            total += weights[i] * sum(weights[j] for j in bits(missing))
    return (total, _weight(node, near, weights)[0])


def _weight(node: int, near: Sequence[int], weights: Sequence[float]) -> tuple[float, ...]:
    """Logarithm of the clique's number of entries."""
    return (weights[node] + sum(weights[i] for i in bits(near[node])),)
