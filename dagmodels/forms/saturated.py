"""Covariance matrices that are written out entry by entry, yet may be any covariance matrix.

In `[[sa**2, rho*sa*sb], [rho*sa*sb, sb**2]]`, or in two Normal nodes tied by `a ~~ b = c`, with unknowns
that stand nowhere else, the unknowns together say nothing but "some covariance matrix".  Worked on one by
one they are badly behaved: at sa = 0 the criterion's slope depends on the sign of rho, and c has a limit
that moves with the scales.  So the whole set is worked on as one Cholesky factor L, where singular
matrices are ordinary points, and the nodes' values are computed from it:
s_i = |row i of L|, c_ij = (LL')_ij, rho_ij = c_ij/(s_i s_j), which has no value beside a scale of zero.

There are as many unknowns as entries of the factor: each is the owner of one coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.forms.outer import Coordinate
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Covariance, Deterministic, Domain, Parameter, Statement, Stochastic
from dagmodels.numerics.tape import Recorder, factors
from dagmodels.numerics.triangle import lower_triangle

if TYPE_CHECKING:
    from dagmodels.forms.vectors import Vector

SCALE, VARIANCE, CORRELATION, COVARIANCE = "scale", "variance", "correlation", "covariance"
Floats = NDArray[np.float64]
Monomial = dict[ex.Reference, float]


@dataclass(frozen=True, slots=True)
class Saturated:
    """The unknowns of a saturated covariance matrix.

    names : owners of the entries of the lower triangle, row by row.
    what : "scale", "variance", "correlation" or "covariance", for each of them.
    indices : how the law refers to all of them, plate by plate.
    order : rows of the matrix.
    components : keys of the vector's components, for starting values: a node, or `node#position`.
    """

    names: tuple[str, ...]
    what: tuple[str, ...]
    indices: tuple[ex.Index, ...]
    order: int
    components: tuple[str, ...]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row and column of each name's entry."""
        i, j = lower_triangle(self.order)
        return list(zip(i.tolist(), j.tolist(), strict=True))


def saturated_sets(problem: Problem, vectors: list[Vector]) -> Mapping[str, Saturated]:
    """For each unknown of a saturated covariance matrix its set; found once a problem."""
    key = ("saturated",)
    if key not in problem.memo:
        found = [s for v in vectors if (s := saturated(problem, v)) is not None]
        problem.memo[key] = {name: s for s in found for name in s.names}
    return problem.memo[key]


def saturated(problem: Problem, vector: Vector) -> Saturated | None:
    """The set of unknowns that a vector's law uses up, or None where the matrix is of another kind."""
    entries = _entries(vector)
    if entries is None:
        return None
    dag, k = problem.graph, vector.order
    diagonal = [_monomial(dag, entries[j, j]) for j in range(k)]
    names: list[str] = []
    what: list[str] = []
    indices: set[tuple[ex.Index, ...]] = set()
    for i in range(k):
        for j in range(i + 1):
            found = _role(diagonal, i, j, _monomial(dag, entries[i, j]), _monomial(dag, entries[j, i]))
            if found is None or not _is_free(dag, found[0].name, found[1]):
                return None
            names.append(found[0].name)
            what.append(found[1])
            indices.add(found[0].indices or ())
    if len(set(names)) < len(names) or len(indices) > 1:
        return None
    (index,) = indices
    if any(isinstance(i, ex.LevelIndex) for i in index) or not _only_here(dag, set(names), vector):
        return None
    if len({problem.graph.nodes[n].plates for n in names}) > 1:
        return None
    axis = [c.node for c in vector.components]
    keys = [f"{n}#{j}" if vector.axis is not None else n for j, n in enumerate(axis)]
    return Saturated(tuple(names), tuple(what), index, k, tuple(keys))


