"""Which dimensions of arrays and which loops are one index set: these become plates.

Dimensions that one loop variable indexes, vectors that meet in a distribution or in a sum, the values of a node
that is an index and the dimension that it indexes, and loops over one range belong together (union-find).
A loop whose bounds depend on another loop makes a nested set: its elements are pairs, or lie in the outer loop's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dagmodels.graph.names import RESERVED
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.relations import Ints, Relation, plain

Key = tuple[object, ...]
VECTORS = {"dmnorm": 2, "dmnorm.vcov": 2, "ddirch": 1, "ddirich": 1, "dmulti": 1, "dwish": 2}
REDUCING = frozenset({"sum", "mean", "prod", "inprod", "max", "min"})


@dataclass(eq=False, slots=True)
class Space:
    """One index set.

    size : number of elements. stated : it follows from the text alone, so that the plate states its levels.
    pairs : for a set of pairs, its elements (outer, inner) in order, counted from 1.
    parents : the sets that it lies in, with each element's place there.
    variables : loop variables that range over it; bounds : how the upper bounds of their loops are written.
    """

    size: int
    name: str = ""
    stated: bool = False
    ordered: bool = False
    pairs: Ints | None = None
    parents: dict[int, tuple[Space, Ints]] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    bounds: set[str] = field(default_factory=set)
    aliases: list[str] = field(default_factory=list)

    def alias(self, number: int) -> str:
        """The plate's name (0), or that of an alias (1, 2, ...)."""
        if number == 0:
            return self.name
        name = f"{self.name}{number + 1}"
        if name not in self.aliases:
            self.aliases.append(name)
        return name


@dataclass(eq=False)
class Spaces:
    """The index sets of a text, by dimension of an array, loop of a relation, and values of a node."""

    names: Names
    _up: dict[Key, Key] = field(default_factory=dict)
    _made: dict[Key, Space] = field(default_factory=dict)
    pairs: set[str] = field(default_factory=set)  # arrays indexed by pairs of a nested loop

    # -- questions

    def dim(self, name: str, axis: int) -> Space:
        """The set of an array's dimension."""
        return self._space(("pair", name) if name in self.pairs else ("dim", name, axis))

    def dims(self, name: str) -> list[Space]:
        """The sets of an array's dimensions, one for each plate."""
        count = 1 if name in self.pairs else self.names.ndim.get(name, 0)
        return [self.dim(name, k) for k in range(count)]

    def loop(self, relation: Relation, variable: str) -> Space:
        return self._space(_loop(relation, variable))

    def values(self, name: str) -> Space | None:
        """The set that a node's values are elements of, if they are."""
        key: Key = ("values", name)
        return self._space(key) if key in self._up else None

    def every(self) -> list[Space]:
        found: dict[int, Space] = {}
        for key in list(self._up):
            space = self._space(key)
            found[id(space)] = space
        return list(found.values())

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

    def _space(self, key: Key) -> Space:
        root = self._root(key)
        if root not in self._made:
            self._made[root] = Space(0)
        return self._made[root]

    def members(self) -> Mapping[Key, list[Key]]:
        found: dict[Key, list[Key]] = {}
        for key in list(self._up):
            found.setdefault(self._root(key), []).append(key)
        return found


def spaces(names: Names) -> Spaces:
    """The index sets of a text, named; faults are left in `names.source`."""
    found = Spaces(names)
    relations = sorted(names.all(), key=lambda r: r.target.name)
    _cut_data(names, relations)
    for relation in relations:
        _find_pairs(found, relation)
    for relation in relations:
        _loops(found, relation)
    for relation in relations:
        _Uses(found, relation).all()
    _finish(found)
    for relation in relations:
        _nest(found, relation)
    _name(found)
    return found


def _loop(relation: Relation, variable: str) -> Key:
    return ("loop", id(relation), variable)


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


def _find_pairs(found: Spaces, relation: Relation) -> None:
    """Arrays that a ragged pair of loops indexes as `y[i, j]`."""
    for inner, size in zip(relation.loops, relation.ranges, strict=True):
        if size is not None or relation.n == 0:
            continue
        outer = {v.name for e in (inner.low, inner.high) for v in sx.variables(e)} & set(relation.variables)
        for var in sx.variables(relation.statement):
            picked = [plain(i, relation.variables) for i in var.indices or ()]
            if len(picked) == 2 and all(picked):
                (first, k), (second, _) = picked[0] or ("", 0), picked[1] or ("", 0)
                if first in outer and k == 0 and second == inner.variable:
                    found.pairs.add(var.name)


