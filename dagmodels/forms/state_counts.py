"""Sums over many discrete unknowns, counted one after the other.

A law that reads `sum(z[i] for i)` reads all of z at once. Running sums are unknowns too, whose values the one
before and the next summand fix; with them every table holds three of them. Where laws only ask whether a sum
exceeds a number, running sums stop there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import Cells, cells
from dagmodels.forms.lower import expand
from dagmodels.forms.sites import Site
from dagmodels.forms.state_tables import Reading, Table, readings
from dagmodels.forms.states import Expanded, StateTrees
from dagmodels.forms.touches import touches
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import expressions
from dagmodels.graph.statement import Deterministic, Distribution, Head, Slot, Stochastic
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEW = 256  # joint states of what a sum reads, up to which it is not counted


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A summand: the elements that it reads, their states, and its value in each joint state."""

    elements: tuple[int, ...]
    counts: tuple[int, ...]
    values: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Count:
    """Sums that are counted: terms and known part of each element of the node, and the states of a sum."""

    terms: tuple[tuple[Term, ...], ...]
    start: Ints
    states: int


def counts(trees: StateTrees) -> dict[str, Count]:
    """Deterministic nodes to count: sums of whole numbers over many unknowns that some law reads."""
    lowering, problem = trees.states, trees.problem
    dag = problem.graph
    found: dict[str, Count] = {}
    for name in dag.order:
        if name not in lowering.dependent or not _is_read(problem, name):
            continue
        shares = cells(problem, name)
        if all(isinstance(_tree(s), ex.Reduction) and _tree(s).kind == "sum" for s in shares):  # type: ignore[union-attr]
            count = _count(trees, name, shares)
            if count is not None:
                found[name] = count
    return found


def _tree(share: Cells) -> ex.Expression:
    assert isinstance(share.statement, Deterministic)
    return share.statement.expression


def _is_read(problem: Problem, name: str) -> bool:
    """Whether a law depends on a node."""
    queue, seen = [name], {name}
    while queue:
        for child in problem.graph.children[queue.pop()]:
            if problem.graph.nodes[child].kind == "stochastic":
                return True
            if child not in seen:
                seen.add(child)
                queue.append(child)
    return False


def _count(trees: StateTrees, name: str, shares: tuple[Cells, ...]) -> Count | None:
    size = math.prod(trees.problem.shape(name))
    terms: list[list[Term]] = [[] for _ in range(size)]
    start = np.zeros(size, dtype=np.int64)
    for share in shares:
        tree = _tree(share)
        assert isinstance(tree, ex.Reduction)
        inner, owner = expand(trees.problem, share.rows, tree.plates)
        site = _site(name, tree.body, inner)
        for reading in readings(trees.states.latents, site, touches(trees.states, site)):
            values = _values(trees, tree.body, site, reading)
            if values is None:
                return None
            for k, row in enumerate(reading.rows.tolist()):
                at = int(share.places[owner[row]])
                own = values[reading.block[k]]
                if reading.counts:
                    terms[at].append(Term(tuple(reading.elements[k].tolist()), reading.counts, own))
                else:
                    start[at] += own[0]
    most = max(math.prod(c for t in own for c in t.counts) for own in terms) if size else 0
    if most <= FEW:
        return None
    highest = max(int(s) + sum(int(t.values.max()) for t in own) for s, own in zip(start, terms, strict=True))
    enough = _enough(trees.problem, name)
    return Count(tuple(map(tuple, terms)), start, min(highest, highest if enough is None else enough) + 1)


def _site(name: str, body: ex.Expression, rows: Rows) -> Site:
    """The summands as if they were means of a law."""
    law = Distribution("Normal", (("mu", body), ("sigma", ex.Number(1))))
    statement = Stochastic(Head(name, tuple(Slot(p) for p in rows.axes)), law)
    return Site(statement, (name,), rows, np.zeros((rows.n, 1), dtype=np.int64), (), rows.axes, ())


