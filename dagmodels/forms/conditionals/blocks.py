"""Joint normal draws: elements that stand together in the same rows, drawn at once by sparse elimination.

With residuals e = r + sum_t D_t u_t linear in all of the block's elements together, the block's log density
is -u'Qu/2 - L'u, Q = sum w D D' over pairs of residuals, L = sum w D r. The pattern of Q is known beforehand;
its numbers are registers, and `numerics.elimination` factors and samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.gaussian import Auxiliary, Gaussian
from dagmodels.forms.conditionals.normal import own_part, spread
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.conditionals.tangent import NotLinear, Tangents
from dagmodels.forms.conditionals.target import Target, Touched

name = "joint normal"
Ints = NDArray[np.int64]
LARGEST = 20_000  # elements of a block


System = tuple[int, tuple[Ints, Ints]]
"""Numbers of Q and L as a register, row and column of each."""


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """A Gaussian factor that depends on the block: its own prior rows included."""

    factor: Any
    g: Gaussian


def grouped(board: Board, classes: Sequence[Target], chosen: Sequence[Update]) -> list[list[int]]:
    """Which classes are drawn together, by position: those with normal updates that stand together in rows,
    and what these are linked with by Gaussian laws. Classes that are multiplied with one another stay apart.
    """
    able = [k for k, u in enumerate(chosen) if u.draw == "normal"]
    together = _confounded(board, classes, able)
    found: list[list[int]] = []
    free = set(able)
    for k in sorted(able, key=lambda k: -len(classes[k].slots)):
        if k not in free or not any(k in pair for pair in together):
            continue
        group = [k]
        size = len(classes[k].slots)
        grown = True
        while grown:
            grown = False
            for j in able:
                if j in group or j not in free or size + len(classes[j].slots) > LARGEST:
                    continue
                linked = any(_linked(classes[i], classes[j]) for i in group)
                if linked and _jointly_linear(board, [classes[i] for i in (*group, j)]):
                    group.append(j)
                    size += len(classes[j].slots)
                    grown = True
        if len(group) > 1 and any(a in group and b in group for a, b in together):
            found.append(group)
            free -= set(group)
    return found


def _confounded(board: Board, classes: Sequence[Target], able: Sequence[int]) -> set[tuple[int, int]]:
    """Pairs of classes that some row of another node's law depends on together, and not orthogonally; and
    elements of one node that follow one another."""
    found = set()
    for a in able:
        for b in able:
            if a < b and _share(board, classes[a], classes[b]):
                found.add((a, b))
    return found


def _share(board: Board, a: Target, b: Target) -> bool:
    theirs = {t.factor.register: t for t in b.touched}
    for t in a.touched:
        other = theirs.get(t.factor.register)
        own = a.node in t.factor.site.names or b.node in t.factor.site.names
        if other is None or (own and a.node != b.node):
            continue
        g = board.gaussian_in(t.factor, a.slots)
        if g is not None and board.statistics.orthogonal(g.residual, a.slots, b.slots):
            continue
        mine = np.zeros(t.length, dtype=bool)
        mine[t.rows] = True
        if mine[other.rows].any():
            return True
    return False


def _linked(a: Target, b: Target) -> bool:
    return bool({t.factor.register for t in a.touched} & {t.factor.register for t in b.touched})


def _jointly_linear(board: Board, targets: Sequence[Target]) -> bool:
    slots = np.concatenate([t.slots for t in targets])
    for leaf in leaves(board, targets):
        if board.influence.depends(leaf.g.weight, slots):
            return False
        for target in targets:
            try:
                slope = Tangents(board.influence, target.slots).of(leaf.g.residual)
            except NotLinear:
                return False
            if slope is not None and board.influence.depends(slope, slots):
                return False
    return True


def leaves(board: Board, targets: Sequence[Target]) -> list[Leaf]:
    """All factors that depend on any of the classes, as Gaussian; flat own laws left out."""
    found: dict[int, Leaf] = {}
    for target in targets:
        for touched in target.touched:
            own = (
                touched.factor.site.names == (target.node,)
                and touched.factor.site.statement == target.statement
            )
            g = own_part(board, touched, target) if own else board.gaussian_in(touched.factor, target.slots)
            if isinstance(g, Gaussian):
                found.setdefault(touched.factor.register, Leaf(touched.factor, g))
    return list(found.values())


def joint(board: Board, targets: Sequence[Target], present: System | None = None) -> Update:
    """One update for all of these classes. present : numbers of Q and L at the present u, where others have
    use for them too."""
    targets = ordered(targets)
    slots = np.concatenate([t.slots for t in targets])
    values, pattern = present or system(board, targets)
    nodes = tuple(dict.fromkeys(t.node for t in targets))
    told = ", ".join(f"'{n}'" for n in nodes)
    children = dict.fromkeys(f"'{c}'" for t in targets for c in t.children() if c not in nodes)
    why = f"jointly normal: {told} together, {', '.join(children)} linear in all of them at once"
    near = {x.factor.site.names[0]: x.factor.site.law.family for x in leaves(board, targets) if x.g.nearly}
    if near:
        told = ", ".join(f"'{node}' {law}" for node, law in near.items())
        why += f"; {told}, Normal given curves of mixtures, which acceptance corrects"
    return Update(
        nodes[0], slots, "joint normal", slots.size, (values,), why,
        needs=needs(board, targets), nodes=nodes, pattern=pattern, extra=int(present is not None),
    )  # fmt: skip


def ordered(targets: Sequence[Target]) -> list[Target]:
    """What has few neighbours first."""
    return sorted(targets, key=lambda t: -len(t.slots))


def needs(board: Board, targets: Sequence[Target]) -> tuple[Auxiliary, ...]:
    """The auxiliary variables given which the block is normal."""
    found = (x.g.auxiliary for x in leaves(board, targets))
    return tuple(dict.fromkeys(a for a in found if a is not None))


def system(board: Board, targets: Sequence[Target], *, at_rest: bool = True) -> System:
    """The numbers of Q and L; targets in the order of `ordered`.

    at_rest : whether L is the gradient at u = 0, and not at the present u.
    """
    slots = np.concatenate([t.slots for t in targets])
    start = np.cumsum([0, *(len(t.slots) for t in targets)])
    count = slots.size
    parts: list[tuple[int, Ints, Ints]] = []  # register, and rows and columns of its entries
    every = Tangents(board.influence, slots) if at_rest else None
    for leaf in leaves(board, targets):
        known = _known(board, leaf, slots, count, at_rest)
        parts += known or _terms(board, leaf.g, targets, start, every, count)
    rows, columns = np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts])
    at = np.cumsum([0, *(p[1].size for p in parts)])
    entries = [(p[0], a + np.arange(p[1].size)) for p, a in zip(parts, at, strict=False)]
    return board.recorder.assemble(int(at[-1]), entries), (rows, columns)


def _known(board: Board, leaf: Leaf, slots: Ints, count: int, at_rest: bool) -> list[tuple[int, Ints, Ints]]:
    """What one factor adds, by sufficient statistics; nothing where rows are cheaper, or not known."""
    r, g = board.recorder, leaf.g
    if g.left is not None or g.auxiliary is not None or r.length(g.weight) > 1:
        return []
    n = r.length(g.residual)
    everything = Touched(leaf.factor, np.arange(n), np.zeros(n, np.int64), n)
    found = board.statistics.system(g.residual, everything, slots, at_rest=at_rest)
    if found is None:
        return []
    total, i, j, v = found
    upper = i <= j
    mine = np.unique(i)  # the block's other elements are not in this factor
    gradient = (
        r.gather(total, mine) if r.length(total) > 1 else r.gather(total, np.zeros(mine.size, np.int64))
    )
    return [
        (_times(board, r.constant(v[upper]), g.weight), i[upper], j[upper]),
        (_times(board, gradient, g.weight), mine, np.full(mine.size, count)),
    ]


def _terms(
    board: Board, g: Gaussian, targets: Sequence[Target], start: Ints, every: Tangents | None, count: int
) -> list[tuple[int, Ints, Ints]]:
    """What one factor adds to Q (row <= column) and to L (the last column).

    every : None for L at the present u.
    """
    r, found = board.recorder, []
    rest = g.residual if every is None else every.rest(g.residual)
    n = r.length(g.residual)
    single = r.length(g.weight) == 1  # then it multiplies sums, whose other factors may be known
    after = g.weight if single else r.constant(1.0)
    left = np.arange(n) if g.left is None else g.left
    right = np.arange(n) if g.right is None else g.right
    slopes = [Tangents(board.influence, t.slots).of(g.residual) for t in targets]
    owners = [_owners(board, g, t) for t in targets]
    for t, (slope, owner) in enumerate(zip(slopes, owners, strict=True)):
        if slope is None:
            continue
        at = np.flatnonzero(owner[left] >= 0)
        if not at.size:
            continue
        weighted = spread(board, slope, left[at])
        if not single:
            weighted = _times(board, spread(board, g.weight, at), weighted)
        rows = start[t] + owner[left[at]]
        found.append(
            _summed(
                board,
                _times(board, weighted, spread(board, rest, right[at])),
                rows,
                np.full(at.size, count),
                after,
            )
        )
        for s in range(t, len(targets)):
            other = slopes[s]
            both = np.flatnonzero(owners[s][right[at]] >= 0)
            if other is None or not both.size:
                continue
            product = _times(board, spread(board, weighted, both), spread(board, other, right[at][both]))
            columns = start[s] + owners[s][right[at][both]]
            found.append(_summed(board, product, rows[both], columns, after))
    return found


def _times(board: Board, x: int, y: int) -> int:
    r = board.recorder
    for one, other in ((x, y), (y, x)):
        known = r.constant_value(one)
        if known is not None and known.size == 1 and known[0] == 1.0:
            return other
    return r.apply("*", x, y)


def _summed(board: Board, register: int, rows: Ints, columns: Ints, after: int) -> tuple[int, Ints, Ints]:
    """A register's entries added up by (row, column), times `after`."""
    low, high = np.minimum(rows, columns), np.maximum(rows, columns)
    width = int(high.max()) + 1
    keys, index = np.unique(low * width + high, return_inverse=True)
    total = board.recorder.segment_sum(register, index.reshape(-1), keys.size)
    i, j = np.divmod(keys, width)
    return _times(board, total, after), i, j


def _owners(board: Board, g: Gaussian, target: Target) -> Ints:
    """For each residual the unit that it depends on, -1 where none."""
    entries, slots = board.influence.pairs(g.residual)
    place = np.full(board.influence.size, -1)
    place[target.slots] = np.arange(len(target.slots))
    owner = np.full(board.recorder.length(g.residual), -1)
    mine = place[slots] >= 0
    owner[entries[mine]] = place[slots[mine]]
    return owner


def touched_by(targets: Sequence[Target]) -> tuple[Touched, ...]:
    """Everything that depends on a block."""
    return tuple(t for target in targets for t in target.touched)
