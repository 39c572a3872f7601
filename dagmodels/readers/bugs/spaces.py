"""Which dimensions of arrays and which loops are one index set: these become plates.

Dimensions that one loop variable indexes, vectors that meet in a distribution or in a sum, the values of a
node that is an index and the dimension that it indexes, and loops over one range belong together
(union-find).
A loop whose bounds depend on another makes a nested set: its elements are pairs, or lie in the outer loop's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.relations import Ints, Relation

Key = tuple[object, ...]
VECTORS = {"dmnorm": 2, "dmnorm.vcov": 2, "dmt": 2, "dwish": 2}
VECTORS |= {"ddirch": 1, "ddirich": 1, "dmulti": 1, "dmultinom": 1}
REDUCING = frozenset({"sum", "mean", "prod", "inprod", "max", "min", "sd"})


@dataclass(eq=False, slots=True)
class Space:
    """One index set.

    size : number of elements. stated : it follows from the text alone, so that the plate states its levels.
    pairs : for a set of pairs, its elements (outer, inner) in order, counted from 1.
    parents : the sets that it lies in, with each element's place there.
    variables : loop variables that range over it; bounds : how the upper bounds of their loops are written.
    others : further names that would do; taken : those of the text and of all plates.
    """

    size: int
    name: str = ""
    stated: bool = False
    ordered: bool = False
    pairs: Ints | None = None
    parents: dict[int, tuple[Space, Ints]] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    bounds: set[str] = field(default_factory=set)
    aliases: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def alias(self, number: int) -> str:
        """The plate's name (0), or that of an alias (1, 2, ...)."""
        if number == 0:
            return self.name
        while len(self.aliases) < number:
            name = f"{self.name}{'.' * self.name[-1].isdigit()}{len(self.aliases) + 2}"
            while name in self.taken:
                name += "_"
            self.taken.add(name)
            self.aliases.append(name)
        return self.aliases[number - 1]


@dataclass(eq=False)
class Spaces:
    """The index sets of a text, by dimension of an array, loop of a relation, and values of a node."""

    names: Names
    _up: dict[Key, Key] = field(default_factory=dict)
    made: dict[Key, Space] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)  # arrays indexed by pairs of a nested loop, as "i.j"
    rows: set[str] = field(default_factory=set)  # matrices whose rows end earlier, with 0 behind

    # -- questions

    def dim(self, name: str, axis: int) -> Space:
        """The set of an array's dimension."""
        return self.space_of(("pair", name) if name in self.pairs else ("dim", name, axis))

    def dims(self, name: str) -> list[Space]:
        """The sets of an array's dimensions, one for each plate."""
        count = 1 if name in self.pairs else self.names.ndim.get(name, 0)
        return [self.dim(name, k) for k in range(count)]

    def loop(self, relation: Relation, variable: str) -> Space:
        return self.space_of(loop_key(relation, variable))

    def values(self, name: str) -> Space | None:
        """The set that a node's values are elements of, if they are."""
        key: Key = ("values", name)
        return self.space_of(key) if key in self._up else None

    def every(self) -> list[Space]:
        found: dict[int, Space] = {}
        for key in list(self._up):
            space = self.space_of(key)
            found[id(space)] = space
        return list(found.values())

    def holds(self, space: Space) -> bool:
        """Whether a set is more than one loop's: some array or a named range has it."""
        kinds = {k[0] for k in self._up if self.space_of(k) is space}
        return bool(kinds & {"dim", "range"})

    # -- union-find

    def join(self, one: Key, other: Key) -> None:
        a, b = self._root(one), self._root(other)
        if a != b:
            self._up[a] = b

    def _root(self, key: Key) -> Key:
        self._up.setdefault(key, key)
        while self._up[key] != key:
            self._up[key] = key = self._up[self._up[key]]
        return key

    def space_of(self, key: Key) -> Space:
        root = self._root(key)
        if root not in self.made:
            self.made[root] = Space(0)
        return self.made[root]

    def members(self) -> Mapping[Key, list[Key]]:
        found: dict[Key, list[Key]] = {}
        for key in list(self._up):
            found.setdefault(self._root(key), []).append(key)
        return found


def loop_key(relation: Relation, variable: str) -> Key:
    """The key of a loop."""
    return ("loop", id(relation), variable)
