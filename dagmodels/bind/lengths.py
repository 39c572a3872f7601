"""Vectors, matrices and tables must have as many entries as their plates have elements.

Where a plate states its levels, reading the model compares them already; the sizes of other plates
are known only here, with data or with the sizes of a simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from dagmodels.bind.claims import Work
from dagmodels.data.levels import canonical
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, remembered
from dagmodels.graph.plate import Place
from dagmodels.graph.scope import bound, event_plates, free, head_plates
from dagmodels.graph.signatures import family_or_none
from dagmodels.graph.statement import Distribution, Joint, Rows, Stochastic


@dataclass(frozen=True, slots=True)
class Demand:
    """One argument and what its length must agree with.

    node, place : whose law it stands in, and where.
    what : the argument in words: "mu in the MvNormal law".
    has : its entries, or the plate that it stands on.
    needs : the entries that its place takes, or the plate with so many elements.
    fewer : how many fewer it has than that plate has elements (one, for cutpoints).
    square : it is a matrix with so many rows and columns.
    """

    node: str
    place: Place | None
    what: str
    has: int | str
    needs: int | str
    fewer: int = 0
    square: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """The rows of one table: their labels, and the plate of each parent's states."""

    node: str
    place: Place | None
    plates: tuple[str, ...]
    rows: frozenset[tuple[object, ...]]


def check_lengths(work: Work) -> None:
    """Complain of every argument whose length does not fit the plates as they are bound."""
    demands, tables = _demands(work.dag)
    for demand in demands:
        if not any(isinstance(p, str) and p not in work.plates for p in (demand.has, demand.needs)):
            _check(work, demand)
    for table in tables:
        if all(p in work.plates for p in table.plates):
            _check_rows(work, table)


def _check(work: Work, demand: Demand) -> None:
    plates = work.plates
    has = plates[demand.has].size if isinstance(demand.has, str) else demand.has
    if isinstance(demand.needs, int):
        needed, reason = demand.needs, f"its place takes {demand.needs}"
    else:
        size = plates[demand.needs].size
        needed, reason = size - demand.fewer, f"plate {demand.needs!r} has {_count(size, 'element')}"
    if has == needed:
        return
    told, wish = f"has {_count(has, 'entry')}", f"give it {_count(needed, 'entry')}"
    if demand.square:
        told, wish = f"is {has} x {has}", f"make it {needed} x {needed}"
    on = f" (one for each element of plate {demand.has!r})" if isinstance(demand.has, str) else ""
    message = f"{demand.what} of {demand.node!r} {told}{on}, but {reason}"
    hint = wish + (", one less than there are levels" if demand.fewer else "")
    if isinstance(demand.needs, str):
        more = _count(has + demand.fewer, "element")
        hint += f", or give plate {demand.needs!r} {more} by stating its levels"
    work.complain(message, demand.node, hint, demand.place)


def _count(n: int, word: str) -> str:
    many = "entries" if word == "entry" else f"{word}s"
    return f"{n} {word if n == 1 else many}"


def _check_rows(work: Work, table: Keys) -> None:
    """Every combination of the parents' states has its row."""
    levels = [[canonical(x) for x in work.plates[p].levels] for p in table.plates]
    if math.prod(map(len, levels)) == len(table.rows) and all(_within(levels, row) for row in table.rows):
        return
    lost = next((row for row in product(*levels) if row not in table.rows), None)
    if lost is not None:
        told = ", ".join(map(str, lost))
        message = f"the Table of {table.node!r} has no row for ({told})"
        hint = "give every combination of states a row, or leave the states out of the data"
        work.complain(message, table.node, hint, table.place)


def _within(levels: list[list[object]], row: tuple[object, ...]) -> bool:
    return all(label in known for label, known in zip(row, levels, strict=True))