def _entries(vector: Vector) -> Mapping[tuple[int, int], ex.Expression] | None:
    """The matrix's entries as trees: of a literal, or of scales and `~~`; None where one is missing."""
    from dagmodels.analysis.laws import variance_tree

    k = vector.order
    if vector.distribution is None:
        entries: dict[tuple[int, int], ex.Expression] = {
            (j, j): variance_tree(law) for j, law in enumerate(vector.marginals)
        }
        for i, j, tree in vector.covariances:
            entries[i, j] = entries[j, i] = tree
        return entries if len(entries) == k * k else None
    tree = vector.distribution.argument("cov")
    if not isinstance(tree, ex.Vector) or len(tree.items) != k:
        return None
    rows = [row.items if isinstance(row, ex.Vector) else (row,) for row in tree.items]
    if any(len(row) != k for row in rows):
        return None
    return {(i, j): rows[i][j] for i in range(k) for j in range(k)}


def _monomial(dag: Dag, tree: ex.Expression) -> Monomial | None:
    """Powers of the references that a tree multiplies; deterministic scalars are looked through."""
    match tree:
        case ex.Reference(name, indices):
            node = dag.nodes.get(name)
            if node is None:
                return None
            if node.kind == "deterministic" and not indices and len(node.statements) == 1:
                (statement,) = node.statements
                assert isinstance(statement, Deterministic)
                return _monomial(dag, statement.expression)
            return {tree: 1.0}
        case ex.Unary("+", operand):
            return _monomial(dag, operand)
        case ex.Binary("*", left, right):
            a, b = _monomial(dag, left), _monomial(dag, right)
            if a is None or b is None:
                return None
            return {r: a.get(r, 0.0) + b.get(r, 0.0) for r in {**a, **b}}
        case ex.Binary("**", base, ex.Number(power)):
            inner = _monomial(dag, base)
            return None if inner is None else {r: p * power for r, p in inner.items()}
        case ex.Call("sqrt", (argument,)):
            inner = _monomial(dag, argument)
            return None if inner is None else {r: 0.5 * p for r, p in inner.items()}
        case _:
            return None


def _role(
    diagonal: list[Monomial | None], i: int, j: int, entry: Monomial | None, mirror: Monomial | None
) -> tuple[ex.Reference, str] | None:
    """The unknown that owns entry (i, j), and what it is."""
    if entry is None or entry != mirror:
        return None
    if i == j:
        if len(entry) != 1:
            return None
        ((reference, power),) = entry.items()
        return (reference, {2.0: SCALE, 1.0: VARIANCE}[power]) if power in (1.0, 2.0) else None
    if len(entry) == 1:
        ((reference, power),) = entry.items()
        return (reference, COVARIANCE) if power == 1.0 else None
    rest = dict(entry)
    for own in (diagonal[i], diagonal[j]):
        for r, power in (own or {}).items():
            rest[r] = rest.get(r, 0.0) - 0.5 * power
    rest = {r: p for r, p in rest.items() if p != 0.0}
    if len(rest) != 1:
        return None
    ((reference, power),) = rest.items()
    return (reference, CORRELATION) if power == 1.0 else None


_DOMAINS = {
    SCALE: ((0.0, math.inf), (-math.inf, math.inf)),
    VARIANCE: ((0.0, math.inf), (-math.inf, math.inf)),
    CORRELATION: ((-1.0, 1.0), (-math.inf, math.inf)),
    COVARIANCE: ((-math.inf, math.inf),),
}


def _is_free(dag: Dag, name: str, what: str) -> bool:
    """Whether an unknown is a parameter without prior or given levels, with the domain of its kind."""
    statements = dag.nodes[name].statements
    if len(statements) != 1 or not isinstance(statements[0], Parameter):
        return False
    domain = statements[0].domain or Domain("interval")
    return domain.kind == "interval" and (domain.lower, domain.upper) in _DOMAINS[what]


