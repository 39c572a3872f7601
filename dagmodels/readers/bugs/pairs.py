"""Sets of pairs: elements (outer, inner) of arrays whose rows have different lengths or begin elsewhere."""

from __future__ import annotations

import numpy as np

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.numbers import NotFixed, along
from dagmodels.readers.bugs.relations import Ints, Relation
from dagmodels.readers.bugs.spaces import Space


def coordinates(names: Names, relation: Relation, var: sx.Var) -> Ints | None:
    """The pair that `var` means in each row of a relation, counted from 1: (rows, 2); None where an index
    does not follow from data."""
    columns = []
    for index in var.indices or ():
        if isinstance(index, sx.Whole | sx.Span) or not names.fixed(index, relation.variables):
            return None
        try:
            columns.append(along(index, names.known, relation.rows, relation.n).astype(np.int64))
        except NotFixed:
            return None
    return np.stack(columns, axis=1) if len(columns) == 2 else None


def places(space: Space, pairs: Ints) -> Ints:
    """The place of each pair among the elements of a set, -1 where it is none of them."""
    assert space.pairs is not None
    if not len(space.pairs):
        return np.full(len(pairs), -1)
    width = int(max(space.pairs[:, 1].max(), pairs[:, 1].max(initial=0))) + 1
    keys, wanted = (p[:, 0] * width + p[:, 1] for p in (space.pairs, pairs))
    found = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where((keys[found] == wanted) & (pairs[:, 1] >= 0), found, -1)


def ranks(space: Space) -> Ints:
    """How many elements of the same outer element stand before each."""
    assert space.pairs is not None
    outer = space.pairs[:, 0]
    return np.arange(outer.size) - np.searchsorted(outer, outer)


__all__ = ["coordinates", "places", "ranks"]
