"""Cases of a network as counts: what is seen whole, and groups of hidden nodes with what surrounds them.

The tables of all nodes stand one after the other in one vector of cells. Of each case only that part is kept
in which something is hidden and matters: nodes hidden from which nothing seen descends are left out (their
tables sum to one), and hidden nodes fall into groups that seen nodes separate. Equal surroundings are
kept once, with their number, so that the number of cases enters no iteration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.table_unit import TableUnit
from dagmodels.bind.problem import Problem
from dagmodels.forms.tables import Tables, tables
from dagmodels.graph.cases import off_cases
from dagmodels.numerics.junction.order import bits

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """Hidden nodes that hang together, and the families they stand in.

    hidden : the nodes. families : those whose tables depend on them.
    seen : (rows, nodes of the network), states of the distinct surroundings, -1 for all other nodes.
    weights : how many cases have each.
    """

    hidden: tuple[int, ...]
    families: tuple[int, ...]
    seen: Longs
    weights: Floats


@dataclass(frozen=True, eq=False)
class TableCounts:
    """The form.

    tables : the network of one case; `numbers` are those stated (None where none are).
    starts : where each table's cells begin, with the end last.
    whole : by cell, how many cases are seen to be in it.
    groups : the rest.
    n : number of cases with anything seen.
    hidden : nodes that no case shows.
    """

    tables: Tables
    starts: Longs
    whole: Floats
    groups: tuple[Group, ...]
    n: int
    hidden: tuple[int, ...]

    @property
    def cells(self) -> int:
        """Length of the vector of all tables."""
        return int(self.starts[-1])

    def strides(self, node: int) -> Mapping[int, int]:
        """Steps of the states of a family's nodes among the cells of its table."""
        found: dict[int, int] = {}
        step = 1
        for i in reversed(self.tables.families[node]):
            found[i] = step
            step *= self.tables.sizes[i]
        return found

    def seen_cells(self, group: Group) -> Longs:
        """(rows, families): the part of each cell's number that the seen states give."""
        return _cells(self, group.families, group.seen)

    def hidden_cells(self, group: Group) -> Longs:
        """(configurations, families): the part that the hidden states give."""
        sizes = [self.tables.sizes[i] for i in group.hidden]
        codes = np.indices(sizes).reshape(len(sizes), -1)
        found = np.zeros((codes.shape[1], len(group.families)), dtype=np.int64)
        for f, family in enumerate(group.families):
            strides = self.strides(family)
            for k, node in enumerate(group.hidden):
                found[:, f] += codes[k] * strides.get(node, 0)
        return found

    def configurations(self, group: Group) -> int:
        """How many joint states the hidden nodes have."""
        return math.prod(self.tables.sizes[i] for i in group.hidden)


def table_counts(problem: Problem, unit: TableUnit) -> TableCounts:
    """The form of bound cases."""
    unstated = [p.name for p in problem.graph.plates if p.levels is None and p.alias_of is None]
    levels = {name: _labels(problem.plates[name].levels) for name in unstated if name != unit.plate}
    net = tables(off_cases(problem.graph, unit.plate, levels))
    sizes = [math.prod(net.sizes[i] for i in family) for family in net.families]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    codes, weights = _distinct(case_codes(problem, net), problem.repeats.get(unit.plate))
    known = (codes >= 0).any(axis=1)
    codes, weights = codes[known], weights[known]
    never = tuple(int(i) for i in np.flatnonzero((codes < 0).all(axis=0)))
    form = TableCounts(net, starts, np.zeros(int(starts[-1])), (), int(weights.sum()), never)
    parts: dict[tuple[tuple[int, ...], tuple[int, ...]], list[tuple[Longs, Floats]]] = {}
    for pattern, rows in _patterns(codes):
        seen, weight = codes[rows], weights[rows]
        for hidden, families in _groups(net, pattern):
            if hidden:
                parts.setdefault((hidden, families), []).append((_around(net, seen, families), weight))
            else:
                _count(form, families, seen, weight)
    groups = []
    for (hidden, families), pieces in parts.items():
        seen, weight = _distinct(
            np.concatenate([s for s, _ in pieces]), np.concatenate([w for _, w in pieces])
        )
        groups.append(Group(hidden, families, seen, weight))
    return TableCounts(net, starts, form.whole, tuple(groups), form.n, never)


