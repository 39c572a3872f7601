"""Statements to a Dag: names resolved, and every static fault of the model raised at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dagmodels.graph import statement as st
from dagmodels.graph.dag import Dag, Remarks, defines
from dagmodels.graph.faults import Faults
from dagmodels.graph.laws import Law, Target, is_categorical, named
from dagmodels.graph.names import is_name
from dagmodels.graph.parsing import Parse
from dagmodels.graph.plate import Plate
from dagmodels.graph.resolve import Resolver, Symbol
from dagmodels.graph.scope import base, bound_by, event_of, head_plates
from dagmodels.graph.validate import covariances, cycles, declarations, heads, lags, overlaps
from dagmodels.graph.validate import plates as plate_rules

INF = float("inf")
NO_REMARKS = Remarks()


def build(
    name: str,
    plates: Iterable[Plate],
    statements: Iterable[st.Statement],
    data_file: str | None = None,
    source: str | None = None,
    text: str | None = None,
    remarks: Remarks = NO_REMARKS,
) -> Dag:
    """A checked model.

    Parameters
    ----------
    name : the model's name.
    plates, statements : as parsed or as a builder made them; resolved ones pass unchanged.
    data_file : of the `data "file"` line.
    source : the file's name, for messages.
    text : the model's text, for places of single names in messages.
    remarks : comments to be printed back.

    Raises
    ------
    ModelErrors : every static fault, each with its node, place and a hint.
    """
    faults = Faults(text, source)
    if not is_name(name):
        faults.add(f"{name!r} cannot name a model.", hint="use letters, digits and `_`")
    given = tuple(statements)
    declared = tuple(plates)
    table = plate_rules.check(declared, faults)
    symbols = heads.symbols(given, table, faults)
    context = _Context(table, symbols, declarations.scalars(given), faults)
    resolved, faulty = context.all(given)
    resolved = _alike(resolved, symbols)
    declarations.check(resolved, context.plates, faults)
    overlaps.check(resolved, symbols, table, faults)
    lags.check(resolved, faulty, faults)
    covariances.check(resolved, symbols, faults)
    if not faults.found:  # a loop through undeclared names would be named wrongly
        cycles.check(resolved, table, faults)
    faults.raise_all(source or f"model '{name}'")
    return Dag(name, declared, resolved, data_file, source, remarks)


def from_parse(parse: Parse, source: str | None = None) -> Dag:
    """The model of a parsed text."""
    return build(
        parse.name, parse.plates, parse.statements, parse.data_file, source, parse.text, parse.remarks
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """What all statements share."""

    plates: Mapping[str, Plate]
    symbols: Mapping[str, Symbol]
    constants: Mapping[str, float]
    faults: Faults

    def all(self, statements: Iterable[st.Statement]) -> tuple[tuple[st.Statement, ...], frozenset[int]]:
        """The statements resolved, and the positions of those in which that found faults."""
        resolved: list[st.Statement] = []
        faulty: set[int] = set()
        for number, statement in enumerate(statements):
            before = len(self.faults.found)
            resolved.append(self.statement(statement))
            if len(self.faults.found) > before:
                faulty.add(number)
        return tuple(resolved), frozenset(faulty)

    def statement(self, statement: st.Statement) -> st.Statement:
        """The statement with its names resolved."""
        match statement:
            case st.Stochastic():
                return self._stochastic(statement)
            case st.Joint():
                return self._joint(statement)
            case st.Deterministic():
                return self._deterministic(statement)
            case st.Covariance():
                return self._covariance(statement)
            case st.Parameter(domain=st.Domain("interval", lower, upper)) if lower == -INF and upper == INF:
                return replace(statement, domain=None)
            case _:
                return statement

    def _resolver(self, statement: st.Statement, node: str, head: Sequence[str], event: int = 0) -> Resolver:
        plates = tuple(head)
        bound = bound_by(self.plates, plates[: len(plates) - event])
        return Resolver(self.plates, self.symbols, self.faults, statement, node, bound, plates)

    def _stochastic(self, statement: st.Stochastic) -> st.Stochastic:
        node = statement.head.name
        symbol = self.symbols[node]
        head = heads.filled(statement.head, symbol)
        plates = head_plates(replace(statement, head=head))
        self._check_slots(head, self._resolver(statement, node, plates))
        law = named(statement.distribution, self._resolver(statement, node, plates))
        if law is None:
            return replace(statement, head=head)
        event = event_of(law)
        taken = head.slots[len(head.slots) - event :] if event else ()
        if event > len(plates) or any(s.label is not None or s.first for s in taken):
            needs = "the last plate" if event == 1 else "the last two plates"
            slots = "plate" if event == 1 else "plate, alias"
            self.faults.add(
                f"{law.family} takes {needs} of its head whole, but `{node}` has "
                f"{'no plate there' if event > len(plates) else 'a level there'}.",
                statement,
                node=node,
                hint=f"write {node}[{'..., ' if plates else ''}{slots}] ~ {law.family}(...)",
            )
            return replace(statement, head=head, distribution=law)
        self._values_in(statement, law, symbol)
        whole = plates[len(plates) - event :]
        resolver = self._resolver(statement, node, plates, event)
        target = Target(event=whole, values_in=symbol.values_in)
        if event == 2 and not declarations.is_pair(whole, self.plates):
            resolver.fault(
                f"{law.family} is a law of square matrices, but {whole[0]} and {whole[1]} are not one plate.",
                f"declare `plate {whole[0]}2 as {whole[0]}` and write {node}[..., {whole[0]}, {whole[0]}2]",
            )
        distribution = Law(resolver, target, self.constants).resolve(law)
        return replace(statement, head=head, distribution=distribution)

    def _values_in(self, statement: st.Stochastic, law: st.Distribution, symbol: Symbol) -> None:
        node = statement.head.name
        if is_categorical(law) and symbol.values_in is None:
            self.faults.add(
                f"`{node}` takes its values in a plate, and the statement does not say which.",
                statement,
                node=node,
                hint=f"write `{node} in plate ~ {law.family}(...)`",
            )
        elif symbol.values_in is not None and not is_categorical(law):
            self.faults.add(
                f"{law.family} gives numbers, so `{node}` has no values in {symbol.values_in}.",
                statement,
                node=node,
                hint=f"drop `in {symbol.values_in}`, or write Categorical or Table",
            )

    def _joint(self, statement: st.Joint) -> st.Joint:
        node = statement.names[0]
        resolver = self._resolver(statement, node, statement.plates)
        if len(statement.names) < 2:
            resolver.fault(
                "A joint statement has two nodes or more.", f"write `{node}[plate] ~ ...` for one node"
            )
        for number, name in enumerate(statement.names):
            if name in statement.names[:number]:
                resolver.fault(f"`{name}` stands in the tuple twice.", "name every node once", name)
        law = named(statement.distribution, resolver)
        if law is None:
            return statement
        if event_of(law) != 1:
            resolver.fault(
                f"{law.family} does not give a vector, so it is no law of a tuple.",
                f"write `{', '.join(statement.names)} ~ {law.family}(...)` for separate nodes",
                law.family,
            )
            return statement
        target = Target(length=len(statement.names))
        return replace(statement, distribution=Law(resolver, target, self.constants).resolve(law))

    def _deterministic(self, statement: st.Deterministic) -> st.Deterministic:
        node = statement.head.name
        head = heads.filled(statement.head, self.symbols[node])
        plates = head_plates(replace(statement, head=head))
        resolver = self._resolver(statement, node, plates)
        self._check_slots(head, resolver)
        tree = resolver.scalar(statement.expression, f"`{node}`")
        return replace(statement, head=head, expression=tree)

    def _covariance(self, statement: st.Covariance) -> st.Covariance:
        left, right = (self._end(h, statement) for h in (statement.left, statement.right))
        plates = head_plates(replace(statement, left=left))
        pair = f"{left.name} ~~ {right.name}"
        resolver = self._resolver(statement, pair, plates)
        for head in (left, right):
            self._check_slots(head, resolver)
        tree = resolver.scalar(statement.expression, f"The covariance `{pair}`")
        return replace(statement, left=left, right=right, expression=tree)

    def _check_slots(self, head: st.Head, resolver: Resolver) -> None:
        """Levels that a head names exist, and `first` has an order to go by."""
        for slot in head.slots:
            if slot.plate is None or slot.plate not in self.plates:
                continue
            holder = base(self.plates, slot.plate)
            if slot.label is not None:
                resolver.check_level(slot.label, slot.plate)
            elif slot.first and holder in self.plates and not self.plates[holder].ordered:
                resolver.fault(
                    f"`{slot.plate} first` needs an order, and {holder} has none.",
                    f"declare `plate {holder} ... ordered`",
                )

    def _end(self, head: st.Head, statement: st.Covariance) -> st.Head:
        symbol = self.symbols.get(head.name)
        if symbol is None:
            near = self.faults.similar(head.name, self.symbols)
            hint = f"did you mean '{near}'?" if near else "give it a Normal distribution"
            self.faults.add(f"`{head.name}` is not declared.", statement, node=head.name, hint=hint)
            return head
        if not head.slots:
            return st.Head(head.name, tuple(st.Slot(p) for p in symbol.plates))
        return heads.filled(head, symbol)


def _alike(statements: Sequence[st.Statement], symbols: Mapping[str, Symbol]) -> tuple[st.Statement, ...]:
    """`observed` and `in plate` hold for all statements of a node, wherever they are said."""
    observed = {n for s in statements if getattr(s, "observed", False) for n in defines(s)}
    found: list[st.Statement] = []
    for statement in statements:
        if isinstance(statement, st.Stochastic):
            name = statement.head.name
            seen, values = name in observed, symbols[name].values_in
            if statement.observed != seen or statement.values_in != values:
                statement = replace(statement, observed=seen, values_in=values)
        found.append(statement)
    return tuple(found)
