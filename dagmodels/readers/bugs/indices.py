"""Names with their indices: plates, levels, lags, and nodes that point."""

from __future__ import annotations

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.covariates import made
from dagmodels.readers.bugs.numbers import NotFixed, number
from dagmodels.readers.bugs.pairs import coordinates, places
from dagmodels.readers.bugs.relations import Ints, plain
from dagmodels.readers.bugs.rows import is_whole_row
from dagmodels.readers.bugs.scope import Scope, Unsayable
from dagmodels.readers.bugs.spaces import Space


def reference(
    scope: Scope, var: sx.Var, whole: tuple[str, ...] | None = None, pointing: bool = False
) -> ex.Reference:
    """A name with its indices as plates, levels, lags and nodes; `pointing` where it is an index itself."""
    names, spaces = scope.names, scope.parts.spaces
    name = var.name if pointing else scope.parts.called(var.name)
    if var.name in names.given and not pointing:
        scope.parts.given.add(var.name)
    if var.name in spaces.pairs:
        return ex.Reference(name, (_pair_index(scope, var),))
    free = list(scope.whole if whole is None else whole)
    wholes = sum(isinstance(i, sx.Whole | sx.Span) for i in var.indices or ())
    if wholes and wholes != len(free):
        told = f"{sx.text(var)} is not one number" if not free else f"{sx.text(var)} has another shape"
        raise Unsayable(told, var.at, "use one element, or sum(), mean(), inprod()")
    found: list[ex.Index] = []
    for axis, index in enumerate(var.indices or ()):
        space = spaces.dim(var.name, axis)
        if isinstance(index, sx.Whole | sx.Span):
            found.append(_whole(scope, var, axis, index, space, free.pop(0)))
        else:
            found.append(one_index(scope, index, space, var))
    return ex.Reference(name, tuple(found))


def _whole(scope: Scope, var: sx.Var, axis: int, index: sx.Index, space: Space, plate: str) -> ex.Index:
    if isinstance(index, sx.Span) and not is_whole_row(scope, var) and not full(scope, index, space):
        raise Unsayable(f"{sx.text(var)} is a part of '{var.name}'", var.at)
    return ex.PlateIndex(plate)


def full(scope: Scope, index: sx.Span, space: Space) -> bool:
    try:
        ends = [number(e, scope.names.known, {}) for e in (index.low, index.high)]
    except NotFixed as error:
        raise Unsayable(f"the range {sx.text(index)} is not known: {error}", index.at) from None
    return float(ends[0]) == 1 and float(ends[1]) == space.size


def one_index(scope: Scope, index: sx.Index, space: Space, var: sx.Var) -> ex.Index:
    """One index of `var`, whose dimension is `space`."""
    relation = scope.relation
    picked = plain(index, relation.variables)
    if picked is not None and picked[0] in scope.loops:
        own, plate = scope.loops[picked[0]]
        if own is space and picked[1] <= 0:
            if picked[1]:
                rows = relation.rows.get(picked[0])
                if rows is not None and rows.size and int(rows.min()) + picked[1] < 1:
                    told = f"{sx.text(index)} goes down to {int(rows.min()) + picked[1]}"
                    raise Unsayable(told, index.at, "begin the loop later: indices count from 1")
                own.ordered = True
                return ex.LagIndex(plate, -picked[1])
            return ex.PlateIndex(plate)
    if isinstance(index, sx.Var) and scope.names.drawn(index.name, "dcat"):
        return ex.NodeIndex(reference(scope, index))
    if not scope.names.fixed(index, relation.variables):
        hint = "an index is a loop variable, a number, data, or a node with a dcat distribution"
        raise Unsayable(f"{sx.text(index)} cannot index '{var.name}'", index.at, hint)
    if not {v.name for v in sx.variables(index)} & set(relation.variables):
        return ex.LevelIndex(level(scope, index, space, var))
    return ex.NodeIndex(_pointer(scope, index, space))


def level(scope: Scope, index: sx.Index, space: Space, var: sx.Var) -> int:
    try:
        found = number(index, scope.names.known, {})
        if found.ndim:
            raise NotFixed("it is not one number", index.at)
        value = float(found)
    except NotFixed as error:
        raise Unsayable(
            f"the index {sx.text(index)} is not known: {error}", index.at, "give it in the data"
        ) from None
    known = space.stated or not scope.names.trial
    if value != int(value) or value < 1 or (known and value > space.size):
        told = f"'{var.name}' has {space.size} elements there, and {sx.text(index)} is none of them"
        raise Unsayable(told, index.at, "indices count from 1")
    return int(value)


def _pointer(scope: Scope, index: sx.Index, space: Space) -> ex.Reference:
    """Data that say which element: the array itself, or numbers computed from it."""
    if isinstance(index, sx.Var) and index.name in scope.parts.pointing:
        return reference(scope, index, pointing=True)
    return made(scope, index, space)


def _pair_index(scope: Scope, var: sx.Var) -> ex.Index:
    """The index of an array on pairs: the pair itself, one before it in its outer element, or one that every
    outer element has."""
    space = scope.parts.spaces.dim(var.name, 0)
    first, second = (plain(i, scope.relation.variables) for i in var.indices or ())
    last = (var.indices or (sx.Whole(),))[-1]
    if scope.pair is not None and scope.pair[3] is space and first == (scope.pair[1], 0):
        plate, _, inner, _ = scope.pair
        if (not inner and isinstance(last, sx.Span)) or (second is not None and second == (inner, 0)):
            return ex.PlateIndex(plate)
        if second is not None and second[0] == inner and second[1] < 0:
            space.ordered = True
            return ex.LagIndex(plate, -second[1])
        if scope.element is not None and _same(scope, var, space, scope.element[2]):
            return ex.PlateIndex(plate)
    own = None if first is None or first[1] else scope.loops.get(first[0])
    if own is not None and id(own[0]) in space.parents and scope.names.fixed(last):
        return ex.LevelIndex(int(level_of(scope, last)))
    told = f"'{var.name}' has rows of different lengths, and {sx.text(var)} is not the element of its loops"
    raise Unsayable(told, var.at, "index it by the two variables of its loops")


def _same(scope: Scope, var: sx.Var, space: Space, cells: Ints) -> bool:
    """Whether a reference means the statement's own element in every row."""
    pairs = coordinates(scope.names, scope.relation, var)
    return pairs is not None and bool(np.array_equal(places(space, pairs), cells))


def level_of(scope: Scope, index: sx.Index) -> float:
    """The number of an index that follows from data alone."""
    try:
        return float(number(index, scope.names.known, {}))
    except (NotFixed, TypeError) as error:
        at = getattr(error, "at", index.at)
        raise Unsayable(
            f"the index {sx.text(index)} is not known: {error}", at, "give it in the data"
        ) from None


def computed_index(scope: Scope, var: sx.Var) -> int | None:
    """The place of an index that is a number computed from unknowns, if there is one."""
    for axis, index in enumerate(var.indices or ()):
        node = isinstance(index, sx.Var) and scope.names.drawn(index.name, "dcat")
        if isinstance(index, sx.Whole | sx.Span) or node or plain(index, scope.relation.variables):
            continue
        if not scope.names.fixed(index, scope.relation.variables):
            return axis
    return None
