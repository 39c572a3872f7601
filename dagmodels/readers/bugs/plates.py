"""The index sets of a text: found, sized, nested, named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from dagmodels.graph.names import RESERVED
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.nests import finish, nest
from dagmodels.readers.bugs.pairs import coordinates
from dagmodels.readers.bugs.relations import Relation, plain
from dagmodels.readers.bugs.rows import keep_rows
from dagmodels.readers.bugs.spaces import Key, Spaces, loop_key
from dagmodels.readers.bugs.uses import Uses, extent_of

_WORD = re.compile(r"[^\W\d]\w*(?:\.\w+)*\Z")


def spaces(names: Names) -> Spaces:
    """The index sets of a text, named; faults are left in `names.source`."""
    found = Spaces(names)
    relations = sorted(names.all(), key=lambda r: r.target.name)
    _cut_data(names, relations)
    _lengthen(names, relations)
    for relation in relations:
        _find_pairs(found, relation)
    _keep_matrices(found, relations)
    keep_rows(found, relations)
    for relation in relations:
        _loops(found, relation)
    for relation in relations:
        Uses(found, relation).all()
    finish(found)
    for relation in relations:
        nest(found, relation)
    name_plates(found)
    return found


def _cut_data(names: Names, relations: Iterable[Relation]) -> None:
    """Data longer than every loop over them are cut, where nothing uses them whole."""
    ends: dict[tuple[str, int], set[int | None]] = {}
    for relation in relations:
        for var in sx.variables(relation.statement):
            if var.name not in names.given or var.name not in names.data:
                continue
            for axis, index in enumerate(var.indices or ()):
                found = plain(index, relation.variables)
                end = None
                if found is not None and found[1] == 0:
                    rows = relation.rows[found[0]]
                    end = int(rows.max()) if rows.size else None
                ends.setdefault((var.name, axis), set()).add(end)
    for (name, axis), group in ends.items():
        size = names.extent(name, axis)
        if len(group) == 1 and size is not None:
            (end,) = group
            if end is not None and end < size:
                names.cut(name, axis, end)


def _lengthen(names: Names, relations: Sequence[Relation]) -> None:
    """`p[t+1] <- a[t]` beside `a[t] <- p[t]`: only with one set of elements does a look back at p.

    The array that ends earlier is as long as the other; what it has behind its last element is not defined.
    """
    changed = True
    while changed:
        changed = False
        for relation in relations:
            for axis, end in enumerate(relation.target.indices or ()):
                own = plain(end, relation.variables)
                if own is None:
                    continue
                for var in sx.variables(relation.statement):
                    for k, index in enumerate(var.indices or ()):
                        picked = plain(index, relation.variables)
                        if picked is not None and picked[0] == own[0] and picked[1] <= 0:
                            changed |= _same_length(names, (relation.target.name, axis), (var.name, k))


def _same_length(names: Names, one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Make the shorter of two dimensions as long as the other, if the arrays hang together; was one?"""
    if one[0] == other[0] or {one[0], other[0]} & names.known.keys():
        return False
    sizes = {d: names.extent(*d) for d in (one, other)}
    if None in sizes.values() or sizes[one] == sizes[other] or not names.hang_together(one[0], other[0]):
        return False
    short, long = sorted((one, other), key=lambda d: sizes[d] or 0)
    names.lengthen(*short, sizes[long] or 0)
    return True


def _find_pairs(found: Spaces, relation: Relation) -> None:
    """Arrays that a ragged pair of loops indexes as `y[i, j]`."""
    for inner, size in zip(relation.loops, relation.ranges, strict=True):
        if size is not None or relation.n == 0:
            continue
        outer = {v.name for e in sx.parts(inner) for v in sx.variables(e)} & set(relation.variables)
        for var in sx.variables(relation.statement):
            picked = [plain(i, relation.variables) for i in var.indices or ()]
            if len(picked) == 2 and all(picked):
                (first, k), (second, _) = picked[0] or ("", 0), picked[1] or ("", 0)
                if first in outer and k == 0 and second == inner.variable:
                    found.pairs[var.name] = min(f"{first}.{second}", found.pairs.get(var.name, "~"))


