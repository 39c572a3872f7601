"""Elements of an array that no relation defines and no data give: JAGS lets them be while nothing uses them.

The language has no array with holes. A definition that stands for every element may stand for these too; else
they are 0. Either way nothing that the text says depends on them, and reports leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import expressions
from dagmodels.readers.bugs.arrange import Piece, Said, element
from dagmodels.readers.bugs.certain import certain, has_states
from dagmodels.readers.bugs.pairs import ranks
from dagmodels.readers.bugs.relations import Ints, Relation
from dagmodels.readers.bugs.scope import Parts, Unsayable
from dagmodels.readers.bugs.used import used_elements

FEW = 20  # statements that are rather written than let a definition stand for elements it was not meant for
Flags = NDArray[np.bool_]


def filled(
    parts: Parts, name: str, pieces: Sequence[Piece], shape: tuple[int, ...], most: int
) -> list[Piece]:
    """Statements for the elements that nothing defines; these are noted in `parts.undefined`.

    most : statements that may be added.

    Raises Unsayable where the text uses such an element, or they are too many.
    """
    left = np.ones(int(np.prod(shape)) if shape else 1, dtype=bool)
    for p in pieces:
        left[p.elements] = False
    if not left.any():
        return []
    used = np.flatnonzero(left & used_elements(parts, name, shape))
    if used.size:
        told = f"'{element(name, int(used[0]), shape)}' is not defined, and the text uses it"
        raise Unsayable(told, pieces[0].relation.at, "define every element, or make the array smaller")
    parts.undefined[name] = left
    slabs = _slabs(parts, name, left, shape)
    if not 0 < len(slabs) <= FEW and _stands_for_all(parts, name, pieces, left):
        return []
    if not 0 < len(slabs) <= most:
        told = f"{int(left.sum())} elements of '{name}' are defined by no relation"
        raise Unsayable(told, pieces[0].relation.at, "define them, or make the array smaller")
    plates = parts.plates(name)
    found = []
    for labels, cells in slabs:
        slots = tuple(st.Slot(p, k) for p, k in zip(plates, labels, strict=True))
        if name in parts.spaces.pairs:
            parts.spaces.dim(name, 0).ordered = True
            slots = (st.Slot(plates[0], first=1),)
        head = st.Head(name, slots)
        said: Said = st.Deterministic(head, ex.Number(0))
        if has_states(parts, name):  # the first of its values
            first = ex.Number(int(parts.names.drawn(name, "dcat")))
            said = certain(parts, head, first, any(getattr(p.said, "observed", False) for p in pieces))
        found.append(Piece(said, cells, Relation(pieces[0].relation.statement)))
    return found


def _stands_for_all(parts: Parts, name: str, pieces: Sequence[Piece], left: Flags) -> bool:
    """Whether definitions may be computed where nothing asks for them: looking back, not at the first."""
    if not all(isinstance(p.said, st.Deterministic) for p in pieces):
        return False
    dims, plates = parts.spaces.dims(name), parts.plates(name)
    at = np.nonzero(left.reshape([d.size for d in dims]))
    for p in pieces:
        for tree in expressions(p.said):
            for reference in ex.references(tree):
                for index in reference.indices or ():
                    if not isinstance(index, ex.LagIndex):
                        continue
                    if index.plate not in plates:
                        return False
                    axis = plates.index(index.plate)
                    before = at[axis] if dims[axis].pairs is None else ranks(dims[axis])[at[axis]]
                    if (before < index.lag).any():
                        return False
    return True


def _slabs(
    parts: Parts, name: str, left: Flags, shape: tuple[int, ...]
) -> list[tuple[tuple[int | None, ...], Ints]]:
    """Levels, None where any, that together are these elements: whole slabs first, then one by one."""
    if not shape:
        return [((), np.zeros(1, np.int64))]
    if name in parts.spaces.pairs:
        first = ranks(parts.spaces.dim(name, 0)) == 0
        return [] if (left & ~first).any() or not left[first].all() else [((None,), np.flatnonzero(first))]
    rest, flat = left.reshape(shape).copy(), np.arange(left.size).reshape(shape)
    found: list[tuple[tuple[int | None, ...], Ints]] = []
    for axis in range(len(shape) if len(shape) > 1 else 0):
        others = tuple(k for k in range(len(shape)) if k != axis)
        for k in np.flatnonzero(left.reshape(shape).all(axis=others)).tolist():
            labels = tuple(k + 1 if a == axis else None for a in range(len(shape)))
            found.append((labels, np.take(flat, k, axis=axis).reshape(-1)))
            rest[tuple(k if a == axis else slice(None) for a in range(len(shape)))] = False
    for place in np.flatnonzero(rest.reshape(-1)).tolist():
        labels = tuple(int(k) + 1 for k in np.unravel_index(place, shape))
        found.append((labels, np.array([place])))
    return found


__all__ = ["filled"]
