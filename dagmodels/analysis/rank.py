"""Collinear coefficients: the rank of the exact Jacobian of all means in what moves only means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from dagmodels.analysis.evaluate import MAX_CELLS, Array, CannotEvaluate, evaluate, head_rows
from dagmodels.analysis.laws import LOCATION, distribution_of, families, is_flat, location, spread, unwrapped
from dagmodels.analysis.linearity import linear_form
from dagmodels.analysis.reach import Reach
from dagmodels.analysis.separation import ancestors
from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import expressions
from dagmodels.graph.statement import Deterministic, Head, Parameter, Slot, Statement, Stochastic

SAMPLES = (300, 10_000, None)
FEW = 2048  # random numbers that are kept
STEP = 1e-3  # differences of a mean that is linear are exact for any step
TOLERANCE = 1e-9  # singular values of the scaled Jacobian below this are zero
CLEAR = 1e-8  # eigenvalues of its cross-products above this are not: singular values above 1e-4


@dataclass(frozen=True, slots=True)
class Collinear:
    """Coefficients (with their levels) of which some combination moves no mean."""

    elements: tuple[str, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One element of an unknown without proper prior: node, element of its flattened array, label."""

    node: str
    element: int
    label: str


@lru_cache(maxsize=1)
def _numbers() -> Array:
    found = np.random.default_rng(20240608).uniform(size=FEW)
    found.flags.writeable = False
    return found


@lru_cache(maxsize=32)
def mean_coefficients(reach: Reach) -> tuple[str, ...]:
    """Unknowns without a proper prior that act through means alone and multiply no latent.

    A loading is left out: it acts on covariances too, so collinear columns do not hurt it.
    """
    dag = reach.dag
    free = {n for n, node in dag.nodes.items() if node.kind == "parameter"}
    for name, node in dag.nodes.items():
        laws = [distribution_of(s) for s in node.statements]
        if node.role == "latent" and any(d is not None and d.family == "Flat" for d in laws):
            free.add(name)
    latent = frozenset(n for n, node in dag.nodes.items() if node.role == "latent" and n not in free)
    spoiled: set[str] = set()
    for node in dag.nodes.values():
        for statement in node.statements:
            spoiled |= _spoiled(reach, statement, latent)
    for covariance in dag.covariances:
        spoiled |= set(reach.of(covariance.expression))
    waiting = [n for n in spoiled if n in latent]
    while waiting:  # what moves a latent that acts otherwise than on means does so too
        behind = reach.unknowns_of(waiting.pop()) - spoiled
        spoiled |= behind
        waiting.extend(behind & latent)
    return tuple(n for n in dag.nodes if n in free - spoiled)


def _spoiled(reach: Reach, statement: Statement, latent: frozenset[str]) -> set[str]:
    """Unknowns that a statement uses otherwise than as an additive part of a mean."""
    law = distribution_of(statement)
    if law is not None:
        mean = location(law)
        found = {u for tree in spread(law) for u in reach.of(tree)}
        hidden = isinstance(statement, Stochastic) and statement.head.name in latent
        if mean is None or (
            hidden and unwrapped(law).family not in LOCATION
        ):  # its mean moves its spread too
            return {u for tree in expressions(statement) for u in reach.of(tree)}
        return found | _multipliers(reach, mean, latent)
    if isinstance(statement, Deterministic) and set(reach.of(statement.expression)) & latent:
        return _multipliers(reach, statement.expression, latent)
    return set()


def _multipliers(reach: Reach, tree: ex.Expression, latent: frozenset[str]) -> set[str]:
    """Unknowns in the coefficients of latents; all of them when the tree is not linear in latents."""
    names = {r.name for r in ex.references(tree) if r.name in latent}
    names |= {r.name for r in ex.references(tree) if reach.through.get(r.name, set()) & latent}
    if not names:
        return set()
    form = linear_form(tree, frozenset(names))
    if form is None:
        return set(reach.of(tree))
    return {u for term in form.terms for u in reach.of(term.coefficient)}


def collinear(problem: Problem, reach: Reach) -> tuple[Collinear, ...]:
    """Groups of coefficients that the data cannot tell apart; () where everything is told apart.

    Each group is one direction of the null space of the Jacobian at a random (seeded) point.  Nodes
    whose means this evaluation does not do (recursions, vectors) take no part, nor do coefficients
    they depend on.  Of a long node some rows are looked at first: full rank there is full rank.
    """
    coefficients = [c for n in mean_coefficients(reach) for c in _elements(problem, n)]
    for limit in SAMPLES:
        jacobian = _Jacobian(problem, coefficients, limit)
        found = jacobian.null_space() if jacobian.possible else ()
        if not found or not jacobian.sampled:
            return found
    return ()


