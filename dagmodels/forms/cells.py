"""Which elements of a node each of its statements gives, and the rows that they range over."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from dagmodels.bind.labels import elements_named, rank
from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.errors import ModelError, raise_all
from dagmodels.graph.statement import Deterministic, Head, Joint, Slot, Statement, Stochastic


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """One statement's share of a node.

    statement : the statement.
    places : flat places (C order of the node's plates) of the elements it gives.
    rows : these elements, with their membership in every bound plate.
    component : for a node of a joint statement, its position in the tuple; else None.
    whole : the statement gives every element, in order.
    """

    statement: Statement
    places: Codes
    rows: Rows
    component: int | None = None
    whole: bool = True


def slots(statement: Statement) -> tuple[Slot, ...]:
    """The head's slots, for every kind of statement that gives a node values."""
    match statement:
        case Stochastic(head=Head(slots=found)) | Deterministic(head=Head(slots=found)):
            return found
        case Joint(plates=plates):
            return tuple(Slot(p) for p in plates)
        case _:
            return tuple(Slot(p) for p in getattr(statement, "plates", ()))


def cells(problem: Problem, name: str) -> tuple[Cells, ...]:
    """Shares of all statements about a node; where they overlap, the one naming more levels holds.

    Elements that no statement gives are an error that names the first of them.
    """
    key = ("cells", name)
    if key not in problem.memo:
        problem.memo[key] = _cells(problem, name)
    return problem.memo[key]


def _cells(problem: Problem, name: str) -> tuple[Cells, ...]:
    node = problem.graph.nodes[name]
    rows = problem.rows(node.plates)
    if len(node.statements) == 1 and all(s.label is None and not s.first for s in slots(node.statements[0])):
        (statement,) = node.statements
        return (Cells(statement, np.arange(rows.n), rows, _component(statement, name)),)
    owner = np.full(rows.n, -1)
    for k, statement in enumerate(node.statements):  # most general first
        owner[_covered(problem, node.plates, slots(statement), rows)] = k
    if (owner < 0).any():
        missing = int(np.argmax(owner < 0))
        label = element_label(problem, name, missing)
        raise_all(
            [ModelError(f"no statement gives '{label}'", node=name, hint=f"add one for {label}")],
            f"model '{problem.graph.name}'",
        )
    found = []
    for k, statement in enumerate(node.statements):
        places = np.flatnonzero(owner == k)
        if places.size:
            part = Rows(places.size, {p: c[places] for p, c in rows.codes.items()})
            found.append(Cells(statement, places, part, _component(statement, name), whole=False))
    return tuple(found)


def _component(statement: Statement, name: str) -> int | None:
    return statement.names.index(name) if isinstance(statement, Joint) else None


def _covered(problem: Problem, plates: tuple[str, ...], heads: tuple[Slot, ...], rows: Rows) -> Codes:
    keep = np.ones(rows.n, dtype=bool)
    for plate, slot in zip(plates, heads, strict=True):
        if slot.label is not None:
            keep &= np.isin(rows.codes[plate], elements_named(problem, plate, slot.label))
        elif slot.first:
            keep &= (rank(problem, plate) < slot.first)[rows.codes[plate]]
    return np.flatnonzero(keep)


def lagged(problem: Problem, plate: str, lag: int) -> Codes:
    """The element `lag` places before each element, -1 where there is none."""
    previous = problem.plates[plate].order
    if previous is None:
        raise ModelError(f"plate '{plate}' has no order", node=plate, hint=f"write 'plate {plate} ordered'")
    at = np.arange(previous.size)
    for _ in range(lag):
        at = np.where(at >= 0, previous[at], -1)
    return at


def element_label(problem: Problem, name: str, place: int) -> str:
    """`name[level, level]` of a flat place."""
    node = problem.graph.nodes[name]
    if not node.plates:
        return name
    at = np.unravel_index(place, problem.shape(name))
    return (
        f"{name}[{', '.join(plate_label(problem, p, int(i)) for p, i in zip(node.plates, at, strict=True))}]"
    )


def element_labels(problem: Problem, name: str) -> list[str]:
    """Of all elements of a node, in their order."""
    plates = problem.graph.nodes[name].plates
    if not plates:
        return [name]
    return [f"{name}[{', '.join(at)}]" for at in product(*(plate_labels(problem, p) for p in plates))]


def plate_label(problem: Problem, plate: str, code: int) -> str:
    """How an element is written in results."""
    if plate in problem.labels:
        return problem.labels[plate][code]
    base = problem.plates[plate].base or plate
    if base in problem.labels:
        return problem.labels[base][code]
    return str(problem.plates[plate].levels[code])


def plate_labels(problem: Problem, plate: str) -> tuple[str, ...]:
    """How all elements of a plate are written in results."""
    for name in (plate, problem.plates[plate].base):
        if name and name in problem.labels:
            return tuple(problem.labels[name])
    return tuple(map(str, problem.plates[plate].levels))
