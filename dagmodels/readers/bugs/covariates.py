"""Covariates that a text does not name: numbers that follow from its data, and have no words of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph import expression as ex
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.numbers import NotFixed, along, number
from dagmodels.readers.bugs.scope import Made, Scope, Unsayable
from dagmodels.readers.bugs.spaces import Space


def made(scope: Scope, tree: sx.Index, values_in: Space | None = None) -> ex.Reference:
    """A covariate for what follows from data alone."""
    assert not isinstance(tree, sx.Whole | sx.Span)
    used = [v for v in scope.relation.variables if v in {x.name for x in sx.variables(tree)}]
    own = [scope.loops.get(v) for v in used]
    if scope.pair is not None and any(v in scope.pair[1:3] for v in used):
        own = [(scope.pair[3], scope.pair[0])]
    elif any(o is None for o in own) and scope.element is not None:
        own = [(scope.element[1], scope.element[0])]
    elif any(o is None for o in own):
        told = f"{sx.text(tree)} has no plate"
        raise Unsayable(told, tree.at, "index an array by the loop variable")
    places = [o for o in own if o is not None]
    plates = tuple(p for _, p in places)
    if values_in is None and isinstance(tree, sx.Var) and tree.name in scope.loops:
        space, plate = scope.loops[tree.name]
        return numbers_of(scope, space, plate)
    name = _made_name(tree, used, plates, own=scope.loops.get(used[0]) in places if used else False)
    name = f"{name} in {values_in.name}" if values_in is not None else name
    array = None if scope.names.trial else _values(scope, tree, places, values_in)
    name = scope.parts.fresh(name)
    new = Made(tuple(s for s, _ in places), plates, array, values_in)
    stem, count = name, 1
    while not _agree(scope.parts.made.get(name), new):
        count += 1
        name = f"{stem} ({count})"
    scope.parts.made[name] = _merged(scope.parts.made.get(name), new)
    return ex.Reference(name, tuple(ex.PlateIndex(p) for p in plates))


def _values(
    scope: Scope, tree: sx.Expr, places: list[tuple[Space, str]], values_in: Space | None
) -> NDArray[np.float64]:
    relation = scope.relation
    try:
        if not places:
            return np.asarray(number(tree, scope.names.known, {}), dtype=float)
        found = along(tree, scope.names.known, relation.rows, relation.n)
    except NotFixed as error:
        raise Unsayable(str(error), error.at, "check the data") from None
    if values_in is not None and found.size and not (found.min() >= 1 and found.max() <= values_in.size):
        told = f"{sx.text(tree)} goes from {found.min():g} to {found.max():g}, beyond 1:{values_in.size}"
        raise Unsayable(told, tree.at, "check the data")
    array = np.full(tuple(s.size for s, _ in places), np.nan)
    if scope.pair is not None and places[0][0] is scope.pair[3]:
        array[scope.element[2] if scope.element is not None else _pair_places(scope)] = found
        return array
    if scope.element is not None and len(places) == 1 and places[0][1] == scope.element[0]:
        array[scope.element[2]] = found
        return array
    by_plate = {p: v for v, (_, p) in scope.loops.items()}
    array[tuple(relation.rows[by_plate[p]] - 1 for _, p in places)] = found
    return array


def _pair_places(scope: Scope) -> NDArray[np.int64]:
    assert scope.pair is not None
    _, outer, inner, space = scope.pair
    assert space.pairs is not None
    rows = np.stack([scope.relation.rows[outer], scope.relation.rows[inner]], axis=1)
    width = int(space.pairs[:, 1].max()) + 1
    keys = space.pairs[:, 0] * width + space.pairs[:, 1]
    return np.searchsorted(keys, rows[:, 0] * width + rows[:, 1])


def numbers_of(scope: Scope, space: Space, plate: str) -> ex.Reference:
    """The numbers 1, 2, ... of a set's elements."""
    name = scope.parts.fresh(f"{space.name}.index")
    array = None if scope.names.trial else np.arange(1.0, space.size + 1)
    scope.parts.made[name] = Made((space,), (space.name,), array)
    return ex.Reference(name, (ex.PlateIndex(plate),))


def _made_name(tree: sx.Expr, used: list[str], plates: tuple[str, ...], own: bool) -> str:
    """The expression's text, plates in place of loop variables where that reads well."""
    if isinstance(tree, sx.Var) and tree.indices is None and used:
        return f"{plates[0]}.index" if own else f"{tree.name} of {plates[0]}"
    if not own or len(used) != len(plates) or any(" " in p for p in plates):
        return f"{sx.text(tree)} of {', '.join(plates)}" if plates else sx.text(tree)
    return sx.text(_renamed(tree, {v: sx.Var(p) for v, p in zip(used, plates, strict=True)}))


def _renamed(tree: sx.Expr, words: Mapping[str, sx.Var]) -> sx.Expr:
    """The expression with plates' names in place of loop variables."""
    match tree:
        case sx.Var(name, None) if name in words:
            return words[name]
        case sx.Var(name, indices, at) if indices is not None:
            new = tuple(i if isinstance(i, sx.Whole | sx.Span) else _renamed(i, words) for i in indices)
            return sx.Var(name, new, at)
        case sx.Op(op, left, right, at):
            return sx.Op(op, _renamed(left, words), _renamed(right, words), at)
        case sx.Neg(operand, at):
            return sx.Neg(_renamed(operand, words), at)
        case sx.Fn(name, arguments, at):
            return sx.Fn(name, tuple(_renamed(a, words) for a in arguments), at)
        case _:
            return tree


def _agree(old: Made | None, new: Made) -> bool:
    """Whether two covariates of one name are one: the same plates, the same numbers where both have some."""
    if old is None:
        return True
    if old.plates != new.plates or old.values_in is not new.values_in:
        return False
    if old.array is None or new.array is None:
        return True
    both = ~np.isnan(old.array) & ~np.isnan(new.array)
    return bool(np.array_equal(old.array[both], new.array[both]))


def _merged(old: Made | None, new: Made) -> Made:
    """What two relations use of one covariate."""
    if old is None or old.array is None or new.array is None:
        return new
    return replace(new, array=np.where(np.isnan(new.array), old.array, new.array))