def _loops(found: Spaces, relation: Relation) -> None:
    """Loops and the dimensions of their target; loops over one range that begins with 1."""
    target = relation.target
    if target.name in found.pairs:
        for variable in relation.variables:
            if any(plain(i, relation.variables) == (variable, 0) for i in target.indices or ()):
                found.join(_loop(relation, variable), ("pair loop", id(relation), variable))
        return
    for axis, index in enumerate(target.indices or ()):
        picked = plain(index, relation.variables)
        if picked is not None:
            found.join(_loop(relation, picked[0]), ("dim", target.name, axis))
    for loop, size in zip(relation.loops, relation.ranges, strict=True):
        if size is not None and size[0] == 1 and not _text_loops(loop, relation):
            end = _extent(found, relation, loop.variable)
            if end is None or end == size[1]:
                found.join(_loop(relation, loop.variable), ("range", sx.text(loop.high)))


def _text_loops(loop: sx.Loop, relation: Relation) -> bool:
    return any(v.name in relation.variables for v in sx.variables(loop.high))


def _extent(found: Spaces, relation: Relation, variable: str) -> int | None:
    """The size that the target's dimension gives a loop's set."""
    for axis, index in enumerate(relation.target.indices or ()):
        if plain(index, relation.variables) == (variable, 0):
            return found.names.extent(relation.target.name, axis)
    rows = relation.rows[variable]
    return int(rows.max()) if rows.size else None


