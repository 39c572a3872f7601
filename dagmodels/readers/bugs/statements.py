"""Relations -> statements of the language, one node at a time.

A relation over a whole set is one statement; single elements are statements for levels, which hold where they
overlap. What this cannot say (a part of a set, an index that looks ahead) is written out element by element.
Whether the statements give every element the relation that the text gives it is checked on the elements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.plate import Place
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.arrange import Piece, Said, arranged, element
from dagmodels.readers.bugs.certain import certain, defined, has_states, of_data
from dagmodels.readers.bugs.given import shaped
from dagmodels.readers.bugs.indices import full, level
from dagmodels.readers.bugs.laws import law
from dagmodels.readers.bugs.numbers import NotFixed, places
from dagmodels.readers.bugs.pairs import coordinates, ranks
from dagmodels.readers.bugs.pairs import places as pair_places
from dagmodels.readers.bugs.parse import LINKS
from dagmodels.readers.bugs.relations import Ints, Relation, plain, unrolled
from dagmodels.readers.bugs.rows import ended, is_whole_row
from dagmodels.readers.bugs.scope import Made, Parts, Scope, Unsayable
from dagmodels.readers.bugs.spaces import Space
from dagmodels.readers.bugs.trees import translated
from dagmodels.readers.bugs.undefined import filled

MAX_ELEMENTS = 200  # of a relation that is written out


def statements(parts: Parts, name: str) -> list[st.Statement]:
    """All statements of one node. Raises Unsayable for what the language cannot say."""
    relations = [r for r in parts.names.relations[name] if r.n]
    if not relations:  # all its loops are empty
        return []
    shape = tuple(s.size for s in parts.spaces.dims(name))
    _once(parts, relations, shape)
    pieces: list[Piece] = []
    failed: Unsayable | None = None
    for relation in relations:
        try:
            pieces.append(piece(parts, relation, shape))
        except Unsayable as error:
            failed = error
            pieces += _written_out(parts, relation, shape, error)
    pieces = ended(parts, name, pieces, shape)
    pieces += _data_alone(parts, name, pieces, shape)
    pieces += filled(parts, name, pieces, shape, MAX_ELEMENTS)
    for whole in (len(pieces), 1, 0):
        try:
            chosen = arranged(_split(parts, pieces, shape, whole), shape, parts, name)
        except Unsayable as error:
            failed = failed or error
            continue
        if chosen is not None:
            return _constant(parts, name, shape, chosen)
    raise failed or Unsayable(f"The statements of '{name}' cannot be said by levels", relations[0].at)


def piece(parts: Parts, relation: Relation, shape: tuple[int, ...]) -> Piece:
    """The statement of one relation."""
    slots, scope, event = _head(parts, relation)
    statement = relation.statement
    line, column = parts.names.source.place(relation.at)
    head, place = st.Head(statement.target.name, tuple(slots)), Place(line, column)
    if isinstance(statement, sx.Draw):
        values = parts.spaces.values(head.name) if statement.family == "dcat" else None
        found = law(statement, scope, event)
        inside = values.name if values is not None else None
        said: Said = st.Stochastic(head, found, _observed(parts, head.name), inside, place=place)
    elif (value := defined(parts, relation, scope)) is not None:
        said = certain(parts, head, value, _observed(parts, head.name), place)
    else:
        tree = translated(scope, statement.value)
        if statement.link is not None:
            tree = ex.Call(LINKS[statement.link], (tree,))
        said = st.Deterministic(head, tree, place=place)
    return Piece(said, elements(parts, relation, shape), relation)


def _observed(parts: Parts, name: str) -> bool:
    """Data decide; without any, what nothing depends on is taken to be observed."""
    names = parts.names
    if not names.trial:
        return name in names.data and not bool(np.isnan(names.known[name]).all())
    users = {v.name for r in names.all() for v in sx.variables(r.statement) if r.target.name != name}
    return name not in users


def _head(parts: Parts, relation: Relation) -> tuple[list[st.Slot], Scope, tuple[str, ...]]:
    """The slots of a target, what is bound behind it, and the plates that its law takes whole."""
    target, variables = relation.target, relation.variables
    dims, plates = parts.spaces.dims(target.name), parts.plates(target.name)
    loops: dict[str, tuple[Space, str]] = {}
    if target.name in parts.spaces.pairs:
        slot, pair = _pair_slot(parts, relation, dims[0], plates[0])
        bound = {plates[0]: dims[0]}
        for variable in variables:
            space = parts.spaces.loop(relation, variable)
            if id(space) in dims[0].parents:
                loops[variable] = (space, space.name)
                bound[space.name] = space
        cells = elements(parts, relation, (dims[0].size,))
        element = (plates[0], dims[0], cells)
        return [slot], Scope(parts, relation, loops, bound, plates, (), pair, element), ()
    slots: list[st.Slot] = []
    whole: list[str] = []
    for axis, index in enumerate(target.indices or ()):
        space, plate = dims[axis], plates[axis]
        picked = plain(index, variables)
        if isinstance(index, sx.Whole | sx.Span):
            alone = Scope(parts, relation, {}, {})
            if isinstance(index, sx.Span) and not (is_whole_row(alone, target) or full(alone, index, space)):
                raise Unsayable(
                    f"{sx.text(target)} is a part of '{target.name}'",
                    target.at,
                    "define all of it, or single elements",
                )
            slots.append(st.Slot(plate))
            whole.append(plate)
        elif picked is not None:
            if picked[0] in loops:
                raise Unsayable(f"{sx.text(target)} is a diagonal", target.at)
            loops[picked[0]] = (space, plate)
            slots.append(st.Slot(plate))
        elif not {v.name for v in sx.variables(index)} & set(variables):
            scope = Scope(parts, relation, {}, {})
            slots.append(st.Slot(plate, level(scope, index, space, target)))
        elif len(dims) == 1:
            slots.append(st.Slot(plate))
        else:
            raise Unsayable(f"{sx.text(index)} is no loop variable", index.at)
    draws = isinstance(relation.statement, sx.Draw)
    outer = plates[: len(plates) - len(whole)] if draws else plates
    if draws and tuple(plates[len(outer) :]) != tuple(whole):
        raise Unsayable(
            f"{sx.text(target)} takes no last dimension whole", target.at, "put the empty indices last"
        )
    bound = {p: s for p, s in zip(plates, dims, strict=True) if p in outer}
    cells = elements(parts, relation, tuple(d.size for d in dims))
    for space in dims:
        for parent, codes in space.parents.values():
            for variable in variables:
                if variable in loops or parts.spaces.loop(relation, variable) is not parent:
                    continue
                if np.array_equal(codes[cells], relation.rows[variable] - 1):
                    loops[variable] = (parent, parent.name)
            bound.setdefault(parent.name, parent)
    element = None
    if len(dims) == 1 and not whole and len(cells) == relation.n:
        element = (plates[0], dims[0], cells)
    scope = Scope(parts, relation, loops, bound, plates, () if draws else tuple(whole), None, element)
    return slots, scope, tuple(whole) if draws else ()


def _pair_slot(
    parts: Parts, relation: Relation, space: Space, plate: str
) -> tuple[st.Slot, tuple[str, str, str, Space]]:
    target, variables = relation.target, relation.variables
    first, second = (plain(i, variables) for i in target.indices or ())
    if first is None:
        told = f"'{target.name}' has rows of different lengths, and {sx.text(target)} is a single element"
        raise Unsayable(told, target.at, "index it by the two variables of its loops")
    if second is not None:
        return st.Slot(plate), (plate, first[0], second[0], space)
    before = ranks(space)[elements(parts, relation, (space.size,))]
    if before.any():
        raise Unsayable(f"{sx.text(target)} is a part of rows of different lengths", target.at)
    space.ordered = True
    return st.Slot(plate, first=1), (plate, first[0], "", space)


def elements(parts: Parts, relation: Relation, shape: tuple[int, ...]) -> Ints:
    """Flat places of the elements that a relation defines."""
    target, names = relation.target, parts.names
    if not shape:
        return np.zeros(min(relation.n, 2), dtype=np.int64)
    if target.name in parts.spaces.pairs:
        pairs = coordinates(names, relation, target)
        if pairs is None:
            told = f"{sx.text(target)} is a part of rows of different lengths"
            raise Unsayable(told, target.at, "index it by the two variables of its loops")
        return pair_places(parts.spaces.dims(target.name)[0], pairs)
    if not relation.n:
        return np.zeros(0, dtype=np.int64)
    picks: list[Ints] = []
    rows = target.name in parts.spaces.rows
    try:
        for index, size in zip(target.indices or (), shape, strict=True):
            if rows and isinstance(index, sx.Span):
                index = sx.Whole(index.at)
            picked = places(index, names.known, relation.rows, size, target.name)
            got = np.asarray(picked, dtype=np.int64)
            wide = isinstance(index, sx.Whole | sx.Span)
            if not wide and got.shape not in ((), (relation.n,)):
                raise NotFixed(f"{sx.text(index)} is not one number", index.at)
            picks.append(
                np.broadcast_to(got, (relation.n, got.size))
                if wide
                else np.broadcast_to(got, (relation.n,))[:, None]
            )
    except NotFixed as error:
        raise Unsayable(str(error), error.at, "check the bounds and the data") from None
    flat = np.zeros((relation.n, 1), dtype=np.int64)
    for got, size in zip(picks, shape, strict=True):
        flat = (flat[:, :, None] * size + got[:, None, :]).reshape(relation.n, -1)
    return flat.reshape(-1)


def _once(parts: Parts, relations: Sequence[Relation], shape: tuple[int, ...]) -> None:
    """No element is defined twice."""
    seen: dict[int, Relation] = {}
    total = int(np.prod(shape)) if shape else 1
    owner = np.full(total, -1)
    for k, relation in enumerate(relations):
        cells = elements(parts, relation, shape)
        if len(np.unique(cells)) < len(cells):
            left = [
                v for v in relation.variables if not any(x.name == v for x in sx.variables(relation.target))
            ]
            why = f", once for each {left[0]}" if left else ""
            told = f"{sx.text(relation.target)} is defined more than once{why}"
            raise Unsayable(told, relation.at, "index it by its loop variables")
        if (owner[cells] >= 0).any():
            line = parts.names.source.place(seen[int(owner[cells].max())].at)[0]
            told = f"{sx.text(relation.target)} is defined already on line {line}"
            raise Unsayable(told, relation.at, "define every element once")
        owner[cells], seen[k] = k, relation


def _written_out(parts: Parts, relation: Relation, shape: tuple[int, ...], why: Unsayable) -> list[Piece]:
    if not relation.loops or relation.n > MAX_ELEMENTS or parts.names.trial or shape == ():
        raise why
    return [piece(parts, single, shape) for single in unrolled(relation)]


def _split(parts: Parts, pieces: Sequence[Piece], shape: tuple[int, ...], whole: int) -> list[Piece]:
    """The largest `whole` pieces as they are, the others written out."""
    ranked = sorted(pieces, key=lambda p: (p.named, -p.elements.size, tuple(p.elements[:1])))
    found = ranked[:whole]
    for rest in ranked[whole:]:
        if rest.relation.loops and rest.relation.n <= MAX_ELEMENTS and not parts.names.trial:
            found += [piece(parts, single, shape) for single in unrolled(rest.relation)]
        else:
            found.append(rest)
    return found


def _data_alone(parts: Parts, name: str, pieces: Sequence[Piece], shape: tuple[int, ...]) -> list[Piece]:
    """Elements that the data give and no relation defines are covariates."""
    names = parts.names
    if not shape or (name not in names.data and not names.trial):
        return []
    values = np.zeros(int(np.prod(shape)))
    if not names.trial:
        values = shaped(parts, name, names.known[name]).reshape(-1)
    owned = np.zeros(values.size, dtype=bool)
    for p in pieces:
        owned[p.elements] = True
    alone = np.flatnonzero(~owned & ~np.isnan(values))
    if not alone.size:
        return []
    if name in parts.spaces.pairs:
        return [_first_given(parts, name, pieces, values, owned)]
    if alone.size > MAX_ELEMENTS or (names.trial and alone.size > 1):
        told = f"{alone.size} elements of '{name}' are defined by no relation"
        raise Unsayable(told, pieces[0].relation.at, "define them, or leave them out of the array")
    plates, found = parts.plates(name), []
    for place in alone.tolist():
        labels = [int(k) + 1 for k in np.unravel_index(place, shape)]
        head = st.Head(name, tuple(st.Slot(p, k) for p, k in zip(plates, labels, strict=True)))
        shown = element(name, place, shape)
        covariate = Made((), (), None if names.trial else np.asarray(values[place]))
        said = _given(parts, head, of_data(parts, name, shown, covariate))
        found.append(Piece(said, np.array([place]), Relation(pieces[0].relation.statement)))
    return found


def _first_given(
    parts: Parts, name: str, pieces: Sequence[Piece], values: np.ndarray, owned: np.ndarray
) -> Piece:
    """First elements of rows of different lengths, where the data give some of them and no relation any."""
    (space,), (plate,) = parts.spaces.dims(name), parts.plates(name)
    first = ranks(space) == 0
    if (~owned & ~first & ~np.isnan(values)).any() or owned[first].any():
        told = f"elements of '{name}' inside its rows are in the data, and no relation defines them"
        raise Unsayable(told, pieces[0].relation.at, "define them, or leave them out of the data")
    shown = parts.fresh(f"{name} first")
    covariate = Made((space,), (plate,), np.where(first, values, np.nan))
    space.ordered = True
    head = st.Head(name, (st.Slot(plate, first=1),))
    said = _given(parts, head, of_data(parts, name, shown, covariate))
    return Piece(said, np.flatnonzero(first), Relation(pieces[0].relation.statement))


def _given(parts: Parts, head: st.Head, value: ex.Reference) -> Said:
    """A statement for elements that the data give."""
    if has_states(parts, head.name):
        return certain(parts, head, value, _observed(parts, head.name))
    return st.Deterministic(head, value)


def _constant(parts: Parts, name: str, shape: tuple[int, ...], pieces: Sequence[Piece]) -> list[st.Statement]:
    """Numbers for every element of a stated plate are one constant."""
    dims = parts.spaces.dims(name)
    values = [_value(p) for p in pieces]
    if shape and all(d.stated for d in dims) and all(v is not None for v in values):
        array = np.zeros(int(np.prod(shape)))
        for p, value in zip(pieces, values, strict=True):
            array[p.elements] = value
        place = min(
            (p.said.place for p in pieces if p.said.place is not None),
            key=lambda x: (x.line, x.column),
            default=None,
        )
        return [st.Constant(name, parts.plates(name), _nested(array.reshape(shape)), place=place)]
    return [p.said for p in pieces]


def _value(p: Piece) -> float | None:
    tree = p.said.expression if isinstance(p.said, st.Deterministic) else None
    match tree:
        case ex.Number(value):
            return float(value)
        case ex.Unary("-", ex.Number(value)):
            return -float(value)
        case _:
            return None


def _nested(array: np.ndarray) -> st.Literal:
    if array.ndim:
        return tuple(_nested(part) for part in array)
    value = float(array)
    return int(value) if value == int(value) else value