def _sparse(basis: Array) -> Array:
    """The same null space by vectors with many zeros (reduced echelon form), so that each names few."""
    rows = basis.copy()
    for done in range(len(rows)):
        place = int(np.argmax(np.abs(rows[done:])))
        row, column = done + place // rows.shape[1], place % rows.shape[1]
        rows[[done, row]] = rows[[row, done]]
        rows[done] /= rows[done, column]
        for other in range(len(rows)):
            if other != done:
                rows[other] -= rows[other, column] * rows[done]
    return rows


def _elements(problem: Problem, name: str) -> list[Coefficient]:
    """The free elements of a node: those that no more special statement fixes."""
    node = problem.graph.nodes[name]
    shape = problem.shape(name)
    if not shape:
        return [Coefficient(name, 0, name)] if _is_free(node.statements[-1]) else []
    free = np.zeros(shape, dtype=bool)
    for statement in node.statements:
        flat = _is_free(statement)
        _, named = head_rows(_head(statement, node.plates), problem)
        free[named.reshape(shape)] = flat
    labels = [problem.labels[p] for p in node.plates]
    found: list[Coefficient] = []
    for flat_index in np.flatnonzero(free):
        place = np.unravel_index(flat_index, shape)
        levels = ", ".join(labels[axis][int(i)] for axis, i in enumerate(place))
        found.append(Coefficient(name, int(flat_index), f"{name}[{levels}]"))
    return found


def _is_free(statement: Statement) -> bool:
    law = distribution_of(statement)
    return isinstance(statement, Parameter) or (law is not None and is_flat(law))


def _head(statement: Statement, plates: tuple[str, ...]) -> Head:
    if isinstance(statement, Stochastic | Deterministic):
        return statement.head
    return Head("", tuple(Slot(p) for p in plates))