def _only_here(dag: Dag, names: set[str], vector: Vector) -> bool:
    """Whether the unknowns enter the model through this vector's matrix alone; reports do not count."""
    reach = set(names)  # and deterministic nodes computed from them
    for name in dag.order:
        if dag.nodes[name].kind == "deterministic" and any(p in reach for p in dag.parents[name]):
            reach.add(name)
    members = {c.node for c in vector.components}
    for statement in dag.statements:
        if isinstance(statement, Deterministic):
            continue
        for tree in _elsewhere(statement, members):
            if any(r.name in reach for r in ex.references(tree)):
                return False
    return True


def _elsewhere(statement: Statement, members: set[str]) -> Iterator[ex.Expression]:
    """Trees of a statement that are no part of the matrix of these nodes."""
    if isinstance(statement, Covariance):
        if not {statement.left.name, statement.right.name} <= members:
            yield statement.expression
        return
    law = getattr(statement, "distribution", None)
    names = (statement.head.name,) if isinstance(statement, Stochastic) else getattr(statement, "names", ())
    if law is None or not members.issuperset(names):
        yield from expressions(statement)
        return
    for key, value in law.arguments:
        if key not in ("sigma", "cov"):
            assert isinstance(value, ex.Expression)
            yield value


def coordinates(problem: Problem, group: Saturated) -> dict[str, Coordinate]:
    """One coordinate an unknown: its entry of the factor (one a matrix, where there are several)."""
    found = {}
    for name, (i, j) in zip(group.names, group.places, strict=True):
        (statement,) = problem.graph.nodes[name].statements
        assert isinstance(statement, Parameter)
        n = int(np.prod(problem.shape(name), dtype=np.int64))
        free = np.full(n, np.inf)
        found[name] = Coordinate(
            node=name,
            kind="entry",
            length=n,
            lower=-free,
            upper=free,
            symmetric=np.full(n, i == j),
            use="matrix",
            batch=n,
            start=statement.start,
            group=group,
        )
    return found


def record(recorder: Recorder, group: Saturated, batch: int) -> tuple[dict[str, int], int]:
    """Registers of the unknowns' values, and of the factors."""
    k, size = group.order, group.order**2
    at = np.arange(batch) * size
    raw = [recorder.input(name, batch) for name in group.names]
    parts = [(r, at + i * k + j) for r, (i, j) in zip(raw, group.places, strict=True)]
    zero = recorder.constant(np.zeros(batch))
    parts += [(zero, at + i * k + j) for i in range(k) for j in range(i + 1, k)]
    factor = recorder.assemble(batch * size, parts)
    covariance = recorder.matrix("matmul", k, factor, factor, transposed=True)
    entry = {(i, j): recorder.gather(covariance, at + i * k + j) for i, j in group.places}
    scale = [recorder.apply("sqrt", entry[j, j]) for j in range(k)]
    values = {}
    for name, what, (i, j) in zip(group.names, group.what, group.places, strict=True):
        if what == SCALE:
            values[name] = scale[i]
        elif what == CORRELATION:
            values[name] = recorder.apply("/", entry[i, j], recorder.apply("*", scale[i], scale[j]))
        else:
            values[name] = entry[i, j]
    return values, factor


def entries_of(group: Saturated, values: Mapping[str, Floats]) -> dict[str, Floats]:
    """The coordinates of a set that give its unknowns these values (the inverse of `record`)."""
    k = group.order
    flat = [np.asarray(values[name], dtype=float).reshape(-1) for name in group.names]
    matrices = np.zeros((flat[0].size, k, k))
    scale = np.zeros((flat[0].size, k))
    for value, what, (i, j) in zip(flat, group.what, group.places, strict=True):
        if i == j:
            scale[:, i] = value if what == SCALE else np.sqrt(value)
    for value, what, (i, j) in zip(flat, group.what, group.places, strict=True):
        times = scale[:, i] * scale[:, j]
        entry = times if i == j else value * times if what == CORRELATION else value
        matrices[:, i, j] = matrices[:, j, i] = entry
    found = factors(matrices)
    return {name: found[:, i, j] for name, (i, j) in zip(group.names, group.places, strict=True)}