class _Uses:
    """Joins what one relation uses together."""

    def __init__(self, found: Spaces, relation: Relation) -> None:
        self.found, self.names, self.relation = found, found.names, relation

    def all(self) -> None:
        statement = self.relation.statement
        for tree in sx.walk(statement):
            if isinstance(tree, sx.Var):
                self.indices(tree)
            elif isinstance(tree, sx.Fn) and tree.name in REDUCING:
                self.together([v for a in tree.arguments for v in self.vectors(a)])
            elif isinstance(tree, sx.Op) and tree.op == "%*%":
                self.product(tree)
            elif isinstance(tree, sx.Op) and tree.op in ("==", "!=", "<", "<=", ">", ">="):
                self.compared(tree.left, tree.right)
            elif isinstance(tree, sx.Fn) and tree.name == "equals" and len(tree.arguments) == 2:
                self.compared(*tree.arguments)
            elif isinstance(tree, sx.Fn) and tree.name == "inverse":
                for var in self.vectors(tree):
                    self.square(var)
        target = statement.target
        if isinstance(statement, sx.Draw):
            self.draw(statement)
        elif self.wholes(target):
            same = len(self.wholes(target))
            self.together([target, *(v for v in self.vectors(statement.value) if len(self.wholes(v)) == same)])

    # -- pieces

    def wholes(self, var: sx.Var) -> list[int]:
        return [k for k, i in enumerate(var.indices or ()) if isinstance(i, sx.Whole | sx.Span)]

    def vectors(self, tree: sx.Index) -> list[sx.Var]:
        """Names with whole dimensions in a tree; inner sums and products are their own affair."""
        if isinstance(tree, sx.Fn) and tree.name in REDUCING | {"length"}:
            return []
        if isinstance(tree, sx.Op) and tree.op == "%*%":
            return []
        own = [tree] if isinstance(tree, sx.Var) and self.wholes(tree) else []
        return own + [v for p in sx.parts(tree) for v in self.vectors(p)]

    def key(self, var: sx.Var, axis: int) -> Key:
        return ("pair", var.name) if var.name in self.found.pairs else ("dim", var.name, axis)

    def together(self, vectors: list[sx.Var]) -> None:
        for var in vectors[1:]:
            for a, b in zip(self.wholes(vectors[0]), self.wholes(var), strict=False):
                self.join(self.key(vectors[0], a), self.key(var, b))

    def join(self, one: Key, other: Key) -> None:
        """Join dimensions whose sizes, where known, agree."""
        sizes = {self.size(k) for k in (one, other)} - {None}
        if len(sizes) < 2:
            self.found.join(one, other)

    def size(self, key: Key) -> int | None:
        if key[0] == "dim":
            return self.names.extent(str(key[1]), int(str(key[2])))
        return None

    def square(self, var: sx.Var) -> None:
        axes = self.wholes(var)
        if len(axes) == 2:
            self.join(self.key(var, axes[0]), self.key(var, axes[1]))

    def product(self, tree: sx.Op) -> None:
        left, right = self.vectors(tree.left), self.vectors(tree.right)
        for a in left:
            for b in right:
                if self.wholes(a) and self.wholes(b):
                    self.join(self.key(a, self.wholes(a)[-1]), self.key(b, self.wholes(b)[0]))
        target = self.relation.target
        for var, at in [(v, 0) for v in left] + [(v, 1) for v in right]:
            axes, own = self.wholes(var), self.wholes(target)
            outer = axes[:-1] if at == 0 else axes[1:]
            if outer and own:
                self.join(self.key(var, outer[0]), self.key(target, own[0 if at == 0 else -1]))

    def draw(self, statement: sx.Draw) -> None:
        family, target = statement.family, statement.target
        for argument in statement.arguments:
            for var in self.vectors(argument):
                axes = self.wholes(var)
                if family == "dcat":
                    self.found.join(("values", target.name), self.key(var, axes[-1]))
                elif family in VECTORS and self.wholes(target):
                    for a in axes:
                        self.join(self.key(target, self.wholes(target)[-1]), self.key(var, a))
        if VECTORS.get(family) == 2 and family == "dwish":
            self.square(target)

    def compared(self, left: sx.Index, right: sx.Index) -> None:
        for node, other in ((left, right), (right, left)):
            if not isinstance(node, sx.Var) or not self.names.drawn(node.name, "dcat"):
                continue
            key: Key = ("values", node.name)
            if isinstance(other, sx.Var) and other.indices is None and other.name in self.relation.variables:
                self.found.join(key, _loop(self.relation, other.name))
            elif isinstance(other, sx.Var) and self.names.drawn(other.name, "dcat"):
                self.found.join(key, ("values", other.name))

    def indices(self, var: sx.Var) -> None:
        relation = self.relation
        if var.name in self.found.pairs:
            self.pair(var)
            return
        for axis, index in enumerate(var.indices or ()):
            key: Key = ("dim", var.name, axis)
            picked = plain(index, relation.variables)
            if isinstance(index, sx.Span):
                self.span(key, index)
            elif picked is not None:
                own, end = self.names.extent(var.name, axis), _extent(self.found, relation, picked[0])
                if picked[1] or own is None or end is None or own == end:
                    if own is None or end is None or own == end:
                        self.found.join(key, _loop(relation, picked[0]))
            elif isinstance(index, sx.Var) and self.points(index):
                self.found.join(("values", index.name), key)
            else:
                self.found.join(key, key)

    def points(self, index: sx.Var) -> bool:
        """Whether an index is a node whose values are elements: drawn by dcat, or an array of the data."""
        names = self.names
        return names.drawn(index.name, "dcat") or (index.indices is not None and index.name in names.given)

    def span(self, key: Key, index: sx.Span) -> None:
        own = self.names.extent(str(key[1]), int(str(key[2])))
        starts = isinstance(index.low, sx.Num) and index.low.value == 1
        if starts and (own is None or own == self._number(index.high)):
            self.found.join(key, ("range", sx.text(index.high)))
        else:
            self.found.join(key, key)

    def _number(self, tree: sx.Expr) -> int | None:
        from dagmodels.readers.bugs.numbers import NotFixed, number

        try:
            return int(number(tree, self.names.known, {}))
        except NotFixed:
            return None

    def pair(self, var: sx.Var) -> None:
        """Arrays of pairs that one nested loop indexes have one set of pairs."""
        target = self.relation.target
        self.found.join(("pair", var.name), ("pair", var.name))
        if target.name in self.found.pairs:
            self.found.join(("pair", var.name), ("pair", target.name))


