"""A naive interpreter of deterministic nodes: one element at a time, plain Python numbers.

It shares nothing with the tape: no vectors, no folding, no row tables.  An environment says which
element each bound plate is at; an index looks its element up there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic, Slot

FUNCTIONS: dict[str, Any] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
    "arctan": math.atan,
    "tanh": math.tanh,
    "lgamma": math.lgamma,
    "floor": math.floor,
    "min": min,
    "max": max,
    "logit": lambda p: math.log(p / (1 - p)),
    "expit": lambda x: 1 / (1 + math.exp(-x)),
    "cloglog": lambda p: math.log(-math.log(1 - p)),
    "icloglog": lambda x: 1 - math.exp(-math.exp(x)),
    "Phi": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
}
ARITHMETIC: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
}
Env = dict[str, int]


class Naive:
    """Values of a problem's nodes from given numbers of its unknowns (flat arrays by name)."""

    def __init__(self, problem: Problem, values: dict[str, Any]) -> None:
        self.problem = problem
        self.values = values

    def node(self, name: str) -> Any:
        """All elements of a node, flat in the order of its plates."""
        plates = self.problem.graph.nodes[name].plates
        shape = [self.problem.plates[p].size for p in plates]
        return np.array([self.element(name, at) for at in itertools.product(*map(range, shape))])

    def element(self, name: str, at: tuple[int, ...]) -> float:
        """One element of a node."""
        node = self.problem.graph.nodes[name]
        if node.kind == "deterministic":
            statement = self._statement(name, at)
            env: Env = {}
            for plate, code in zip(node.plates, at, strict=True):
                self._bind(env, plate, code)
            return self.value(statement.expression, env, node.plates)
        shape = tuple(self.problem.plates[p].size for p in node.plates)
        held = self.problem.values.get(name)
        held = np.asarray(self.values[name] if held is None else held).reshape(shape)
        return float(held[at])

    def _statement(self, name: str, at: tuple[int, ...]) -> Deterministic:
        node = self.problem.graph.nodes[name]
        best, most = None, -1
        for statement in node.statements:
            assert isinstance(statement, Deterministic)
            slots = statement.head.slots
            named = sum(s.label is not None or s.first > 0 for s in slots)
            fits = (self._fits(p, s, c) for p, s, c in zip(node.plates, slots, at, strict=True))
            if named > most and all(fits):
                best, most = statement, named
        assert best is not None
        return best

    def _fits(self, plate: str, slot: Slot, code: int) -> bool:
        if slot.label is not None:
            return self.level(plate, slot.label) == code
        return not slot.first or self.rank(plate, code) < slot.first

    def level(self, plate: str, label: Any) -> int:
        """Element with that label."""
        return [str(v) for v in self.problem.plates[plate].levels].index(str(label))

    def rank(self, plate: str, code: int) -> int:
        """Position in the chain, from 0."""
        order, found = self.problem.plates[plate].order, 0
        assert order is not None
        while order[code] >= 0:
            code, found = int(order[code]), found + 1
        return found

    def _bind(self, env: Env, plate: str, code: int) -> None:
        env[plate] = code
        for parent, map_ in self.problem.plates[plate].parents.items():
            if parent not in env:
                self._bind(env, parent, int(map_[code]))

    def value(self, tree: ex.Expression, env: Env, head: tuple[str, ...]) -> float:
        """The value of a tree where the plates stand as env says; head: the plates of the statement."""
        match tree:
            case ex.Number(number):
                return float(number)
            case ex.Reference(name, indices) if name in self.problem.graph.nodes:
                return self.element(name, self._codes(name, indices or (), env))
            case ex.Reference(name, _):
                return float(env[name])
            case ex.Unary(operator, operand):
                inner = self.value(operand, env, head)
                return -inner if operator == "-" else inner
            case ex.Binary(operator, left, right):
                return self._binary(operator, left, right, env, head)
            case ex.Call("if_else", (test, yes, no)):
                return self.value(yes if self.value(test, env, head) else no, env, head)
            case ex.Call("probit", (p,)):
                from statistics import NormalDist

                return NormalDist().inv_cdf(self.value(p, env, head))
            case ex.Call("softmax", (argument,)):
                axis = head[-1]
                levels = range(self.problem.plates[axis].size)
                scores = [self.value(argument, {**env, axis: k}, head) for k in levels]
                return math.exp(scores[env[axis]]) / sum(map(math.exp, scores))
            case ex.Call("inverse", (argument,)):
                a, b = head[-2:]
                k = self.problem.plates[a].size
                matrix = [
                    [self.value(argument, {**env, a: i, b: j}, head) for j in range(k)] for i in range(k)
                ]
                return float(np.linalg.inv(np.array(matrix))[env[a], env[b]])
            case ex.Call(function, arguments):
                return float(FUNCTIONS[function](*(self.value(a, env, head) for a in arguments)))
            case ex.Reduction(kind, body, plates):
                terms = [self.value(body, inner, head) for inner in self._elements(plates, env)]
                if kind == "prod":
                    return math.prod(terms)
                return sum(terms) / (len(terms) if kind == "mean" else 1)
        raise AssertionError(tree)

    def _elements(self, plates: tuple[str, ...], env: Env) -> Iterator[Env]:
        """Every binding of the plates that agrees with what is bound."""
        if not plates:
            yield env
            return
        for code in range(self.problem.plates[plates[0]].size):
            own: Env = {}
            self._bind(own, plates[0], code)
            if all(env.get(p, c) == c for p, c in own.items()):
                yield from self._elements(plates[1:], {**own, **env})

    def _binary(self, operator: str, left: Any, right: Any, env: Env, head: tuple[str, ...]) -> float:
        plates = [self._plate_of(side) for side in (left, right)]
        plate = plates[0] or plates[1]
        if plate is None or operator not in ("==", "!=", "<", "<=", ">", ">="):
            return ARITHMETIC[operator](self.value(left, env, head), self.value(right, env, head))
        pair = []
        for side, own in zip((left, right), plates, strict=True):
            if own is None:
                label = side.value if isinstance(side, ex.Number | ex.Text) else -side.operand.value
                pair.append(self.level(plate, label))
            else:
                pair.append(int(self.value(side, env, head)))
        if operator not in ("==", "!="):
            pair = [self.rank(plate, code) for code in pair]
        return ARITHMETIC[operator](*pair)

    def _plate_of(self, tree: ex.Expression) -> str | None:
        if not isinstance(tree, ex.Reference):
            return None
        if tree.name in self.problem.graph.nodes:
            return self.problem.graph.nodes[tree.name].values_in
        return tree.name

    def _codes(self, name: str, indices: tuple[ex.Index, ...], env: Env) -> tuple[int, ...]:
        found = []
        for plate, index in zip(self.problem.graph.nodes[name].plates, indices, strict=True):
            match index:
                case ex.PlateIndex(at):
                    found.append(env[at])
                case ex.LagIndex(at, lag):
                    code = env[at]
                    for _ in range(lag):
                        order = self.problem.plates[plate].order
                        assert order is not None
                        code = int(order[code])
                    assert code >= 0
                    found.append(code)
                case ex.LevelIndex(label):
                    found.append(self.level(plate, label))
                case ex.NodeIndex(reference):
                    inner = self._codes(reference.name, reference.indices or (), env)
                    found.append(int(self.element(reference.name, inner)))
        return tuple(found)
