"""Definitions that look back at themselves, `n[t] = n[t-1]*r[t]`: which of their elements come before which.

The elements of all definitions in a circle are put in stages: each needs none but those of earlier stages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.forms.cells import Cells, cells
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Deterministic
from dagmodels.numerics.tape import Recorder

Places = Callable[[ex.Reference, Rows], Codes]
Expand = Callable[[Rows, tuple[str, ...]], tuple[Rows, Codes]]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Some elements of a definition that one statement gives: their places, and their rows."""

    name: str
    expression: ex.Expression
    places: Codes
    rows: Rows


def stages(problem: Problem, names: Sequence[str], places: Places, expand: Expand) -> list[list[Part]] | None:
    """What is defined of these nodes, the elements of one stage together; None where they form a circle.

    places : the elements that a reference means on each row. expand : rows times the elements of more plates.
    """
    shares = [(n, s) for n in names for s in cells(problem, n) if isinstance(s.statement, Deterministic)]
    sizes = [math.prod(problem.shape(n)) for n in names]
    begin = dict(zip(names, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    heads, tails = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for name, share in shares:
        for reference, rows, owner in _references(_expression(share), share.rows, expand):
            if reference.name in begin:
                tails.append(begin[reference.name] + places(reference, rows))
                heads.append(begin[name] + share.places[owner])
    stage = _stages(sum(sizes), np.concatenate(tails), np.concatenate(heads))
    if stage is None:
        return None
    found: list[list[Part]] = [[] for _ in range(int(stage.max(initial=0)) + 1)]
    for name, share in shares:
        own = stage[begin[name] + share.places]
        for k in np.unique(own).tolist():
            found[k].append(_part(name, share, np.flatnonzero(own == k)))
    return found


def _stages(n: int, before: Codes, after: Codes) -> Codes | None:
    """The length of the longest way to each element."""
    stage = np.zeros(n, np.int64)
    for _ in range(n + 1):
        new = stage.copy()
        np.maximum.at(new, after, stage[before] + 1)
        if np.array_equal(new, stage):
            return stage
        stage = new
    return None


def _part(name: str, share: Cells, at: Codes) -> Part:
    if at.size == share.places.size:
        return Part(name, _expression(share), share.places, share.rows)
    codes = {p: c[at] for p, c in share.rows.codes.items()}
    return Part(name, _expression(share), share.places[at], Rows(at.size, codes))


def _expression(share: Cells) -> ex.Expression:
    assert isinstance(share.statement, Deterministic)
    return share.statement.expression


def _references(
    tree: ex.Expression, rows: Rows, expand: Expand
) -> Iterator[tuple[ex.Reference, Rows, Codes]]:
    """References with the rows that they stand on, and the row of the head that each of these came from."""

    def down(tree: ex.Expression, rows: Rows, owner: Codes) -> Iterator[tuple[ex.Reference, Rows, Codes]]:
        if isinstance(tree, ex.Reduction):
            inner, of = expand(rows, tree.plates)
            yield from down(tree.body, inner, owner[of])
            return
        if isinstance(tree, ex.Reference):
            yield tree, rows, owner
        for part in _inside(tree):
            yield from down(part, rows, owner)

    yield from down(tree, rows, np.arange(rows.n))


def _inside(tree: ex.Expression) -> Iterable[ex.Expression]:
    if isinstance(tree, ex.Reference):
        return [i.reference for i in tree.indices or () if isinstance(i, ex.NodeIndex)]
    return ex.children(tree)


class Assembly:
    """A register that is put together from the registers of its parts, and can be read meanwhile."""

    def __init__(self, recorder: Recorder, size: int) -> None:
        self.recorder = recorder
        self.parts: list[tuple[int, Codes]] = []
        self._part = np.full(size, -1)
        self._place = np.full(size, -1)

    def add(self, register: int, places: Codes) -> None:
        """Elements that are known from now on."""
        self._part[places], self._place[places] = len(self.parts), np.arange(places.size)
        self.parts.append((register, places))

    def at(self, places: Codes) -> int:
        """A register with these elements."""
        of = self._part[places]
        found = []
        for k in np.unique(of).tolist():
            mine = np.flatnonzero(of == k)
            found.append((self.recorder.gather(self.parts[k][0], self._place[places[mine]]), mine))
        return found[0][0] if len(found) == 1 else self.recorder.assemble(places.size, found)

    def whole(self) -> int:
        """The register with all elements."""
        return self.recorder.assemble(self._part.size, self.parts)


__all__ = ["Assembly", "Part", "stages"]
