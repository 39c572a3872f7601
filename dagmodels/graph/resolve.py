"""Resolves the names in expressions: every reference gets its full tuple of indices.

A bare name means each plate by its own name. A name in an index is a plate, an alias, or a node
with values in that plate. What a name means never depends on data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.graph.faults import Faults
from dagmodels.graph.names import REDUCTIONS, is_label, label_text
from dagmodels.graph.scope import Plates, base, bound_by, free, lies_in

MAX_DEPTH = 200  # height of an expression's tree; a sum of n terms has height n
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "**"})
REFUSED = ex.Reference("", ())  # stands for what has been refused already, so that it causes no second fault


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a name means to those who refer to it."""

    plates: tuple[str, ...]
    values_in: str | None = None


@dataclass(slots=True)
class Resolver:
    """Resolves the expressions of one statement.

    bound : plates bound on the right-hand side.
    head : all plates of the head, those named by level included.
    ambiguous : plates that two plates of the head lie in: (first, second) by name.
    """

    plates: Plates
    symbols: Mapping[str, Symbol]
    faults: Faults
    statement: st.Statement
    node: str
    bound: frozenset[str]
    head: tuple[str, ...]
    lagged: list[tuple[ex.LagIndex, bool]] = field(default_factory=list[tuple[ex.LagIndex, bool]])
    _inside: frozenset[str] = frozenset()  # plates bound by `for`

    def fault(self, message: str, hint: str | None = None, word: str | None = None) -> None:
        self.faults.add(message, self.statement, node=self.node, hint=hint, word=word)

    # -- expressions

    def scalar(self, tree: object, what: str) -> ex.Expression:
        """A number for each element bound; `what` names its use in messages."""
        resolved = self.number(tree, self.bound, 0)
        self.refuse_vector(resolved, what)
        return resolved

    def knows(self, plates: Iterable[str]) -> bool:
        """Whether these and all plates bound here are declared: else shapes are not known either."""
        return all(p in self.plates for p in (*plates, *self.bound))

    def refuse_vector(self, tree: ex.Expression, what: str) -> None:
        left = free(self.plates, tree, self.bound, self.head)
        if left and self.knows(left):
            named = next((r.name for r in ex.references(tree) if self._leaves(r, left)), None)
            shown = f"`{named}` " if named else "its expression "
            self.fault(
                f"{what} is one number, but {shown}leaves {_plates_text(left)} whole: "
                f"{'it is' if len(left) == 1 else 'they are'} not bound here.",
                self._vector_hint(named, left[0]),
                named,
            )

    def _leaves(self, reference: ex.Reference, left: tuple[str, ...]) -> bool:
        return any(p in left for p in free(self.plates, reference, self.bound))

    def _vector_hint(self, named: str | None, plate: str) -> str:
        if named in self.symbols:
            kin = [
                p
                for p in sorted(self.bound)
                if p != plate and base(self.plates, p) == base(self.plates, plate)
            ]
            if kin:
                return f"write {named}[{kin[0]}]"
        return f"sum it, as in sum(... for {plate}), or add {plate} to the brackets of {self.node}"

    def number(self, tree: object, bound: frozenset[str], depth: int) -> ex.Expression:
        """The tree with names resolved; a scalar, or a vector over plates not bound."""
        if depth > MAX_DEPTH:
            self.fault(
                f"An expression is nested more than {MAX_DEPTH} deep.",
                "give parts of it names of their own by `name = ...`",
            )
            return REFUSED
        match tree:
            case ex.Number(value):
                return self._literal(value)
            case ex.Reference():
                return self._value(tree, bound)
            case ex.Binary(op, left, right) if op in _COMPARISONS:
                return self._comparison(op, left, right, bound, depth)
            case ex.Binary(op, left, right) if op in _ARITHMETIC:
                return ex.Binary(
                    op, self.number(left, bound, depth + 1), self.number(right, bound, depth + 1)
                )
            case ex.Unary(op, operand) if op in ("+", "-"):
                return ex.Unary(op, self.number(operand, bound, depth + 1))
            case ex.Call():
                return self._call(tree, bound, depth)
            case ex.Reduction():
                return self._reduction(tree, bound, depth)
            case ex.Text(value):
                self.fault(
                    f"The text {label_text(value)} is no number.",
                    f"compare it with a discrete node: z == {label_text(value)}",
                )
            case ex.Vector():
                self.fault(
                    "A vector [...] stands only as an argument that is a vector or a matrix.",
                    "declare `constant name[plate] = [...]`",
                )
            case _:
                self.fault(
                    f"{type(tree).__name__} is no part of an expression.",
                    "write numbers, nodes, operators and functions",
                )
        return REFUSED

    def _literal(self, value: object) -> ex.Expression:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(f"{value!r} is no number.", "write a whole or a decimal number")
            return REFUSED
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if number != number or number in (float("inf"), float("-inf")):
            self.fault(f"{value} is not a finite number.", "leave the bound out, or write a large number")
            return REFUSED
        plain = int(value) if isinstance(value, int) else number  # numpy's float64 is a float too
        if str(number)[0] == "-":
            return ex.Unary("-", ex.Number(-plain)) if plain else ex.Number(0.0)
        return ex.Number(plain)

    def _value(self, reference: ex.Reference, bound: frozenset[str]) -> ex.Expression:
        name = reference.name
        if name in self.plates and name not in self.symbols:
            self.fault(
                f"`{name}` is a plate and no number.",
                f"compare it, as in {name} == ..., or use a covariate on it",
                name,
            )
            return REFUSED
        resolved = self.reference(reference, bound)
        symbol = self.symbols.get(name)
        if symbol is not None and symbol.values_in is not None:
            self.fault(
                f"`{name}` has values in {symbol.values_in} and is no number.",
                f"index with it, as in mu[{name}], or compare it, as in {name} == ...",
                name,
            )
        return resolved

    def _call(self, tree: ex.Call, bound: frozenset[str], depth: int) -> ex.Expression:
        from dagmodels.graph.functions import FUNCTIONS
        from dagmodels.graph.signatures import distribution_names, is_distribution

        function = FUNCTIONS.get(tree.function)
        if function is None or not function.public:
            if is_distribution(tree.function):
                self.fault(
                    f"{tree.function} is a distribution, not a function.",
                    f"write `{self.node} ~ {tree.function}(...)`",
                    tree.function,
                )
            elif tree.function in REDUCTIONS:
                self.fault(
                    f"{tree.function} needs the plate to go over.",
                    f"write {tree.function}(... for plate)",
                    tree.function,
                )
            else:
                public = [n for n, f in FUNCTIONS.items() if f.public]
                near = self.faults.similar(tree.function, [*public, *REDUCTIONS, *distribution_names()])
                hint = f"did you mean '{near}'?" if near else "known: " + ", ".join(public)
                self.fault(f"No function is called '{tree.function}'.", hint, tree.function)
            return REFUSED
        if len(tree.arguments) != function.arity:
            n = function.arity
            self.fault(
                f"{tree.function} takes {n} argument{'s' if n > 1 else ''}, not {len(tree.arguments)}.",
                f"write {tree.function}({', '.join('abc'[:n])})",
                tree.function,
            )
            return REFUSED
        if function.event:
            return self._vector_call(tree, function.event, bound, depth)
        return ex.Call(tree.function, tuple(self.number(a, bound, depth + 1) for a in tree.arguments))

    def _vector_call(self, tree: ex.Call, event: int, bound: frozenset[str], depth: int) -> ex.Expression:
        """softmax and inverse: their argument is a vector or a matrix, and so is their value."""
        from dagmodels.graph.scope import inner_bound

        call = ex.Call(tree.function, tuple(self.number(a, bound, depth + 1) for a in tree.arguments))
        left = free(
            self.plates, call.arguments[0], inner_bound(self.plates, call, bound, self.head), self.head
        )
        if (
            len(left) != event
            and self.knows(left)
            and not any(f.node == self.node for f in self.faults.found)
        ):
            kind = "a vector" if event == 1 else "a matrix"
            shown = "leaves no plate whole" if not left else f"leaves {_plates_text(left)} whole"
            self.fault(
                f"{tree.function} takes {kind}, but its argument {shown}.",
                f"give it a node on {'a plate' if event == 1 else 'a plate and its alias'} that is not bound",
                tree.function,
            )
        return call

    def _reduction(self, tree: ex.Reduction, bound: frozenset[str], depth: int) -> ex.Expression:
        if tree.kind not in REDUCTIONS:
            self.fault(f"No reduction is called '{tree.kind}'.", "known: sum, prod, mean")
            return REFUSED
        if not tree.plates:
            self.fault(f"{tree.kind} needs the plate to go over.", f"write {tree.kind}(... for plate)")
            return REFUSED
        for number, plate in enumerate(tree.plates):
            if plate not in self.plates:
                self.unknown_plate(plate)
                return REFUSED
            if plate in bound or plate in tree.plates[:number]:
                self.fault(
                    f"`for {plate}` binds {plate} a second time.",
                    f"declare an alias, such as `plate {plate}2 as {base(self.plates, plate)}`",
                    plate,
                )
        outer, self._inside = self._inside, self._inside | bound_by(self.plates, tree.plates)
        body = self.number(tree.body, bound | bound_by(self.plates, tree.plates), depth + 1)
        self._inside = outer
        return ex.Reduction(tree.kind, body, tree.plates)

    # -- comparisons

    def _comparison(
        self, op: str, left: ex.Expression, right: ex.Expression, bound: frozenset[str], depth: int
    ) -> ex.Expression:
        plates = self.discrete_plate(left), self.discrete_plate(right)
        if plates == (None, None):
            return ex.Binary(op, self.number(left, bound, depth + 1), self.number(right, bound, depth + 1))
        known = plates[0] or plates[1]
        assert known is not None
        sides = [
            self._element(side, own, known, bound) for side, own in zip((left, right), plates, strict=True)
        ]
        holder = base(self.plates, known)
        if plates[0] and plates[1] and base(self.plates, plates[0]) != base(self.plates, plates[1]):
            self.fault(
                f"Elements of {plates[0]} and of {plates[1]} cannot be compared.",
                "compare elements of one plate",
            )
        elif op not in ("==", "!=") and holder in self.plates and not self.plates[holder].ordered:
            self.fault(
                f"`{op}` needs an order, and {holder} has none.", f"declare `plate {holder} ... ordered`"
            )
        return ex.Binary(op, sides[0], sides[1])

    def discrete_plate(self, tree: object) -> str | None:
        """The plate whose element this operand is, if it is one."""
        if isinstance(tree, ex.Reference):
            symbol = self.symbols.get(tree.name)
            if symbol is not None:
                return symbol.values_in
            return tree.name if tree.name in self.plates else None
        return None

    def _element(
        self, tree: ex.Expression, own: str | None, known: str, bound: frozenset[str]
    ) -> ex.Expression:
        """One operand of a comparison between elements of a plate."""
        if own is not None and isinstance(tree, ex.Reference):
            if tree.name in self.symbols:
                return self.reference(tree, bound)
            if tree.indices:
                self.fault(f"`{tree.name}` is a plate and takes no index.", "write its name alone", tree.name)
            self._unambiguous(tree.name)
            return ex.Reference(tree.name, ())
        label: ex.Label | None = None
        match tree:
            case ex.Text(text):
                label = text
            case ex.Number(int() as whole):
                label = whole
            case ex.Unary("-", ex.Number(int() as whole)):
                label = -whole
            case _:
                self.fault(
                    f"An element of {known} is compared with what is no element of {known}.",
                    "compare it with a level, a discrete node or a plate",
                )
                return REFUSED
        self.check_level(label, known)
        return tree

    def check_level(self, label: ex.Label, plate: str, word: str | None = None) -> None:
        """Refuse a level that the plate, stating its levels, does not have."""
        if not is_label(label):
            self.fault(f"{label!r} is no level.", "levels are text or whole numbers", word)
            return
        holder = self.plates.get(base(self.plates, plate))
        if holder is None or holder.levels is None or label in holder.levels:
            return
        near = self.faults.similar(str(label), [str(v) for v in holder.levels])
        levels = ", ".join(label_text(v) for v in holder.levels[:12])
        more = ", ..." if len(holder.levels) > 12 else ""
        hint = next((f"did you mean {label_text(v)}?" for v in holder.levels if str(v) == near), None)
        self.fault(
            f"{label_text(label)} is no level of {holder.name}.",
            hint or f"its levels are {levels}{more}",
            word,
        )

    # -- references

    def reference(self, reference: ex.Reference, bound: frozenset[str]) -> ex.Reference:
        """The reference with all its indices."""
        name = reference.name
        symbol = self.symbols.get(name)
        if symbol is None:
            self._undeclared(name)
            return ex.Reference(name, ())
        if reference.indices is None:
            for plate in symbol.plates:
                self._unambiguous(plate)
            return ex.Reference(name, tuple(ex.PlateIndex(p) for p in symbol.plates))
        if len(reference.indices) != len(symbol.plates):
            where = f"lies on [{', '.join(symbol.plates)}]" if symbol.plates else "lies on no plate"
            self.fault(
                f"`{name}` {where}, so it takes {len(symbol.plates)} "
                f"ind{'ex' if len(symbol.plates) == 1 else 'ices'}, not {len(reference.indices)}.",
                f"write {name}[{', '.join(symbol.plates)}]" if symbol.plates else f"write {name}",
                name,
            )
            return ex.Reference(name, tuple(ex.PlateIndex(p) for p in symbol.plates))
        pairs = zip(reference.indices, symbol.plates, strict=True)
        return ex.Reference(name, tuple(self._index(i, p, symbol, name, bound) for i, p in pairs))

    def _undeclared(self, name: str) -> None:
        near = self.faults.similar(name, self.symbols) or self.faults.similar(name, self.plates)
        hint = f"did you mean '{near}'?" if near else "declare it as parameter, covariate, constant or node"
        self.fault(f"`{name}` is not declared.", hint, name)

    def unknown_plate(self, plate: str, word: str | None = None) -> None:
        """Say that no plate has this name."""
        near = self.faults.similar(plate, self.plates)
        hint = f"did you mean '{near}'?" if near else f"declare `plate {plate}`"
        self.fault(f"No plate is called '{plate}'.", hint, word or plate)

    def _index(
        self, index: ex.Index, plate: str, symbol: Symbol, name: str, bound: frozenset[str]
    ) -> ex.Index:
        match index:
            case ex.NodeIndex(ex.Reference(other, indices)) if other not in self.symbols and not indices:
                return self._plate_index(other, plate, symbol, name)
            case ex.NodeIndex(reference):
                return self._node_index(reference, plate, name, bound)
            case ex.PlateIndex(other):
                return self._plate_index(other, plate, symbol, name)
            case ex.LevelIndex(label):
                self.check_level(label, plate, name)
                return index
            case ex.LagIndex():
                return self._lag(index, plate, symbol, name, bound)

    def _plate_index(self, other: str, plate: str, symbol: Symbol, name: str) -> ex.Index:
        if other not in self.plates:
            near = self.faults.similar(other, [*self.plates, *self.symbols])
            hint = f"did you mean '{near}'?" if near else f"`{name}` lies on [{', '.join(symbol.plates)}]"
            self.fault(f"`{other}` in `{name}[...]` is neither a plate nor a node.", hint, other)
        elif base(self.plates, other) != base(self.plates, plate):
            self._wrong_plate(other, plate, symbol, name)
        else:
            self._unambiguous(other)
            return ex.PlateIndex(other)
        return ex.PlateIndex(plate)

    def _wrong_plate(self, other: str, plate: str, symbol: Symbol, name: str) -> None:
        if plate in lies_in(self.plates, other):
            hint = f"each {other} lies in one {plate}: write {name}[{plate}], or {name} alone"
        elif any(base(self.plates, other) == base(self.plates, p) for p in symbol.plates):
            hint = f"the order is {name}[{', '.join(symbol.plates)}]"
        else:
            hint = f"`{name}` lies on [{', '.join(symbol.plates)}]"
        self.fault(f"`{other}` indexes `{name}` where its plate is {plate}.", hint, name)

    def _node_index(self, reference: ex.Reference, plate: str, name: str, bound: frozenset[str]) -> ex.Index:
        symbol = self.symbols.get(reference.name)
        resolved = self.reference(reference, bound)
        if symbol is None:
            return ex.NodeIndex(resolved)
        if symbol.values_in is None:
            self.fault(
                f"`{reference.name}` cannot index `{name}`: its values are numbers, not elements of {plate}.",
                f"give `{reference.name}` values `in {plate}`, or write a plate",
                reference.name,
            )
        elif base(self.plates, symbol.values_in) != base(self.plates, plate):
            self.fault(
                f"`{reference.name}` has values in {symbol.values_in} and cannot index `{name}` "
                f"where its plate is {plate}.",
                f"index with a node that has values in {plate}",
                reference.name,
            )
        return ex.NodeIndex(resolved)

    def _lag(
        self, index: ex.LagIndex, plate: str, symbol: Symbol, name: str, bound: frozenset[str]
    ) -> ex.Index:
        own = index.plate
        if own not in self.plates:
            self.unknown_plate(own)
        elif base(self.plates, own) != base(self.plates, plate):
            self._wrong_plate(own, plate, symbol, name)
        elif not self.plates[base(self.plates, own)].ordered:
            holder = base(self.plates, own)
            self.fault(
                f"`{name}[{own}-{index.lag}]` needs an order, and {holder} has none.",
                f"declare `plate {holder} ... ordered`",
                name,
            )
        elif own not in bound:
            self.fault(
                f"`{name}[{own}-{index.lag}]` looks back from an element of {own}, which is not bound here.",
                f"add {own} to the brackets of {self.node}",
                name,
            )
        elif not isinstance(index.lag, int) or index.lag < 1:
            message = f"The lag in `{name}[{own}-{index.lag}]` is no whole number from 1."
            self.fault(message, f"write {own}, or {own}-1 and so on", name)
        else:
            self.lagged.append((index, own in self._inside))
        return index

    def _unambiguous(self, plate: str) -> None:
        """Refuse a plate that two plates of the head lie in: which element is meant?"""
        if plate in self.head or plate not in self.bound:
            return
        via = [h for h in self.head if plate in lies_in(self.plates, h)]
        if len(via) > 1 and self._inside.isdisjoint({plate}):
            self.fault(
                f"`{plate}` is ambiguous here: {via[0]} and {via[1]} both lie in it.",
                f"declare an alias of {plate} for one of them",
                plate,
            )


def _plates_text(plates: tuple[str, ...]) -> str:
    return plates[0] if len(plates) == 1 else ", ".join(plates[:-1]) + " and " + plates[-1]
