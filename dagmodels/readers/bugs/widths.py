"""How far the arrays of a text reach, before anything else is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.numbers import NotFixed, number
from dagmodels.readers.bugs.relations import Relation, flat, plain


class Widths:
    """Ends of dimensions, from the data, declarations, and the indices that relations define."""

    def __init__(self, program: sx.Program, data: Mapping[str, NDArray[np.float64]]) -> None:
        self.data = data
        self.declared = {d.name: d.dims for d in program.declarations}
        self.relations: dict[str, list[Relation]] = {}
        for relation in flat(program.model):
            self.relations.setdefault(relation.target.name, []).append(relation)

    def known(self, tree: sx.Expr) -> int | None:
        """The whole number that follows from data alone."""
        try:
            found = number(tree, self.data, {})
        except (NotFixed, TypeError):
            return None
        return int(found) if found.ndim == 0 and not np.isnan(found) else None

    def ends(self, index: sx.Index) -> tuple[int, int] | None:
        """The ends of a range whose ends are numbers."""
        if not isinstance(index, sx.Span):
            return None
        low, high = self.known(index.low), self.known(index.high)
        return None if low is None or high is None else (low, high)

    def of(self, name: str, axis: int) -> int | None:
        """The end of an array's dimension; None where it is not known."""
        if name in self.data:
            shape = self.data[name].shape
            return shape[axis] if axis < len(shape) else None
        if name in self.declared:
            return self.known(self.declared[name][axis]) if axis < len(self.declared[name]) else None
        ends = [self._end(r, axis) for r in self.relations.get(name, ())]
        return None if not ends or None in ends else max(e for e in ends if e is not None)

    def _end(self, relation: Relation, axis: int) -> int | None:
        indices: Sequence[sx.Index] = relation.target.indices or ()
        if axis >= len(indices) or isinstance(indices[axis], sx.Whole):
            return None
        index = indices[axis]
        if isinstance(index, sx.Span):
            return self.known(index.high)
        picked = plain(index, relation.variables)
        if picked is None:
            assert not isinstance(index, sx.Whole)
            return self.known(index)
        loop = relation.loops[relation.variables.index(picked[0])]
        last = None if loop.high is None else self.known(loop.high)
        return None if last is None else last + picked[1]


__all__ = ["Widths"]
