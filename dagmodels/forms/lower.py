"""Trees to tape operations: an expression over the rows of a head becomes registers of numbers.

Each value keeps the smallest domain that it depends on: nothing (length one), one plate (its
elements), or the rows of the head.  So `exp(-b[subject])*t` is computed once a subject where it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from dagmodels.bind.labels import comparing, level_codes
from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.errors import FitError
from dagmodels.forms.cells import cells, lagged
from dagmodels.forms.recursions import Assembly, stages
from dagmodels.graph import expression as ex
from dagmodels.graph.circles import circle
from dagmodels.graph.statement import Deterministic
from dagmodels.numerics.tape import Recorder

ROWS = "\0rows"  # the key of a value that has one entry a row


@dataclass(frozen=True, slots=True)
class Value:
    """A register and what its entries are: key None (one entry), a plate, or ROWS."""

    register: int
    key: str | None


class NotLowered(FitError):
    """A tree that the tape cannot hold, with the reason."""


class Lowering:
    """Turns trees into operations of one recorder.

    Parameters
    ----------
    problem : graph and data.
    recorder : takes the operations.
    unknown : gives the register of a node that is neither data nor deterministic.
    moving : a discrete node that is no data may be an index; its codes are then read at every run.
    """

    def __init__(
        self, problem: Problem, recorder: Recorder, unknown: Callable[[str], int], *, moving: bool = False
    ) -> None:
        self.problem = problem
        self.recorder = recorder
        self._unknown = unknown
        self._moving = moving
        self._registers: dict[str, int] = {}
        self._begun: dict[str, Assembly] = {}  # definitions that look back at what is known of them so far

    def node(self, name: str) -> int:
        """The register with all elements of a node."""
        if name not in self._registers:
            node = self.problem.graph.nodes[name]
            if node.kind == "deterministic":
                tied = circle(self.problem.graph, name)
                if tied:
                    self._tied(tied)
                else:
                    self._registers[name] = self._deterministic(name)
            elif name in self.problem.values and self.problem.observed[name].all():
                self._registers[name] = self.recorder.constant(self.problem.values[name])
            else:
                self._registers[name] = self._unknown(name)
        return self._registers[name]

    def _deterministic(self, name: str) -> int:
        parts = []
        shares = cells(self.problem, name)
        for share in shares:
            assert isinstance(share.statement, Deterministic)
            register = self.full(self.value(share.statement.expression, share.rows), share.rows)
            if share.whole:
                return register
            parts.append((register, share.places))
        return self.recorder.assemble(sum(s.places.size for s in shares), parts)

    def _tied(self, names: tuple[str, ...]) -> None:
        """Registers of nodes whose definitions look back at each other."""
        mixed = [n for n in names if self.problem.graph.nodes[n].kind != "deterministic"]
        if mixed:  # its laws come first
            self.node(mixed[0])
        else:
            self.in_stages(names, {})

    def in_stages(self, names: Sequence[str], given: Mapping[str, Sequence[tuple[int, Codes]]]) -> None:
        """Put nodes whose definitions look back at each other together, from their first elements on.

        given : registers of elements that laws or data give, and their places.
        """
        found = stages(self.problem, names, self.places, partial(expand, self.problem))
        if found is None:
            raise NotLowered(f"{' and '.join(map(repr, names))}: elements depend on themselves in a circle")
        for name in names:
            self._begun[name] = Assembly(self.recorder, math.prod(self.problem.shape(name)))
            for register, places in given.get(name, ()):
                self._begun[name].add(register, places)
        for part in chain.from_iterable(found):
            register = self.full(self.value(part.expression, part.rows), part.rows)
            self._begun[part.name].add(register, part.places)
        self._registers |= {n: self._begun.pop(n).whole() for n in names}

    def full(self, value: Value, rows: Rows) -> int:
        """A register with one entry a row."""
        if value.key == ROWS or (rows.n == 1 and value.key is None):
            return value.register
        if value.key is None:
            return self.recorder.gather(value.register, np.zeros(rows.n, dtype=np.int64))
        return self.recorder.gather(value.register, rows.codes[value.key])

    def codes(self, value: Value, rows: Rows) -> Codes:
        """For each row the entry of the value's register."""
        if value.key == ROWS:
            return np.arange(rows.n)
        return np.zeros(rows.n, dtype=np.int64) if value.key is None else rows.codes[value.key]

    def value(self, tree: ex.Expression, rows: Rows) -> Value:
        """The value of a scalar tree on each row."""
        match tree:
            case ex.Number(number):
                return Value(self.recorder.constant(number), None)
            case ex.Reference(name, _) if name in self.problem.graph.nodes:
                return self._reference(tree, rows)
            case ex.Reference(name, _):
                return Value(self.recorder.constant(rows.codes[name].astype(np.float64)), ROWS)
            case ex.Unary(operator, operand):
                inner = self.value(operand, rows)
                return inner if operator == "+" else self._apply("neg", [inner], rows)
            case ex.Binary(operator, left, right):
                return self._apply(operator, self._operands(operator, left, right, rows), rows)
            case ex.Call(function, arguments):
                return self._call(function, arguments, rows)
            case ex.Reduction():
                return self._reduction(tree, rows)
            case _:
                raise NotLowered(f"{type(tree).__name__} stands where a number is needed")

    def _operands(self, operator: str, left: ex.Expression, right: ex.Expression, rows: Rows) -> list[Value]:
        """Operands of a binary operator; elements and labels of plates by what they compare by."""
        tables = comparing(self.problem, operator, left, right)
        if tables is None:
            return [self.value(left, rows), self.value(right, rows)]
        return [self._compared(s, t, rows) for s, t in zip((left, right), tables, strict=True)]

    def _compared(self, side: ex.Expression, table: Codes | float, rows: Rows) -> Value:
        if isinstance(table, float):
            return Value(self.recorder.constant(np.array([table])), None)
        codes = self.value(side, rows)
        if (table == np.arange(table.size)).all():
            return codes
        assert isinstance(side, ex.Reference)
        node = self.problem.graph.nodes.get(side.name)
        if node is None:
            return Value(self.recorder.constant(table[rows.codes[side.name]].astype(np.float64)), ROWS)
        if self._moving_in(side.name) is not None or side.name not in self.problem.values:
            return Value(
                self.recorder.take(self.recorder.constant(table.astype(np.float64)), codes.register),
                codes.key,
            )
        given = self.problem.values[side.name].reshape(-1)[self.places(side, rows)]
        known = np.isfinite(given)
        found = np.where(known, table[np.where(known, given, 0).astype(np.int64)], np.nan)
        return Value(self.recorder.constant(found), ROWS)

    def _apply(self, function: str, values: list[Value], rows: Rows) -> Value:
        keys = {v.key for v in values if v.key is not None}
        if len(keys) <= 1:
            key = next(iter(keys), None)
            return Value(self.recorder.apply(function, *(v.register for v in values)), key)
        registers = (v.register if v.key is None else self.full(v, rows) for v in values)
        return Value(self.recorder.apply(function, *registers), ROWS)

    def _call(self, function: str, arguments: tuple[ex.Expression, ...], rows: Rows) -> Value:
        if function in ("softmax", "inverse"):
            register = self.full(self.value(arguments[0], rows), rows)
            order = self._last_axis(rows)
            if function == "softmax":
                return Value(self.recorder.softmax(register, order), ROWS)
            return Value(self.recorder.matrix("inverse", order, register), ROWS)
        return self._apply(function, [self.value(a, rows) for a in arguments], rows)

    def _last_axis(self, rows: Rows) -> int:
        """Length of the axis that a vector function works along: the last plate of the rows."""
        if not rows.axes:
            raise NotLowered("a vector function needs a plate to work along")
        plate = rows.axes[-1]
        size = self.problem.plates[plate].size
        whole = rows.codes[plate].reshape(-1, size) if rows.n % size == 0 else np.zeros((1, 0))
        if whole.shape[1] != size or (whole != np.arange(size)).any():
            raise NotLowered(f"a vector function needs all of plate '{plate}' in every row")
        return size

    def places(self, reference: ex.Reference, rows: Rows) -> Codes:
        """Flat places of the elements that a reference means on each row."""
        node = self.problem.graph.nodes[reference.name]
        flat = np.zeros(rows.n, dtype=np.int64)
        for plate, index in zip(node.plates, reference.indices or (), strict=True):
            flat = flat * self.problem.plates[plate].size + self._codes(plate, index, rows)
        return flat

    def _moving_in(self, name: str) -> str | None:
        """The plate that holds the values of a discrete node which is no data, else None."""
        node = self.problem.graph.nodes.get(name)
        known = name in self.problem.values and self.problem.observed[name].all()
        return None if node is None or known or not self._moving else node.values_in

    def moves(self, reference: ex.Reference) -> bool:
        """Whether the elements that a reference means change between runs."""
        inner = [i.reference for i in reference.indices or () if isinstance(i, ex.NodeIndex)]
        return any(self._moving_in(r.name) is not None or self.moves(r) for r in inner)

    def moving_places(self, reference: ex.Reference, rows: Rows) -> int:
        """A register with the places that a reference means on each row, where `moves` says so."""
        node = self.problem.graph.nodes[reference.name]
        flat = self.recorder.constant(np.zeros(rows.n))
        for plate, index in zip(node.plates, reference.indices or (), strict=True):
            if isinstance(index, ex.NodeIndex) and (
                self._moving_in(index.reference.name) is not None or self.moves(index.reference)
            ):
                codes = self.full(self.value(index.reference, rows), rows)
            else:
                codes = self.recorder.constant(self._codes(plate, index, rows).astype(np.float64))
            size = self.recorder.constant(float(self.problem.plates[plate].size))
            flat = self.recorder.apply("+", self.recorder.apply("*", flat, size), codes)
        return flat

    def _codes(self, plate: str, index: ex.Index, rows: Rows) -> Codes:
        match index:
            case ex.PlateIndex(name):
                if name not in rows.codes:
                    raise NotLowered(f"plate '{name}' is free where a number is needed")
                return rows.codes[name]
            case ex.LagIndex(name, lag):
                return self._lag(name, lag, rows)
            case ex.LevelIndex(label):
                return level_codes(self.problem, plate, label, rows.codes, rows.n)
            case ex.NodeIndex(reference):
                if reference.name not in self.problem.values:
                    raise NotLowered(f"index '{reference.name}' is not data")
                values = self.problem.values[reference.name].reshape(-1)[self.places(reference, rows)]
                if np.isnan(values).any():
                    raise NotLowered(f"index '{reference.name}' has missing values")
                return values.astype(np.int64)

    def _lag(self, plate: str, lag: int, rows: Rows) -> Codes:
        before = lagged(self.problem, plate, lag)[rows.codes[plate]]
        if (before < 0).any():
            raise NotLowered(
                f"'{plate}-{lag}' reaches before the first element; add a 'first {lag}' statement"
            )
        return before

    def _reference(self, reference: ex.Reference, rows: Rows) -> Value:
        if reference.name in self._begun:
            return Value(self._begun[reference.name].at(self.places(reference, rows)), ROWS)
        register = self.node(reference.name)
        indices = reference.indices or ()
        if not indices:
            return Value(register, None)
        if len(indices) == 1 and isinstance(indices[0], ex.PlateIndex) and indices[0].plate in rows.codes:
            codes = rows.codes[indices[0].plate]
            if codes.size == self.recorder.length(register) and _is_identity(codes):
                return Value(register, ROWS)
            return Value(register, indices[0].plate)
        if self.moves(reference):
            return Value(self.recorder.take(register, self.moving_places(reference, rows)), ROWS)
        places = self.places(reference, rows)
        if places.size == self.recorder.length(register) and _is_identity(places):
            return Value(register, ROWS)
        return Value(self.recorder.gather(register, places), ROWS)

    def _reduction(self, tree: ex.Reduction, rows: Rows) -> Value:
        outer = rows if self._needs(tree, rows) else Rows(1, {})
        inner, owner = expand(self.problem, outer, tree.plates)
        body = self.full(self.value(tree.body, inner), inner)
        if tree.kind == "prod":
            return Value(self._product(body, owner, outer.n), ROWS if outer is rows else None)
        total = self.recorder.segment_sum(body, owner, outer.n)
        if tree.kind == "mean":
            count = np.bincount(owner, minlength=outer.n).astype(float)
            total = self.recorder.apply("/", total, self.recorder.constant(count))
        return Value(total, ROWS if outer is rows else None)

    def _product(self, body: int, owner: Codes, n: int) -> int:
        """Products by owner, one factor of every owner at a time."""
        order = np.argsort(owner, kind="stable")
        turn = np.arange(owner.size) - np.searchsorted(owner[order], owner[order], side="left")
        total = self.recorder.constant(np.ones(n)) if n > 1 else self.recorder.constant(1.0)
        for k in range(int(turn.max(initial=-1)) + 1):
            at = order[turn == k]
            factor = self.recorder.gather(body, at)
            if at.size < n:
                rest = np.setdiff1d(np.arange(n), owner[at])
                parts = [(factor, owner[at]), (self.recorder.constant(np.ones(rest.size)), rest)]
                factor = self.recorder.assemble(n, parts)
            else:
                factor = self.recorder.gather(factor, np.argsort(owner[at]))
            total = self.recorder.apply("*", total, factor)
        return total

    def _needs(self, tree: ex.Reduction, rows: Rows) -> bool:
        """Whether a reduction depends on the rows: a bound plate inside it, or a parent of its plates."""
        own = set(tree.plates)
        for plate in tree.plates:
            if any(p in rows.codes for p in self.problem.graph.lies_in(plate)):
                return True
        for part in ex.walk(tree.body):
            if isinstance(part, ex.Reference):
                if part.name in rows.codes and part.name not in own:
                    return True
                for index in part.indices or ():
                    if isinstance(index, ex.PlateIndex | ex.LagIndex) and index.plate not in own:
                        return True
        return False


