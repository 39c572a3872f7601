"""Sums, products and nestings of variables -> terms, by the rules of R's `terms`.

`a*b` is a + b + a:b, `a/b` is a + a:b, `(a + b)^2` all products up to two, `- a` takes away, `0` and
`- 1` take the intercept away. Terms come lowest order first, else as written (Chambers and Hastie,
Statistical Models in S, section 2.4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from dagmodels.readers.formula.deparse import deparse
from dagmodels.readers.formula.syntax import Call, Node, Number, Op

Term = tuple[str, ...]
Fault = Callable[[str, str], NoReturn]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sum of terms says.

    intercept : whether there is one.
    terms : each the names of its variables, in the order in which these first appear.
    variables : by name.
    offsets : arguments of `offset(...)`.
    """

    intercept: bool
    terms: tuple[Term, ...]
    variables: tuple[tuple[str, Node], ...]
    offsets: tuple[Node, ...] = ()


class _Sum:
    """Terms in the order they were added; the intercept is kept apart."""

    def __init__(
        self, terms: dict[frozenset[str], None] | None = None, intercept: bool | None = None
    ) -> None:
        self.terms = terms if terms is not None else {}
        self.intercept = intercept


def expand(node: Node | None, fault: Fault, intercept: bool = True) -> Terms:
    """The terms of a tree.

    Parameters
    ----------
    node : None for nothing but the intercept.
    fault : called with (message, hint) for what no sum of terms can hold.
    intercept : whether there is one when the tree says nothing of it.
    """
    work = _Expansion(fault)
    found = work.sum(node) if node is not None else _Sum()
    order = {name: i for i, name in enumerate(work.variables)}
    terms = [tuple(sorted(t, key=order.__getitem__)) for t in found.terms]
    terms.sort(key=len)
    keep = intercept if found.intercept is None else found.intercept
    return Terms(keep, tuple(terms), tuple(work.variables.items()), tuple(work.offsets))


def addends(node: Node) -> list[Node]:
    """The operands of a sum written without brackets, in order."""
    found: list[Node] = []
    while isinstance(node, Op) and node.operator == "+" and len(node.operands) == 2:
        node, last = node.operands
        found.append(last)
    return [node, *reversed(found)]


class _Expansion:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.variables: dict[str, Node] = {}
        self.offsets: list[Node] = []

    def sum(self, node: Node) -> _Sum:
        match node:
            case Number(1):
                return _Sum(intercept=True)
            case Number(0):
                return _Sum(intercept=False)
            case Op("(", (inner,)) | Op("+", (inner,)):
                return self.sum(inner)
            case Op("-", (inner,)):
                return self._minus(_Sum(), inner)
            case Op("+"):
                first, *others = addends(node)
                found = self.sum(first)
                for other in others:
                    found = self._plus(found, self.sum(other))
                return found
            case Op("-", (left, right)):
                return self._minus(self.sum(left), right)
            case Op("*", (left, right)):
                a, b = self.sum(left), self.sum(right)
                product = self._times(a, b)
                return self._plus(self._plus(a, b), product)
            case Op(":", (left, right)) | Op("%in%", (left, right)):
                return self._times(self.sum(left), self.sum(right))
            case Op("/", (left, right)):
                a, b = self.sum(left), self.sum(right)
                whole: frozenset[str] = frozenset().union(*a.terms)
                return self._plus(a, _Sum({whole | t: None for t in b.terms}))
            case Op("^", (base, Number(power))) if isinstance(power, int) and 1 <= power <= 20:
                a, found = self.sum(base), self.sum(base)
                for _ in range(power - 1):
                    found = self._plus(found, self._times(found, a))
                return found
            case Call("offset", ((_, inner),)):
                self.offsets.append(inner)
                return _Sum()
            case Number() | Op():
                self.fault(
                    f"'{deparse(node)}' is no term", f"arithmetic goes into I(), as in I({deparse(node)})"
                )
        name = deparse(node)
        if name == ".":
            self.fault("'.' for all other columns is not supported", "name the columns")
        self.variables.setdefault(name, node)
        return _Sum({frozenset((name,)): None})

    def _plus(self, a: _Sum, b: _Sum) -> _Sum:
        """`a + b`; `a` is used up."""
        a.terms.update(b.terms)
        return _Sum(a.terms, a.intercept if b.intercept is None else b.intercept)

    def _minus(self, a: _Sum, right: Node) -> _Sum:
        match right:
            case Number(1):
                return _Sum(a.terms, intercept=False)
            case Number(0):
                return _Sum(a.terms, intercept=True)
        gone = self.sum(right)
        kept = {t: None for t in a.terms if t not in gone.terms}
        return _Sum(kept, a.intercept if gone.intercept is None else not gone.intercept)

    def _times(self, a: _Sum, b: _Sum) -> _Sum:
        return _Sum({s | t: None for s in a.terms for t in b.terms})