class _Jacobian:
    """Differences of every observed mean in every coefficient, entries with data only.

    possible : whether the arrays fit into memory and something is to be asked.
    sampled : whether some node gave only `limit` of its rows.
    """

    def __init__(self, problem: Problem, coefficients: list[Coefficient], limit: int | None) -> None:
        self.problem = problem
        self.coefficients = coefficients
        self.limit = limit
        self.sampled = False
        self.values: dict[str, Array] = {}
        self.used = 0
        longest = max((v.size for v in problem.values.values()), default=0)
        cells = min(longest, limit or longest) * (len(coefficients) + 1)
        self.possible = bool(coefficients) and cells <= MAX_CELLS

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(20240607)

    def _uniform(self, low: float, high: float, shape: tuple[int, ...]) -> Array:
        """The next uniform numbers: the first few are kept, as setting up a generator takes its time."""
        size = math.prod(shape)
        self.used += size
        if self.used > FEW:
            return self.rng.uniform(low, high, size=shape)
        return low + (high - low) * _numbers()[self.used - size : self.used].reshape(shape)

    def null_space(self) -> tuple[Collinear, ...]:
        """Directions of coefficients that move no mean, each as a group of labels."""
        blocks, skipped = self._blocks()
        lost = _half_seen(self.problem, self.coefficients, skipped)
        kept = [i for i, c in enumerate(self.coefficients) if c.node not in lost]
        if not blocks or not kept:
            return ()
        matrix = np.concatenate(blocks)[:, kept]
        size = np.sqrt((matrix**2).sum(axis=0))
        scaled = matrix / np.where(size > 0, size, 1)
        if float(np.linalg.eigvalsh(scaled.T @ scaled)[0]) > CLEAR:
            return ()
        if len(scaled) > scaled.shape[1]:
            scaled = np.linalg.qr(scaled, mode="r")
        _, singular, directions = np.linalg.svd(scaled, full_matrices=True)
        singular = np.pad(singular, (0, len(kept) - len(singular)))
        null = directions[singular < TOLERANCE * max(1.0, float(singular[0]))]
        found: list[Collinear] = []
        for direction in _sparse(null):
            members = [self.coefficients[kept[int(i)]] for i in np.flatnonzero(np.abs(direction) > 1e-6)]
            nodes = tuple(dict.fromkeys(c.node for c in members))
            found.append(Collinear(tuple(c.label for c in members), nodes))
        return tuple(found)

    def _blocks(self) -> tuple[list[Array], set[str]]:
        """One block of rows an observed node, and the nodes that could not be evaluated."""
        blocks: list[Array] = []
        skipped: set[str] = set()
        for name in self.problem.graph.order:
            try:
                if self.problem.graph.nodes[name].kind == "stochastic" and name in self.problem.observed:
                    blocks.append(self._observed(name))
                else:
                    self.values[name] = self._value(name)
            except CannotEvaluate:
                skipped.add(name)
        return blocks, skipped

    def _observed(self, name: str) -> Array:
        """The differences of an observed node's mean; its data become its value for its children."""
        problem = self.problem
        seen = problem.observed[name]
        known = problem.values[name]
        if not seen.all():
            known = np.where(seen, known, self.rng.normal(size=seen.shape))
        self.values[name] = known[..., None]
        cells = np.flatnonzero(seen)
        if self.limit is not None and len(cells) > self.limit:
            cells = self.rng.choice(cells, size=self.limit, replace=False)
            self.sampled = True
        mean = self._statements(name, cells)
        if mean.shape[1] == 1:
            return np.zeros((1, len(self.coefficients)))
        block = (mean[:, 1:] - mean[:, :1]) / STEP
        if not np.isfinite(block).all():
            raise CannotEvaluate(f"the mean of '{name}' is not finite")
        return block

    def _value(self, name: str) -> Array:
        """Data, the shifted coefficients, or the mean of a node: plates, then variants."""
        node = self.problem.graph.nodes[name]
        shape = self.problem.shape(name)
        if node.kind in ("covariate", "constant"):
            return self.problem.values[name][..., None]
        own = [(i, c.element) for i, c in enumerate(self.coefficients) if c.node == name]
        if own and any(isinstance(s, Stochastic) and not _is_free(s) for s in node.statements):
            raise CannotEvaluate(f"elements of '{name}' may follow the free ones")
        if own or node.kind == "parameter":
            base = self._uniform(0.3, 0.7, (*shape, 1))
            if own:
                base = np.repeat(base, len(self.coefficients) + 1, axis=-1)
                for variant, element in own:
                    base.reshape(-1, len(self.coefficients) + 1)[element, variant + 1] += STEP
            return self._fixed_levels(name, base)
        if any("Flat" in families(d) for s in node.statements if (d := distribution_of(s)) is not None):
            raise CannotEvaluate(f"'{name}' has no mean")
        return self._statements(name, None).reshape(*shape, -1)

    def _fixed_levels(self, name: str, base: Array) -> Array:
        """Levels of an unknown that `beta["control"] = 0` fixes."""
        for statement in self.problem.graph.nodes[name].statements:
            if isinstance(statement, Deterministic):
                rows, named = head_rows(statement.head, self.problem)
                fixed = evaluate(statement.expression, rows, self.values, self.problem)
                width = max(base.shape[-1], fixed.shape[1])
                base = np.broadcast_to(base, (*base.shape[:-1], width)).copy()
                base.reshape(rows.n, -1)[named] = np.broadcast_to(fixed, (rows.n, width))[named]
        return base

    def _statements(self, name: str, cells: Codes | None) -> Array:
        """The mean of a stochastic node, or the value of a deterministic one, at some or all of its rows."""
        node = self.problem.graph.nodes[name]
        if cells is None:
            cells = np.arange(int(np.prod(self.problem.shape(name), dtype=np.int64)))
        result = np.zeros((len(cells), 1))
        for statement in node.statements:
            law = distribution_of(statement)
            tree = statement.expression if isinstance(statement, Deterministic) else None
            if law is not None:
                tree = location(law)
            rows, named = head_rows(_head(statement, node.plates), self.problem)
            here = named[cells]
            picked = cells[here]
            if len(picked) == rows.n:  # all, in order
                part_rows = rows
            else:
                part_rows = Rows(len(picked), {p: c[picked] for p, c in rows.codes.items()})
            if tree is None:  # a law without location: some value that moves with nothing
                part = self._uniform(0.5, 1.5, (len(picked), 1))
            else:
                part = evaluate(tree, part_rows, self.values, self.problem)
            width = max(result.shape[1], part.shape[1])
            if len(picked) < len(cells):
                result = np.broadcast_to(result, (len(cells), width)).copy()
                result[here] = np.broadcast_to(part, (len(picked), width))
            else:
                result = np.broadcast_to(part, (len(cells), width))
        return result


def _half_seen(problem: Problem, coefficients: list[Coefficient], skipped: set[str]) -> set[str]:
    """Nodes among the coefficients of which some descendant was not evaluated."""
    if not skipped:
        return set()
    touched = ancestors(problem.graph, skipped)
    return {c.node for c in coefficients if c.node in touched}
