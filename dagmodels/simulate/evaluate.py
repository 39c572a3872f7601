"""Numbers of trees on rows: expressions over nodes whose values are known, plates left whole as axes.

The tape of a fit cannot hold what simulation meets (an index that has just been drawn, vectors over
free plates), and has no need to: here every node is a plain array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import comparing, elements_named, level_codes
from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.distributions import _numeric
from dagmodels.errors import ModelError
from dagmodels.forms.lower import expand
from dagmodels.graph import expression as ex
from dagmodels.graph.functions import FUNCTIONS
from dagmodels.graph.scope import free, inner_bound
from dagmodels.numerics.arithmetic import ARITHMETIC
from dagmodels.simulate.chain import lagged

Floats = NDArray[np.float64]

_REDUCE = {"sum": np.add, "mean": np.add, "prod": np.multiply}


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """A tree's numbers.

    array : first axis the rows (length one where all rows agree), then one axis a free plate.
    axes : the free plates, whole, in order.
    """

    array: NDArray[Any]
    axes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Scope:
    """Where a tree stands: the rows with the element of each bound plate, and the head's plates."""

    rows: Rows
    head: tuple[str, ...] = ()


class Evaluator:
    """Evaluates trees of a bound graph.

    Parameters
    ----------
    problem : graph and plates.
    values : all elements of each node, flat; may be filled while the evaluator is in use. What is
        not known yet is NaN, and so is what an expression makes of it.
    """

    def __init__(self, problem: Problem, values: Mapping[str, Floats]) -> None:
        self.problem, self.graph, self.values = problem, problem.graph, values
        self._levels: dict[tuple[str, ex.Label], Codes] = {}

    def value(self, tree: ex.Expression, scope: Scope) -> Value:
        """The tree on every row; undefined operations give NaN or infinity, never an error."""
        match tree:
            case ex.Number(number):
                return Value(np.array([float(number)]))
            case ex.Reference(name, _) if name in self.graph.nodes:
                return self._reference(tree, scope)
            case ex.Reference(name, _):
                codes = self._plate(name, scope)
                return Value(codes.array.astype(float), codes.axes)
            case ex.Unary(operator, operand):
                inner = self.value(operand, scope)
                return Value(-inner.array, inner.axes) if operator == "-" else inner
            case ex.Binary(operator, left, right):
                return _apply(ARITHMETIC[operator], *self._operands(operator, left, right, scope))
            case ex.Call(function, arguments):
                if FUNCTIONS[function].event:
                    return self._vector_call(tree, scope)
                name = "where" if function == "if_else" else function
                return _apply(getattr(_numeric, name), *(self.value(a, scope) for a in arguments))
            case ex.Reduction():
                return self._reduction(tree, scope)
            case _:
                raise ModelError(f"{type(tree).__name__} stands where a number is needed")

    def codes(self, reference: ex.Reference, scope: Scope) -> Value:
        """Elements that a discrete node or covariate points to, -1 where it has no value."""
        found = self._reference(reference, scope)
        return Value(np.where(np.isnan(found.array), -1.0, found.array).astype(np.int64), found.axes)

    # -- references

    def _reference(self, reference: ex.Reference, scope: Scope) -> Value:
        node = self.graph.nodes[reference.name]
        array = self.values[reference.name]
        if not node.plates:
            return Value(array)
        picks = [self._index(p, i, scope) for p, i in zip(node.plates, reference.indices or (), strict=True)]
        flat = picks[0].array if len(picks) == 1 else None
        if flat is not None:
            axes = picks[0].axes
        else:
            arrays, axes = _aligned(picks)
            flat = arrays[0]
            for plate, codes in zip(node.plates[1:], arrays[1:], strict=True):
                flat = np.where((flat < 0) | (codes < 0), -1, flat * self.problem.plates[plate].size + codes)
        found = array[flat]
        if flat.size and flat.min() < 0:
            found = np.where(flat < 0, np.nan, found)
        return Value(found, axes)

    def _index(self, plate: str, index: ex.Index, scope: Scope) -> Value:
        match index:
            case ex.PlateIndex(name):
                return self._plate(name, scope)
            case ex.LagIndex(name, lag):
                return Value(lagged(self.problem, name, lag, scope.rows.codes[name]))
            case ex.LevelIndex(label):
                return Value(self._level(plate, label, scope))
            case ex.NodeIndex(reference):
                return self.codes(reference, scope)

    def _plate(self, name: str, scope: Scope) -> Value:
        if name in scope.rows.codes:
            return Value(scope.rows.codes[name])
        return Value(np.arange(self.problem.plates[name].size)[None, :], (name,))

    # -- comparisons

    def _operands(
        self, operator: str, left: ex.Expression, right: ex.Expression, scope: Scope
    ) -> list[Value]:
        """Operands of a binary operator; elements and labels of plates by what they compare by."""
        tables = comparing(self.problem, operator, left, right)
        if tables is None:
            return [self.value(left, scope), self.value(right, scope)]
        return [self._compared(s, t, scope) for s, t in zip((left, right), tables, strict=True)]

    def _compared(self, side: ex.Expression, table: Codes | float, scope: Scope) -> Value:
        if not isinstance(table, np.ndarray):
            return Value(np.array([float(table)]))
        codes = self.value(side, scope)
        known = codes.array >= 0
        found = np.where(known, table[np.where(known, codes.array, 0).astype(np.int64)], np.nan)
        return Value(found, codes.axes)

    def _level(self, plate: str, label: ex.Label, scope: Scope) -> Codes:
        """The element with this label, or that of each row's parents."""
        found = self._levels.get((plate, label))
        if found is None:
            found = self._levels[plate, label] = elements_named(self.problem, plate, label)
        return (
            found
            if found.size == 1
            else level_codes(self.problem, plate, label, scope.rows.codes, scope.rows.n)
        )

    # -- what works along plates

    def _vector_call(self, tree: ex.Call, scope: Scope) -> Value:
        """softmax and inverse: along plates that their argument leaves whole, then the rows' own entries."""
        rows = scope.rows
        inside = inner_bound(self.graph.plate, tree, frozenset(rows.codes), scope.head)
        (argument,) = tree.arguments
        whole = free(self.graph.plate, argument, inside, scope.head)
        kept = Rows(rows.n, {p: c for p, c in rows.codes.items() if p in inside})
        small, back = self._distinct(kept, argument)
        inner = self.value(argument, Scope(small, scope.head))
        others = tuple(a for a in inner.axes if a not in whole)
        (array,), axes = _aligned([inner], (*others, *whole))
        result = np.asarray(getattr(_numeric, tree.function)(array))
        own = [a for a in axes if a in rows.codes]  # bound outside the call: the row's own entry
        order = [0, *(1 + axes.index(a) for a in own), *(1 + i for i, a in enumerate(axes) if a not in own)]
        rest = tuple(a for a in axes if a not in own)
        first = back if result.shape[0] > 1 else np.zeros(1, dtype=np.int64)
        return Value(np.transpose(result, order)[(first, *(rows.codes[a] for a in own))], rest)

    def _reduction(self, tree: ex.Reduction, scope: Scope) -> Value:
        small, back = self._distinct(scope.rows, tree)
        inner, owner = expand(self.problem, small, tree.plates)
        body = self.value(tree.body, Scope(inner, scope.head))
        cells = np.broadcast_to(body.array, (inner.n, *body.array.shape[1:]))
        count = np.bincount(owner, minlength=small.n)
        ufunc = _REDUCE[tree.kind]
        total = np.full((small.n, *cells.shape[1:]), float(ufunc.identity))
        filled = np.flatnonzero(count)  # rows of one owner follow one another
        if filled.size:
            total[filled] = ufunc.reduceat(cells, (np.cumsum(count) - count)[filled], axis=0)
        if tree.kind == "mean":
            with np.errstate(all="ignore"):
                total = total / count.reshape(-1, *(1,) * (total.ndim - 1))
        return Value(total[back] if small.n > 1 else total, body.axes)

    def _distinct(self, rows: Rows, tree: ex.Expression) -> tuple[Rows, Codes]:
        """The rows between which a tree can differ, and each row's place among them."""
        used = {p: rows.codes[p] for p in self._used(tree) if p in rows.codes}
        if not used:
            return Rows(1, {}), np.zeros(rows.n, dtype=np.int64)
        if any(self.problem.plates[p].size >= rows.n for p in used) or rows.n < 2:
            return Rows(rows.n, used), np.arange(rows.n)
        key = np.zeros(rows.n, dtype=np.int64)
        for plate, codes in used.items():
            size = self.problem.plates[plate].size
            if int(key.max()) >= 2**62 // max(size, 1):
                key = np.unique(key, return_inverse=True)[1]
            key = key * size + codes
        _, first, back = np.unique(key, return_index=True, return_inverse=True)
        return Rows(first.size, {p: c[first] for p, c in used.items()}), back.reshape(-1)

    def _used(self, tree: ex.Expression) -> dict[str, None]:
        """Plates by which a tree's value can differ: in its indices, and outer ones of what it sums over."""
        found: dict[str, None] = {}
        for part in ex.walk(tree):
            if isinstance(part, ex.Reduction):
                for plate in part.plates:
                    found.update(dict.fromkeys(self.graph.lies_in(plate)))
            elif isinstance(part, ex.Reference):
                found[part.name] = None
                for index in part.indices or ():
                    if isinstance(index, ex.PlateIndex | ex.LagIndex):
                        found[index.plate] = None
        return found


def _aligned(values: list[Value], axes: tuple[str, ...] = ()) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Arrays that broadcast together, and their axes; `axes` come first in that order."""
    every = tuple(dict.fromkeys((*axes, *(a for v in values for a in v.axes))))
    if not every or all(v.axes == every for v in values):
        return [v.array for v in values], every
    arrays: list[NDArray[Any]] = []
    for v in values:
        own = [a for a in every if a in v.axes]
        moved = np.transpose(v.array, [0, *(1 + v.axes.index(a) for a in own)])
        shape = iter(moved.shape[1:])
        arrays.append(moved.reshape(moved.shape[0], *(next(shape) if a in own else 1 for a in every)))
    return arrays, every


def _apply(function: Callable[..., Any], *values: Value) -> Value:
    arrays, axes = _aligned(list(values))
    with np.errstate(all="ignore"):
        return Value(np.asarray(function(*arrays), dtype=np.float64), axes)
