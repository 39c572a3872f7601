"""Which elements of an array the relations of a text use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.numbers import NotFixed, along, places
from dagmodels.readers.bugs.pairs import coordinates
from dagmodels.readers.bugs.pairs import places as pair_places
from dagmodels.readers.bugs.relations import Relation
from dagmodels.readers.bugs.scope import Parts
from dagmodels.readers.bugs.spaces import Space

Flags = NDArray[np.bool_]


def used_elements(parts: Parts, name: str, shape: tuple[int, ...]) -> Flags:
    """The elements of an array that some relation uses."""
    found = np.zeros(shape, dtype=bool)
    for relation in parts.names.all():
        for var in sx.variables(relation.statement):
            if var.name == name and var is not relation.target and relation.n:
                _mark(parts, relation, var, found)
    return found.reshape(-1)


def _mark(parts: Parts, relation: Relation, var: sx.Var, found: NDArray[np.bool_]) -> None:
    """Mark what one reference uses: an index that is not known beforehand may be any."""
    if not found.shape:
        found[...] = True
        return
    if var.name in parts.spaces.pairs:
        space = parts.spaces.dim(var.name, 0)
        pairs = coordinates(parts.names, relation, var)
        if pairs is None:
            found[_rows_reached(parts, relation, var, space)] = True
        else:
            own = pair_places(space, pairs)
            found[own[own >= 0]] = True
        return
    names, picks = parts.names, []
    for axis, index in enumerate(var.indices or ()):
        every = list(range(found.shape[axis]))
        if isinstance(index, sx.Whole) or not names.fixed(index, relation.variables):
            picks.append(every)
            continue
        try:
            picks.append(places(index, names.known, relation.rows, found.shape[axis], var.name))
        except NotFixed:  # a range that is another one in each row
            picks.append(_ranges(parts, relation, index, every))
    if any(isinstance(p, list) for p in picks):
        each = np.broadcast_arrays(*(p for p in picks if not isinstance(p, list)), np.zeros(relation.n))[:-1]
        for row in {tuple(int(x[k]) for x in each) for k in range(relation.n)}:
            own = iter(row)
            found[np.ix_(*(p if isinstance(p, list) else [next(own)] for p in picks))] = True
    else:
        found[tuple(picks)] = True


def _rows_reached(parts: Parts, relation: Relation, var: sx.Var, space: Space) -> Flags:
    """The elements of rows of different lengths that a range, or an index that is not known, may mean."""
    assert space.pairs is not None
    last = (var.indices or (sx.Whole(),))[-1]
    every = list(range(1, int(space.pairs[:, 1].max(initial=0)) + 1))
    return np.isin(space.pairs[:, 1], [k + 1 for k in _ranges(parts, relation, last, [k - 1 for k in every])])


def _ranges(parts: Parts, relation: Relation, index: sx.Index, every: list[int]) -> list[int]:
    """The elements that ranges of all rows reach."""
    if not isinstance(index, sx.Span):
        return every
    try:
        low, high = (along(e, parts.names.known, relation.rows, relation.n) for e in (index.low, index.high))
    except NotFixed:
        return every
    some = high >= low
    return [k for k in every if some.any() and low[some].min() <= k + 1 <= high[some].max()]


__all__ = ["used_elements"]
