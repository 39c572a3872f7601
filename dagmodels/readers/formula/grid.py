"""Reference grids: the design of combinations of the variables in the fixed part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.errors import ModelError, raise_all
from dagmodels.readers.formula.columns import columns
from dagmodels.readers.formula.design import Collector, as_table
from dagmodels.readers.formula.evaluate import Evaluator, level_text
from dagmodels.readers.formula.formula import Formula
from dagmodels.readers.formula.rank import TOLERANCE
from dagmodels.readers.formula.syntax import Call, Name, Node, Op
from dagmodels.readers.formula.values import Floats, Levels, Numbers, Value
from dagmodels.results.mixed.naming import Grid

if TYPE_CHECKING:
    from dagmodels.readers.formula.reading import Reading

TRUTH = ("FALSE", "TRUE")
MOST = 100_000  # combinations


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A column of the data: what it holds, and whether it is numbers that are read as levels."""

    value: Value
    numeric: bool = False


def raw_columns(formula: Formula, evaluator: Evaluator) -> dict[str, Raw]:
    """The columns of the data behind the variables of the fixed part, by name."""
    found: dict[str, Raw] = {}
    used = {name for term in formula.fixed.terms for name in term}
    for variable, node in formula.fixed.variables:
        if variable not in used:
            continue
        for name, as_factor in _names(node):
            known = evaluator.seen.get(name)
            plain = known if known is not None else evaluator.value(Name(name))
            if as_factor and isinstance(plain, Numbers):
                found[name] = Raw(evaluator.levels(Name(name)), numeric=True)
            else:
                found.setdefault(name, Raw(plain))
    return found


def _names(node: Node, as_factor: bool = False) -> Iterator[tuple[str, bool]]:
    """Columns in a tree, and whether they are read as factors."""
    match node:
        case Name(name):
            yield name, as_factor
        case Call("factor" | "as.factor" | "C", ((_, first), *_)):
            yield from _names(first, True)
        case Call("poly" | "bs" | "cr" | "cs" | "cc" | "scale" | "center", ((_, first), *_)):
            yield from _names(first, as_factor)
        case Call(_, arguments):
            for _, argument in arguments:
                yield from _names(argument, as_factor)
        case Op(_, operands):
            for operand in operands:
                yield from _names(operand, as_factor)


def reference_grid(reading: Reading, at: Mapping[str, Sequence[Any]], rows: Any) -> Grid:
    """All combinations of factors' levels, with numbers at their means, unless `at` says otherwise.

    Parameters
    ----------
    at : values by column. rows : which rows of the fit count for means.

    Raises
    ------
    ModelErrors : columns that the fixed part does not have, levels that a factor does not have.
    """
    raw = {k: v for k, v in reading.raw.items() if np.ndim(getattr(v.value, "values", [0]))}
    levels = _levels(raw, at, rows)
    size = int(np.prod([len(v) for v in levels.values()], dtype=np.float64))
    if size > MOST:
        told = f"the reference grid has {size} combinations, more than {MOST}"
        raise_all([ModelError(told, hint="fix some variables with at=")], "the reference grid")
    cells = list(product(*levels.values()))
    table: dict[str, Any] = {}
    for j, (name, one) in enumerate(raw.items()):
        column = [cell[j] for cell in cells]
        if not isinstance(one.value, Levels):
            table[name] = np.array(column, dtype=float)
        elif one.numeric:
            numbers = np.array(column, dtype=float)
            table[name] = numbers.astype(int) if (numbers % 1 == 0).all() else numbers
        else:
            table[name] = np.array([c == "TRUE" for c in column]) if one.value.labels == TRUTH else column
    design = _design(reading, table, size)
    fixed = design[:, list(reading.kept)]
    fixed[~_estimable(reading, design, rows)] = np.nan
    return Grid(levels, frozenset(n for n, v in raw.items() if isinstance(v.value, Levels)), fixed)


def _levels(raw: Mapping[str, Raw], at: Mapping[str, Sequence[Any]], rows: Any) -> dict[str, tuple[Any, ...]]:
    errors = []
    for name in at:
        if name not in raw:
            hint = f"there are {', '.join(raw) or 'none'}"
            errors.append(ModelError(f"'{name}' is no variable of the fixed part", node=name, hint=hint))
    found: dict[str, tuple[Any, ...]] = {}
    for name, one in raw.items():
        value = one.value
        given = at.get(name)
        if given is not None:
            given = [given] if isinstance(given, str) or np.ndim(given) == 0 else list(given)
        if isinstance(value, Levels):
            texts = value.labels if given is None else tuple(_text(v) for v in given)
            for text in texts:
                if text not in value.labels:
                    hint = f"its levels are {', '.join(value.labels[:8])}"
                    errors.append(ModelError(f"'{text}' is no level of '{name}'", node=name, hint=hint))
            found[name] = texts
        elif given is not None:
            found[name] = tuple(float(v) for v in given)
        else:
            assert isinstance(value, Numbers)
            found[name] = (float(np.mean(value.values[rows])),)
    raise_all(errors, "the reference grid")
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "TRUE" if value else "FALSE"
    return value if isinstance(value, str) else level_text(value)


def _design(reading: Reading, table: Mapping[str, Any], size: int) -> Floats:
    """All columns of the fixed part, dropped ones included."""
    terms = reading.formula.fixed
    used = {name for term in terms.terms for name in term}
    values: dict[str, Value] = {}
    if table:
        again = Evaluator(as_table(table), reading.states, reading.contrasts)
        faults = Collector()
        for name, node in terms.variables:
            if name in used:
                try:
                    values[name] = again.variable(name, node)
                except ModelError as error:
                    faults.add(error)
        raise_all(faults.errors, "the reference grid")
    found = [
        np.ones(size) if c is None else np.broadcast_to(c, (size,)) for _, c in columns(terms, values, {})
    ]
    return np.stack(found, axis=1) if found else np.zeros((size, 0))


def _estimable(reading: Reading, design: Floats, rows: Any) -> Any:
    """Which combinations the data tell of: their rows lie in the row space of the data's design."""
    if not reading.naming.dropped:
        return np.ones(design.shape[0], dtype=bool)
    terms = reading.formula.fixed
    used = {name: reading.values[name] for term in terms.terms for name in term}
    n = reading.rows.n
    full = np.stack(
        [np.broadcast_to(1.0 if c is None else c, (n,)) for _, c in columns(terms, used, {})], axis=1
    )
    scale = np.maximum(np.sqrt((full[rows] ** 2).mean(axis=0)), 1e-300)
    _, size, vt = np.linalg.svd(np.linalg.qr(full[rows] / scale, mode="r"))
    null = vt[np.sum(size > TOLERANCE * size[0]) :]
    scaled = design / scale
    return np.abs(scaled @ null.T).max(axis=1) <= 1e-6 * np.maximum(np.abs(scaled).max(axis=1), 1.0)
