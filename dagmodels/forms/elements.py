"""A bound graph as one of single nodes: every element of a stochastic node is a node of its own, `z[3]`.

What is known becomes numbers, what is computed is written out where it is read, and sums over elements that
are not known become sums of terms. The graph that results has no text of its own; `forms.tables` and
`forms.gaussians` read it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import level_codes
from dagmodels.bind.problem import Problem, Rows
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.cells import Cells, cells, element_label, element_labels, lagged, plate_labels
from dagmodels.forms.lower import expand
from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag
from dagmodels.graph.plate import Plate
from dagmodels.graph.scope import event_of

Floats = NDArray[np.float64]
Bound = Mapping[
    str, int | str
]  # by plate: the element that stands there, or the plate's name where it is free
DEEP = 200  # computed nodes that are written out within one another


def unrolled(
    problem: Problem, known: Mapping[str, Floats] | None = None, within: Mapping[str, int] | None = None
) -> Dag:
    """The graph of single nodes.

    known : flat values of nodes beside those of constants and covariates, such as a fit's estimates.
    within : the elements of plates to which the answer is limited, others being like these.

    Raises
    ------
    ModelErrors : unknown numbers that stand in the way, a computed node that cannot be written out.
    """
    values = {
        n: problem.values[n].reshape(-1)
        for n, node in problem.graph.nodes.items()
        if node.kind in ("constant", "covariate") and n in problem.values
    }
    return _Unrolling(problem, {**values, **(known or {})}, within or {}).dag()


def elements(problem: Problem, name: str) -> list[str]:
    """Names of a node's elements."""
    return element_labels(problem, name)


