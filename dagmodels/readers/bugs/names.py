"""What a text says of each name: dimensions, sizes, whether relations define it or the data give it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.blocks import computed
from dagmodels.readers.bugs.dump import Arrays
from dagmodels.readers.bugs.numbers import NotFixed, number, places
from dagmodels.readers.bugs.relations import Relation, changed, check_loops, counted, flat, plain, shifted
from dagmodels.readers.bugs.tokens import Source

_TRIAL = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41)  # sizes that stand for bounds without data


@dataclass(eq=False, slots=True)
class Names:
    """A text's names.

    relations : by the name that they define, in the order of the text; bare arrays have their empty indices.
    given : names without relation: data.
    known : numbers of the data, of the data block, and of definitions that follow from these and are needed.
    data : names of `known` that are data (the data block's included).
    used : every name in the text, the data block's included.
    trial : there are no data; bounds are stand-ins, and nothing else is known.
    """

    source: Source
    relations: dict[str, list[Relation]] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    known: Arrays = field(default_factory=dict)
    data: frozenset[str] = frozenset()
    ndim: dict[str, int] = field(default_factory=dict)
    declared: dict[str, tuple[int, ...]] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    trial: bool = False
    _extents: dict[tuple[str, int], int | None] = field(default_factory=dict)

    def all(self) -> Iterable[Relation]:
        """Every relation."""
        return (r for group in self.relations.values() for r in group)

    def fixed(self, tree: sx.Index | sx.Statement, loops: Iterable[str] = ()) -> bool:
        """Whether an expression follows from data alone."""
        names = {v.name for v in sx.variables(tree)} - set(loops)
        return all(n in self.given or (n in self.known and n not in self.data) for n in names)

    def drawn(self, name: str, family: str | None = None) -> bool:
        """Whether some relation draws the name (from that family)."""
        return any(
            isinstance(r.statement, sx.Draw) and family in (None, r.statement.family)
            for r in self.relations.get(name, ())
        )

    def extent(self, name: str, axis: int) -> int | None:
        """The size of an array along an axis; None where only its use can tell."""
        key = (name, axis)
        if key not in self._extents:
            self._extents[key] = self._extent(name, axis)
        return self._extents[key]

    def cut(self, name: str, axis: int, size: int) -> None:
        """Use only the first elements of a data array."""
        self._extents[name, axis] = size
        self.known[name] = np.take(self.known[name], range(size), axis=axis)

    def lengthen(self, name: str, axis: int, size: int) -> None:
        """Let an array end later than with its last element: those behind are not defined."""
        self._extents[name, axis] = size

    def hang_together(self, one: str, other: str) -> bool:
        """Whether each of two arrays depends on the other."""
        return one in self._needed(other) and other in self._needed(one)

    def _needed(self, name: str) -> set[str]:
        """Names that the relations of a name depend on, by way of others too."""
        queue, found = [name], set[str]()
        while queue:
            for relation in self.relations.get(queue.pop(), ()):
                own = {v.name for v in sx.variables(relation.statement) if v is not relation.target}
                queue += own - found
                found |= own
        return found

    def _extent(self, name: str, axis: int) -> int | None:
        if name in self.known and axis < self.known[name].ndim:
            return self.known[name].shape[axis]
        ends: list[int] = []
        for relation in self.relations.get(name, ()):
            index = (relation.target.indices or ())[axis]
            if isinstance(index, sx.Whole):
                continue
            try:
                rows = relation.rows
                if isinstance(index, sx.Span):
                    picked = places(index.high, self.known, rows, None, name)
                else:
                    picked = places(index, self.known, rows, None, name)
            except NotFixed as error:
                self.source.fault(
                    f"The index of '{name}' is not known: {error}.", "it follows from data", error.at
                )
                continue
            if np.size(picked) and int(np.min(picked)) < 0:
                told = f"{sx.text(relation.target)} has the index {int(np.min(picked)) + 1}."
                self.source.fault(told, "indices count from 1", index.at)
            elif np.size(picked):
                ends.append(int(np.max(picked)) + 1)
        if ends:
            return max(ends)
        return self.declared[name][axis] if name in self.declared else None

    def stand_in(self, number: int) -> int:
        """A size for what only data tell, where there are none."""
        return _TRIAL[number % len(_TRIAL)] if self.trial else 0

    def similar(self, name: str) -> str | None:
        near = difflib.get_close_matches(name, [n for n in self.ndim if n != name], n=1)
        return near[0] if near else None


def names(program: sx.Program, known: Arrays | None, source: Source) -> Names:
    """The names of a program with its data (None: there are none); faults are left in `source`."""
    found = Names(source, trial=known is None, known=dict(known or {}))
    found.data = frozenset(found.known)
    flat_relations = list(flat(program.model))
    found.used = _words(program)
    check_loops(flat_relations, source)
    _links(flat_relations, source)
    targets = {r.target.name for r in flat_relations}
    if known is None:
        _trial(found, flat_relations, program, targets)
        source.done()
    _dimensions(found, flat_relations, program)
    normal = [_normal(r, found) for r in flat_relations]
    used = {v.name for r in normal for v in _every(r)} - {v for r in normal for v in r.variables}
    found.given = (used | _in_bounds(normal)) - targets - {v for r in normal for v in r.variables}
    if known is not None:
        _unknown(found, normal)
    for name in sorted(_structural(normal) & targets):
        computed(name, normal, found.known, found.declared, source)
    for relation in normal:
        done = counted(relation, found.known, source)
        if done is not None:
            found.relations.setdefault(done.target.name, []).append(_based(done))
    return found


def _words(program: sx.Program) -> frozenset[str]:
    """Every name in a program."""
    relations = [*flat(program.data), *flat(program.model)]
    trees: list[sx.Index | sx.Statement] = [r.statement for r in relations]
    trees += [loop for r in relations for loop in r.loops]
    trees += [e for d in program.declarations for e in d.dims]
    return frozenset(v.name for t in trees for v in sx.variables(t))


def _links(relations: Iterable[Relation], source: Source) -> None:
    """A node is not both drawn and a loop's bound; nothing is drawn twice without index."""
    scalars: dict[str, Relation] = {}
    for relation in relations:
        name = relation.target.name
        if relation.target.indices is None and not relation.loops:
            if name in scalars:
                line = source.place(scalars[name].at)[0]
                source.fault(
                    f"'{name}' is defined twice; it is already on line {line}.", "leave one", relation.at
                )
            scalars[name] = relation


def _trial(found: Names, relations: Iterable[Relation], program: sx.Program, targets: set[str]) -> None:
    """Stand-ins for the bounds of loops."""
    bounds = {v.name for r in relations for loop in r.loops for e in sx.parts(loop) for v in sx.variables(e)}
    bounds |= {v.name for d in program.declarations for e in d.dims for v in sx.variables(e)}
    variables = {v for r in relations for v in r.variables}
    for k, name in enumerate(sorted(bounds - targets - variables)):
        found.known[name] = np.array(float(_TRIAL[k % len(_TRIAL)]))
    for relation in relations:
        for loop in relation.loops:
            for var in (v for e in sx.parts(loop) for v in sx.variables(e)):
                if var.indices is not None or var.name in targets or loop.high is None:
                    own, end = ("vector", loop.low) if loop.high is None else ("bound", loop.high)
                    told = f"The loop over {loop.variable} needs the data: its {own} is {sx.text(end)}."
                    found.source.fault(told, "pass data= to read", loop.at)
    if program.data:
        told, at = "A data block needs its data.", program.data[0].at
        found.source.fault(told, "pass data= to read", at)


def _dimensions(found: Names, relations: Iterable[Relation], program: sx.Program) -> None:
    source = found.source
    variables = {v for r in relations for v in r.variables}
    bare = {v.name for r in relations for v in _every(r) if v.indices is None} - variables
    indexed: dict[str, sx.Var] = {}
    for relation in relations:
        for var in _every(relation):
            if var.indices is None:
                continue
            first = indexed.setdefault(var.name, var)
            if len(var.indices) != len(first.indices or ()):
                told = (
                    f"'{var.name}' has {len(first.indices or ())} indices elsewhere, {len(var.indices)} here."
                )
                source.fault(told, "give it the same number everywhere", var.at)
    for name, array in found.known.items():
        if array.shape == (1,) and name in bare and name not in indexed:
            found.known[name] = array.reshape(())
        found.ndim[name] = found.known[name].ndim
    for declaration in program.declarations:
        try:
            dims = tuple(int(number(e, found.known, {})) for e in declaration.dims)
        except NotFixed as error:
            source.fault(
                f"The size of '{declaration.name}' is not known: {error}.", "it follows from data", error.at
            )
            continue
        found.declared[declaration.name] = dims
        found.ndim.setdefault(declaration.name, len(dims))
    for name, var in indexed.items():
        own = found.ndim.setdefault(name, len(var.indices or ()))
        if own != len(var.indices or ()) and not (found.trial and own == 0):
            told = (
                f"'{name}' has {own} dimension{'s' * (own != 1)}, and {len(var.indices or ())} indices here."
            )
            source.fault(told, "rows of JSON arrays are inner lists", var.at)
        found.ndim[name] = len(var.indices or ())
    for name in bare:
        found.ndim.setdefault(name, 0)


def _every(relation: Relation) -> Iterable[sx.Var]:
    """Names in the statement, the functions' arguments and indices included; loop variables too."""
    return sx.variables(relation.statement)


def _in_bounds(relations: Iterable[Relation]) -> set[str]:
    return {v.name for r in relations for loop in r.loops for e in sx.parts(loop) for v in sx.variables(e)}


def _structural(relations: Iterable[Relation]) -> set[str]:
    """Names that bounds of loops and indices need."""
    found = set(_in_bounds(relations))
    for relation in relations:
        for var in _every(relation):
            for index in var.indices or ():
                if plain(index, relation.variables) is None:
                    found |= {v.name for v in sx.variables(index)}
    return found


def _normal(relation: Relation, found: Names) -> Relation:
    """Bare names of arrays with their empty indices."""
    variables = relation.variables

    def change(tree: sx.Index) -> sx.Index:
        match tree:
            case sx.Var(name, None, at) if name not in variables and found.ndim.get(name, 0):
                return sx.Var(name, tuple(sx.Whole(at) for _ in range(found.ndim[name])), at)
            case sx.Var(name, indices, at) if indices is not None:
                return sx.Var(name, tuple(change(i) for i in indices), at)
            case sx.Span(low, high, at):
                return sx.Span(change(low), change(high), at)  # type: ignore[arg-type]
            case sx.Op(op, left, right, at):
                return sx.Op(op, change(left), change(right), at)  # type: ignore[arg-type]
            case sx.Neg(operand, at):
                return sx.Neg(change(operand), at)  # type: ignore[arg-type]
            case sx.Fn(name, arguments, at):
                return sx.Fn(name, tuple(change(a) for a in arguments), at)  # type: ignore[misc]
            case _:
                return tree

    return Relation(changed(relation.statement, change), relation.loops)


def _based(relation: Relation) -> Relation:
    """The relation with loop variables moved so that the target's indices carry no offset."""
    for index in relation.target.indices or ():
        found = plain(index, relation.variables)
        if found is not None and found[1]:
            variable, offset = found
            statement = changed(relation.statement, lambda t, v=variable, o=offset: shifted(t, v, o))
            rows = {v: c + offset if v == variable else c for v, c in relation.rows.items()}
            at = relation.variables.index(variable)
            ranges = [
                (r[0] + offset, r[1] + offset) if r is not None and k == at else r
                for k, r in enumerate(relation.ranges)
            ]
            loops = tuple(_moved(x, offset) if k == at else x for k, x in enumerate(relation.loops))
            relation = Relation(statement, loops, tuple(ranges), rows, relation.n)
    return relation


def _moved(loop: sx.Loop, offset: int) -> sx.Loop:
    """The loop with its bounds larger by `offset`: they say which loops have one range."""
    if loop.high is None:
        return loop
    return replace(loop, low=_plus(loop.low, offset), high=_plus(loop.high, offset))


def _plus(tree: sx.Expr, offset: int) -> sx.Expr:
    """The expression and a whole number, written as short as it goes: `N - 1` and 1 are `N`."""
    match tree:
        case sx.Num(value):
            return sx.Num(value + offset, tree.at)
        case sx.Op("+" | "-" as op, left, sx.Num(value)):
            rest = (value if op == "+" else -value) + offset
        case _:
            left, rest = tree, float(offset)
    return left if rest == 0 else sx.Op("+" if rest > 0 else "-", left, sx.Num(abs(rest), tree.at), tree.at)


def _unknown(found: Names, relations: Iterable[Relation]) -> None:
    """Names that neither the text nor the data define."""
    told: set[str] = set()
    for relation in relations:
        trees = [relation.statement, *relation.loops]
        for var in (v for t in trees for v in sx.variables(t)):
            name = var.name
            if name in found.given and name not in found.known and name not in told:
                told.add(name)
                near = found.similar(name)
                hint = f"did you mean '{near}'?" if near else "define it, or give it in the data"
                found.source.fault(f"'{name}' is neither defined nor in the data.", hint, var.at, name)


def missing(known: Mapping[str, np.ndarray], name: str) -> bool:
    """Whether no number of the name is given."""
    return name not in known or bool(np.isnan(known[name]).all())
