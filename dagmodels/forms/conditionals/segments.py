"""Which operations each update has to run, so that nothing is computed twice while nothing that it reads has
changed: the tape cut into the stretches that `numerics.sweep_steps` walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.numerics import sweep_codes as codes
from dagmodels.numerics.elimination import Pattern, pattern_of
from dagmodels.numerics.fill import FREE, less_fill, outline
from dagmodels.numerics.program import COUNT, Line, Program, program
from dagmodels.numerics.pruning import compact
from dagmodels.numerics.tape import Tape

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
OPERATION, TRIALS, CHEAP, COSTLY = 15, 6, 4, 200  # costs: an operation, a slice's evaluations, draws
DEAR = 1e4  # nanoseconds of an elimination from which another order is tried


@dataclass(frozen=True, eq=False, slots=True)
class Outside:
    """An update that Python draws.

    row : its place in the table. parameters : where they stand. numbers : what it learns; None where nothing.
    """

    row: int
    function: Any
    parameters: tuple[slice, ...]
    slots: Ints
    numbers: slice | None


@dataclass(frozen=True, eq=False, slots=True)
class Blocks:
    """Patterns of joint draws and of what is integrated out, as `sweep_steps.sweeps` takes them.

    orders : of each, its elements in the order of elimination. long : whether some have long dense tails.
    """

    table: NDArray[np.int64]
    places: NDArray[np.int64]
    near: NDArray[np.int32]
    wide: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    orders: tuple[Ints, ...]
    long: bool

    @classmethod
    def of(cls, updates: Sequence[Update]) -> Blocks:
        """Symbolic elimination of each pattern, in the order of the updates that have one."""
        from dagmodels.numerics.tail_kernels import LONG

        rows, long = [], False
        parts: tuple[list[Any], ...] = (
            [np.zeros(0, np.int64)],
            [np.zeros(0, np.int32)],
            [np.zeros(0, np.int32)],
        )
        kinds, orders = [np.zeros(0, np.uint8)], list[Ints]()
        for u in updates:
            if u.pattern is None:
                continue
            found, place = _eliminated(u.pattern)
            i, j = place[u.pattern[0]], place[u.pattern[1]]
            n, ts, ptr, near, base, first, wide, kind, haspar = found.arguments
            own = (np.concatenate([found.place(i, j), ptr, first]), near, wide)
            bounds = []
            for store, part in zip(parts, own, strict=True):
                at = sum(x.size for x in store)
                bounds += [at, at + part.size]
                store.append(part)
            at = sum(x.size for x in kinds)
            kinds.append(np.concatenate([kind, haspar]))
            rows.append([n, ts, base, found.size, i.size, ptr.size, *bounds, at, at + 2 * n])
            orders.append(np.argsort(place[:-1]))
            long = long or n - ts > LONG
        table = np.array(rows, np.int64).reshape(-1, codes.BLOCK)
        return cls(table, *map(np.concatenate, parts), np.concatenate(kinds), tuple(orders), long)


@dataclass(frozen=True, eq=False, slots=True)
class Walk:
    """What the loop takes.

    program : everything that updates read; run whole before the first sweep. steps : its steps as updates
    run them. table, slots, numbers, scratch : see `sweep_steps`. size : slots of
    the state. blocks : of joint draws. outside : updates that Python draws.
    """

    program: Program
    steps: NDArray[np.uint64]
    table: NDArray[np.int64]
    slots: Ints
    numbers: Floats
    scratch: tuple[int, int]
    size: int
    blocks: Blocks
    outside: tuple[Outside, ...] = ()

    @property
    def tape(self) -> Tape:
        return self.program.tape

    def share_seldom(self) -> float:
        """The share of a sweep's work that second updates are, roughly: numbers computed, and draws."""
        lengths = self.steps[:, COUNT].astype(np.int64)
        found = np.zeros(2)
        for row in self.table:
            once = lengths[row[codes.FIRST] : row[codes.INSIDE]]
            again = lengths[row[codes.INSIDE] : row[codes.LAST]]
            work = (OPERATION + once).sum() + TRIALS * (OPERATION + again).sum()
            draws = COSTLY if row[codes.DRAW] == codes.CODES["polya-gamma"] else CHEAP
            found[int(row[codes.SELDOM] > 0)] += work + draws * row[codes.COUNT]
        return float(found[1] / found.sum())


def _eliminated(given: tuple[Ints, Ints]) -> tuple[Pattern, Ints]:
    """Symbolic elimination in an order with little work; of each element and the constant its place in it."""
    i, j = given
    off, none = i != j, np.zeros(0, np.int64)
    found = outline(np.full(j.max(), FREE, np.uint8), i[off], j[off], none, none)
    place, found = less_fill(found, DEAR) or (np.arange(found.n), found)
    return pattern_of(found), place


