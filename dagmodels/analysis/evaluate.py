"""Values of trees on the rows of a problem, many variants of the unknowns at a time.

Serves questions about a bound graph (the rank of its design); fits use the tape instead. Arrays
have one axis a plate of their node, then one axis for the variants.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import comparing, elements_named, level_codes, rank
from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Head
from dagmodels.numerics.arithmetic import ARITHMETIC

Array = NDArray[np.float64]

_ELEMENTWISE = (
    *("exp", "log", "sqrt", "logit", "expit", "probit", "Phi", "cloglog", "icloglog", "abs"),
    *("sin", "cos", "arctan", "tanh", "lgamma", "floor"),
    *("min", "max", "if_else"),
)
MAX_CELLS = 30_000_000  # rows times variants: about 240 MB


class CannotEvaluate(Exception):
    """A tree that this evaluator does not do (vectors, discrete latents, recursions); says why."""


def evaluate(tree: ex.Expression, rows: Rows, values: Mapping[str, Array], problem: Problem) -> Array:
    """The tree at every row: shape (rows, variants), or (rows, 1) where nothing varies.

    Raises CannotEvaluate for what has no single number a row.
    """
    match tree:
        case ex.Number(value):
            return np.full((1, 1), float(value))
        case ex.Reference():
            return _reference(tree, rows, values, problem)
        case ex.Unary(operator, operand):
            inner = evaluate(operand, rows, values, problem)
            return -inner if operator == "-" else inner
        case ex.Binary(operator, left, right):
            tables = comparing(problem, operator, left, right)
            if tables is not None:
                a, b = (
                    _compared(s, t, rows, values, problem) for s, t in zip((left, right), tables, strict=True)
                )
            else:
                a, b = (evaluate(side, rows, values, problem) for side in (left, right))
            return np.asarray(ARITHMETIC[operator](a, b), dtype=float)
        case ex.Call(function, arguments) if function in _ELEMENTWISE:
            from dagmodels.distributions import _numeric

            name = "where" if function == "if_else" else function
            numbers = [evaluate(a, rows, values, problem) for a in arguments]
            return np.asarray(getattr(_numeric, name)(*numbers), dtype=float)
        case ex.Reduction(kind, body, plates):
            return _reduce(kind, body, plates, rows, values, problem)
        case _:
            raise CannotEvaluate(f"{type(tree).__name__} has no single number a row")


def head_rows(head: Head, problem: Problem) -> tuple[Rows, NDArray[np.bool_]]:
    """The rows of a head's plates, and which of them the head names."""
    plates = tuple(s.plate or "" for s in head.slots)
    rows = problem.rows(plates)
    named = np.ones(rows.n, dtype=bool)
    for slot, plate in zip(head.slots, plates, strict=True):
        if slot.label is not None:
            named &= np.isin(rows.codes[plate], elements_named(problem, plate, slot.label))
        elif slot.first:
            named &= rank(problem, plate)[rows.codes[plate]] < slot.first
    return rows, named


def _reference(tree: ex.Reference, rows: Rows, values: Mapping[str, Array], problem: Problem) -> Array:
    if tree.name not in values:
        raise CannotEvaluate(f"'{tree.name}' has no value yet")
    array = values[tree.name]
    picks = [_codes(tree, axis, i, rows, values, problem) for axis, i in enumerate(tree.indices or ())]
    if len(picks) != array.ndim - 1:
        raise CannotEvaluate(f"'{tree.name}' is not written with all its plates")
    return array[tuple(picks)] if picks else array[None, :]


def _codes(
    tree: ex.Reference, axis: int, index: ex.Index, rows: Rows, values: Mapping[str, Array], problem: Problem
) -> Codes:
    """Elements that one index picks, row by row."""
    own = problem.graph.nodes[tree.name].plates[axis]
    match index:
        case ex.PlateIndex(plate) if plate in rows.codes:
            return rows.codes[plate]
        case ex.LagIndex(plate, lag) if plate in rows.codes:
            before, codes = problem.plates[plate].order, rows.codes[plate]
            if before is None:
                raise CannotEvaluate(f"plate '{plate}' has no order")
            for _ in range(lag):
                codes = np.where(codes >= 0, before[codes], -1)
            return np.maximum(codes, 0)  # first elements have statements of their own
        case ex.LevelIndex(label):
            return level_codes(problem, own, label, rows.codes, rows.n)
        case ex.NodeIndex(reference):
            kind = problem.graph.nodes[reference.name].kind
            if kind not in ("covariate", "constant"):
                raise CannotEvaluate(f"'{reference.name}' points to elements and is not given")
            codes = _reference(reference, rows, values, problem)[:, 0]
            return np.broadcast_to(codes, (rows.n,)).astype(np.int64)
        case _:
            raise CannotEvaluate(f"'{tree.name}' is a vector along '{own}'")


def _compared(
    tree: ex.Expression, table: Codes | float, rows: Rows, values: Mapping[str, Array], problem: Problem
) -> Array:
    """What an operand of a comparison between elements is compared by, row by row."""
    if not isinstance(table, np.ndarray):
        return np.full((1, 1), float(table))
    if isinstance(tree, ex.Reference) and tree.name not in problem.graph.nodes:
        if tree.name not in rows.codes:
            raise CannotEvaluate(f"'{tree.name}' is not bound here")
        return table[rows.codes[tree.name]][:, None].astype(float)
    codes = evaluate(tree, rows, values, problem)
    if (table == np.arange(table.size)).all():
        return codes  # of a hidden state any number, where only what else moves is asked for
    known = (codes >= 0) & (codes < table.size)
    return np.where(known, table[np.where(known, codes, 0).astype(np.int64)], np.nan)


def _reduce(
    kind: str, body: ex.Expression, plates: tuple[str, ...], rows: Rows, values: Mapping[str, Array],
    problem: Problem,
) -> Array:  # fmt: skip
    """A sum, product or mean over the elements that belong to what is bound."""
    inner = problem.rows(plates)
    if rows.n * inner.n > MAX_CELLS:
        raise CannotEvaluate("a sum over too many pairs")
    outer = np.repeat(np.arange(rows.n), inner.n)
    codes = {p: c[outer] for p, c in rows.codes.items()}
    belongs = np.ones(len(outer), dtype=bool)
    for plate, own in inner.codes.items():
        tiled = np.tile(own, rows.n)
        if plate in codes:
            belongs &= codes[plate] == tiled
        codes[plate] = tiled
    codes = {p: c[belongs] for p, c in codes.items()}
    outer = outer[belongs]
    cells = evaluate(body, Rows(len(outer), codes), values, problem)
    cells = np.broadcast_to(cells, (len(outer), cells.shape[1]))
    start = np.ones if kind == "prod" else np.zeros
    result = start((rows.n, cells.shape[1]))
    (np.multiply if kind == "prod" else np.add).at(result, outer, cells)
    if kind == "mean":
        result /= np.maximum(np.bincount(outer, minlength=rows.n), 1)[:, None]
    return result
