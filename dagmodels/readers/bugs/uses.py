"""What one relation uses together: dimensions that a loop, a law, a sum or an index joins."""

from __future__ import annotations

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.numbers import NotFixed, number
from dagmodels.readers.bugs.relations import Relation, plain
from dagmodels.readers.bugs.spaces import REDUCING, VECTORS, Key, Spaces, loop_key


def extent_of(found: Spaces, relation: Relation, variable: str) -> int | None:
    """The size that the target's dimension gives a loop's set."""
    for axis, index in enumerate(relation.target.indices or ()):
        if plain(index, relation.variables) == (variable, 0):
            return found.names.extent(relation.target.name, axis)
    rows = relation.rows[variable]
    return int(rows.max()) if rows.size else None


class Uses:
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
            self.together(
                [target, *(v for v in self.vectors(statement.value) if len(self.wholes(v)) == same)]
            )

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
                self.found.join(key, loop_key(self.relation, other.name))
            elif isinstance(other, sx.Var) and self.names.drawn(other.name, "dcat"):
                self.found.join(key, ("values", other.name))

    def indices(self, var: sx.Var) -> None:
        relation = self.relation
        if var.name in self.found.pairs:
            self.pair(var)
            return
        for axis, index in enumerate(var.indices or ()):
            key: Key = ("dim", var.name, axis)
            self.found.join(key, key)
            picked = plain(index, relation.variables)
            if isinstance(index, sx.Span):
                self.span(key, index)
            elif picked is not None:
                own, end = self.names.extent(var.name, axis), extent_of(self.found, relation, picked[0])
                if own is None or end is None or own == end:
                    self.found.join(key, loop_key(relation, picked[0]))
            elif isinstance(index, sx.Var) and self.points(index):
                self.found.join(("values", index.name), key)

    def points(self, index: sx.Var) -> bool:
        """Whether an index is a node whose values are elements: drawn by dcat, or an array of the data."""
        names = self.names
        return names.drawn(index.name, "dcat") or (index.indices is not None and index.name in names.given)

    def span(self, key: Key, index: sx.Span) -> None:
        own = self.names.extent(str(key[1]), int(str(key[2])))
        starts = isinstance(index.low, sx.Num) and index.low.value == 1
        if starts and (own is None or own == self._number(index.high)):
            self.found.join(key, ("range", sx.text(index.high)))

    def _number(self, tree: sx.Expr) -> int | None:

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
