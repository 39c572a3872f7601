"""Vector nodes: components that share a covariance matrix, and the registers of that matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.laws import variance_tree
from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.cells import cells
from dagmodels.forms.lower import Lowering, NotLowered, Value, expand
from dagmodels.forms.saturated import saturated
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Covariance, Distribution, Joint, Stochastic

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Component:
    """One component of a vector node: its node, its places by base row, its mean on `rows`."""

    node: str
    places: Ints
    mean: ex.Expression
    rows: Rows


@dataclass(frozen=True, eq=False, slots=True)
class Vector:
    """A vector node: base rows, components, and where its law is.

    distribution : the joint statement's law, or None for nodes tied by `~~`.
    marginals, covariances : for `~~`, the components' own laws and the stated covariances (i, j, tree).
    axis : the plate of the components, where there is one.
    """

    rows: Rows
    components: tuple[Component, ...]
    distribution: Distribution | None = None
    marginals: tuple[Distribution, ...] = ()
    covariances: tuple[tuple[int, int, ex.Expression], ...] = ()
    axis: str | None = None
    observed: bool = False

    @property
    def order(self) -> int:
        return len(self.components)


def vectors(problem: Problem) -> list[Vector]:
    """All vector nodes of a graph."""
    dag = problem.graph
    found = [_joint(problem, s) for s in dag.statements if isinstance(s, Joint)]
    for statement in dag.statements:
        if isinstance(statement, Stochastic) and statement.distribution.family in (
            "MvNormal",
            "Simultaneous",
        ):
            found.append(_on_plate(problem, statement))
    for members in groups(dag.covariances):
        vector = tied(problem, members)
        names = [c.node for c in vector.components]
        if len({dag.nodes[n].observed for n in names}) > 1:
            raise NotLowered(f"'~~' ties latent and observed nodes ({', '.join(names)})")
        found.append(vector)
    for vector in found:
        if vector.distribution is not None and vector.distribution.family == "Simultaneous":
            raise NotLowered("Simultaneous has no field form yet")
    return found


def _mean(d: Distribution) -> ex.Expression:
    value = d.argument("mu")
    return value if isinstance(value, ex.Expression) else ex.Number(0)


def _joint(problem: Problem, s: Joint) -> Vector:
    rows = problem.rows(s.plates)
    mean = _mean(s.distribution)
    items = mean.items if isinstance(mean, ex.Vector) else (mean,) * len(s.names)
    places = np.arange(rows.n)
    parts = tuple(Component(n, places, m, rows) for n, m in zip(s.names, items, strict=True))
    return Vector(rows, parts, s.distribution, observed=s.observed)


def _on_plate(problem: Problem, s: Stochastic) -> Vector:
    """`b[rat, coef] ~ MvNormal(...)`: the last plate holds the components."""
    node = problem.graph.nodes[s.head.name]
    if len(node.statements) > 1:
        raise NotLowered(f"'{node.name}' is a vector node with more than one statement")
    *outer, axis = node.plates
    if problem.plates[axis].parents and any(
        p in problem.rows(tuple(outer)).codes for p in _above(problem, axis)
    ):
        raise NotLowered(f"the components of '{node.name}' differ in number between elements")
    rows = problem.rows(tuple(outer))
    k = problem.plates[axis].size
    full = problem.rows(node.plates)
    mean = _mean(s.distribution)
    parts = []
    for j in range(k):
        places = np.arange(rows.n) * k + j
        part = Rows(rows.n, {p: c[places] for p, c in full.codes.items()})
        item = mean.items[j] if isinstance(mean, ex.Vector) else mean
        parts.append(Component(node.name, places, item, part))
    return Vector(rows, tuple(parts), s.distribution, axis=axis, observed=s.observed)


def _above(problem: Problem, plate: str) -> tuple[str, ...]:
    return problem.graph.lies_in(plate)[1:]


def groups(statements: tuple[Covariance, ...]) -> list[list[Covariance]]:
    """`~~` statements by connected nodes."""
    found: list[tuple[set[str], list[Covariance]]] = []
    for s in statements:
        names = {s.left.name, s.right.name}
        touching = [g for g in found if g[0] & names]
        merged = (names.union(*(g[0] for g in touching)), [c for g in touching for c in g[1]] + [s])
        found = [g for g in found if g not in touching] + [merged]
    return [g[1] for g in found]


def tied(problem: Problem, statements: list[Covariance]) -> Vector:
    """The vector node of nodes tied by `~~`."""
    names = list(dict.fromkeys(n for s in statements for n in (s.left.name, s.right.name)))
    nodes = [problem.graph.nodes[n] for n in names]
    plates = nodes[0].plates
    rows = problem.rows(plates)
    laws, parts = [], []
    for node in nodes:
        if node.plates != plates or len(node.statements) != 1:
            raise NotLowered(f"'{names[0]}' and '{node.name}' are tied by ~~ but differ in their plates")
        (statement,) = node.statements
        assert isinstance(statement, Stochastic)
        laws.append(statement.distribution)
        parts.append(Component(node.name, np.arange(rows.n), _mean(statement.distribution), rows))
    ties = tuple((names.index(s.left.name), names.index(s.right.name), s.expression) for s in statements)
    return Vector(rows, tuple(parts), None, tuple(laws), ties, observed=nodes[0].observed)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Registers of a vector node's covariance and, where it is at hand, its factor; block by base row."""

    covariance: int | None
    factor: int | None
    block: Ints