@remembered
def _demands(dag: Dag) -> tuple[tuple[Demand, ...], tuple[Keys, ...]]:
    found: list[Demand] = []
    tables: list[Keys] = []
    for statement in dag.statements:
        if isinstance(statement, Stochastic | Joint):
            reader = _Reader(dag, statement)
            found.extend(reader.law(statement.distribution))
            tables.extend(reader.keys(statement.distribution))
    return tuple(found), tuple(tables)


class _Reader:
    """The demands of one statement."""

    def __init__(self, dag: Dag, statement: Stochastic | Joint) -> None:
        self.dag, self.statement = dag, statement
        self.node = statement.head.name if isinstance(statement, Stochastic) else statement.names[0]
        self.values_in = statement.values_in if isinstance(statement, Stochastic) else None
        event = event_plates(statement)
        self.size: int | str | None = event[-1] if event else None
        if isinstance(statement, Joint):
            self.size = len(statement.names)

    def law(self, law: Distribution) -> Iterator[Demand]:
        """Those of a distribution and of the distributions inside it."""
        if law.family == "Table":
            yield from self._table(law)
            return
        for key, value in law.arguments:
            if isinstance(value, Distribution):
                if law.family != "Ordered":  # whose arguments stand on the plate taken whole
                    yield from self.law(value)
            elif isinstance(value, tuple):
                for part in value:
                    yield from self.law(part)
            elif isinstance(value, ex.Expression):
                yield from self._argument(law, key, value)

    def _argument(self, law: Distribution, key: str, tree: ex.Expression) -> Iterator[Demand]:
        what = f"{key} in the {law.family} law"
        components = law.argument("components")
        if isinstance(components, tuple):
            yield from self._compare(what, tree, len(components))
            return
        family = family_or_none(law.family)
        if family is None:
            return
        canonical_key = family.alternatives[key][0] if key in family.alternatives else key
        argument = next((a for a in family.parameters if a.name == canonical_key), None)
        if argument is None or argument.shape == 0:
            return
        if argument.domain == "simplex" and self.values_in is not None:
            yield from self._compare(what, tree, self.values_in)
        elif argument.domain == "ordered" and self.values_in is not None:
            yield from self._compare(what, tree, self.values_in, fewer=1)
        elif self.size is not None:
            yield from self._compare(what, tree, self.size)

    def _compare(self, what: str, tree: ex.Expression, needs: int | str, fewer: int = 0) -> Iterator[Demand]:
        """Nothing where the sizes agree by themselves: one plate, or a scalar that is repeated."""
        has: int | str
        if isinstance(tree, ex.Vector):
            has = len(tree.items)
            square = bool(tree.items) and isinstance(tree.items[0], ex.Vector)
        else:
            plates = self.dag.plate
            left = free(plates, tree, bound(plates, self.statement), head_plates(self.statement))
            if not left:
                return
            has, square = left[-1], len(left) > 1
        same = isinstance(has, str) and isinstance(needs, str) and self.dag.base(has) == self.dag.base(needs)
        if not same or fewer:
            yield Demand(self.node, self.statement.place, what, has, needs, fewer, square)

    def _table(self, law: Distribution) -> Iterator[Demand]:
        numbers, plate = law.argument("rows"), self.values_in
        if plate is None:
            return
        if isinstance(numbers, ex.Vector):
            yield from self._compare("the row in the Table", numbers, plate)
        elif isinstance(numbers, Rows):
            for row in numbers.rows:
                told = ", ".join(map(str, row.labels))
                what = f"the row ({told}) in the Table"
                yield Demand(self.node, self.statement.place, what, len(row.entries), plate)

    def keys(self, law: Distribution) -> Iterator[Keys]:
        """The rows of a table with parents."""
        numbers = law.argument("rows")
        if law.family != "Table" or not isinstance(numbers, Rows):
            return
        parents = [v.name for k, v in law.arguments if k != "rows" and isinstance(v, ex.Reference)]
        plates = tuple(str(self.dag.nodes[name].values_in) for name in parents)
        rows = frozenset(tuple(map(canonical, row.labels)) for row in numbers.rows)
        yield Keys(self.node, self.statement.place, plates, rows)
