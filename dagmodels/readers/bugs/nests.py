"""Sizes of index sets, the pairs of nested loops, and which set lies in which."""

from __future__ import annotations

import numpy as np

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.numbers import NotFixed, along
from dagmodels.readers.bugs.pairs import coordinates
from dagmodels.readers.bugs.relations import Ints, Relation, plain
from dagmodels.readers.bugs.spaces import Space, Spaces


def finish(found: Spaces) -> None:
    """Sizes, elements, and what the sets are called in the text."""
    names = found.names
    by_id = {id(r): r for r in names.all()}
    for root, members in found.members().items():
        space = found.space_of(root)
        sizes: set[int] = set()
        loops: set[int] = set()
        named: set[str] = set()
        literal = data = False
        pairs: list[Ints] = []
        for key in members:
            kind = key[0]
            if kind == "dim":
                size = names.extent(str(key[1]), int(str(key[2])))
                sizes |= {size} if size is not None else set()
                data = data or key[1] in names.given
                several = names.ndim.get(str(key[1]), 0) > 1
                space.others.add(f"{key[1]}.{int(str(key[2])) + 1}" if several else f"{key[1]}.index")
            elif kind == "loop":
                relation = by_id[key[1]]  # type: ignore[index]
                space.variables.add(str(key[2]))
                rows = relation.rows[str(key[2])]
                loops |= {int(rows.max())} if rows.size else set()
            elif kind == "range":
                text = str(key[1])
                literal = literal or text.isdigit()
                named |= set() if text.isdigit() else {text}
            elif kind == "pair":
                space.others.add(found.pairs[str(key[1])])
                pairs += _pairs_of(names, str(key[1]))
        if pairs:
            both = np.unique(np.concatenate(pairs), axis=0)
            space.pairs, sizes = both, {len(both)}
        sizes = (
            sizes or {int(t) for t in (str(k[1]) for k in members if k[0] == "range") if t.isdigit()} or loops
        )
        if len(sizes) > 1:
            shown = ", ".join(sorted({f"'{k[1]}'" for k in members if k[0] == "dim"}))
            counts = " and ".join(map(str, sorted(sizes)))
            told = f"The dimensions of {shown} are used as one, but have {counts} elements."
            names.source.fault(told, "make their sizes agree", min(r.at for r in names.all()))
        space.size = max(sizes, default=names.stand_in(len(found.made)))
        space.bounds = named
        space.stated = (
            bool(sizes) and space.pairs is None and (literal or not (named or data or space.variables))
        )


def _pairs_of(names: Names, name: str) -> list[Ints]:
    found = (coordinates(names, r, r.target) for r in names.relations.get(name, ()))
    return [pairs for pairs in found if pairs is not None]


def _looks_back(found: Spaces, space: Space) -> bool:
    """Whether some relation uses elements of a row that stand before its own."""
    for relation in found.names.all():
        for var in sx.variables(relation.statement):
            if var.name in found.pairs and found.dim(var.name, 0) is space:
                picked = plain((var.indices or (sx.Whole(),))[-1], relation.variables)
                if picked is not None and picked[1] < 0:
                    return True
    return False


def nest(found: Spaces, relation: Relation) -> None:
    """Sets that lie in the set of an outer loop."""
    target = relation.target
    dims = found.dims(target.name)
    inside = {p[0] for i in target.indices or () if (p := plain(i, relation.variables)) is not None}
    if target.name in found.pairs:
        space = dims[0]
        first, second = (plain(i, relation.variables) for i in target.indices or ())
        alone = (
            set[str]() if _looks_back(found, space) else _alone(relation, found)
        )  # a chain goes through axis 1
        for picked, axis in ((first, 0), (second, 1)):
            if picked is None or space.pairs is None or (axis == 1 and picked[0] not in alone):
                continue
            parent = found.loop(relation, picked[0])
            if not found.holds(parent):
                continue
            parent.size = max(parent.size, int(space.pairs[:, axis].max()))
            space.parents.setdefault(id(parent), (parent, space.pairs[:, axis] - 1))
        return
    outer = [v for v in relation.variables if v not in inside]
    if len(dims) != 1 or not outer:
        return
    places = _target_places(found.names, relation)
    if places is None or len(np.unique(places)) != relation.n or relation.n != dims[0].size:
        return
    if places.size and places.max() >= dims[0].size:
        return
    for variable in outer:
        if variable not in _alone(relation, found):
            continue
        parent = found.loop(relation, variable)
        if parent is not dims[0]:
            codes = np.zeros(relation.n, dtype=np.int64)
            codes[places] = relation.rows[variable] - 1
            dims[0].parents.setdefault(id(parent), (parent, codes))


def _target_places(names: Names, relation: Relation) -> Ints | None:
    """The elements that a relation on one dimension defines; None where they are not known or wrong."""
    index = (relation.target.indices or (sx.Whole(),))[0]
    if isinstance(index, sx.Whole | sx.Span):
        return None
    try:
        found = along(index, names.known, relation.rows, relation.n).astype(np.int64) - 1
    except NotFixed:
        return None
    return found if found.size == 0 or found.min() >= 0 else None


def _alone(relation: Relation, found: Spaces) -> set[str]:
    """Loop variables that index an array which is not one of pairs."""
    used: set[str] = set()
    for var in sx.variables(relation.statement):
        if var.name not in found.pairs:
            for index in var.indices or ():
                picked = plain(index, relation.variables)
                if picked is not None:
                    used.add(picked[0])
    return used