def walk(board: Board, updates: Sequence[Update]) -> Walk:
    """Cut the tape for updates in this order."""
    recorder = board.recorder
    for u in updates:
        for register in u.registers:
            recorder.start(register)
    read = [r for u in updates for r in u.registers]
    tape = compact(recorder.finish(), read)
    made = program(tape, read)
    order, bounds = _stretches(made, updates)
    table = np.zeros((len(updates), codes.COLUMNS), np.int64)
    slots: list[Ints] = [np.zeros(0, np.int64)]
    numbers: list[Floats] = [np.zeros(0)]
    outside: list[Outside] = []
    begun: dict[int, int] = {}
    for k, u in enumerate(updates):
        table[k, codes.DRAW], table[k, codes.COUNT] = codes.CODES[u.draw], u.count
        table[k, [codes.FIRST, codes.INSIDE, codes.LAST]] = bounds[k]
        table[k, codes.SLOTS] = sum(s.size for s in slots)
        table[k, codes.EXTRA], table[k, codes.SELDOM] = u.extra, int(u.seldom)
        slots.append(u.slots)
        if u.numbers is not None:
            if id(u.numbers) not in begun:  # updates with the same array share it
                begun[id(u.numbers)] = sum(x.size for x in numbers)
                numbers.append(u.numbers)
            table[k, codes.NUMBERS] = begun[id(u.numbers)]
        if u.function is not None:
            own = None
            if u.numbers is not None:
                at = int(table[k, codes.NUMBERS])
                own = slice(at, at + u.numbers.size)
            outside.append(Outside(k, u.function, tuple(map(tape.place, u.registers)), u.slots, own))
            continue
        for j, register in enumerate(u.registers):
            place = tape.place(register)
            length = place.stop - place.start
            stride = length if u.draw in codes.LENGTHS and j == 1 else int(length > 1)
            at = codes.PARAMETERS + 2 * j
            table[k, at], table[k, at + 1] = place.start, stride
    widest = max((u.slots.size for u in updates), default=0)
    size = sum(length for _, length in tape.inputs.values())
    joint = [k for k, u in enumerate(updates) if u.pattern is not None]
    table[joint, codes.PATTERN] = np.arange(len(joint))
    blocks = Blocks.of(updates)
    for k, elements in zip(joint, blocks.orders, strict=True):
        if updates[k].draw == "joint normal":
            slots[k + 1] = slots[k + 1][elements]
    return Walk(
        made,
        np.ascontiguousarray(made.steps[order]),
        table,
        np.concatenate(slots),
        np.concatenate(numbers),
        (codes.ROWS, widest),
        size,
        blocks,
        tuple(outside),
    )


def _stretches(made: Program, updates: Sequence[Update]) -> tuple[Ints, list[tuple[int, int, int]]]:
    """The steps of all updates one after the other, and each one's three bounds.

    Second updates are done in some sweeps alone, then all of them: what they ran counts for the later of them
    in the same sweep, and for no others.
    """
    lines = made.lines
    changed = _changed(made, updates)
    n = len(updates)
    used: list[list[int]] = [_needed(lines, u.registers, changed) for u in updates]
    last: dict[int, int] = {}
    for k in range(n):  # the last update of the sweep before that used each operation
        if not updates[k].seldom:
            last |= dict.fromkeys(used[k], k)
    here: dict[int, int] = {}  # the last of this sweep, second updates included
    every = (1 << n) - 1
    order: list[int] = []
    bounds: list[tuple[int, int, int]] = []
    for k, u in enumerate(updates):
        before, inside = [], []
        for op in used[k]:
            j = here.get(op, last.get(op)) if u.seldom else last.get(op)
            here[op] = k
            if not u.seldom:
                last[op] = k
            mask = changed[lines[op].out]
            if u.repeated and mask >> k & 1:
                inside.append(op)
            elif j is None or mask & _between(j, k, n, every):
                before.append(op)
        first = len(order)
        order += before + inside
        bounds.append((first, first + len(before), len(order)))
    return np.array(order, dtype=np.int64), bounds


def _between(j: int, k: int, n: int, every: int) -> int:
    """Bits of the updates j, j + 1, ..., k - 1, going round."""
    if j < k:
        return ((1 << k) - 1) & ~((1 << j) - 1)
    return every & ~(((1 << j) - 1) & ~((1 << k) - 1))


def _changed(made: Program, updates: Sequence[Update]) -> dict[int, int]:
    """For each register the updates, as bits, that change it."""
    start, length = made.tape.operations[6], made.tape.operations[7]
    inputs = {s: n for s, n in made.tape.inputs.values() if n}
    changed: dict[int, int] = {}
    for r in range(start.size):
        n = inputs.get(int(start[r]))
        if n is not None and length[r] == n:
            inside = [
                (u.slots >= start[r]).any() and ((u.slots >= start[r]) & (u.slots < start[r] + n)).any()
                for u in updates
            ]
            changed[r] = sum(1 << k for k, yes in enumerate(inside) if yes)
    for line in made.lines:
        mask = changed.get(line.out, 0)
        for r in line.reads:
            mask |= changed.get(r, 0)
        changed[line.out] = mask
    return changed


def _needed(lines: Sequence[Line], registers: Sequence[int], changed: dict[int, int]) -> list[int]:
    """Operations that these registers are made of and that some update changes, in order."""
    wanted = {r for r in registers if changed.get(r, 0)}
    kept = []
    for k in range(len(lines) - 1, -1, -1):
        if lines[k].out in wanted:
            kept.append(k)
            wanted.update(r for r in lines[k].reads if changed.get(r, 0))
    return kept[::-1]
