"""The statements of one node side by side: a general one, and those for levels that overrule it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import expressions
from dagmodels.readers.bugs.pairs import ranks
from dagmodels.readers.bugs.relations import Ints, Relation
from dagmodels.readers.bugs.scope import Parts, Unsayable
from dagmodels.readers.bugs.spaces import Space

Said = st.Stochastic | st.Deterministic


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A relation's statement, and the elements (flat places, C order) that the relation defines."""

    said: Said
    elements: Ints
    relation: Relation

    @property
    def slots(self) -> tuple[st.Slot, ...]:
        return self.said.head.slots

    @property
    def named(self) -> int:
        """How many levels the head names."""
        return sum(s.label is not None or s.first > 0 for s in self.slots)

    def moved(self, slots: Sequence[st.Slot]) -> Piece:
        """The piece with other slots."""
        head = st.Head(self.said.head.name, tuple(slots))
        return Piece(replace(self.said, head=head), self.elements, self.relation)

    @property
    def right(self) -> object:
        return self.said.distribution if isinstance(self.said, st.Stochastic) else self.said.expression


def arranged(pieces: Sequence[Piece], shape: tuple[int, ...], parts: Parts, name: str) -> list[Piece] | None:
    """The pieces with a general one among them, if the language then reads them as the text does."""
    found = list(pieces)
    total = int(np.prod(shape)) if shape else 1
    found = _first(_merged(found, parts), parts)
    if all(p.named for p in found):
        general = min(found, key=_generality)
        found[found.index(general)] = general.moved([st.Slot(s.plate) for s in general.slots])
    owner = np.full(total, -1)
    rank = np.full(total, -1)
    for k in sorted(range(len(found)), key=lambda k: found[k].named):
        cells = _reached(found[k], shape, parts.spaces.dims(name))
        tied = cells[(rank[cells] == found[k].named)]
        if any(found[int(o)].right != found[k].right for o in np.unique(owner[tied])):
            return None
        owner[cells], rank[cells] = k, found[k].named
    for k, p in enumerate(found):
        if any(found[int(o)].right != p.right for o in np.unique(owner[p.elements]) if o != k):
            return None
    return found if (owner >= 0).all() else None


def _generality(p: Piece) -> tuple[object, ...]:
    labels = tuple(s.label if isinstance(s.label, int) else s.first for s in p.slots)
    return (any(s.first for s in p.slots), p.named, isinstance(p.said, st.Deterministic), labels)


def _first(pieces: list[Piece], parts: Parts) -> list[Piece]:
    """Where a statement looks back, the levels before its first element are the first ones."""
    lags: dict[str, int] = {}
    for p in pieces:
        for tree in expressions(p.said):
            for reference in ex.references(tree):
                for index in reference.indices or ():
                    if isinstance(index, ex.LagIndex):
                        lags[index.plate] = max(lags.get(index.plate, 0), index.lag)
    found = list(pieces)
    for plate, lag in lags.items():
        low = {k: p for k, p in enumerate(found) if any(s.plate == plate and _early(s, lag) for s in p.slots)}
        if len(low) > 1 and any(p.right != next(iter(low.values())).right for p in low.values()):
            raise Unsayable(
                f"the first {lag} elements of '{pieces[0].said.head.name}' have different laws",
                pieces[0].relation.at,
            )
        for number, (k, p) in enumerate(low.items()):
            slots = [st.Slot(plate, first=lag) if s.plate == plate else s for s in p.slots]
            if number == 0:
                cells = np.concatenate([q.elements for q in low.values()])
                said = _same_element(p.moved(slots).said, {plate: 1} if lag == 1 else {}, parts)
                found[k] = Piece(said, np.sort(cells), p.relation)
        found = [p for k, p in enumerate(found) if k not in low or k == next(iter(low))]
    return found


def _same_element(said: Said, labels: Mapping[str, object], parts: Parts) -> Said:
    """A definition of one level with that level as its own element: what looks back then sees no other.

    labels : by plate, the level.
    """
    if not isinstance(said, st.Deterministic):
        return said

    def change(tree: ex.Expression) -> ex.Expression:
        if not isinstance(tree, ex.Reference) or tree.name not in parts.names.relations:
            return tree
        each = zip(tree.indices or (), parts.plates(tree.name), strict=True)
        own = (ex.PlateIndex(p) if p in labels and i == ex.LevelIndex(labels[p]) else i for i, p in each)  # type: ignore[arg-type]
        return replace(tree, indices=tuple(own))

    return replace(said, expression=ex.rebuild(said.expression, change))


def _merged(pieces: list[Piece], parts: Parts) -> list[Piece]:
    """Without statements for levels that say what the general one says: `q[T] <- 1 - z[T]` behind a loop."""
    general = next((p for p in pieces if not p.named and isinstance(p.said, st.Deterministic)), None)
    if general is None:
        return pieces
    found, also = [], [general.elements]
    for p in pieces:
        labels = {s.plate: s.label for s in p.slots if s.plate is not None and s.label is not None}
        same = p is not general and getattr(_same_element(p.said, labels, parts), "expression", None)
        if same is not None and same == general.right:
            also.append(p.elements)
        elif p is not general:
            found.append(p)
    return [Piece(general.said, np.sort(np.concatenate(also)), general.relation), *found]


def _early(slot: st.Slot, lag: int) -> bool:
    return isinstance(slot.label, int) and slot.label <= lag


def _reached(p: Piece, shape: tuple[int, ...], dims: Sequence[Space]) -> Ints:
    """Flat places that the language gives a statement before more special ones take theirs."""
    if not shape:
        return np.zeros(1, dtype=np.int64)
    axes: list[Ints] = []
    for slot, size, space in zip(p.slots, shape, dims, strict=True):
        if isinstance(slot.label, int):
            axes.append(np.array([slot.label - 1]))
        elif slot.first and space.pairs is not None:
            axes.append(np.flatnonzero(ranks(space) < slot.first))
        else:
            axes.append(np.arange(min(slot.first or size, size)))
    return np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), shape).reshape(-1)


def element(name: str, place: int, shape: tuple[int, ...]) -> str:
    """An element as BUGS writes it."""
    if not shape:
        return name
    return f"{name}[{','.join(str(int(k) + 1) for k in np.unravel_index(place, shape))}]"
