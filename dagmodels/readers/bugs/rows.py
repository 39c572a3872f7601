"""Rows of probabilities of different lengths, `y[i] ~ dcat(p[i, 1:K[i]])`.

A law takes a plate whole, so that such arrays are matrices, with 0 behind the end of each row: what has the
probability 0 is never seen, and adds nothing to a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dagmodels.graph import expression as ex
from dagmodels.graph import statement as st
from dagmodels.readers.bugs import syntax as sx
from dagmodels.readers.bugs.arrange import Piece
from dagmodels.readers.bugs.numbers import NotFixed, along
from dagmodels.readers.bugs.pairs import coordinates
from dagmodels.readers.bugs.relations import Ints, Relation
from dagmodels.readers.bugs.scope import Made, Parts, Scope, Unsayable
from dagmodels.readers.bugs.spaces import Spaces

COUNTED = frozenset({"dcat", "dmulti", "dmultinom"})


def keep_rows(found: Spaces, relations: Sequence[Relation]) -> None:
    """Note which arrays of pairs are rows of probabilities; they and what they use become matrices."""
    asked: set[str] = set()
    for relation in relations:
        statement = relation.statement
        if isinstance(statement, sx.Draw) and statement.family in COUNTED and statement.arguments:
            rows = [v for v in (statement.arguments[0], statement.target) if _is_row(found, relation, v)]
            asked |= {v.name for v in rows if isinstance(v, sx.Var)}
    for group in _groups(found, relations):
        if group & asked and not any(found.names.drawn(n) for n in group):
            asked |= group
            for name in group & found.pairs.keys():
                del found.pairs[name]
    found.rows |= asked - found.pairs.keys()


def _is_row(found: Spaces, relation: Relation, tree: sx.Expr) -> bool:
    """Whether a vector ends with another element in each row."""
    if not isinstance(tree, sx.Var) or not tree.indices or not isinstance(tree.indices[-1], sx.Span):
        return False
    last = tree.indices[-1].high
    used = {v.name for v in sx.variables(last)} & set(relation.variables)
    return len(tree.indices) == 2 and bool(used) and found.names.fixed(last, relation.variables)


def _groups(found: Spaces, relations: Iterable[Relation]) -> list[set[str]]:
    """Arrays of pairs that relations use together."""
    groups: list[set[str]] = []
    for relation in relations:
        own = {v.name for v in sx.variables(relation.statement)} & found.pairs.keys()
        own |= {relation.target.name} & found.pairs.keys()
        if own:
            joined = [g for g in groups if g & own]
            groups = [g for g in groups if not g & own] + [own.union(*joined)]
    return groups


def lengths(parts: Parts, name: str, rows: int) -> Ints:
    """How many elements each row of such an array has."""
    found = np.zeros(rows, np.int64)
    for relation in parts.names.relations.get(name, ()):
        pairs = coordinates(parts.names, relation, relation.target)
        if pairs is not None:
            np.maximum.at(found, pairs[:, 0] - 1, pairs[:, 1])
    if name in parts.names.data:
        given = np.nan_to_num(parts.names.known[name]) != 0
        last = given.shape[1] - np.argmax(given[:, ::-1], axis=1)
        found = np.maximum(found, np.where(given.any(axis=1), last, 0))
    return found


def is_whole_row(scope: Scope, var: sx.Var) -> bool:
    """Whether a range takes all of a row that is not 0."""
    if var.name not in scope.parts.spaces.rows or not isinstance((var.indices or (var,))[-1], sx.Span):
        return False
    (outer, span), relation = var.indices or (), scope.relation
    assert isinstance(span, sx.Span)
    if isinstance(outer, sx.Whole | sx.Span):
        return False
    try:
        each = [along(e, scope.names.known, relation.rows, relation.n) for e in (outer, span.low, span.high)]
    except NotFixed:
        return False
    row, low, high = (e.astype(np.int64) for e in each)
    have = lengths(scope.parts, var.name, scope.parts.spaces.dim(var.name, 0).size)
    return bool((low == 1).all() and (high >= have[row - 1]).all())


def vanishes(scope: Scope, tree: sx.Index) -> bool:
    """Whether a term of a sum is 0 behind the end of each row."""
    match tree:
        case sx.Var():
            return is_whole_row(scope, tree)
        case sx.Op("*", left, right):
            return vanishes(scope, left) or vanishes(scope, right)
        case sx.Op("/", left, _):
            return vanishes(scope, left)
        case sx.Neg(operand):
            return vanishes(scope, operand)
        case _:
            return False


def ended(parts: Parts, name: str, pieces: Sequence[Piece], shape: tuple[int, ...]) -> list[Piece]:
    """Definitions with 0 behind the end of each row."""
    if name not in parts.spaces.rows or any(isinstance(p.said, st.Stochastic) for p in pieces):
        return [*pieces]
    inside = np.zeros(shape, dtype=bool)
    for p in pieces:
        inside.reshape(-1)[p.elements] = True
    if inside.all():
        return [*pieces]
    if len(pieces) > 1:
        told = f"'{name}' has rows of different lengths, and several relations"
        raise Unsayable(told, pieces[0].relation.at, "define it in one loop over i and k in 1:K[i]")
    (piece,) = pieces
    assert isinstance(piece.said, st.Deterministic)
    shown, plates = parts.fresh(f"{name} inside"), parts.plates(name)
    parts.made[shown] = Made(tuple(parts.spaces.dims(name)), plates, inside.astype(float))
    there = ex.Binary("==", ex.Reference(shown, tuple(ex.PlateIndex(p) for p in plates)), ex.Number(1))
    tree = ex.Call("if_else", (there, piece.said.expression, ex.Number(0)))
    parts.undefined[name] = ~inside.reshape(-1)
    return [Piece(replace(piece.said, expression=tree), np.arange(inside.size), piece.relation)]


__all__ = ["ended", "is_whole_row", "keep_rows", "vanishes"]
