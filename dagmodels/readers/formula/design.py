"""Columns and levels of a mixed model, for the data of the fit and again for new data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagmodels.data import files, frames
from dagmodels.data.frames import Table
from dagmodels.errors import ModelError, raise_all
from dagmodels.readers.formula.algebra import Terms
from dagmodels.readers.formula.bars import Bar
from dagmodels.readers.formula.columns import Column, columns
from dagmodels.readers.formula.evaluate import Evaluator, interaction
from dagmodels.readers.formula.formula import Formula
from dagmodels.readers.formula.response import row_values
from dagmodels.readers.formula.syntax import Node
from dagmodels.readers.formula.values import Floats, Levels, Numbers, Value

LARGEST = 4 << 30  # bytes that the columns of one factor may take


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """All that a formula makes of the rows of one table, but for the response.

    fixed : columns of the fixed part, before any is dropped.
    random : columns of each random term of the formula.
    groups : levels of each grouping factor, by name.
    offset : the sum of offsets, or None.
    zero, spread : columns of the fixed parts of structural zeros and of the parameter of spread.
    """

    n: int
    fixed: tuple[Column, ...]
    random: tuple[tuple[Column, ...], ...]
    groups: Mapping[str, Levels]
    offset: Floats | None
    zero: tuple[Column, ...] = ()
    spread: tuple[Column, ...] = ()


@dataclass(slots=True, eq=False)
class Collector:
    """Problems of one reading, to be raised together, each once."""

    errors: list[ModelError] = field(default_factory=list)

    def add(self, error: ModelError) -> None:
        if all(error.message != e.message for e in self.errors):
            self.errors.append(error)

    def raise_all(self, text: str) -> None:
        """Raise them as problems of the data for a formula's text, or of new rows where there is none."""
        raise_all(self.errors, f"the data for '{text}'" if text else "the new rows")


def as_table(data: Any) -> Table:
    """Any frame, dict of columns or file -> Table."""
    if files.is_file_name(data):
        data = files.read(data)
    return frames.table(data)


def make(formula: Formula, evaluator: Evaluator, faults: Collector, offset: Any = None) -> Columns:
    """Columns of a formula over an evaluator's table; problems go to `faults`.

    Parameters
    ----------
    offset : an offset beside those in the formula: a column's name, or one number a row.
    """
    memo: dict[object, list[Column]] = {}
    fixed = _part(formula.fixed, evaluator, memo, faults)
    random = tuple(_part(bar.effects, evaluator, memo, faults) for bar in formula.bars)
    zero, spread = (
        () if terms is None else _part(terms, evaluator, memo, faults)
        for terms in (formula.zero, formula.spread)
    )
    groups: dict[str, Levels] = {}
    for bar in formula.bars:
        if bar.group not in groups:
            try:
                groups[bar.group] = _group(bar, evaluator)
            except ModelError as error:
                faults.add(error)
    total: Floats | None = None
    for node in formula.fixed.offsets:
        try:
            total = _added(total, _offset(node, evaluator))
        except ModelError as error:
            faults.add(error)
    try:
        total = _added(total, row_values(offset, "offset", evaluator))
    except ModelError as error:
        faults.add(error)
    return Columns(evaluator.table.n, fixed, random, groups, total, zero, spread)


def _part(
    terms: Terms, evaluator: Evaluator, memo: dict[object, list[Column]], faults: Collector
) -> tuple[Column, ...]:
    values: dict[str, Value] = {}
    used = {name for term in terms.terms for name in term}
    for name, node in terms.variables:
        if name in used:
            try:
                values[name] = evaluator.variable(name, node)
            except ModelError as error:
                faults.add(error)
    if len(values) < len(used):
        return ()
    for name, value in values.items():
        if isinstance(value, Levels) and 8 * evaluator.table.n * len(value.labels) > LARGEST:
            faults.add(
                ModelError(
                    f"the factor '{name}' has {len(value.labels)} levels: its columns for "
                    f"{evaluator.table.n} rows would take "
                    f"{8e-9 * evaluator.table.n * len(value.labels):.0f} GB",
                    node=name,
                    hint=f"let it vary by group: (1 | {name})",
                )
            )
            return ()
    try:
        return tuple(columns(terms, values, memo))
    except ModelError as error:
        faults.add(error)
        return ()


def _group(bar: Bar, evaluator: Evaluator) -> Levels:
    parts = [evaluator.levels(node) for _, node in bar.factors]
    for (name, _), part in zip(bar.factors, parts, strict=True):
        rows = np.flatnonzero(part.codes < 0)
        if rows.size:
            others = "" if rows.size == 1 else f" and {rows.size - 1} other{'s' if rows.size > 2 else ''}"
            raise ModelError(
                f"{evaluator.table.source}: the level of '{name}' is missing in row {rows[0] + 1}{others}",
                node=name,
                hint="every row needs its levels: leave the row out, or name the level",
            )
    return parts[0] if len(parts) == 1 else interaction(parts)


def _offset(node: Node, evaluator: Evaluator) -> Floats:
    found = evaluator.value(node)
    if not isinstance(found, Numbers):
        raise ModelError("offset() holds numbers", hint="check its column")
    values = np.broadcast_to(found.values.astype(float), (evaluator.table.n,))
    evaluator.refuse_missing("offset", ~np.isfinite(values), node)
    return values


def _added(total: Floats | None, more: Floats | None) -> Floats | None:
    return more if total is None else total if more is None else total + more