def matrix(lowering: Lowering, vector: Vector, factors: Mapping[str, int]) -> Matrix:
    """The covariance of a vector node on the tape.

    factors : registers of Cholesky factors of outer matrices, by node; of a saturated set by any of its
        names.
    """
    recorder, order = lowering.recorder, vector.order
    group = saturated(lowering.problem, vector)
    if group is not None and group.names[0] in factors:
        factor = factors[group.names[0]]
        block = np.zeros(vector.rows.n, dtype=np.int64)
        plates = lowering.problem.graph.nodes[group.names[0]].plates
        for plate, index in zip(plates, group.indices, strict=True):
            codes = lowering._codes(plate, index, vector.rows)
            block = block * lowering.problem.plates[plate].size + codes
        return Matrix(recorder.matrix("matmul", order, factor, factor, transposed=True), factor, block)
    if vector.distribution is None:
        return _tied_matrix(lowering, vector)
    d = vector.distribution
    if (tree := d.argument("cov")) is not None:
        assert isinstance(tree, ex.Expression)
        at, block = register(lowering, tree, vector.rows, order)
        if isinstance(tree, ex.Reference) and tree.name in factors:
            start = factors[tree.name]
            return Matrix(at, start, block)
        return Matrix(at, None, block)
    if (tree := d.argument("chol")) is not None:
        assert isinstance(tree, ex.Expression)
        at, block = register(lowering, tree, vector.rows, order)
        return Matrix(recorder.matrix("matmul", order, at, at, transposed=True), at, block)
    tree = d.argument("tau")
    assert isinstance(tree, ex.Expression)
    at, block = register(lowering, tree, vector.rows, order)
    return Matrix(recorder.matrix("inverse", order, at), None, block)


def register(lowering: Lowering, tree: ex.Expression, base: Rows, order: int) -> tuple[int, Ints]:
    """A matrix tree as a register of blocks and the block of each base row."""
    if isinstance(tree, ex.Vector):
        return _literal(lowering, tree, base, order)
    free = free_plates(tree, base)
    if len(free) != 2 or any(lowering.problem.plates[p].size != order for p in free):
        raise NotLowered(f"the matrix of a vector node of order {order} needs two plates of that size")
    if isinstance(tree, ex.Reference) and _plain(tree):  # whole matrices of a node, by its leading plates
        leading = (tree.indices or ())[:-2]
        node = lowering.problem.graph.nodes[tree.name]
        head = ex.Reference(tree.name, leading)
        block = np.zeros(base.n, dtype=np.int64)
        for plate, index in zip(node.plates[:-2], head.indices or (), strict=True):
            codes = lowering._codes(plate, index, base)
            block = block * lowering.problem.plates[plate].size + codes
        return lowering.node(tree.name), block
    bound = any(
        isinstance(i, ex.PlateIndex) and i.plate in base.codes
        for r in ex.references(tree)
        for i in r.indices or ()
    )
    part = base if bound else Rows(1, {})
    rows, _ = expand(lowering.problem, part, free)
    found = lowering.full(lowering.value(tree, rows), rows)
    return found, np.arange(base.n) if bound else np.zeros(base.n, dtype=np.int64)


def _plain(tree: ex.Reference) -> bool:
    indices = tree.indices or ()
    return len(indices) >= 2 and all(isinstance(i, ex.PlateIndex) for i in indices[-2:])


def free_plates(tree: ex.Expression, rows: Rows) -> list[str]:
    found: dict[str, None] = {}
    for reference in ex.references(tree):
        for index in reference.indices or ():
            if isinstance(index, ex.PlateIndex) and index.plate not in rows.codes:
                found[index.plate] = None
    return list(found)


def _literal(lowering: Lowering, tree: ex.Vector, base: Rows, order: int) -> tuple[int, Ints]:
    entries = [e for row in tree.items for e in (row.items if isinstance(row, ex.Vector) else (row,))]
    return _blocks(lowering, [lowering.value(e, base) for e in entries], base, order)


def _blocks(lowering: Lowering, values: list[Value], base: Rows, order: int) -> tuple[int, Ints]:
    """Matrix entries, row by row, as one register of blocks."""
    size = order**2
    if len(values) != size:
        raise NotLowered(f"a matrix of order {order} needs {size} entries, not {len(values)}")
    n = base.n
    if all(v.key is None for v in values):
        parts = [(v.register, np.array([k])) for k, v in enumerate(values)]
        return lowering.recorder.assemble(size, parts), np.zeros(n, dtype=np.int64)
    parts = [(lowering.full(v, base), np.arange(n) * size + k) for k, v in enumerate(values)]
    return lowering.recorder.assemble(n * size, parts), np.arange(n)


def _tied_matrix(lowering: Lowering, vector: Vector) -> Matrix:
    """diag(variances) plus the stated covariances."""
    k = vector.order
    entries: list[ex.Expression] = [ex.Number(0)] * (k * k)
    for j, law in enumerate(vector.marginals):
        entries[j * k + j] = variance_tree(law)
    for i, j, tree in vector.covariances:
        entries[i * k + j] = entries[j * k + i] = tree
    at, block = _blocks(lowering, [lowering.value(e, vector.rows) for e in entries], vector.rows, k)
    return Matrix(at, None, block)


def vector_nodes(found: list[Vector]) -> dict[str, Vector]:
    """The vector node that each node belongs to."""
    return {c.node: v for v in found for c in v.components}


__all__ = ["Component", "Matrix", "Vector", "cells", "matrix", "vector_nodes", "vectors"]
