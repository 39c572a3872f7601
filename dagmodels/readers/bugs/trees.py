"""Expressions of BUGS -> trees of the language, inside the statement whose plates are bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.names import Names
from dagmodels.readers.bugs.numbers import NotFixed, along, number
from dagmodels.readers.bugs.relations import Relation, inside, plain, substituted
from dagmodels.readers.bugs.spaces import REDUCING, Space, Spaces

MAX_TERMS = 64  # of a sum that is written out

FUNCTIONS = {
    **{n: n for n in ("exp", "log", "sqrt", "abs", "logit", "probit", "cloglog", "icloglog")},
    "ilogit": "expit",
    "phi": "Phi",
    "ifelse": "if_else",
}
_COMPARE = frozenset({"==", "!=", "<", "<=", ">", ">="})


class Unsayable(Exception):
    """What the language of graphs has no words for, as it stands; says why, where, and what would help."""

    def __init__(self, message: str, at: int, hint: str = "write it out element by element") -> None:
        super().__init__(message)
        self.at, self.hint = at, hint


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """A covariate that the text does not name: numbers that follow from the data.

    array : None without data. values_in : the set of which they are elements, else None.
    """

    spaces: tuple[Space, ...]
    plates: tuple[str, ...]
    array: NDArray[np.float64] | None
    values_in: Space | None = None


@dataclass(eq=False, slots=True)
class Parts:
    """What translating collects beside the statements.

    given : names of the data that the trees use, as numbers. pointing : as indices. made : further covariates.
    sums : reductions that stand outside the plates of the statement that uses them.
    """

    names: Names
    spaces: Spaces
    given: set[str] = field(default_factory=set)
    pointing: set[str] = field(default_factory=set)
    made: dict[str, Made] = field(default_factory=dict)
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


@dataclass(frozen=True, eq=False)
class Scope:
    """Where an expression stands.

    loops : the set and the plate of each loop variable that has one.
    bound : sets by the names of the plates that are bound; `head` those of the statement's head, in order.
    whole : plates that stand for empty indices, in order.
    pair : the plate of a nested pair of loops, and its two variables.
    """

    parts: Parts
    relation: Relation
    loops: Mapping[str, tuple[Space, str]]
    bound: Mapping[str, Space]
    head: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    pair: tuple[str, str, str, Space] | None = None

    @property
    def names(self) -> Names:
        return self.parts.names

    # -- numbers

    def tree(self, tree: sx.Index) -> ex.Expression:
        """The expression as a tree; what follows from data alone and has no words becomes a covariate."""
        try:
            return self._tree(tree)
        except Unsayable:
            if isinstance(tree, sx.Whole | sx.Span) or not self.names.fixed(tree, self.relation.variables):
                raise
            return self.made(tree)

    def _tree(self, tree: sx.Index) -> ex.Expression:
        match tree:
            case sx.Num(value):
                return literal(value)
            case sx.Var():
                return self._number(tree)
            case sx.Neg(operand):
                return ex.Unary("-", self.tree(operand))
            case sx.Op("%*%", _, _, at):
                return self._product(tree, at)
            case sx.Op(op, left, right, at) if op in _COMPARE:
                return self._compare(op, left, right, at)
            case sx.Op("&&", left, right):
                return ex.Binary("*", self._truth(left), self._truth(right))
            case sx.Op("||", left, right):
                return ex.Call("max", (self._truth(left), self._truth(right)))
            case sx.Op(op, left, right):
                return ex.Binary("**" if op == "^" else op, self.tree(left), self.tree(right))
            case sx.Fn():
                return self._function(tree)
            case _:
                raise Unsayable("a range stands where a number is needed", tree.at)

    def _truth(self, tree: sx.Expr) -> ex.Expression:
        found = self.tree(tree)
        if isinstance(found, ex.Binary) and found.operator in _COMPARE:
            return found
        return ex.Binary("!=", found, ex.Number(0))

    def _number(self, var: sx.Var) -> ex.Expression:
        if var.indices is None and var.name in self.relation.variables:
            raise Unsayable(f"the loop variable {var.name} is used as a number", var.at)
        space = self.parts.spaces.values(var.name) if self.names.drawn(var.name, "dcat") else None
        if space is None:
            return self.reference(var)
        plate = self.free(space)
        levels = f"{space.name}.value"
        array = None if self.names.trial else np.arange(1.0, space.size + 1)
        self.parts.made[levels] = Made((space,), (space.name,), array)
        equal = ex.Binary("==", self.reference(var), ex.Reference(plate, ()))
        value = ex.Reference(levels, (ex.PlateIndex(plate),))
        return ex.Reduction("sum", ex.Binary("*", equal, value), (plate,))

    def reference(self, var: sx.Var, whole: tuple[str, ...] | None = None) -> ex.Reference:
        """A name with its indices as plates, levels, lags and nodes."""
        names, spaces = self.names, self.parts.spaces
        name = self.called(var.name)
        if var.name in spaces.pairs:
            return ex.Reference(name, (self._pair_index(var),))
        free = list(self.whole if whole is None else whole)
        wholes = sum(isinstance(i, sx.Whole | sx.Span) for i in var.indices or ())
        if wholes and wholes != len(free):
            told = f"{sx.text(var)} is not one number" if not free else f"{sx.text(var)} has another shape"
            raise Unsayable(told, var.at, "use one element, or sum(), mean(), inprod()")
        found: list[ex.Index] = []
        for axis, index in enumerate(var.indices or ()):
            space = spaces.dim(var.name, axis)
            if isinstance(index, sx.Whole | sx.Span):
                found.append(self._whole(var, axis, index, space, free.pop(0)))
            else:
                found.append(self.index(index, space, var))
        if var.name in names.given:
            self.parts.given.add(var.name)
        return ex.Reference(name, tuple(found))

    def called(self, name: str) -> str:
        """What a name is called in the graph: data that also index, or name a plate, have a second name."""
        if name in self.names.given and (name in self.parts.pointing or self._is_plate(name)):
            return f"{name}.value"
        return name

    def _is_plate(self, name: str) -> bool:
        return any(name == s.name for s in self.parts.spaces.every())

    # -- indices

    def _whole(self, var: sx.Var, axis: int, index: sx.Index, space: Space, plate: str) -> ex.Index:
        if isinstance(index, sx.Span) and not self._full(index, space):
            raise Unsayable(f"{sx.text(var)} is a part of '{var.name}'", var.at)
        return ex.PlateIndex(plate)

    def _full(self, index: sx.Span, space: Space) -> bool:
        try:
            ends = [number(e, self.names.known, {}) for e in (index.low, index.high)]
        except NotFixed as error:
            raise Unsayable(f"the range {sx.text(index)} is not known: {error}", index.at) from None
        return float(ends[0]) == 1 and float(ends[1]) == space.size

    def index(self, index: sx.Index, space: Space, var: sx.Var) -> ex.Index:
        """One index of `var`, whose dimension is `space`."""
        relation = self.relation
        picked = plain(index, relation.variables)
        if picked is not None and picked[0] in self.loops:
            own, plate = self.loops[picked[0]]
            if own is space and picked[1] <= 0:
                if picked[1]:
                    own.ordered = True
                    return ex.LagIndex(plate, -picked[1])
                return ex.PlateIndex(plate)
            if own is not space and picked[1] == 0:
                told = f"'{var.name}' has {space.size} elements there, and the loop over {picked[0]} fits {own.size}"
                raise Unsayable(told, var.at, "make their sizes agree")
        if isinstance(index, sx.Var) and self.names.drawn(index.name, "dcat"):
            return ex.NodeIndex(self.reference(index))
        if not self.names.fixed(index, relation.variables):
            hint = "an index is a loop variable, a number, data, or a node with a dcat distribution"
            raise Unsayable(f"{sx.text(index)} cannot index '{var.name}'", index.at, hint)
        if not {v.name for v in sx.variables(index)} & set(relation.variables):
            return ex.LevelIndex(self._level(index, space, var))
        return ex.NodeIndex(self._pointer(index, space))

    def _level(self, index: sx.Index, space: Space, var: sx.Var) -> int:
        try:
            value = float(number(index, self.names.known, {}))
        except NotFixed as error:
            raise Unsayable(f"the index {sx.text(index)} is not known: {error}", index.at, "give it in the data") from None
        if value != int(value) or not 1 <= value <= max(space.size, 1):
            told = f"'{var.name}' has {space.size} elements there, and {sx.text(index)} is none of them"
            raise Unsayable(told, index.at, "indices count from 1")
        return int(value)

    def _pointer(self, index: sx.Index, space: Space) -> ex.Reference:
        """Data that say which element: the array itself, or numbers computed from it."""
        if isinstance(index, sx.Var) and index.name in self.parts.pointing:
            found = self.reference(index)
            self.parts.given.discard(index.name)
            return ex.Reference(index.name, found.indices)
        return self.made(index, space)

    def _pair_index(self, var: sx.Var) -> ex.Index:
        """The index of an array on pairs: the pair itself, or one before it in its outer element."""
        if self.pair is not None and len(var.indices or ()) == 2:
            plate, outer, inner, space = self.pair
            first, second = (plain(i, self.relation.variables) for i in var.indices or ())
            if self.parts.spaces.dim(var.name, 0) is space and first == (outer, 0) and second is not None:
                if second == (inner, 0):
                    return ex.PlateIndex(plate)
                if second[0] == inner and second[1] < 0:
                    space.ordered = True
                    return ex.LagIndex(plate, -second[1])
        told = f"'{var.name}' has rows of different lengths, and {sx.text(var)} is not the element of its loops"
        raise Unsayable(told, var.at, "index it by the two variables of its loops")

    # -- what the text does not name

    def made(self, tree: sx.Index, values_in: Space | None = None) -> ex.Reference:
        """A covariate for what follows from data alone."""
        assert not isinstance(tree, sx.Whole | sx.Span)
        used = [v for v in self.relation.variables if v in {x.name for x in sx.variables(tree)}]
        own = [self.loops.get(v) for v in used]
        if self.pair is not None and any(v in self.pair[1:3] for v in used):
            own = [(self.pair[3], self.pair[0])]
        elif any(o is None for o in own):
            told = f"{sx.text(tree)} has no plate"
            raise Unsayable(told, tree.at, "index an array by the loop variable")
        places = [o for o in own if o is not None]
        plates = tuple(p for _, p in places)
        words = {v: sx.Var(p) for v, p in zip(used, plates, strict=False)}
        name = "index" if isinstance(tree, sx.Var) and tree.indices is None else sx.text(_renamed(tree, words))
        name = f"{plates[0]}.index" if name == "index" and used else name
        name = f"{name} in {values_in.name}" if values_in is not None else name
        array = None if self.names.trial else self._values(tree, places, values_in)
        self.parts.made[name] = Made(tuple(s for s, _ in places), plates, array, values_in)
        return ex.Reference(name, tuple(ex.PlateIndex(p) for p in plates))

    def _values(
        self, tree: sx.Expr, places: list[tuple[Space, str]], values_in: Space | None
    ) -> NDArray[np.float64]:
        relation = self.relation
        try:
            if not places:
                return np.asarray(number(tree, self.names.known, {}), dtype=float)
            found = along(tree, self.names.known, relation.rows, relation.n)
        except NotFixed as error:
            raise Unsayable(str(error), error.at, "check the data") from None
        if values_in is not None and found.size and not (found.min() >= 1 and found.max() <= values_in.size):
            told = f"{sx.text(tree)} goes from {found.min():g} to {found.max():g}, beyond 1:{values_in.size}"
            raise Unsayable(told, tree.at, "check the data")
        array = np.full(tuple(s.size for s, _ in places), 1.0 if values_in is not None else 0.0)
        if self.pair is not None and places[0][0] is self.pair[3]:
            array[self._pair_places()] = found
            return array
        by_plate = {p: v for v, (_, p) in self.loops.items()}
        array[tuple(relation.rows[by_plate[p]] - 1 for _, p in places)] = found
        return array

    def _pair_places(self) -> NDArray[np.int64]:
        assert self.pair is not None
        _, outer, inner, space = self.pair
        assert space.pairs is not None
        rows = np.stack([self.relation.rows[outer], self.relation.rows[inner]], axis=1)
        width = int(space.pairs[:, 1].max()) + 1
        keys = space.pairs[:, 0] * width + space.pairs[:, 1]
        return np.searchsorted(keys, rows[:, 0] * width + rows[:, 1])

    def free(self, space: Space, beside: tuple[str, ...] = ()) -> str:
        """A name of the set's plate that is not bound here."""
        taken = {*self.bound, *self.head, *beside}
        k = 0
        while space.alias(k) in taken:
            k += 1
        return space.alias(k)

    # -- comparisons

    def _compare(self, op: str, left: sx.Expr, right: sx.Expr, at: int) -> ex.Expression:
        spaces = [self._category(s) for s in (left, right)]
        known = next((s for s in spaces if s is not None), None)
        if known is None:
            return ex.Binary(op, self.tree(left), self.tree(right))
        sides: list[ex.Expression] = []
        for side, own in zip((left, right), spaces, strict=True):
            if own is not None:
                assert isinstance(side, sx.Var)
                sides.append(self.reference(side))
            elif isinstance(side, sx.Var) and side.name in self.loops and self.loops[side.name][0] is known:
                sides.append(ex.Reference(self.loops[side.name][1], ()))
            elif self.names.fixed(side):
                sides.append(ex.Number(self._level(side, known, sx.Var(known.name))))
            else:
                raise Unsayable(f"{sx.text(side)} is compared with a node that has a dcat distribution", at)
        if op not in ("==", "!="):
            known.ordered = True
        return ex.Binary(op, sides[0], sides[1])

    def _category(self, tree: sx.Expr) -> Space | None:
        if isinstance(tree, sx.Var) and self.names.drawn(tree.name, "dcat"):
            return self.parts.spaces.values(tree.name)
        return None

    # -- functions

    def _function(self, call: sx.Fn) -> ex.Expression:
        name, arguments = call.name, call.arguments
        if name in ("pow",) and len(arguments) == 2:
            return ex.Binary("**", self.tree(arguments[0]), self.tree(arguments[1]))
        if name == "equals" and len(arguments) == 2:
            return self._compare("==", arguments[0], arguments[1], call.at)
        if name == "step" and len(arguments) == 1:
            return ex.Binary(">=", self.tree(arguments[0]), ex.Number(0))
        if name == "inprod" and len(arguments) == 2:
            return self._reduce("sum", sx.Op("*", arguments[0], arguments[1], call.at), call.at)
        if name in REDUCING:
            return self._reductions(call)
        if name == "inverse" and len(arguments) == 1 and isinstance(arguments[0], sx.Var):
            return ex.Call("inverse", (self.reference(arguments[0]),))
        if name == "t" and len(arguments) == 1 and isinstance(arguments[0], sx.Var) and len(self.whole) == 2:
            return self.reference(arguments[0], self.whole[::-1])
        if name in FUNCTIONS:
            arity = 3 if name == "ifelse" else 1
            if len(arguments) != arity:
                told = f"{name} takes {arity} argument{'s' * (arity > 1)}, not {len(arguments)}"
                raise Unsayable(told, call.at, f"write {name}({', '.join('abc'[:arity])})")
            return ex.Call(FUNCTIONS[name], tuple(map(self.tree, arguments)))
        raise Unsayable(f"The function '{name}' has no counterpart", call.at, _known(name))

    def _reductions(self, call: sx.Fn) -> ex.Expression:
        """sum, mean, prod, max and min: of one vector, or of several arguments."""
        vectors = [bool(_vectors(a)) for a in call.arguments]
        if call.name == "mean":
            if len(call.arguments) != 1 or not vectors[0]:
                raise Unsayable("mean takes one vector", call.at, "write mean(x[])")
            return self._reduce("mean", call.arguments[0], call.at)
        parts: list[ex.Expression] = []
        for argument, vector in zip(call.arguments, vectors, strict=True):
            if not vector:
                parts.append(self.tree(argument))
            elif call.name in ("max", "min"):
                parts.append(self._written_out(call.name, argument, call.at))
            else:
                parts.append(self._reduce(call.name, argument, call.at))
        if not parts:
            raise Unsayable(f"{call.name} has no argument", call.at, f"write {call.name}(x[])")
        return _chain(call.name, parts)

    def _reduce(self, kind: str, body: sx.Expr, at: int) -> ex.Expression:
        """A sum, product or mean over the elements of the vectors in an expression."""
        vectors = _vectors(body)
        if not vectors:
            raise Unsayable(f"{kind} needs a vector", at, f"write {kind}(x[])")
        first = vectors[0]
        if first.name in self.parts.spaces.pairs:
            return self._reduce_pairs(kind, body, first, at)
        axes = [k for k, i in enumerate(first.indices or ()) if isinstance(i, sx.Whole | sx.Span)]
        own = [self.parts.spaces.dim(first.name, k) for k in axes]
        spans = [(i, own[0]) for v in vectors for i in v.indices or () if isinstance(i, sx.Span)]
        if spans and not all(self._full(i, self._dim_of(v, i)) for v in vectors for i in v.indices or () if isinstance(i, sx.Span)):
            return self._written_out(kind, body, at)
        plates: tuple[str, ...] = ()
        for space in own:
            plates += (self.free(space, plates),)
        conflict = any(p != s.name for p, s in zip(plates, own, strict=True))
        alone = not {v.name for v in sx.variables(body)} & set(self.relation.variables)
        if conflict and alone and self.bound:
            return self._outside(kind, body, at)
        if any(s.parents and any(id(b) in s.parents for b in self.bound.values()) for s in own):
            raise Unsayable(f"{kind} goes over elements of other {own[0].name}", at, "give it a line of its own")
        bound = {**self.bound, **dict(zip(plates, own, strict=True))}
        inner = replace(self, bound=bound, whole=plates)
        return ex.Reduction(kind, inner.tree(body), plates)

    def _dim_of(self, var: sx.Var, index: sx.Index) -> Space:
        axis = next(k for k, i in enumerate(var.indices or ()) if i is index)
        return self.parts.spaces.dim(var.name, axis)

    def _reduce_pairs(self, kind: str, body: sx.Expr, var: sx.Var, at: int) -> ex.Expression:
        told = f"{sx.text(var)} has rows of different lengths"
        raise Unsayable(told, at, f"{kind} needs a rectangular array; give the data one element a row")

    def _outside(self, kind: str, body: sx.Expr, at: int) -> ex.Expression:
        """A reduction without loop variables, over a plate that is bound here: a node of its own."""
        name = f"{kind}({sx.text(body)})"
        if name not in self.parts.sums:
            alone = Scope(self.parts, Relation(self.relation.statement), {}, {})
            tree = alone._reduce(kind, body, at)
            self.parts.sums[name] = st.Deterministic(st.Head(name), tree)
        return ex.Reference(name, ())

    def _written_out(self, kind: str, body: sx.Expr, at: int) -> ex.Expression:
        """The elements of a part of a vector, one after the other."""
        terms: list[ex.Expression] = []
        size: int | None = None
        for var in _vectors(body):
            spans = [self._elements(var, i) for i in var.indices or () if isinstance(i, sx.Whole | sx.Span)]
            if len(spans) != 1 or (size is not None and len(spans[0]) != size):
                raise Unsayable(f"{sx.text(var)} does not fit into {kind}", var.at)
            size = len(spans[0])
        if not size or size > MAX_TERMS:
            raise Unsayable(f"{kind} over a part of {size or 0} elements", at, f"use at most {MAX_TERMS}, or a node of its own")
        for k in range(size):
            terms.append(self.tree(_element(body, k, self._elements)))
        total = _chain("sum" if kind == "mean" else kind, terms)
        return ex.Binary("/", total, ex.Number(size)) if kind == "mean" else total

    def _elements(self, var: sx.Var, index: sx.Index) -> range:
        if isinstance(index, sx.Span):
            try:
                low, high = (int(number(e, self.names.known, {})) for e in (index.low, index.high))
            except NotFixed as error:
                raise Unsayable(f"the range {sx.text(index)} is not known: {error}", index.at) from None
            return range(low, high + 1)
        space = self._dim_of(var, index)
        if self.names.trial and not space.stated:
            raise Unsayable(f"the size of '{var.name}' is not known", var.at, "pass data=")
        return range(1, space.size + 1)

    def _product(self, tree: sx.Op, at: int) -> ex.Expression:
        """A matrix times a vector or a matrix, at the element that is bound."""
        left, right = tree.left, tree.right
        if not (isinstance(left, sx.Var) and isinstance(right, sx.Var)) or not self.whole:
            raise Unsayable("%*% stands between two arrays, for a vector or a matrix", at, "use inprod(a[], b[])")
        axes = [[k for k, i in enumerate(v.indices or ()) if isinstance(i, sx.Whole | sx.Span)] for v in (left, right)]
        if len(axes[0]) + len(axes[1]) - 2 != len(self.whole) or not all(axes):
            raise Unsayable(f"{sx.text(tree)} has another shape than {sx.text(self.relation.target)}", at)
        over = self.free(self.parts.spaces.dim(left.name, axes[0][-1]), self.whole)
        space = self.parts.spaces.dim(left.name, axes[0][-1])
        inner = replace(self, bound={**self.bound, over: space})
        outer = self.whole[: len(axes[0]) - 1], self.whole[len(axes[0]) - 1 :]
        body = ex.Binary("*", inner.reference(left, (*outer[0], over)), inner.reference(right, (over, *outer[1])))
        return ex.Reduction("sum", body, (over,))