def _values(trees: StateTrees, body: ex.Expression, site: Site, reading: Reading) -> Ints | None:
    """Summands of each block by state, (blocks, states); None where they are no known whole numbers."""
    part = site.at(reading.first)
    states = math.prod(reading.counts)
    rows = part
    trees.states.expanded = None
    if reading.counts:
        at = np.searchsorted(reading.rows, reading.first)
        trees.states.expanded = Expanded.of(reading.elements[at], reading.counts)
        rows = trees.states.expanded.site(part)
    register = trees.number(body, rows.rows).value.register
    trees.states.expanded = None
    known = trees.states.recorder.constant_value(register)
    if known is None:
        return None
    values = np.broadcast_to(known, rows.rows.n).reshape(-1, states)
    whole = np.rint(values).astype(np.int64)
    return whole if (whole == values).all() and (whole >= 0).all() else None


def _enough(problem: Problem, name: str) -> int | None:
    """The number from which on no comparison tells sums apart; None where they are read as numbers."""
    uses, compared, highest = 0, 0, 1
    for statement in problem.graph.statements:
        for tree in expressions(statement):
            for part in ex.walk(tree):
                if isinstance(part, ex.Reference) and part.name == name:
                    uses += 1
                found = _threshold(part, name)
                if found is not None:
                    compared += 1
                    highest = max(highest, found)
    return highest if uses == compared else None


def _threshold(part: ex.Expression, name: str) -> int | None:
    """Of `sum > 3` and the like: the number from which on the answer stays the same."""
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
    match part:
        case ex.Binary(operator, ex.Reference(found, _), ex.Number(value)) if found == name:
            pass
        case ex.Binary(operator, ex.Number(value), ex.Reference(found, _)) if found == name:
            operator = turned.get(operator, operator)
        case _:
            return None
    if operator not in ("==", "!=", "<", "<=", ">", ">="):
        return None
    return math.ceil(value) if operator in ("<", ">=") else math.floor(value) + 1


def counters(
    recorder: Recorder, found: Mapping[str, Count], first: Mapping[str, int], total: int
) -> Counters:
    """Tables that tie sums to what they count.

    first : number of each node's first element. total : elements so far; running sums are numbered after.
    """
    rows: list[tuple[tuple[int, ...], tuple[int, ...], Floats]] = []
    states: list[int] = []
    for name, count in found.items():
        for place, terms in enumerate(count.terms):
            before: int | None = None
            for k, term in enumerate(terms):
                now = first[name] + place
                if k < len(terms) - 1:
                    now = total + len(states)
                    states.append(count.states)
                rows.append(_link(term, before, now, int(count.start[place]), count.states))
                before = now
            if not terms:
                known = np.full(count.states, -np.inf)
                known[min(int(count.start[place]), count.states - 1)] = 0.0
                rows.append(((first[name] + place,), (count.states,), known))
    return Counters(tuple(_tables(recorder, rows)), tuple(states))


@dataclass(frozen=True, eq=False, slots=True)
class Counters:
    """tables : between sums and summands. states : of each running sum."""

    tables: tuple[Table, ...]
    states: tuple[int, ...]


def _link(
    term: Term, before: int | None, now: int, start: int, size: int
) -> tuple[tuple[int, ...], tuple[int, ...], Floats]:
    """Zero where the sum now is that before and the summand, else minus infinity; elements increasing."""
    had = np.arange(size) if before is not None else np.array([start])
    reached = np.minimum(had[:, None] + term.values, size - 1)  # (before, states of the summand)
    logs = np.where(reached[:, :, None] == np.arange(size), 0.0, -np.inf)
    elements, shape = (*term.elements, now), (*term.counts, size)
    if before is None:
        logs = logs[0]
    else:
        elements, shape = (before, *elements), (size, *shape)
    turn = np.argsort(elements)
    logs = logs.reshape(shape).transpose(turn)
    return tuple(elements[k] for k in turn), tuple(shape[k] for k in turn), logs.reshape(-1)


def _tables(
    recorder: Recorder, rows: list[tuple[tuple[int, ...], tuple[int, ...], Floats]]
) -> Iterator[Table]:
    """Rows with the same states together, equal ones once."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for k, (_, shape, _) in enumerate(rows):
        alike.setdefault(shape, []).append(k)
    for shape, members in alike.items():
        logs, block = np.unique([rows[k][2] for k in members], axis=0, return_inverse=True)
        elements = np.array([rows[k][0] for k in members], dtype=np.int64)
        yield Table(recorder.constant(logs), block.reshape(-1), elements, shape)