@dataclass(frozen=True, eq=False, slots=True)
class _Unrolling:
    """known : flat values by node. kept : nodes that stay arrays, because a free index reads them."""

    problem: Problem
    known: Mapping[str, Floats]
    within: Mapping[str, int]
    kept: dict[str, None] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)
    labels: dict[str, tuple[ex.Label, ...]] = field(default_factory=dict)
    owners: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=dict)
    before: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def dag(self) -> Dag:
        graph = self.problem.graph
        self._vary()
        faults: list[ModelError] = []
        statements: list[st.Statement] = []
        for name in graph.order:
            node = graph.nodes[name]
            if node.kind != "stochastic" or name in self.known:
                continue
            try:
                shares = [self._share(name, share) for share in cells(self.problem, name)]
                statements.extend(s for _, s in sorted((p for share in shares for p in share), key=_place_of))
            except ModelError as error:
                faults.append(ModelError(error.message, node=error.node or name, hint=error.hint))
        raise_all(faults, f"the network of model '{graph.name}'")
        plates = [
            Plate(p.name, levels=None if p.alias_of else self.levels(p.name), alias_of=p.alias_of)
            for p in graph.plates
        ]
        return Dag(graph.name, tuple(plates), (*self._arrays(), *statements))

    def _vary(self) -> None:
        """Nodes that depend on something stochastic that is not known."""
        graph = self.problem.graph
        for name in graph.order:
            node = graph.nodes[name]
            if name in self.known:
                continue
            own = node.kind == "stochastic"
            if own or (node.kind == "deterministic" and self.varying & set(graph.parents[name])):
                self.varying.add(name)

    def _arrays(self) -> list[st.Statement]:
        """Statements of what free indices read."""
        found: list[st.Statement] = []
        waiting = list(self.kept)
        done: set[str] = set()
        while waiting:
            name = waiting.pop()
            node = self.problem.graph.nodes[name]
            if name in done:
                continue
            done.add(name)
            if name in self.known:
                array = self.known[name].reshape(self.problem.shape(name))
                found.append(st.Constant(name, node.plates, _literal(array.tolist())))
            else:
                found.extend(node.statements)
                waiting.extend(self.problem.graph.parents[name])
        return found

    def levels(self, plate: str) -> tuple[ex.Label, ...]:
        """Labels of a plate's elements, no two alike."""
        if plate not in self.labels:
            plain = tuple(
                x if isinstance(x, int) and not isinstance(x, bool) else str(x)
                for x in self.problem.plates[plate].levels
            )
            self.labels[plate] = plain if len(set(plain)) == len(plain) else plate_labels(self.problem, plate)
        return self.labels[plate]

    # -- statements

    def _share(self, name: str, share: Cells) -> list[tuple[int, st.Statement]]:
        """The elements that a statement gives, with their places."""
        statement = share.statement
        if not isinstance(statement, st.Stochastic) or event_of(statement.distribution):
            told = f"'{name}' is unknown, and its law is one of vectors"
            raise ModelError(told, node=name, hint="state its numbers, or fit the graph: fit.query(...)")
        found: list[tuple[int, st.Statement]] = []
        codes = {plate: c.tolist() for plate, c in share.rows.codes.items()}
        slots = [s.plate for s in statement.head.slots]
        for row, place in enumerate(share.places.tolist()):
            bound: dict[str, int | str] = {plate: c[row] for plate, c in codes.items()}
            if any(bound.get(p, only) != only for p, only in self.within.items()):
                continue
            for slot, own in zip(slots, self.problem.graph.nodes[name].plates, strict=True):
                bound.setdefault(slot or own, bound[own])
            law = self._law(statement.distribution, bound)
            label = self._name(name, place)
            alone = replace(statement, head=st.Head(label), distribution=law, observed=False)
            found.append((place, alone))
        return found

    def _law(self, law: st.Distribution, bound: Bound) -> st.Distribution:
        return replace(law, arguments=tuple((key, self._argument(v, bound)) for key, v in law.arguments))

    def _argument(self, value: st.Argument, bound: Bound) -> st.Argument:
        match value:
            case st.Distribution():
                return self._law(value, bound)
            case st.Rows(rows):
                return st.Rows(
                    tuple(replace(r, entries=tuple(self.tree(e, bound) for e in r.entries)) for r in rows)
                )
            case tuple():
                return tuple(self._law(v, bound) for v in value)
            case _:
                return self.tree(value, bound)

    # -- trees

    def tree(self, tree: ex.Expression, bound: Bound, depth: int = 0) -> ex.Expression:
        """The tree at one element: references to elements, numbers for what is known."""
        again: Callable[[ex.Expression], ex.Expression] = lambda t: self.tree(t, bound, depth)  # noqa: E731
        match tree:
            case ex.Reference():
                return self._reference(tree, bound, depth)
            case ex.Unary(sign, operand):
                return ex.Unary(sign, again(operand))
            case ex.Binary("==" | "!=" as sign, left, right):
                return self._compared(sign, left, right, bound, depth)
            case ex.Binary(sign, left, right):
                return ex.Binary(sign, again(left), again(right))
            case ex.Call(function, arguments):
                return ex.Call(function, tuple(map(again, arguments)))
            case ex.Vector(items):
                return ex.Vector(tuple(map(again, items)))
            case ex.Reduction(kind, body, plates):
                return self._reduction(kind, body, plates, bound, depth)
            case _:
                return tree

    def _compared(
        self, sign: str, left: ex.Expression, right: ex.Expression, bound: Bound, depth: int
    ) -> ex.Expression:
        """A comparison of labels: known operands become labels, two of them a number."""
        a, b = (self._label(t, bound) or self.tree(t, bound, depth) for t in (left, right))
        words = [t.value for t in (a, b) if isinstance(t, ex.Text | ex.Number)]
        if len(words) == 2:
            return ex.Number(int((str(words[0]) == str(words[1])) == (sign == "==")))
        return ex.Binary(sign, a, b)

    def _label(self, tree: ex.Expression, bound: Bound) -> ex.Expression | None:
        """The label of a bound plate's element, or of a known node that has values in a plate."""
        if not isinstance(tree, ex.Reference):
            return None
        if tree.name in self.problem.graph.plate:
            at = bound.get(tree.name)
            return self._word(tree.name, at) if isinstance(at, int) else None
        node = self.problem.graph.nodes[tree.name]
        if node.values_in is None or tree.name not in self.known:
            return None
        return self._word(node.values_in, int(self._known(tree, bound)))

    def _word(self, plate: str, code: int) -> ex.Expression:
        label = self.levels(plate)[code]
        return ex.Number(label) if isinstance(label, int) and label >= 0 else ex.Text(str(label))

    def _known(self, tree: ex.Reference, bound: Bound) -> float:
        """The value of an element of a known node."""
        return self._value(tree, self._codes(tree, bound))

    def _value(self, tree: ex.Reference, codes: Sequence[int | ex.Index]) -> float:
        place = self._place(tree.name, codes)
        if place is None:
            raise ModelError(f"`{tree}` cannot be told element by element", node=tree.name)
        value = float(self.known[tree.name][place])
        if value != value:
            label = element_label(self.problem, tree.name, place)
            raise ModelError(f"'{label}' has no value", node=tree.name, hint="give it, or state it")
        return value

    def _codes(self, tree: ex.Reference, bound: Bound) -> list[int | ex.Index]:
        """By plate of a node: the element's code, or the index that stays."""
        plates = self.problem.graph.nodes[tree.name].plates
        found: list[int | ex.Index] = []
        for plate, index in zip(plates, tree.indices or (), strict=True):
            match index:
                case ex.PlateIndex(name):
                    at = bound.get(name, name)
                    found.append(at if isinstance(at, int) else ex.PlateIndex(at))
                case ex.LagIndex(name, lag):
                    at = bound.get(name)
                    before = -1 if not isinstance(at, int) else self._before(name, lag)[at]
                    if before < 0:
                        told = f"`{tree}` reads an element before the first"
                        hint = f"state the law of the first: `{tree.name}[{name} first {lag}]`"
                        raise ModelError(told, node=tree.name, hint=hint)
                    found.append(before)
                case ex.LevelIndex(label):
                    known = {p: np.array([at]) for p, at in bound.items() if isinstance(at, int)}
                    found.append(int(level_codes(self.problem, plate, label, known, 1)[0]))
                case ex.NodeIndex(inner):
                    if inner.name in self.known:
                        found.append(int(self._known(inner, bound)))
                    else:
                        read = self._reference(inner, bound, 0)
                        assert isinstance(read, ex.Reference)
                        found.append(ex.NodeIndex(read))
        return found

    def _before(self, plate: str, lag: int) -> list[int]:
        """The element so many places before each one."""
        if (plate, lag) not in self.before:
            self.before[plate, lag] = lagged(self.problem, plate, lag).tolist()
        return self.before[plate, lag]

    def _name(self, node: str, place: int) -> str:
        """How an element is written."""
        if node not in self.names:
            self.names[node] = elements(self.problem, node)
        return self.names[node][place]

    def _place(self, name: str, codes: Sequence[int | ex.Index]) -> int | None:
        """The flat place of an element; None where an index stays."""
        place = 0
        for code, size in zip(codes, self.problem.shape(name), strict=True):
            if not isinstance(code, int):
                return None
            place = place * size + code
        return place

    def _reference(self, tree: ex.Reference, bound: Bound, depth: int) -> ex.Expression:
        name = tree.name
        if name in self.problem.graph.plate:
            return self._label(tree, bound) or tree
        node = self.problem.graph.nodes[name]
        codes = self._codes(tree, bound)
        whole = all(isinstance(c, int) for c in codes)
        if name in self.known and whole:
            return ex.as_expression(self._value(tree, codes))
        if node.kind == "stochastic" and name not in self.known:
            if not whole:
                told = f"which element of '{name}' is meant in `{tree}` is not known"
                raise ModelError(told, node=name, hint="write the choice as a comparison of elements")
            place = self._place(name, codes)
            assert place is not None
            return ex.Reference(self._name(name, place), ())
        if node.kind == "deterministic" and name not in self.known and (whole or name in self.varying):
            return self._written_out(tree, codes, depth)
        self.kept[name] = None
        indices = tuple(
            c if not isinstance(c, int) else ex.LevelIndex(self.levels(p)[c])
            for p, c in zip(node.plates, codes, strict=True)
        )
        return ex.Reference(name, indices)

    def _written_out(self, tree: ex.Reference, codes: Sequence[int | ex.Index], depth: int) -> ex.Expression:
        """A computed node's own tree in its place."""
        name = tree.name
        if depth > DEEP:
            told = f"'{name}' is computed from more than {DEEP} computed values before it"
            raise ModelError(told, node=name, hint="give it a law of its own: a Normal with a small sigma")
        node = self.problem.graph.nodes[name]
        whole = all(isinstance(c, int) for c in codes)
        share = self._share_at(name, codes) if whole else cells(self.problem, name)[0]
        statement = share.statement
        free = [c for c in codes if not isinstance(c, int)]
        if not isinstance(statement, st.Deterministic) or (
            not whole and (not share.whole or not all(isinstance(c, ex.PlateIndex) for c in free))
        ):
            raise ModelError(f"`{tree}` cannot be written out", node=name, hint="name the elements it reads")
        inner: dict[str, Any] = {}
        for slot, own, code in zip(statement.head.slots, node.plates, codes, strict=True):
            if isinstance(code, int):
                part: dict[str, NDArray[np.int64]] = {}
                self.problem._bind(own, np.array([code]), part)  # pyright: ignore[reportPrivateUsage]
                inner.update({p: int(c[0]) for p, c in part.items()})
                inner[slot.plate or own] = code
            else:
                inner[slot.plate or own] = code.plate  # type: ignore[union-attr]
        return self.tree(statement.expression, inner, depth + 1)

    def _share_at(self, name: str, codes: Sequence[int | ex.Index]) -> Cells:
        """The statement that gives one element."""
        shares = cells(self.problem, name)
        if len(shares) == 1:
            return shares[0]
        place = 0
        for code, size in zip(codes, self.problem.shape(name), strict=True):
            assert isinstance(code, int)
            place = place * size + code
        if name not in self.owners:
            places = np.concatenate([s.places for s in shares])
            which = np.repeat(np.arange(len(shares)), [s.places.size for s in shares])
            order = np.argsort(places)
            self.owners[name] = places[order], which[order]
        return shares[int(self.owners[name][1][place])]

    def _reduction(
        self, kind: str, body: ex.Expression, plates: tuple[str, ...], bound: Bound, depth: int
    ) -> ex.Expression:
        """Stays where nothing unknown is summed over; else its terms."""
        read = {r.name for r in ex.references(body)}
        lags = any(isinstance(i, ex.LagIndex) for r in ex.references(body) for i in r.indices or ())
        nested = any(self.problem.plates[p].parents for p in plates)
        if not (read & self.varying or lags or nested):
            outer = {p: b for p, b in bound.items() if p not in plates}
            return ex.Reduction(kind, self.tree(body, outer, depth), plates)
        codes = {p: np.array([b]) for p, b in bound.items() if isinstance(b, int) and p not in plates}
        rows, _ = expand(self.problem, Rows(1, codes), plates)
        parts = [
            self.tree(body, {**bound, **{p: int(c[i]) for p, c in rows.codes.items()}}, depth)
            for i in range(rows.n)
        ]
        if not parts:
            return ex.Number(1 if kind == "prod" else 0)
        total = _folded("*" if kind == "prod" else "+", parts)
        return ex.Binary("/", total, ex.Number(len(parts))) if kind == "mean" else total


def _place_of(pair: tuple[int, st.Statement]) -> int:
    return pair[0]


def _folded(sign: str, parts: list[ex.Expression]) -> ex.Expression:
    """All terms joined, as a tree that is not deep; numbers are joined first."""
    join = operator.mul if sign == "*" else operator.add
    numbers = [n for p in parts if (n := ex.literal(p)) is not None]
    rest = [p for p in parts if ex.literal(p) is None]
    if numbers:
        rest.append(ex.as_expression(reduce(join, numbers)))
    while len(rest) > 1:
        pairs = [ex.Binary(sign, a, b) for a, b in zip(rest[::2], rest[1::2], strict=False)]
        rest = [*pairs, *rest[len(rest) - len(rest) % 2 :]]
    return rest[0]


def _literal(value: Any) -> st.Literal:
    return tuple(map(_literal, value)) if isinstance(value, list) else value
