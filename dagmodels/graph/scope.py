"""Which plates are bound where an expression stands, and which it leaves whole.

The plates in a head's brackets, and those they lie in, are bound; `for k` binds inside a sum. What
returns a vector or matrix takes the last one or two plates of its head whole: they are not bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.plate import Plate

Plates = Mapping[str, Plate]

WRAPPED_EVENTS = {"Ordered": 1, "Table": 0}


def lies_in(plates: Plates, plate: str) -> tuple[str, ...]:
    """The plate itself and all plates it lies in, nearest first (aliases are not followed)."""
    if plate in plates and not plates[plate].parents:
        return (plate,)
    found: dict[str, None] = {}
    queue = [plate]
    while queue:
        top = queue.pop(0)
        if top not in found:
            found[top] = None
            if top in plates:
                queue.extend(plates[top].parents)
    return tuple(found)


def base(plates: Plates, plate: str) -> str:
    """The plate that holds the elements: an alias's target, else the plate itself."""
    alias = plates[plate].alias_of if plate in plates else None
    return alias if alias is not None else plate


def bound_by(plates: Plates, heads: Iterable[str]) -> frozenset[str]:
    """These plates and all plates that they lie in."""
    return frozenset(p for head in heads for p in lies_in(plates, head))


def event_of(distribution: st.Distribution) -> int:
    """Shape of one draw: 0 scalar, 1 vector, 2 matrix."""
    if distribution.family in WRAPPED_EVENTS:
        return WRAPPED_EVENTS[distribution.family]
    inner = distribution.argument("distribution")
    if isinstance(inner, st.Distribution):
        return event_of(inner)
    components = distribution.argument("components")
    if isinstance(components, tuple):
        return max((event_of(c) for c in components), default=0)
    from dagmodels.graph.signatures import family_or_none

    found = family_or_none(distribution.family)
    return found.event if found is not None else 0


def head_plates(statement: st.Statement) -> tuple[str, ...]:
    """The plates of the statement's head in order, those of named levels included."""
    match statement:
        case st.Stochastic(head=head) | st.Deterministic(head=head) | st.Covariance(left=head):
            return tuple(s.plate for s in head.slots if s.plate is not None)
        case _:
            return statement.plates


def event_plates(statement: st.Statement) -> tuple[str, ...]:
    """The last plates of the head that the statement's distribution takes whole."""
    if not isinstance(statement, st.Stochastic):
        return ()
    event = event_of(statement.distribution)
    plates = head_plates(statement)
    return plates[len(plates) - event :] if event else ()


def bound(plates: Plates, statement: st.Statement) -> frozenset[str]:
    """The plates bound on the right-hand side of a statement."""
    names = head_plates(statement)
    return bound_by(plates, names[: len(names) - len(event_plates(statement))])


def inner_bound(
    plates: Plates, call: ex.Call, bound: frozenset[str], head: tuple[str, ...]
) -> frozenset[str]:
    """The plates bound inside the argument of a function that returns a vector or a matrix.

    Where the argument leaves enough plates whole by itself, those are its vector; else it takes the
    last plates of the head (the only case in `p[k] = softmax(a)`, where k is bound outside).
    """
    from dagmodels.graph.functions import FUNCTIONS

    event = FUNCTIONS[call.function].event if call.function in FUNCTIONS else None
    if not event or any(len(free(plates, a, bound, head)) >= event for a in call.arguments):
        return bound
    inner = bound_by(plates, head[:-event])
    kept = {p for p in bound if p not in bound_by(plates, head)}  # bound by `for`
    return inner | kept


def free(
    plates: Plates, tree: ex.Expression, bound: frozenset[str], head: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The plates that a resolved expression leaves whole, in order of their first use.

    None: it is a number for each element bound; one: a vector; two: a matrix.
    """
    match tree:
        case ex.Number() | ex.Text():
            return ()
        case ex.Reference(name, indices):
            if not indices:
                return (name,) if name in plates and name not in bound else ()
            found: tuple[str, ...] = ()
            for index in indices:
                if isinstance(index, ex.PlateIndex):
                    if index.plate not in bound and index.plate not in found:
                        found += (index.plate,)
                elif isinstance(index, ex.NodeIndex):
                    found += tuple(p for p in free(plates, index.reference, bound, head) if p not in found)
            return found
        case ex.Unary(_, operand):
            return free(plates, operand, bound, head)
        case ex.Binary(_, left, right):
            first, second = free(plates, left, bound, head), free(plates, right, bound, head)
            return first + tuple(p for p in second if p not in first) if second else first
        case ex.Call():
            inside = inner_bound(plates, tree, bound, head)
            parts = (free(plates, a, inside, head) for a in tree.arguments)
            return tuple(dict.fromkeys(p for part in parts for p in part if p not in bound))
        case ex.Reduction(_, body, over):
            return free(plates, body, bound | bound_by(plates, over), head)
        case ex.Vector(items):
            return tuple(dict.fromkeys(p for i in items for p in free(plates, i, bound, head)))
        case _:
            return ()
