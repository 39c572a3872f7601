"""Where an expression of BUGS stands in a statement of the language, and what translating collects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph import statement as st
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.relations import Ints, Relation
from dagmodels.readers.bugs.spaces import Space, Spaces


class Unsayable(Exception):
    """What the language of graphs has no words for, as it stands; says why, where, and what would help."""

    def __init__(self, message: str, at: int, hint: str = "write it out element by element") -> None:
        super().__init__(message)
        self.at, self.hint = at, hint


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """A covariate that the text does not name: numbers that follow from the data.

    array : None without data; NaN at elements that no relation uses.
    values_in : the set of which they are elements, else None.
    """

    spaces: tuple[Space, ...]
    plates: tuple[str, ...]
    array: NDArray[np.float64] | None
    values_in: Space | None = None


@dataclass(eq=False, slots=True)
class Parts:
    """What translating collects beside the statements.

    given : names of the data that the trees use, as numbers; pointing : as indices.
    made : further covariates.
    undefined : by array, which of its elements (flat places) neither a relation nor the data define.
    sums : reductions that stand outside the plates of the statement that uses them.
    """

    names: Names
    spaces: Spaces
    given: set[str] = field(default_factory=set)
    pointing: set[str] = field(default_factory=set)
    made: dict[str, Made] = field(default_factory=dict)
    undefined: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    sums: dict[str, st.Deterministic] = field(default_factory=dict)

    def plates(self, name: str) -> tuple[str, ...]:
        """The plates of an array: a set that comes twice has its alias."""
        found: list[str] = []
        seen: dict[int, int] = {}
        for space in self.spaces.dims(name):
            number = seen.get(id(space), 0)
            found.append(space.alias(number))
            seen[id(space)] = number + 1
        return tuple(found)

    def called(self, name: str) -> str:
        """What a name is called in the graph: data that also index, or name a plate, have a second name."""
        plate = any(name == s.name for s in self.spaces.every())
        if name in self.names.given and (name in self.pointing or plate):
            return self.fresh(f"{name}.value")
        return name

    def fresh(self, name: str) -> str:
        """A name for a covariate that neither the text nor a plate has."""
        taken = {*self.names.used, *(s.name for s in self.spaces.every())}
        while name in taken:
            name += "_"
        return name


@dataclass(frozen=True, eq=False)
class Scope:
    """Where an expression stands.

    loops : the set and the plate of each loop variable that has one.
    bound : sets by the names of the plates that are bound; `head` those of the statement's head, in order.
    whole : plates that stand for empty indices, in order.
    pair : the plate of a nested pair of loops, its two variables, and its set.
    element : the head's only plate, its set, and the place there of each row of the relation.
    """

    parts: Parts
    relation: Relation
    loops: Mapping[str, tuple[Space, str]]
    bound: Mapping[str, Space]
    head: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    pair: tuple[str, str, str, Space] | None = None
    element: tuple[str, Space, Ints] | None = None

    @property
    def names(self) -> Names:
        return self.parts.names

    def free(self, space: Space, beside: tuple[str, ...] = ()) -> str:
        """A name of the set's plate that is not bound here."""
        taken = {*self.bound, *self.head, *beside}
        k = 0
        while space.alias(k) in taken:
            k += 1
        return space.alias(k)