def _is_identity(codes: Codes) -> bool:
    return bool(
        codes.size == 0 or (codes[0] == 0 and codes[-1] == codes.size - 1 and (np.diff(codes) == 1).all())
    )


def expand(problem: Problem, rows: Rows, plates: Iterable[str]) -> tuple[Rows, Codes]:
    """Rows times the elements of more plates that belong to what is bound.

    Returns the longer rows and, for each, the row it came from.  Elements of a plate that lies in
    a bound plate are only those of the row's own parent element.
    """
    plates = tuple(plates)
    owner = np.arange(rows.n)
    codes: dict[str, Codes] = dict(rows.codes)
    for plate in plates:
        bound = problem.plates[plate]
        shared = [p for p in _ancestors(problem, plate) if p in codes]
        n = codes[next(iter(codes))].size if codes else owner.size
        left, right = _join(
            [codes[p] for p in shared], [_membership(problem, plate, p) for p in shared], n, bound.size
        )
        codes = {p: c[left] for p, c in codes.items()}
        owner = owner[left]
        part: dict[str, Any] = {}
        problem._bind(plate, right, part)
        for name, c in part.items():
            codes.setdefault(name, c)
        codes[plate] = right
    return Rows(owner.size, codes, (*rows.axes, *plates)), owner


def _ancestors(problem: Problem, plate: str) -> list[str]:
    found: list[str] = []
    queue = list(problem.plates[plate].parents)
    while queue:
        top = queue.pop(0)
        if top not in found:
            found.append(top)
            queue.extend(problem.plates[top].parents)
    return found


