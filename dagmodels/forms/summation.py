"""Discrete unknowns summed out on the tape: factor by factor, unknown by unknown, all units side by side.

Variable elimination (Zhang and Poole 1996, J. Artificial Intelligence Research 5) in an order that keeps the
tables small; paths by the forward recursion. What each step added up is kept, since in reverse order it gives
the conditional law from which the unknown is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.state_tables import MOST, Table
from dagmodels.forms.state_units import Batch, Chains, Units
from dagmodels.numerics.tape import Recorder

Ints = NDArray[np.int64]
Scope = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One unknown of each unit summed out.

    own : its place in the unit. given : those that it is then drawn given.
    register : log weights, (different units, states of the given, states of its own).
    """

    own: int
    given: Scope
    register: int


@dataclass(frozen=True, eq=False, slots=True)
class Eliminated:
    """A batch summed out: `like` is for each unit the one of the different units that it equals."""

    batch: Batch
    like: Ints
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Recursed:
    """Chains summed out: registers of `Recorder.chain` and of the transitions, and the index."""

    chains: Chains
    forward: int
    transitions: int
    index: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Summation:
    """What is left: `terms`, registers of log sums. The rest is for draws; `total` is that of elements."""

    total: int
    terms: tuple[int, ...]
    eliminated: tuple[Eliminated, ...]
    recursed: tuple[Recursed, ...]


def summation(recorder: Recorder, total: int, tables: Sequence[Table], found: Units) -> Summation:
    """Record the log of the sum over all states of the product of all tables.

    total : number of elements. Raises `FitError` where a unit needs tables that are too large.
    """
    terms: list[int] = []
    eliminated: list[Eliminated] = []
    recursed: list[Recursed] = []
    for batch in found.batches:
        made, term = _eliminated(recorder, total, tables, batch)
        eliminated.append(made)
        terms.append(term)
    for chains in found.chains:
        recursed.append(_recursed(recorder, total, tables, chains))
        count = chains.starts.size - 1
        terms.append(recorder.gather(recursed[-1].forward, np.arange(count)))
    return Summation(total, tuple(terms), tuple(eliminated), tuple(recursed))


# -- chains ----------------------------------------------------------------------------------------


def _recursed(recorder: Recorder, total: int, tables: Sequence[Table], chains: Chains) -> Recursed:
    n, d = chains.elements.size, chains.states
    place = np.full(total, -1)
    place[chains.elements] = np.arange(n)
    alone, pairs = [], []
    for t in tables:
        rows = np.flatnonzero(place[t.elements[:, 0]] >= 0)
        if rows.size:
            (alone if t.elements.shape[1] == 1 else pairs).append((t, rows))
    single = [_Share(t, rows, place[t.elements[rows, 0]], None) for t, rows in alone]
    evidence = _added(recorder, single, n, d)
    double = [_turned(t, rows, place) for t, rows in pairs]
    block = np.full(n, -1)
    if len(double) == 1 and double[0].states is None and np.unique(double[0].to).size == double[0].to.size:
        block[double[0].to] = double[0].table.block[double[0].rows]
        transitions = double[0].table.register
    else:
        later = np.setdiff1d(np.arange(n), chains.starts[:-1])
        block[later] = np.arange(later.size)
        shares = [_Share(s.table, s.rows, block[s.to], s.states) for s in double]
        transitions = _added(recorder, shares, later.size, d * d)
    index = np.concatenate([[d, chains.starts.size - 1], chains.starts, block]).astype(np.int64)
    return Recursed(chains, recorder.chain(evidence, transitions, index), transitions, index)


@dataclass(frozen=True, eq=False, slots=True)
class _Share:
    """Rows of a table that go to blocks of a register.

    to : of each row. states : (rows, states), the table's state for each of the block's; None as they are.
    """

    table: Table
    rows: Ints
    to: Ints
    states: Ints | None


def _turned(table: Table, rows: Ints, place: Ints) -> _Share:
    """A table of pairs as transitions into the later element of each."""
    first, second = place[table.elements[rows]].T
    back = first > second
    if not back.any():
        return _Share(table, rows, second, None)
    every = np.arange(table.states).reshape(table.counts)
    states = np.where(back[:, None], every.T.reshape(-1), every.reshape(-1))
    return _Share(table, rows, np.maximum(first, second), states)


def _added(recorder: Recorder, shares: Sequence[_Share], blocks: int, size: int) -> int:
    """Sums of tables' rows by block: (blocks, size)."""
    found: int | None = None
    for s in shares:
        own = s.table.block[s.rows]
        register = s.table.register
        alone = np.unique(s.to).size == s.to.size
        if alone and s.to.size == blocks:  # every block gets one row
            turn = np.argsort(s.to)
            states = np.arange(size) if s.states is None else s.states[turn]
            part = _gathered(recorder, register, own[turn][:, None] * size + states)
        else:
            states = np.arange(size) if s.states is None else s.states
            part = _gathered(recorder, register, own[:, None] * size + states)
            to = (s.to[:, None] * size + np.arange(size)).reshape(-1)
            part = recorder.segment_sum(part, to, blocks * size)
        found = part if found is None else recorder.apply("+", found, part)
    return recorder.constant(np.zeros(blocks * size)) if found is None else found


def _gathered(recorder: Recorder, register: int, places: Ints) -> int:
    """register[places]; the register itself where these are all in order."""
    places = places.reshape(-1)
    size = recorder.length(register)
    if places.size == size and (places == np.arange(size)).all():
        return register
    return recorder.gather(register, places)


