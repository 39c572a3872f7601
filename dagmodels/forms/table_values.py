"""Values of trees over the states of discrete nodes: arrays whose axes have names.

An axis is a discrete node (one entry a state) or a plate (one entry a level); a bare vector such as
`[0.2, 0.8]` has the axis of its position. A network's tables are such values, `Bernoulli(expit(a + b*x))`
over the states of x as well as `Table(x, {...})`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.distributions import _numeric
from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Constant, Deterministic, Head, Literal
from dagmodels.numerics.arithmetic import ARITHMETIC
from dagmodels.numerics.memory import available, size_text

Floats = NDArray[np.float64]
SMALL, LARGE = 1 << 26, 1 << 33  # bytes: never refused, and refused where the system tells no limit
PLAIN = "[]"  # axis of a vector that is written out
_ELEMENTWISE = (
    *("exp", "log", "sqrt", "logit", "expit", "probit", "Phi", "cloglog", "icloglog", "abs"),
    *("sin", "cos", "arctan", "tanh", "lgamma", "floor"),
    *("min", "max"),
)
_REDUCE: Mapping[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod, "mean": np.mean}


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Numbers with one named axis each."""

    numbers: Floats
    axes: tuple[str, ...] = ()

    def on(self, axes: Sequence[str]) -> Floats:
        """The numbers with these axes in this order, of length one where the value has no such axis."""
        kept = [a for a in axes if a in self.axes]
        moved = np.transpose(self.numbers, [self.axes.index(a) for a in kept])
        lengths = iter(moved.shape)
        return moved.reshape([next(lengths) if a in self.axes else 1 for a in axes])


class NoTable(ModelError):
    """A node's law is not a table of numbers; says why and which node stands in the way."""