def literal(value: float) -> ex.Expression:
    """A number as the language writes it."""
    plain_value = int(value) if value == int(value) and abs(value) < 1e15 else value
    return ex.as_expression(plain_value)


def _known(name: str) -> str:
    import difflib

    every = [*FUNCTIONS, *REDUCING, "pow", "equals", "step", "inverse"]
    near = difflib.get_close_matches(name, every, n=1)
    return f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(sorted(every))


def _vectors(tree: sx.Index) -> list[sx.Var]:
    """Names with empty or ranged indices that a sum goes over; inner sums are their own affair."""
    if isinstance(tree, sx.Fn) and tree.name in REDUCING | {"length"}:
        return []
    own = []
    if isinstance(tree, sx.Var) and any(isinstance(i, sx.Whole | sx.Span) for i in tree.indices or ()):
        own = [tree]
    return own + [v for p in sx.parts(tree) for v in _vectors(p)]


def _element(tree: sx.Expr, k: int, elements: Callable[[sx.Var, sx.Index], range]) -> sx.Expr:
    """The expression with the k-th element in place of every range."""
    match tree:
        case sx.Var(name, indices, at) if indices is not None:
            new = tuple(
                sx.Num(float(elements(tree, i)[k])) if isinstance(i, sx.Whole | sx.Span) else i for i in indices
            )
            return sx.Var(name, new, at)
        case sx.Op(op, left, right, at):
            return sx.Op(op, _element(left, k, elements), _element(right, k, elements), at)
        case sx.Neg(operand, at):
            return sx.Neg(_element(operand, k, elements), at)
        case sx.Fn(name, arguments, at) if name not in REDUCING:
            return sx.Fn(name, tuple(_element(a, k, elements) for a in arguments), at)
        case _:
            return tree


def _chain(kind: str, parts: list[ex.Expression]) -> ex.Expression:
    found = parts[0]
    for part in parts[1:]:
        if kind in ("max", "min"):
            found = ex.Call(kind, (found, part))
        else:
            found = ex.Binary("*" if kind == "prod" else "+", found, part)
    return found


def _renamed(tree: sx.Expr, words: Mapping[str, sx.Var]) -> sx.Expr:
    """The expression with plates' names in place of loop variables."""
    match tree:
        case sx.Var(name, None) if name in words:
            return words[name]
        case sx.Var(name, indices, at) if indices is not None:
            new = tuple(i if isinstance(i, sx.Whole | sx.Span) else _renamed(i, words) for i in indices)
            return sx.Var(name, new, at)
        case sx.Op(op, left, right, at):
            return sx.Op(op, _renamed(left, words), _renamed(right, words), at)
        case sx.Neg(operand, at):
            return sx.Neg(_renamed(operand, words), at)
        case sx.Fn(name, arguments, at):
            return sx.Fn(name, tuple(_renamed(a, words) for a in arguments), at)
        case _:
            return tree
