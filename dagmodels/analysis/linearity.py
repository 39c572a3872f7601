"""Is a tree linear in some nodes, and with which coefficients?"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

from dagmodels.graph.expression import (
    Binary,
    Call,
    Expression,
    NodeIndex,
    Number,
    Reduction,
    Reference,
    Unary,
    Vector,
    references,
)

ZERO = Number(0)
ONE = Number(1)


@dataclass(frozen=True, slots=True)
class Term:
    """coefficient * reference, summed over `plates` (those of enclosing sums)."""

    coefficient: Expression
    reference: Reference
    plates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinearForm:
    """offset + sum of terms; the offset and all coefficients are free of the names asked for."""

    offset: Expression
    terms: tuple[Term, ...]


def depends(tree: Expression, names: Set[str]) -> bool:
    """Whether any of the names occurs in the tree, inside indices too."""
    return not _named(tree).isdisjoint(names)


@lru_cache(maxsize=4096)
def _named(tree: Expression) -> frozenset[str]:
    """Names in a tree; kept, because the same trees of a graph are asked about again and again."""
    return frozenset(r.name for r in references(tree))


def plus(left: Expression, right: Expression) -> Expression:
    """left + right without needless zeros."""
    if left == ZERO:
        return right
    return left if right == ZERO else Binary("+", left, right)


def times(left: Expression, right: Expression) -> Expression:
    """left * right without needless ones and zeros."""
    if ZERO in (left, right):
        return ZERO
    if left == ONE:
        return right
    return left if right == ONE else Binary("*", left, right)


def linear_form(tree: Expression, names: Set[str]) -> LinearForm | None:
    """Split a scalar tree into coefficients of references to `names` and an offset.

    Returns None where the tree is not linear in them: a product or ratio of two, a function of one,
    or an index that is one of them.
    """
    return _linear_form(tree, frozenset(names))


@lru_cache(maxsize=4096)
def _linear_form(tree: Expression, names: frozenset[str]) -> LinearForm | None:
    if not depends(tree, names):
        return LinearForm(tree, ())
    match tree:
        case Reference(_, indices):
            inside = (i.reference for i in indices or () if isinstance(i, NodeIndex))
            if any(depends(r, names) for r in inside):
                return None
            return LinearForm(ZERO, (Term(ONE, tree),))
        case Unary(operator, operand):
            form = linear_form(operand, names)
            return form if form is None or operator == "+" else _scaled(form, Unary("-", ONE))
        case Binary("+" | "-" as operator, left, right):
            return _sum(linear_form(left, names), linear_form(right, names), operator)
        case Binary("*", left, right):
            if depends(left, names) and depends(right, names):
                return None
            inner, factor = (left, right) if depends(left, names) else (right, left)
            form = linear_form(inner, names)
            return None if form is None else _scaled(form, factor)
        case Binary("/", left, right):
            if depends(right, names):
                return None
            form = linear_form(left, names)
            return None if form is None else _scaled(form, Binary("/", ONE, right))
        case Reduction(kind, body, plates) if kind in ("sum", "mean"):
            return _reduced(linear_form(body, names), kind, plates)
        case Call("if_else", (test, yes, no)):
            if depends(test, names):
                return None
            chosen, other = linear_form(yes, names), linear_form(no, names)
            if chosen is None or other is None:
                return None
            first = _scaled(chosen, Call("if_else", (test, ONE, ZERO)))
            second = _scaled(other, Call("if_else", (test, ZERO, ONE)))
            return _sum(first, second, "+")
        case Vector():
            return None
        case _:
            return None


def _scaled(form: LinearForm, factor: Expression) -> LinearForm:
    terms = tuple(Term(times(factor, t.coefficient), t.reference, t.plates) for t in form.terms)
    return LinearForm(times(factor, form.offset), terms)


def _sum(left: LinearForm | None, right: LinearForm | None, operator: str) -> LinearForm | None:
    if left is None or right is None:
        return None
    if operator == "-":
        right = _scaled(right, Unary("-", ONE))
    return LinearForm(plus(left.offset, right.offset), left.terms + right.terms)


def _reduced(form: LinearForm | None, kind: str, plates: tuple[str, ...]) -> LinearForm | None:
    if form is None:
        return None
    offset = form.offset if form.offset == ZERO else Reduction(kind, form.offset, plates)
    share = Binary("/", ONE, Reduction("sum", ONE, plates)) if kind == "mean" else ONE
    terms = tuple(Term(times(share, t.coefficient), t.reference, (*plates, *t.plates)) for t in form.terms)
    return LinearForm(offset, terms)