def _keep_matrices(found: Spaces, relations: Sequence[Relation]) -> None:
    """Arrays of which all elements are defined are matrices, whatever loops go over them; so are data that
    only these use."""
    for name in [n for n in found.pairs if n in found.names.relations]:
        sizes = [found.names.extent(name, axis) for axis in range(2)]
        each = [coordinates(found.names, r, r.target) for r in found.names.relations[name]]
        known = [pairs for pairs in each if pairs is not None]
        whole = len(known) == len(each) and None not in sizes
        if whole and len(np.unique(np.concatenate(known), axis=0)) == sizes[0] * sizes[1]:  # type: ignore[operator]
            del found.pairs[name]
    used = {
        v.name for r in relations if r.target.name in found.pairs for v in sx.variables(r.statement)
    } | set(found.names.relations)
    for name in found.pairs.keys() - used:
        del found.pairs[name]


def _loops(found: Spaces, relation: Relation) -> None:
    """Loops and the dimensions of their target; loops over one range that begins with 1."""
    target = relation.target
    if target.name in found.pairs:
        for loop, size in zip(relation.loops, relation.ranges, strict=True):
            if size is not None and size[0] == 1 and not _text_loops(loop, relation):
                found.join(loop_key(relation, loop.variable), _range(loop))
        return
    for axis, index in enumerate(target.indices or ()):
        picked = plain(index, relation.variables)
        if picked is not None and axis in _axes(found.names, relation, picked[0]):
            found.join(loop_key(relation, picked[0]), ("dim", target.name, axis))
    for loop, size in zip(relation.loops, relation.ranges, strict=True):
        if size is not None and not _text_loops(loop, relation):
            end = extent_of(found, relation, loop.variable)
            if size[0] == 1 if end is None else end == size[1]:
                found.join(loop_key(relation, loop.variable), _range(loop))


def _axes(names: Names, relation: Relation, variable: str) -> list[int]:
    """The target's dimensions that a loop goes over; of a diagonal's, in a matrix that is not square, the
    shortest."""
    target = relation.target
    own = [k for k, i in enumerate(target.indices or ()) if plain(i, relation.variables) == (variable, 0)]
    sizes = [names.extent(target.name, k) or 0 for k in own]
    return [k for k, size in zip(own, sizes, strict=True) if size == min(sizes)]


def _text_loops(loop: sx.Loop, relation: Relation) -> bool:
    return any(v.name in relation.variables for v in sx.variables(loop.high or loop.low))


def _range(loop: sx.Loop) -> Key:
    """What loops over one range have in common: how their end is written."""
    return ("range", sx.text(loop.high or loop.low))


def name_plates(found: Spaces) -> None:
    """A name for each set: its bound's, else its loop variable's; never that of a node."""
    taken = set(found.names.ndim) - {b for s in found.every() for b in s.bounds}
    taken |= set(found.names.relations) | {n for n in found.names.given if found.names.ndim.get(n)}
    order = sorted(found.members().items(), key=lambda m: sorted(map(_rank, m[1])))
    each = [found.space_of(root) for root, _ in order]
    counts: dict[str, int] = {}
    for space in each:
        for variable in space.variables:
            counts[variable] = counts.get(variable, 0) + 1
    for space in each:
        words = sorted(space.bounds, key=lambda b: (not _WORD.match(b), b))
        own = sorted(v for v in space.variables if counts[v] == 1)
        sized = [f"{v}.{space.size}" for v in [*sorted(space.variables), "dim"]] if space.stated else []
        others = sorted(space.others, key=lambda o: (not o.endswith(".index"), o))
        candidates = [*words, *own, *sized, *others, *(f"plate.{k}" for k in range(1, 1000))]
        space.name = next(c for c in candidates if c not in taken and c not in RESERVED)
        taken.add(space.name)
    every = {*taken, *found.names.used}
    for space in each:
        space.taken = every


def _rank(key: Key) -> tuple[int, str]:
    """Sorts keys without regard to the order of statements."""
    kind = str(key[0])
    if kind == "loop":
        return (9, str(key[2]))
    return ({"range": 0, "dim": 1, "pair": 2}.get(kind, 3), " ".join(map(str, key[1:])))
