"""Elements by their labels. In a nested plate a label is unique only within its parents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dagmodels.bind.problem import Codes, Problem
from dagmodels.data.levels import canonical, have_values, in_order
from dagmodels.errors import ModelError
from dagmodels.graph import expression as ex
from dagmodels.graph.calculus import COMPARISONS


def label_of(tree: ex.Expression) -> ex.Label | float | None:
    """The label that an operand of a comparison writes, None where it is something else."""
    match tree:
        case ex.Text(value) | ex.Number(value):
            return value
        case ex.Unary("-", ex.Number(value)):
            return -value
        case _:
            return None


def elements_named(problem: Problem, plate: str, label: object) -> Codes:
    """All elements with that label, numbers and their text being the same: one in each parent at most.

    Raises
    ------
    ModelError : no element has it.
    """
    levels = problem.plates[plate].levels
    found = [code for code, level in enumerate(levels) if level == label]
    if not found:
        word = canonical(label)
        found = [code for code, level in enumerate(levels) if canonical(level) == word]
    if not found:
        raise ModelError(
            f"plate '{plate}' has no level {label!r}", node=plate, hint="see its levels in the data"
        )
    return np.array(found, dtype=np.int64)


def level_code(problem: Problem, plate: str, label: object) -> int:
    """The one element with that label.

    Raises
    ------
    ModelError : none has it, or several in different parents have.
    """
    found = elements_named(problem, plate, label)
    if found.size > 1:
        raise _several(problem, plate, label, found)
    return int(found[0])


def level_codes(problem: Problem, plate: str, label: object, codes: Mapping[str, Codes], n: int) -> Codes:
    """The element with that label on each of n rows, chosen by the parents' elements on the row.

    codes : elements of plates on each row, those of the parents among them.

    Raises
    ------
    ModelError : no element on some row, or several because a parent is not known there.
    """
    found = elements_named(problem, plate, label)
    if found.size == 1:
        return np.full(n, found[0])
    parents = problem.plates[plate].parents
    known = [p for p in parents if p in codes]
    fits = np.ones((n, found.size), dtype=bool)
    for parent in known:
        fits &= np.broadcast_to(codes[parent], (n,))[:, None] == parents[parent][found]
    if (fits.sum(axis=1) > 1).any():
        raise _several(problem, plate, label, found)
    if not fits.any(axis=1).all():
        row = int(np.argmin(fits.any(axis=1)))
        at = ", ".join(
            f"{p} {problem.plates[p].levels[int(np.broadcast_to(codes[p], (n,))[row])]}" for p in known
        )
        raise ModelError(
            f"plate '{plate}' has no level {label!r} in {at}",
            node=plate,
            hint=f"compare `{plate}` with the level, which is false there",
        )
    return found[np.argmax(fits, axis=1)]


def _several(problem: Problem, plate: str, label: object, found: Codes) -> ModelError:
    parents = problem.plates[plate].parents
    shown = "; ".join(
        ", ".join(f"{p} {problem.plates[p].levels[at[code]]}" for p, at in parents.items())
        for code in found[:3]
    )
    more = ", ..." if found.size > 3 else ""
    return ModelError(
        f"level {label!r} of plate '{plate}' is {found.size} elements ({shown}{more})",
        node=plate,
        hint=f"index it where the row tells its {' and '.join(parents)}, or compare `{plate}` with the level",
    )


def rank(problem: Problem, plate: str) -> Codes:
    """Each element's position from the first of its chain, counted from 0.

    By pointer doubling: as many passes as the longest chain's length has binary digits.
    """
    previous = problem.plates[plate].order
    if previous is None:
        return np.arange(problem.plates[plate].size)
    steps = (previous >= 0).astype(np.int64)
    jump = previous.copy()
    while (live := np.flatnonzero(jump >= 0)).size:
        steps[live], jump[live] = steps[live] + steps[jump[live]], jump[jump[live]]
    return steps


def label_ranks(problem: Problem, plate: str) -> Codes:
    """Each element's label as a number: the same in all parents, ascending in the plate's order.

    Numbers are ranked by value. Other labels of nested plates follow the chains: a label stands after
    all that come before it in some parent.
    """
    bound = problem.plates[plate]
    if not bound.parents:
        return rank(problem, plate)
    labels = list(dict.fromkeys(bound.levels))
    if bound.order is not None:
        labels = _ascending(problem, plate, labels)
    number = {label: k for k, label in enumerate(labels)}
    return np.array([number[label] for label in bound.levels], dtype=np.int64)


def _ascending(problem: Problem, plate: str, labels: list[object]) -> list[object]:
    """The labels of an ordered plate: as stated, by value, or in the order that its chains follow."""
    bound = problem.plates[plate]
    assert bound.order is not None
    stated = problem.graph.plate[bound.base or plate].levels
    if stated is not None:
        return [canonical(label) for label in stated]
    if have_values(labels):
        found = in_order(labels)
        place = {label: k for k, label in enumerate(found)}
        number = np.array([place[label] for label in bound.levels])
        if (number > np.where(bound.order >= 0, number[bound.order], -1)).all():
            return found
    return _along_chains(problem, plate)


def _along_chains(problem: Problem, plate: str) -> list[object]:
    """Labels in an order that no chain contradicts: by the longest way to each."""
    bound = problem.plates[plate]
    assert bound.order is not None
    before: dict[object, set[object]] = {label: set() for label in bound.levels}
    for code, previous in enumerate(bound.order):
        if previous >= 0:
            before[bound.levels[code]].add(bound.levels[previous])
    depth: dict[object, int] = dict.fromkeys(before, 0)
    for _ in before:  # as many passes as a longest chain could be long; ends when nothing changes
        deeper = {x: max((depth[y] + 1 for y in earlier), default=0) for x, earlier in before.items()}
        if deeper == depth:
            break
        depth = deeper
    return sorted(before, key=lambda x: (depth[x], list(before).index(x)))


def comparing(
    problem: Problem, operator: str, left: ex.Expression, right: ex.Expression
) -> tuple[Codes | float, Codes | float] | None:
    """What two operands are compared by, None where neither is an element of a plate.

    A label has a number; an operand that is an element (a plate's name, or a node with values in a
    plate) a table from elements to numbers. Elements are equal if they are the same element, a label
    is equal to every element that bears it, and order is that of labels.
    """
    if operator not in COMPARISONS:
        return None
    plate = next((p for p in (_plate_of(problem, left), _plate_of(problem, right)) if p is not None), None)
    if plate is None:
        return None
    labels = label_of(left), label_of(right)
    same = operator in ("==", "!=") and labels == (None, None)
    table = np.arange(problem.plates[plate].size) if same else label_ranks(problem, plate)
    first, second = (
        table if label is None else float(table[elements_named(problem, plate, label)[0]]) for label in labels
    )
    return first, second


def _plate_of(problem: Problem, tree: ex.Expression) -> str | None:
    if not isinstance(tree, ex.Reference):
        return None
    node = problem.graph.nodes.get(tree.name)
    plate = tree.name if node is None else node.values_in
    return plate if plate in problem.plates else None
