"""Linear equality constraints solved: some parameters as functions of the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dagmodels.errors import ModelError
from dagmodels.graph import calculus
from dagmodels.graph import expression as ex
from dagmodels.readers.lavaan.rows import Row

SMALL = 1e-12  # of a coefficient beside the largest of its equation


@dataclass(slots=True)
class Form:
    """`constant` + the sum of coefficient*parameter, by the number of the parameter."""

    terms: dict[int, float] = field(default_factory=dict[int, float])
    constant: float = 0.0

    def plus(self, other: Form, factor: float = 1.0) -> Form:
        terms = dict(self.terms)
        for number, coefficient in other.terms.items():
            terms[number] = terms.get(number, 0.0) + factor * coefficient
        return Form({n: c for n, c in terms.items() if c != 0.0}, self.constant + factor * other.constant)

    def times(self, factor: float) -> Form:
        return Form({n: factor * c for n, c in self.terms.items()}, factor * self.constant)


Meaning = Callable[[str], "Form | ex.Expression | None"]


def form(tree: ex.Expression, meaning: Meaning) -> Form | None:
    """The tree as a linear form, None where it is not linear; `meaning` tells what a name stands for."""
    match tree:
        case ex.Number(value):
            return Form(constant=float(value))
        case ex.Reference(name, _):
            found = meaning(name)
            return found if isinstance(found, Form) or found is None else form(found, meaning)
        case ex.Unary(op, operand):
            inner = form(operand, meaning)
            return inner if inner is None or op == "+" else inner.times(-1.0)
        case ex.Binary(op, left, right):
            return _binary(op, form(left, meaning), form(right, meaning))
        case ex.Call(function, (argument,)):
            inner = form(argument, meaning)
            if inner is None or inner.terms:
                return None
            return Form(constant=calculus.number(ex.Call(function, (ex.as_expression(inner.constant),)), {}))
        case _:
            return None


def _binary(op: str, left: Form | None, right: Form | None) -> Form | None:
    if left is None or right is None:
        return None
    if op in "+-":
        return left.plus(right, 1.0 if op == "+" else -1.0)
    if op == "*":
        if right.terms and left.terms:
            return None
        return left.times(right.constant) if left.terms else right.times(left.constant)
    if right.terms:
        return None
    if op == "/":
        return left.times(1.0 / right.constant) if right.constant else None
    if left.terms:
        return left if right.constant == 1.0 else None
    power = ex.Binary("**", ex.as_expression(left.constant), ex.as_expression(right.constant))
    return Form(constant=calculus.number(power, {}))


@dataclass(frozen=True, slots=True)
class Solved:
    """The pivots as forms in parameters that are none, rows solved so, and rows that say nothing new."""

    pivots: Mapping[int, Form]
    rows: frozenset[int]
    redundant: frozenset[int]


def solve(rows: Sequence[Row], meaning: Meaning, faults: list[ModelError]) -> Solved:
    """Gauss-Jordan over the linear rows; a parameter that stands alone on the left is preferred as pivot."""
    pivots: dict[int, Form] = {}
    solved: set[int] = set()
    redundant: set[int] = set()
    for row in rows:
        if row.left is None or row.right is None:
            continue
        left, right = form(row.left, meaning), form(row.right, meaning)
        if left is None or right is None:
            continue
        if not all(
            map(math.isfinite, (left.constant, right.constant, *left.terms.values(), *right.terms.values()))
        ):
            message = f"'{row.lhs} == {row.rhs}' has no finite value."
            faults.append(ModelError(message, hint="write finite numbers", line=row.line or None))
            continue
        equation = _substituted(left.plus(right, -1.0), pivots)
        size = max((abs(c) for c in (*left.terms.values(), *right.terms.values())), default=1.0)
        equation = Form({n: c for n, c in equation.terms.items() if abs(c) > SMALL * size}, equation.constant)
        if not equation.terms:
            if abs(equation.constant) > 1e-9 * max(1.0, abs(right.constant)):
                message = f"'{row.lhs} == {row.rhs}' contradicts the other constraints or fixed values."
                faults.append(ModelError(message, hint="remove one of them", line=row.line or None))
            redundant.add(row.id)
            continue
        alone = next(iter(left.terms)) if len(left.terms) == 1 else None
        pivot = alone if alone in equation.terms else next(iter(equation.terms))
        coefficient = equation.terms.pop(pivot)
        made = equation.times(-1.0 / coefficient)
        pivots = {n: _substituted(f, {pivot: made}) for n, f in pivots.items()}
        pivots[pivot] = made
        solved.add(row.id)
    return Solved(pivots, frozenset(solved), frozenset(redundant))


def _substituted(given: Form, pivots: Mapping[int, Form]) -> Form:
    found = Form(constant=given.constant)
    for number, coefficient in given.terms.items():
        found = found.plus(pivots.get(number) or Form({number: 1.0}), coefficient)
    return found
