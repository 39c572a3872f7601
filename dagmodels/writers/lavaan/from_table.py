"""A parameter table -> lavaan's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from dagmodels.graph import expression as ex
from dagmodels.writers.lavaan.text import Cell, Entry, Handle, Model, written

_PLABEL = re.compile(r"\.p\d+\.\Z")


class Row(Protocol):
    """A row as `readers.lavaan` has it."""

    @property
    def lhs(self) -> str: ...
    @property
    def op(self) -> str: ...
    @property
    def rhs(self) -> str: ...
    @property
    def level(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def free(self) -> int: ...
    @property
    def value(self) -> float | None: ...
    @property
    def label(self) -> str: ...
    @property
    def plabel(self) -> str: ...
    @property
    def exogenous(self) -> bool: ...
    @property
    def lower(self) -> float | None: ...
    @property
    def upper(self) -> float | None: ...
    @property
    def left(self) -> ex.Expression | None: ...
    @property
    def right(self) -> ex.Expression | None: ...


class Table(Protocol):
    """A table as `readers.lavaan` has it."""

    @property
    def rows(self) -> Iterable[Row]: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def observed(self) -> tuple[str, ...]: ...
    @property
    def levels(self) -> tuple[str, ...]: ...


def table_to_lavaan(table: Table) -> str:
    """The text that `lavaan()`, or a reader with `model_type="lavaan"`, makes the same model of.

    Every row is written but the moments of exogenous variables, which the reader adds. Read it with the
    same groups, and with the same `meanstructure` where there are groups.
    """
    cells: dict[tuple[str, str, str, int], list[Cell | None]] = {}
    by_name: dict[str, Row] = {}
    added: dict[int, int] = {}
    for row in table.rows:
        if not row.group:
            continue
        by_name.setdefault(row.plabel, row)
        if row.label:
            by_name.setdefault(row.label, row)
        if row.exogenous:
            added[row.level] = added.get(row.level, 0) + (row.group == 1)
            continue
        group = cells.setdefault((row.lhs, row.op, row.rhs, row.level), [None] * len(table.groups))
        label = "" if _PLABEL.match(row.label) else row.label
        group[row.group - 1] = Cell(row.free or None, row.value, label, row.lower, row.upper)
    entries = [Entry(*key[:3], tuple(group), key[3]) for key, group in cells.items()]
    entries = _orphans_first(entries, table.observed)
    constraints = tuple(
        (row.op, ex.Reference(row.lhs) if row.op == ":=" else row.left, row.right)
        for row in table.rows
        if row.right is not None and row.left is not None
    )

    def handle(names: Mapping[object, str]) -> Handle:
        return _handle(by_name, names)

    return written(
        Model(tuple(entries), table.groups, table.levels, added, constraints, _head(table)), handle
    )


def _orphans_first(entries: list[Entry], observed: tuple[str, ...]) -> list[Entry]:
    """Variances of variables without arrows before all covariances, in the table's order: their order is
    that in which `~~` names them, and it orders the ends of covariances."""
    arrows = {n for e in entries if e.op in ("=~", "~", "<~") for n in (e.lhs, e.rhs)}
    orphans = [n for n in observed if n not in arrows]
    first = [e for n in orphans for e in entries if e.op == "~~" and e.lhs == e.rhs == n]
    at = next((i for i, e in enumerate(entries) if e.op == "~~"), 0)
    rest = [e for e in entries[at:] if e not in first]
    return [*entries[:at], *first, *rest]


def _handle(by_name: Mapping[str, Row], names: Mapping[object, str]) -> Callable[[ex.Reference], str]:
    def write(reference: ex.Reference) -> str:
        row = by_name.get(reference.name)
        return names[row.free] if row is not None and row.free else reference.name

    return write


def _head(table: Table) -> tuple[str, ...]:
    groups = "" if len(table.groups) == 1 else f", groups={list(table.groups)!r}"
    return (f'model_type="lavaan"{groups}',)