def _labels(levels: tuple[object, ...]) -> tuple[str | int, ...]:
    return tuple(x if isinstance(x, int) and not isinstance(x, bool) else str(x) for x in levels)


def case_codes(problem: Problem, net: Tables) -> Longs:
    """(cases, nodes), -1 where nothing is seen."""
    n = max((problem.values[name].size for name in net.names if name in problem.values), default=0)
    found = np.full((n, len(net.names)), -1, dtype=np.int64)
    for i, name in enumerate(net.names):
        if name in problem.values:
            values = problem.values[name].ravel()
            found[:, i] = np.where(np.isnan(values), -1, values).astype(np.int64)
    return found


def _distinct(codes: Longs, weights: Floats | None = None) -> tuple[Longs, Floats]:
    """Distinct rows in a fixed order, and how many there are of each."""
    if not len(codes) or not codes.shape[1]:
        return codes[:1], np.array([float(len(codes)) if weights is None else float(weights.sum())])
    keys = np.ascontiguousarray(codes.astype(np.int32)).view(np.dtype((np.void, 4 * codes.shape[1]))).ravel()
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    counts = np.bincount(back, weights=weights, minlength=len(first)).astype(float)
    return np.ascontiguousarray(codes[first]), counts


def _patterns(codes: Longs) -> Iterator[tuple[int, Longs]]:
    """Bit masks of the nodes seen, and the rows that show these."""
    packed = np.packbits(codes >= 0, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(back, kind="stable")
    ends = np.cumsum(np.bincount(back, minlength=len(first)))
    for k, at in enumerate(first.tolist()):
        mask = sum(1 << int(i) for i in np.flatnonzero(codes[at] >= 0))
        yield mask, order[(ends[k - 1] if k else 0) : ends[k]]


def _groups(net: Tables, seen: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Hidden nodes that hang together with their families; the families seen whole come with no node."""
    relevant, waiting = 0, list(bits(seen))
    while waiting:
        node = waiting.pop()
        if not relevant >> node & 1:
            relevant |= 1 << node
            waiting.extend(net.parents[node])
    merged: list[tuple[int, list[int]]] = []
    whole: list[int] = []
    for node in bits(relevant):
        hidden = sum(1 << i for i in set(net.families[node])) & ~seen
        if not hidden:
            whole.append(node)
            continue
        families = [node]
        apart: list[tuple[int, list[int]]] = []
        for mask, others in merged:
            if mask & hidden:
                hidden |= mask
                families += others
            else:
                apart.append((mask, others))
        merged = [*apart, (hidden, families)]
    yield (), tuple(whole)
    for mask, families in merged:
        yield tuple(bits(mask)), tuple(sorted(families))


def _around(net: Tables, codes: Longs, families: tuple[int, ...]) -> Longs:
    """The states seen around a group; others are taken off, so that equal surroundings are equal rows."""
    members = sorted({i for f in families for i in net.families[f]})
    found = np.full_like(codes, -1)
    found[:, members] = codes[:, members]
    return found


def _count(form: TableCounts, families: tuple[int, ...], codes: Longs, weights: Floats) -> None:
    """Adds cases whose families are seen whole."""
    for f, cells in zip(families, _cells(form, families, codes).T, strict=True):
        first, end = int(form.starts[f]), int(form.starts[f + 1])
        form.whole[first:end] += np.bincount(cells - first, weights=weights, minlength=end - first)


def _cells(form: TableCounts, families: tuple[int, ...], codes: Longs) -> Longs:
    found = np.empty((len(codes), len(families)), dtype=np.int64)
    for k, family in enumerate(families):
        found[:, k] = form.starts[family]
        for node, stride in form.strides(family).items():
            found[:, k] += np.maximum(codes[:, node], 0) * stride
    return found