@dataclass(frozen=True, eq=False)
class States:
    """What trees of a graph are evaluated with.

    labels : the states of each discrete node.
    numeric : those of them that are numbers, 0 and 1.
    known : values of nodes that are neither, found so far.
    """

    dag: Dag
    labels: Mapping[str, tuple[ex.Label, ...]]
    numeric: frozenset[str]
    known: dict[str, Value]

    def value(self, tree: ex.Expression) -> Value:
        """A tree over the states of all nodes that it names."""
        match tree:
            case ex.Number(number):
                return Value(np.asarray(float(number)))
            case ex.Reference():
                return self._reference(tree)
            case ex.Unary(sign, operand):
                inner = self.value(operand)
                return replace(inner, numbers=-inner.numbers) if sign == "-" else inner
            case ex.Binary(sign, left, right):
                a, b = self._operands(sign, left, right)
                return _apply(ARITHMETIC[sign], a, b)
            case ex.Call("if_else", arguments):
                return _apply(_numeric.where, *map(self.value, arguments))
            case ex.Call("softmax", (argument,)):
                return _softmax(self.vector(argument))
            case ex.Call(function, arguments) if function in _ELEMENTWISE:
                return _apply(getattr(_numeric, function), *map(self.value, arguments))
            case ex.Reduction(kind, body, plates):
                return self._reduced(kind, self.value(body), plates)
            case ex.Vector(items):
                parts = [self.value(i) for i in items]
                axes = tuple(dict.fromkeys(a for p in parts for a in p.axes))
                rows = np.broadcast_arrays(*(p.on(axes) for p in parts))
                return Value(np.stack(rows, axis=-1), (*axes, PLAIN))
            case _:
                raise NoTable(f"a table cannot be made from `{tree}`")

    def refuse_large(self, tree: ex.Expression, width: int) -> None:
        """Say how much memory the table of a tree takes, where it is more than a quarter of what is free."""
        parents, done = set[str](), set[str]()
        waiting = [tree]
        while waiting:
            for reference in ex.references(waiting.pop()):
                if reference.name in self.labels:
                    parents.add(reference.name)
                elif reference.name not in done and reference.name in self.dag.nodes:
                    done.add(reference.name)
                    waiting.extend(
                        t for s in self.dag.nodes[reference.name].statements for t in expressions(s)
                    )
        size = 8 * width * math.prod(len(self.labels[p]) for p in parents)
        if size <= SMALL:
            return
        free = available()
        if size > (LARGE if free is None else free / 4):
            there = "" if free is None else f", and {size_text(free)} are free"
            told = f"its table has {len(parents)} parents and takes {size_text(size)}{there}"
            raise NoTable(told, hint="let nodes between sum up some of the parents")

    def vector(self, tree: ex.Expression) -> Value:
        """A tree with one entry a level of a plate, whose axis stands last."""
        value = self.value(tree)
        own = [a for a in value.axes if a not in self.labels]
        if len(own) != 1:
            raise NoTable(f"`{tree}` is no vector of probabilities or scores")
        axes = (*(a for a in value.axes if a in self.labels), own[0])
        return Value(value.on(axes), axes)

    def levels(self, plate: str) -> tuple[ex.Label, ...]:
        """The stated levels of a plate."""
        found = self.dag.plate[self.dag.base(plate)].levels
        if found is None:
            raise NoTable(
                f"plate '{plate}' states no levels", node=plate, hint=f'write `plate {plate} = "yes", "no"`'
            )
        return found

    def _reference(self, tree: ex.Reference) -> Value:
        name = tree.name
        if name in self.labels:
            if name not in self.numeric:
                raise NoTable(f"`{name}` has states and is no number", node=name, hint="compare it: x == 1")
            return Value(np.arange(2.0), (name,))
        if name not in self.known:
            self.known[name] = self._stated(name)
        return self._indexed(tree, self.known[name])

    def _stated(self, name: str) -> Value:
        """A constant or deterministic node: its plates are the first axes."""
        node = self.dag.nodes[name]
        parts: list[tuple[tuple[slice | int, ...], Value]] = []
        for statement in node.statements:
            match statement:
                case Constant(value=literal):
                    return Value(_array(literal), node.plates)
                case Deterministic(head=head, expression=inner):
                    parts.append((self._place(head), self.value(inner)))
                case _:
                    hint = "state it: `constant a = 1`"
                    raise NoTable(f"`{name}` has no stated numbers", node=name, hint=hint)
        if not node.plates:
            return parts[0][1]
        rest = tuple(dict.fromkeys(a for _, v in parts for a in v.axes if a not in node.plates))
        shape = [len(self.levels(p)) for p in node.plates]
        lengths = [len(self.labels[a]) for a in rest]
        found = np.full((*shape, *lengths), np.nan)
        for place, value in parts:  # the most general statement comes first
            whole = np.broadcast_to(value.on((*node.plates, *rest)), found.shape)
            found[place] = whole[place]
        return Value(found, (*node.plates, *rest))

    def _place(self, head: Head) -> tuple[slice | int, ...]:
        """Which elements a head names."""
        place: list[slice | int] = []
        for slot in head.slots:
            if slot.first:
                raise NoTable(f"`{head.name}` goes along an ordered plate", node=head.name)
            known = slot.label is not None
            place.append(self.levels(str(slot.plate)).index(slot.label) if known else slice(None))
        return tuple(place)

    def _indexed(self, tree: ex.Reference, value: Value) -> Value:
        """The elements that the indices pick; a plate stays an axis, by the name written."""
        axes = list(value.axes)
        for axis, index in enumerate(tree.indices or ()):
            own = value.axes[axis]
            match index:
                case ex.PlateIndex(plate):
                    axes[axis] = plate
                case ex.LevelIndex(label):
                    at = self.levels(own).index(label)
                    value = replace(value, numbers=np.take(value.numbers, [at], axis=axis))
                    axes[axis] = ""
                case ex.NodeIndex(ex.Reference(name=node)) if node in self.labels:
                    axes[axis] = node  # the node's states are the plate's levels, in their order
                case _:
                    raise NoTable(f"`{tree}` cannot stand in a table", node=tree.name)
        gone = tuple(k for k, a in enumerate(axes) if not a)
        if len({*axes} - {""}) < len(axes) - len(gone):
            raise NoTable(f"`{tree}` takes one index twice", node=tree.name)
        return Value(np.squeeze(value.numbers, axis=gone), tuple(a for a in axes if a))

    def _operands(self, sign: str, left: ex.Expression, right: ex.Expression) -> tuple[Value, Value]:
        if sign not in ("==", "!="):
            return self.value(left), self.value(right)
        plate = next((p for p in map(self._plate, (left, right)) if p is not None), None)
        if plate is None:
            return self.value(left), self.value(right)
        return self._codes(left, plate), self._codes(right, plate)

    def _plate(self, tree: ex.Expression) -> str | None:
        """The plate whose elements an operand of a comparison names, if it names any."""
        if not isinstance(tree, ex.Reference):
            return None
        if tree.name in self.labels:
            return self.dag.nodes[tree.name].values_in
        return tree.name if tree.name in self.dag.plate else None

    def _codes(self, tree: ex.Expression, plate: str) -> Value:
        levels = self.levels(plate)
        match tree:
            case ex.Text(label):
                return Value(np.asarray(float(levels.index(label))))
            case ex.Number(label) if label in levels:
                return Value(np.asarray(float(levels.index(int(label)))))
            case ex.Reference(name=name):
                return Value(np.arange(float(len(levels))), (name,))
            case _:
                raise NoTable(f"`{tree}` is compared with an element of '{plate}'")

    def _reduced(self, kind: str, body: Value, plates: Sequence[str]) -> Value:
        lacking = [p for p in plates if p not in body.axes]
        shape = [len(self.levels(p)) for p in lacking]
        numbers = np.broadcast_to(body.numbers, (*shape, *body.numbers.shape))
        axes = (*lacking, *body.axes)
        over = tuple(k for k, a in enumerate(axes) if a in plates)
        found = _REDUCE[kind](numbers, axis=over)
        return Value(np.asarray(found), tuple(a for a in axes if a not in plates))


def _apply(function: Callable[..., Any], *values: Value) -> Value:
    axes = tuple(dict.fromkeys(a for v in values for a in v.axes))
    with np.errstate(all="ignore"):  # what is no probability is refused where the table is made
        found = function(*(v.on(axes) for v in values))
    return Value(np.asarray(found, dtype=float), axes)


def _softmax(value: Value) -> Value:
    """Along the last axis."""
    shifted = np.exp(value.numbers - value.numbers.max(axis=-1, keepdims=True))
    return replace(value, numbers=shifted / shifted.sum(axis=-1, keepdims=True))


def _array(literal: Literal) -> Floats:
    return np.asarray(literal, dtype=float)
