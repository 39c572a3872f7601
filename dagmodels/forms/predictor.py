"""Means to pieces: a mean that is linear in the block becomes data x tape x element."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.linearity import ONE, ZERO, LinearForm, depends, linear_form
from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import cells
from dagmodels.forms.lower import Lowering, NotLowered, Value, expand
from dagmodels.forms.pieces import Piece, aligned, gathered
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag
from dagmodels.graph.statement import Deterministic

CONSTANT = -1  # element number of the constant until elements are ordered

Part = tuple[NDArray[np.float64] | float, Value | None]


def dependent(dag: Dag, names: set[str]) -> set[str]:
    """Deterministic nodes that depend on any of the names."""
    found: set[str] = set()
    for name in dag.order:
        if dag.nodes[name].kind == "deterministic" and any(
            p in names or p in found for p in dag.parents[name]
        ):
            found.add(name)
    return found


class Predictor:
    """Turns means into pieces.

    Parameters
    ----------
    lowering : for coefficients.
    block : names of the block's nodes.
    outer : names of outer unknowns.
    elements : for each block node the element number of each of its places, -1 where it is given.
    given : for block nodes that are partly given, their values by place.
    general : block nodes that are not Gaussian, with the scale of their elements.
    """

    def __init__(
        self,
        lowering: Lowering,
        block: set[str],
        outer: set[str],
        elements: Mapping[str, NDArray[np.int64]],
        given: Mapping[str, NDArray[np.float64]],
        general: Mapping[str, str] | None = None,
    ) -> None:
        self.problem: Problem = lowering.problem
        self.lowering = lowering
        self.elements = elements
        self.given = given
        self.general = general or {}
        self.inlined = dependent(self.problem.graph, block)
        self.linear = block | self.inlined
        self.unknown = outer
        self.outer = outer | dependent(self.problem.graph, outer)
        self.one = lowering.recorder.start(lowering.recorder.constant(1.0))
        self._cache: dict[str, list[Piece]] = {}

    def pieces(self, tree: ex.Expression, rows: Rows) -> list[Piece]:
        """Pieces of a scalar mean, one predictor a row."""
        form = self._form(tree)
        found = [] if form.offset == ZERO else self._offset(form.offset, rows)
        return found + self._terms(form, rows)

    def pieces_and_offset(self, tree: ex.Expression, rows: Rows) -> tuple[list[Piece], int | None]:
        """Pieces on elements, one entry a row each, and the register of what is known of the predictor."""
        recorder = self.lowering.recorder
        form = self._form(tree)
        offset: int | None = None
        if form.offset != ZERO:
            offset = self.lowering.full(self.lowering.value(form.offset, rows), rows)
        kept = []
        for piece in aligned(self._terms(form, rows), rows.n, CONSTANT, self.one):
            if np.all(np.asarray(piece.element) == CONSTANT):
                source = np.broadcast_to(np.asarray(piece.source, dtype=np.int64), rows.n)
                part = recorder.pick(np.ascontiguousarray(source))
                part = recorder.apply("*", part, recorder.constant(piece.data))
                offset = part if offset is None else recorder.apply("+", offset, part)
            else:
                kept.append(piece)
        return kept, offset

    def _form(self, tree: ex.Expression) -> LinearForm:
        form = linear_form(tree, self.linear)
        if form is None:
            raise NotLowered("a mean is not linear in the latent nodes")
        return form

    def _terms(self, form: LinearForm, rows: Rows) -> list[Piece]:
        found: list[Piece] = []
        for term in form.terms:
            inner, owner = (rows, None) if not term.plates else expand(self.problem, rows, term.plates)
            for data, value in self.split(term.coefficient, inner):
                source = self.source(value, inner)
                for piece in self._elements(term.reference, inner):
                    found.extend(self._multiplied(piece, data, value, source, inner, owner))
        return found

    def _offset(self, tree: ex.Expression, rows: Rows) -> list[Piece]:
        return [Piece(CONSTANT, self.source(value, rows), data) for data, value in self.split(tree, rows)]

    def source(self, value: Value | None, rows: Rows) -> NDArray[np.int64] | int:
        """Places in the workspace of a value, by row or one for all."""
        if value is None:
            return self.one
        start = self.lowering.recorder.start(value.register)
        return start if value.key is None else start + self.lowering.codes(value, rows)

    def _multiplied(
        self,
        piece: Piece,
        data: NDArray[np.float64] | float,
        value: Value | None,
        source: NDArray[np.int64] | int,
        rows: Rows,
        owner: NDArray[np.int64] | None,
    ) -> list[Piece]:
        """A piece of `rows` times a coefficient, then owned by the rows before expansion."""
        at = piece.owner
        if at is not None:
            data = data[at] if isinstance(data, np.ndarray) else data
            source = source[at] if isinstance(source, np.ndarray) else source
        if value is not None and not _is_one(piece.source, self.one):
            source = self._product(piece.source, source)
        elif value is None:
            source = piece.source
        inner = at if owner is None else (owner if at is None else owner[at])
        return [Piece(piece.element, source, piece.data * data, inner)]

    def _product(
        self, left: NDArray[np.int64] | int, right: NDArray[np.int64] | int
    ) -> NDArray[np.int64] | int:
        """Places of the products of two values of the tape, made once for each distinct pair."""
        recorder = self.lowering.recorder
        if not isinstance(left, np.ndarray) and not isinstance(right, np.ndarray):
            pairs, inverse = np.array([[left, right]]), None
        else:
            table = np.stack(np.broadcast_arrays(left, right), axis=-1)
            pairs, inverse = np.unique(table, axis=0, return_inverse=True)
        a = recorder.pick(np.ascontiguousarray(pairs[:, 0]))
        b = recorder.pick(np.ascontiguousarray(pairs[:, 1]))
        start = recorder.start(recorder.apply("*", a, b))
        return start if inverse is None else start + inverse.reshape(-1)

    def _elements(self, reference: ex.Reference, rows: Rows) -> list[Piece]:
        places = self.lowering.places(reference, rows)
        if reference.name in self.inlined:
            return gathered_all(self._deterministic(reference.name), places, 0)
        numbers = self.elements[reference.name]
        element: NDArray[np.int64] | int = numbers[places]
        if numbers.size == 1:
            element = int(numbers[0])
        known = self.given.get(reference.name)
        if known is None:
            return [Piece(element, self.one, 1.0)]
        value = np.where(numbers[places] < 0, known[places], 0.0)
        free = np.where(numbers[places] < 0, 0.0, 1.0)
        return [
            Piece(np.full(rows.n, CONSTANT), self.one, value),
            Piece(np.where(numbers[places] < 0, CONSTANT, numbers[places]), self.one, free),
        ]

    def _deterministic(self, name: str) -> list[Piece]:
        """Pieces of all elements of a deterministic node, computed once."""
        if name not in self._cache:
            found = []
            for share in cells(self.problem, name):
                assert isinstance(share.statement, Deterministic)
                for piece in self.pieces(share.statement.expression, share.rows):
                    if share.whole:
                        found.append(piece)
                    else:
                        owner = share.places if piece.owner is None else share.places[piece.owner]
                        found.append(Piece(piece.element, piece.source, piece.data, owner))
            self._cache[name] = found
        return self._cache[name]

    def split(self, tree: ex.Expression, rows: Rows) -> list[Part]:
        """A coefficient as a sum of data times a value of the tape (None: one)."""
        if not depends(tree, self.outer):
            value = self.lowering.value(tree, rows)
            data = self.lowering.recorder.constant_value(value.register)
            if data is None:
                raise NotLowered("a coefficient depends on unknowns in a way that is not supported")
            if value.key is None:
                return [(float(data[0]), None)]
            return [(data if value.key == "\0rows" else data[rows.codes[value.key]], None)]
        match tree:
            case ex.Unary(operator, operand):
                sign = -1.0 if operator == "-" else 1.0
                return [(sign * data, value) for data, value in self.split(operand, rows)]
            case ex.Binary("+", left, right):
                return self.split(left, rows) + self.split(right, rows)
            case ex.Binary("-", left, right):
                return self.split(left, rows) + self.split(ex.Unary("-", right), rows)
            case ex.Binary("*", left, right):
                return [
                    self._times(a, b, rows) for a in self.split(left, rows) for b in self.split(right, rows)
                ]
            case ex.Binary("/", left, right) if left != ONE:
                return self.split(ex.Binary("*", left, ex.Binary("/", ONE, right)), rows)
            case ex.Binary("/", _, right) if not depends(right, self.outer):
                (part,) = self.split(right, rows)
                return [(1.0 / part[0], None)]
            case _:
                return [(1.0, self.lowering.value(tree, rows))]

    def _times(self, a: Part, b: Part, rows: Rows) -> Part:
        data = a[0] * b[0]
        if a[1] is None or b[1] is None:
            return data, b[1] if a[1] is None else a[1]
        return data, self.lowering._apply("*", [a[1], b[1]], rows)


def gathered_all(pieces: list[Piece], places: NDArray[np.int64], n: int) -> list[Piece]:
    """Pieces of a node's elements as pieces of rows that refer to them."""
    return [g for piece in pieces for g in gathered(piece, places, n)]


def _is_one(source: NDArray[np.int64] | int, one: int) -> bool:
    return bool(np.all(np.asarray(source) == one))