def _finish(found: Spaces) -> None:
    """Sizes, elements, and what the sets are called in the text."""
    names = found.names
    by_id = {id(r): r for r in names.all()}
    for root, members in found.members().items():
        space = found._space(root)
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
                pairs += _pairs_of(names, str(key[1]))
        if pairs:
            both = np.unique(np.concatenate(pairs), axis=0)
            space.pairs, sizes = both, {len(both)}
        sizes = sizes or {int(t) for t in (str(k[1]) for k in members if k[0] == "range") if t.isdigit()} or loops
        if len(sizes) > 1:
            shown = ", ".join(sorted({f"'{k[1]}'" for k in members if k[0] == "dim"}))
            told = f"The dimensions of {shown} are used as one, but have {' and '.join(map(str, sorted(sizes)))} elements."
            names.source.fault(told, "make their sizes agree", min(r.at for r in names.all()))
        space.size = max(sizes, default=0)
        space.bounds = named
        space.stated = space.pairs is None and (literal or not (named or data)) and space.size > 0


def _pairs_of(names: Names, name: str) -> list[Ints]:
    found: list[Ints] = []
    for relation in names.relations.get(name, ()):
        columns: list[Ints] = []
        for index in relation.target.indices or ():
            picked = plain(index, relation.variables)
            if picked is not None:
                columns.append(relation.rows[picked[0]] + picked[1])
            elif isinstance(index, sx.Num):
                columns.append(np.full(relation.n, int(index.value)))
        if len(columns) == 2:
            found.append(np.stack(columns, axis=1))
    return found


def _nest(found: Spaces, relation: Relation) -> None:
    """Sets that lie in the set of an outer loop."""
    target = relation.target
    dims = found.dims(target.name)
    inside = {p[0] for i in target.indices or () if (p := plain(i, relation.variables)) is not None}
    if target.name in found.pairs:
        space = dims[0]
        first, second = (plain(i, relation.variables) for i in target.indices or ())
        alone = _alone(relation, found)
        for picked, axis in ((first, 0), (second, 1)):
            if picked is None or space.pairs is None or (axis == 1 and picked[0] not in alone):
                continue
            parent = found.loop(relation, picked[0])
            parent.size = max(parent.size, int(space.pairs[:, axis].max()))
            space.parents.setdefault(id(parent), (parent, space.pairs[:, axis] - 1))
        return
    outer = [v for v in relation.variables if v not in inside]
    if len(dims) != 1 or not outer:
        return
    places = _target_places(found.names, relation)
    if places is None or len(np.unique(places)) != relation.n or relation.n != dims[0].size:
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
    from dagmodels.readers.bugs.numbers import NotFixed, along

    try:
        index = (relation.target.indices or ())[0]
        return along(index, names.known, relation.rows, relation.n).astype(np.int64) - 1  # type: ignore[arg-type]
    except NotFixed:
        return None


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


def _name(found: Spaces) -> None:
    """A name for each set: its bound's, else its loop variable's; never that of a node."""
    taken = set(found.names.ndim) - {b for s in found.every() for b in s.bounds}
    taken |= {n for n in found.names.relations} | {n for n in found.names.given if found.names.ndim.get(n)}
    order = sorted(found.members().items(), key=lambda m: sorted(map(_rank, m[1])))
    each = [found._space(root) for root, _ in order]
    counts: dict[str, int] = {}
    for space in each:
        for variable in space.variables:
            counts[variable] = counts.get(variable, 0) + 1
    for space in each:
        words = sorted(b for b in space.bounds if b.isidentifier() or "." in b)
        own = sorted(v for v in space.variables if counts[v] == 1)
        several = [f"{v}.{space.size}" for v in sorted(space.variables)]
        candidates = [*words, *own, *several, f"of.{space.size}", *(f"plate.{k}" for k in range(1, 1000))]
        space.name = next(c for c in candidates if c not in taken and c not in RESERVED)
        taken.add(space.name)


def _rank(key: Key) -> tuple[int, str]:
    """Sorts keys without regard to the order of statements."""
    kind = str(key[0])
    if kind in ("loop", "pair loop"):
        return (9, str(key[2]))
    return ({"range": 0, "dim": 1, "pair": 2}.get(kind, 3), " ".join(map(str, key[1:])))
