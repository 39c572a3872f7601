"""Sums and products as a model's text would have them."""

from __future__ import annotations

from collections.abc import Sequence

from dagmodels.graph import expression as ex

LONG = 30  # a longer sum is written balanced, so that no tree is deep
Term = tuple[ex.Expression | None, ex.Expression]  # coefficient (None: one) and what it multiplies


def number(value: float) -> ex.Expression:
    """A literal; whole numbers without a point."""
    whole = int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)
    return ex.Unary("-", ex.Number(-whole)) if whole < 0 else ex.Number(whole)


def times(coefficient: ex.Expression | None, other: ex.Expression) -> ex.Expression:
    """`coefficient*other`; without a factor of one."""
    value = None if coefficient is None else ex.literal(coefficient)
    if coefficient is None or value == 1.0:
        return other
    if ex.literal(other) == 1.0:
        return coefficient
    return ex.Binary("*", coefficient, other)


def total(terms: Sequence[Term]) -> ex.Expression:
    """The sum of the products; 0 where there is none. A negative literal is subtracted."""
    if not terms:
        return ex.Number(0)
    if len(terms) > LONG:
        half = len(terms) // 2
        return ex.Binary("+", total(terms[:half]), total(terms[half:]))
    found: ex.Expression | None = None
    for coefficient, other in terms:
        sign, product = _signed(coefficient, other)
        if found is not None:
            found = ex.Binary(sign, found, product)
        elif sign == "+":
            found = product
        else:
            found = _negative(product)
    assert found is not None
    return found


def _negative(product: ex.Expression) -> ex.Expression:
    """Minus a product, as its text is read: the sign belongs to the first factor."""
    match product:
        case ex.Binary("*", left, right):
            return ex.Binary("*", _negative(left), right)
        case _:
            return ex.Unary("-", product)


def _signed(coefficient: ex.Expression | None, other: ex.Expression) -> tuple[str, ex.Expression]:
    """A product without its sign, and the sign."""
    match coefficient, other:
        case ex.Unary("-", operand), _:
            return "-", times(operand, other)
        case None, ex.Unary("-", operand):
            return "-", operand
        case _:
            return "+", times(coefficient, other)


def root(variance: ex.Expression) -> ex.Expression:
    """The standard deviation."""
    return variance if ex.literal(variance) == 1.0 else ex.Call("sqrt", (variance,))
