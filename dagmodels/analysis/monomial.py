"""Is a tree a number times a power of one element of a node? What conjugate pairs ask of a parameter."""

from __future__ import annotations

from dataclasses import dataclass

from dagmodels.analysis.linearity import ONE, depends, times
from dagmodels.analysis.reach import Reach
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic


@dataclass(frozen=True, slots=True)
class Monomial:
    """coefficient * reference**power; a power of zero has no reference."""

    coefficient: ex.Expression
    reference: ex.Reference | None = None
    power: float = 0.0


def monomial(reach: Reach, tree: ex.Expression, name: str) -> Monomial | None:
    """The tree as a number free of the node times a power of one of its elements; None where it is not.

    Deterministic nodes on the way are looked through where they are read at their own place.
    """
    return _Reader(reach, name).product(tree)


class _Reader:
    """Walks a tree; `reach` tells which deterministic nodes depend on the node."""

    def __init__(self, reach: Reach, name: str) -> None:
        self.dag = reach.dag
        self.reach = reach
        self.name = name

    def product(self, tree: ex.Expression) -> Monomial | None:
        """See `monomial`."""
        if self.name not in self.reach.of(tree):
            return Monomial(tree)
        match tree:
            case ex.Reference(name, _) if name == self.name:
                return None if _inside_an_index(tree, name) else Monomial(ONE, tree, 1.0)
            case ex.Reference():
                inner = self._definition(tree)
                return None if inner is None else self.product(inner)
            case ex.Unary("+", operand):
                return self.product(operand)
            case ex.Unary("-", operand):
                return _scaled(self.product(operand), ex.Unary("-", ONE))
            case ex.Binary("*", left, right):
                return _times(self.product(left), self.product(right))
            case ex.Binary("/", left, right):
                return _times(self.product(left), _raised(self.product(right), -1.0))
            case ex.Binary("**", base, exponent):
                number = _number(exponent)
                return None if number is None else _raised(self.product(base), number)
            case ex.Call("sqrt", (inner,)):
                return _raised(self.product(inner), 0.5)
            case ex.Call("exp", (inner,)):
                return self.exponential(inner)
            case ex.Call("expit", (ex.Call("logit", (inner,)),)):
                return self.product(inner)
            case ex.Call("if_else", (test, yes, no)) if self.name not in self.reach.of(test):
                return _either(test, self.product(yes), self.product(no))
            case _:
                return None

    def exponential(self, tree: ex.Expression) -> Monomial | None:
        """exp(tree): sums of what is free of the node and of multiples of a logarithm."""
        if self.name not in self.reach.of(tree):
            return Monomial(ex.Call("exp", (tree,)))
        match tree:
            case ex.Reference():
                inner = self._definition(tree)
                return None if inner is None else self.exponential(inner)
            case ex.Unary(sign, operand):
                return _raised(self.exponential(operand), -1.0 if sign == "-" else 1.0)
            case ex.Binary("+", left, right):
                return _times(self.exponential(left), self.exponential(right))
            case ex.Binary("-", left, right):
                return _times(self.exponential(left), _raised(self.exponential(right), -1.0))
            case ex.Binary("*", left, right):
                factor, inner = (left, right) if _number(left) is not None else (right, left)
                number = _number(factor)
                return None if number is None else _raised(self.exponential(inner), number)
            case ex.Call("log", (inner,)):
                return self.product(inner)
            case _:
                return None

    def _definition(self, reference: ex.Reference) -> ex.Expression | None:
        """What a deterministic node is equal to where it is read; None elsewhere than at its own place."""
        node = self.dag.nodes.get(reference.name)
        if node is None or node.kind != "deterministic" or len(node.statements) != 1:
            return None
        (statement,) = node.statements
        if not isinstance(statement, Deterministic):
            return None
        own = tuple(ex.PlateIndex(s.plate) for s in statement.head.slots if s.plate and s.label is None)
        return statement.expression if own == (reference.indices or ()) else None


def complement(reach: Reach, tree: ex.Expression, name: str) -> ex.Expression | None:
    """x of a tree 1 - x that depends on a node."""
    match tree:
        case ex.Binary("-", ex.Number(1), right) if name in reach.of(right):
            return right
        case _:
            return None


def _inside_an_index(reference: ex.Reference, name: str) -> bool:
    inside = (i.reference for i in reference.indices or () if isinstance(i, ex.NodeIndex))
    return any(depends(r, {name}) for r in inside)


def _number(tree: ex.Expression) -> float | None:
    match tree:
        case ex.Number(value):
            return float(value)
        case ex.Unary(sign, operand):
            inner = _number(operand)
            return None if inner is None else (-inner if sign == "-" else inner)
        case ex.Binary("/", left, right):
            a, b = _number(left), _number(right)
            return None if a is None or not b else a / b
        case _:
            return None


def _times(left: Monomial | None, right: Monomial | None) -> Monomial | None:
    if left is None or right is None:
        return None
    reference = right.reference if left.reference is None else left.reference
    if right.reference is not None and right.reference != reference:
        return None
    power = left.power + right.power
    return Monomial(times(left.coefficient, right.coefficient), reference if power else None, power)


def _raised(x: Monomial | None, power: float) -> Monomial | None:
    if x is None:
        return None
    if x.coefficient == ONE or power == 1.0:
        coefficient = x.coefficient
    elif power == -1.0:
        coefficient = ex.Binary("/", ONE, x.coefficient)
    else:
        coefficient = ex.Binary("**", x.coefficient, ex.Number(power))
    return Monomial(coefficient, x.reference, power * x.power)


def _scaled(x: Monomial | None, factor: ex.Expression) -> Monomial | None:
    return None if x is None else Monomial(times(factor, x.coefficient), x.reference, x.power)


def _either(test: ex.Expression, yes: Monomial | None, no: Monomial | None) -> Monomial | None:
    if yes is None or no is None or (yes.reference, yes.power) != (no.reference, no.power):
        return None
    return Monomial(ex.Call("if_else", (test, yes.coefficient, no.coefficient)), yes.reference, yes.power)


__all__ = ["Monomial", "complement", "monomial"]