def _membership(problem: Problem, plate: str, ancestor: str) -> Codes:
    """For each element of a plate, its element of an ancestor plate."""
    parents = problem.plates[plate].parents
    if ancestor in parents:
        return parents[ancestor]
    for parent, map_ in parents.items():
        if ancestor in _ancestors(problem, parent):
            return _membership(problem, parent, ancestor)[map_]
    raise KeyError(ancestor)


def _join(left: list[Codes], right: list[Codes], n: int, m: int) -> tuple[Codes, Codes]:
    """Pairs (row, element) whose shared memberships agree; all pairs when nothing is shared."""
    if not left:
        return np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    key_l, key_r = np.zeros(n, np.int64), np.zeros(m, np.int64)
    for a, b in zip(left, right, strict=True):
        width = int(max(a.max(initial=0), b.max(initial=0))) + 1
        key_l, key_r = key_l * width + a, key_r * width + b
    order = np.argsort(key_r, kind="stable")
    low = np.searchsorted(key_r[order], key_l, side="left")
    count = np.searchsorted(key_r[order], key_l, side="right") - low
    rows = np.repeat(np.arange(n), count)
    offset = np.arange(rows.size) - np.repeat(np.cumsum(count) - count, count)
    return rows, order[np.repeat(low, count) + offset]