# -- elimination -----------------------------------------------------------------------------------


def _eliminated(
    recorder: Recorder, total: int, tables: Sequence[Table], batch: Batch
) -> tuple[Eliminated, int]:
    m = len(batch.elements)
    unit, local = np.full(total, -1), np.full(total, -1)
    unit[batch.elements] = np.arange(m)[:, None]
    local[batch.elements] = np.arange(batch.elements.shape[1])
    shares: dict[Scope, list[_Share]] = {}
    for t in tables:
        mine = np.flatnonzero(unit[t.elements[:, 0]] >= 0)
        if not mine.size:
            continue
        kinds, of = np.unique(local[t.elements[mine]], axis=0, return_inverse=True)
        for k, scope in enumerate(kinds.tolist()):
            rows = mine[of.reshape(-1) == k]
            shares.setdefault(tuple(scope), []).append(_Share(t, rows, unit[t.elements[rows, 0]], None))
    like, first = _different(m, [s for parts in shares.values() for s in parts])
    b = first.size
    kept = {scope: [_only(s, first, m) for s in parts] for scope, parts in shares.items()}
    sizes = batch.counts
    active = {
        scope: _added(recorder, parts, b, math.prod(sizes[k] for k in scope)) for scope, parts in kept.items()
    }
    steps, term = _summed(recorder, active, sizes, b)
    weight = np.bincount(like, minlength=b).astype(np.float64)
    if (weight != 1).any():
        term = recorder.apply("*", term, recorder.constant(weight))
    return Eliminated(batch, like, tuple(steps)), term


def _different(m: int, shares: Sequence[_Share]) -> tuple[Ints, Ints]:
    """For each unit the number of the first unit with the same tables, and those first units.

    Only where every table gives each unit one row at most; else all count as different.
    """
    columns = np.full((m, len(shares)), -1)
    for k, s in enumerate(shares):
        if np.unique(s.to).size < s.to.size:
            return np.arange(m), np.arange(m)
        columns[s.to, k] = s.table.block[s.rows]
    if any(s.table.block.size == np.unique(s.table.block).size and s.to.size == m for s in shares):
        return np.arange(m), np.arange(m)  # a table whose rows all differ
    _, first, like = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return like.reshape(-1), first


def _only(share: _Share, first: Ints, m: int) -> _Share:
    """The rows of some of the units, which are numbered anew."""
    if first.size == m:
        return share
    number = np.full(m, -1)
    number[first] = np.arange(first.size)
    keep = np.flatnonzero(number[share.to] >= 0)
    return _Share(share.table, share.rows[keep], number[share.to[keep]], None)


def _summed(recorder: Recorder, active: dict[Scope, int], sizes: Scope, b: int) -> tuple[list[Step], int]:
    """Sum out one unknown after the other, that of the smallest table first."""
    tables = dict(active)
    of: dict[int, set[Scope]] = {v: set() for v in range(len(sizes))}
    beside: dict[int, set[int]] = {v: set() for v in range(len(sizes))}
    for scope in tables:
        for v in scope:
            of[v].add(scope)
            beside[v].update(scope)
            beside[v].discard(v)
    queue = [(_cells(v, beside[v], sizes), v) for v in beside]
    heapify(queue)
    left = set(beside)
    steps: list[Step] = []
    term: int | None = None
    while left:
        cells, own = heappop(queue)
        if own not in left or cells != _cells(own, beside[own], sizes):
            continue  # it was put in again since
        if cells > MOST:
            raise FitError(
                "discrete unknowns hang together too closely to be summed over: a table of "
                f"{cells:,} joint states, of which no more than {MOST:,} are taken"
            )
        given = tuple(sorted(beside[own]))
        joint: int | None = None
        for scope in sorted(of[own]):
            part = _spread(recorder, tables.pop(scope), scope, (*given, own), sizes, b)
            joint = part if joint is None else recorder.apply("+", joint, part)
            for v in scope:
                if v != own:
                    of[v].discard(scope)
        assert joint is not None
        steps.append(Step(own, given, joint))
        message = recorder.log_sum_exp(joint, sizes[own])
        left.discard(own)
        if not given:
            term = message if term is None else recorder.apply("+", term, message)
            continue
        tables[given] = recorder.apply("+", tables[given], message) if given in tables else message
        for v in given:
            of[v].add(given)
            beside[v].update(given)
            beside[v] -= {v, own}
            heappush(queue, (_cells(v, beside[v], sizes), v))
    assert term is not None
    return steps, term


def _cells(own: int, given: Iterable[int], sizes: Scope) -> int:
    """Joint states of an unknown and those beside it."""
    return sizes[own] * math.prod(sizes[k] for k in given)


def _spread(recorder: Recorder, register: int, scope: Scope, whole: Scope, sizes: Scope, b: int) -> int:
    """A table over more unknowns, in their order."""
    if scope == whole:
        return register
    shape = tuple(sizes[k] for k in scope)
    own = np.arange(math.prod(shape)).reshape(shape)
    turned = own.transpose(np.argsort([whole.index(k) for k in scope]))
    full = turned.reshape([sizes[k] if k in scope else 1 for k in whole])
    cells = np.broadcast_to(full, [sizes[k] for k in whole]).reshape(-1)
    places = np.arange(b)[:, None] * own.size + cells
    return recorder.gather(register, places.reshape(-1))
