"""Relations: the statements of a text with the loops around them, and the elements that each defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.numbers import NotFixed, Values, along
from dagmodels.readers.bugs.tokens import Source

Ints = NDArray[np.int64]
MAX_ROWS = 20_000_000


@dataclass(frozen=True, eq=False, slots=True)
class Relation:
    """One `~` or `<-` with its loops.

    loops : outer ones first; `ranges` their bounds (first, last), None where they depend on other loops.
    rows : the values of every loop variable, one entry for each time the statement holds; `n` such times.
    """

    statement: sx.Draw | sx.Assign
    loops: tuple[sx.Loop, ...] = ()
    ranges: tuple[tuple[int, int] | None, ...] = ()
    rows: Mapping[str, Ints] = field(default_factory=dict)
    n: int = 1

    @property
    def target(self) -> sx.Var:
        return self.statement.target

    @property
    def at(self) -> int:
        return self.statement.target.at

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(loop.variable for loop in self.loops)


def flat(statements: Iterable[sx.Statement], loops: tuple[sx.Loop, ...] = ()) -> Iterator[Relation]:
    """Every `~` and `<-` with its loops, rows not yet counted."""
    for statement in statements:
        if isinstance(statement, sx.Loop):
            yield from flat(statement.body, (*loops, statement))
        else:
            yield Relation(statement, loops)


def check_loops(relations: Sequence[Relation], source: Source) -> None:
    """A loop variable is used once at a time, and never as a node."""
    nodes = {r.target.name for r in relations}
    for relation in relations:
        seen: set[str] = set()
        for loop in relation.loops:
            if loop.variable in seen:
                told = f"The loop over {loop.variable} stands inside another loop over {loop.variable}."
                source.fault(told, "give the inner one another variable", loop.at)
            elif loop.variable in nodes:
                told = f"'{loop.variable}' is a loop's variable and a node."
                source.fault(told, "rename one of them", loop.at)
            seen.add(loop.variable)


def counted(relation: Relation, known: Values, source: Source) -> Relation | None:
    """The relation with its rows; None where a bound is not known, which is told."""
    rows: dict[str, Ints] = {}
    ranges: list[tuple[int, int] | None] = []
    n = 1
    for loop in relation.loops:
        try:
            low, high = (_bound(e, known, rows, n) for e in (loop.low, loop.high))
        except NotFixed as error:
            hint = "bounds of loops are numbers of the data"
            source.fault(f"The loop over {loop.variable} has no range: {error}.", hint, error.at)
            return None
        box = n > 0 and bool((low == low[0]).all() and (high == high[0]).all())
        ranges.append((int(low[0]), int(high[0])) if box else None)
        sizes = np.maximum(high - low + 1, 0)
        total = int(sizes.sum())
        if total > MAX_ROWS:
            source.fault(f"The loops define more than {MAX_ROWS} elements.", "check the bounds", loop.at)
            return None
        owner = np.repeat(np.arange(n), sizes)
        inner = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = {v: c[owner] for v, c in rows.items()}
        rows[loop.variable] = low[owner] + inner
        n = total
    return Relation(relation.statement, relation.loops, tuple(ranges), rows, n)


def _bound(tree: sx.Expr, known: Values, rows: Mapping[str, Ints], n: int) -> Ints:
    value = along(tree, known, rows, n)
    if not np.all(value == np.floor(value)):
        raise NotFixed(f"{sx.text(tree)} is no whole number", tree.at)
    return value.astype(np.int64)


def plain(index: sx.Index, loops: Iterable[str]) -> tuple[str, int] | None:
    """(loop variable, offset) of an index such as `i`, `i-1` or `i+2`; else None."""
    match index:
        case sx.Var(name, None) if name in loops:
            return name, 0
        case sx.Op("-" | "+" as op, sx.Var(name, None), sx.Num(value)) if name in loops and value % 1 == 0:
            return name, int(value) if op == "+" else -int(value)
        case sx.Op("+", sx.Num(value), sx.Var(name, None)) if name in loops and value % 1 == 0:
            return name, int(value)
        case _:
            return None


def substituted(tree: sx.Index, values: Mapping[str, int]) -> sx.Index:
    """The tree with numbers in place of loop variables."""
    match tree:
        case sx.Var(name, None, at) if name in values:
            return sx.Num(float(values[name]), at)
        case sx.Var(name, indices, at) if indices is not None:
            return sx.Var(name, tuple(substituted(i, values) for i in indices), at)
        case sx.Span(low, high, at):
            return sx.Span(inside(low, values), inside(high, values), at)
        case sx.Op(op, left, right, at):
            return sx.Op(op, inside(left, values), inside(right, values), at)
        case sx.Neg(operand, at):
            return sx.Neg(inside(operand, values), at)
        case sx.Fn(name, arguments, at):
            return sx.Fn(name, tuple(inside(a, values) for a in arguments), at)
        case _:
            return tree


def shifted(tree: sx.Index, variable: str, offset: int) -> sx.Index:
    """The tree where `variable` has become larger by `offset`: what was `i` is now `i - offset`."""
    found = plain(tree, (variable,))
    if found is not None:
        k = found[1] - offset
        base = sx.Var(variable, None, tree.at)
        return base if k == 0 else sx.Op("+" if k > 0 else "-", base, sx.Num(float(abs(k))), tree.at)
    match tree:
        case sx.Var(name, indices, at) if indices is not None:
            return sx.Var(name, tuple(shifted(i, variable, offset) for i in indices), at)
        case sx.Span(low, high, at):
            return sx.Span(*(shifted(e, variable, offset) for e in (low, high)), at)  # type: ignore[arg-type]
        case sx.Op(op, left, right, at):
            return sx.Op(op, *(shifted(e, variable, offset) for e in (left, right)), at)  # type: ignore[arg-type]
        case sx.Neg(operand, at):
            return sx.Neg(shifted(operand, variable, offset), at)  # type: ignore[arg-type]
        case sx.Fn(name, arguments, at):
            return sx.Fn(name, tuple(shifted(a, variable, offset) for a in arguments), at)  # type: ignore[misc]
        case _:
            return tree


def inside(tree: sx.Expr, values: Mapping[str, int]) -> sx.Expr:
    """`substituted` of an expression, which stays one."""
    new = substituted(tree, values)
    assert not isinstance(new, sx.Span | sx.Whole)
    return new


def changed(statement: sx.Draw | sx.Assign, change) -> sx.Draw | sx.Assign:  # type: ignore[no-untyped-def]
    """The statement with `change` applied to its target and each of its expressions."""
    match statement:
        case sx.Assign(target, value, link, at):
            return sx.Assign(change(target), change(value), link, at)
        case sx.Draw(target, family, arguments, bounds, at):
            new = bounds
            if bounds is not None:
                ends = [None if e is None else change(e) for e in (bounds.low, bounds.high)]
                new = sx.Bounds(bounds.kind, ends[0], ends[1], bounds.at)
            return sx.Draw(change(target), family, tuple(map(change, arguments)), new, at)


def unrolled(relation: Relation) -> list[Relation]:
    """One relation without loops for each time that the statement holds."""
    found: list[Relation] = []
    for k in range(relation.n):
        values = {v: int(c[k]) for v, c in relation.rows.items()}
        found.append(Relation(changed(relation.statement, lambda t, v=values: substituted(t, v))))
    return found
