"""Defined quantities (`:=`) over the rows of the table: their values at any numbers, and derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dagmodels.graph import expression as ex
from dagmodels.graph.calculus import number
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic
from dagmodels.results.sem.naming import SemNaming

Floats = NDArray[np.float64]
STEP = 1e-6  # of central differences, in units of a number or of one


class Definitions:
    """The `:=` rows of a table, as functions of the rows' numbers.

    rows : numbers of these rows. Equal parameters count once, by the first of their rows, as in lavaan.
    """

    def __init__(self, naming: SemNaming, dag: Dag) -> None:
        self.rows = [i for i, r in enumerate(naming.rows) if r.op == ":="]
        self._tree = {naming.rows[i].node: _tree(dag, naming.rows[i].node) for i in self.rows}
        self._row: dict[tuple[str, str | None], int] = {}
        for i, r in enumerate(naming.rows):
            if r.free and r.op != ":=":
                self._row.setdefault((r.node, None), i)
                self._row.setdefault((r.node, naming.groups[r.group]), i)
        self._nodes = [naming.rows[i].node for i in self.rows]

    def at(self, numbers: Floats) -> Floats:
        """Their values where the table's rows have these numbers."""
        return np.array([self._value(node, numbers) for node in self._nodes])

    def slopes(self, numbers: Floats) -> Floats:
        """Derivatives of `at`, (definitions, rows)."""
        return differences(self.at, numbers, sorted(set(self._row.values())))

    def _value(self, node: str, numbers: Floats) -> float:
        tree = self._tree[node]
        return number(tree, {r: self._meaning(r, numbers) for r in ex.references(tree)})

    def _meaning(self, reference: ex.Reference, numbers: Floats) -> float:
        if reference.name in self._tree:
            return self._value(reference.name, numbers)
        labels = [str(i.label) for i in reference.indices or () if isinstance(i, ex.LevelIndex)]
        return float(numbers[self._row[reference.name, labels[0] if labels else None]])


def _tree(dag: Dag, node: str) -> ex.Expression:
    statement = dag.nodes[node].statements[0]
    assert isinstance(statement, Deterministic)
    return statement.expression


def differences(function: Callable[[Floats], Floats], numbers: Floats, rows: list[int]) -> Floats:
    """Central differences in these numbers, (values, numbers)."""
    found = np.zeros((function(numbers).size, numbers.size))
    for i in rows:
        h = STEP * max(1.0, abs(numbers[i]))
        high, low = numbers.copy(), numbers.copy()
        high[i] += h
        low[i] -= h
        found[:, i] = (function(high) - function(low)) / (2 * h)
    return found
