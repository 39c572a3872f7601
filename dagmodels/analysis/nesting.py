"""Which plates are nested, crossed or partly crossed, by the graph and by the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dagmodels.bind.problem import Codes, Problem
from dagmodels.data.distinct import count_distinct
from dagmodels.graph.dag import Dag

DENSE_CELLS = 20_000_000  # up to so many cells the table of pairs is counted, not sorted


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two plates neither of which lies in the other, met in one plate or node.

    first, second : the plates.
    where : the plate whose elements belong to both, or the node that stands on both.
    kind : "crossed" by the graph alone; with data "fully crossed" (every pair occurs),
        "partly crossed", or "nested" (each element of `first` meets one of `second`: the data are
        nested although the graph does not say so).
    pairs, possible : how many pairs occur, of how many; None without data.
    aliased : both are the same elements under two names (a home and an away team).
    """

    first: str
    second: str
    where: str
    kind: str
    pairs: int | None = None
    possible: int | None = None
    aliased: bool = False


@dataclass(frozen=True, slots=True)
class Nesting:
    """nested : (inner, outer) pairs as declared; crossings : see `Crossing`."""

    nested: tuple[tuple[str, str], ...]
    crossings: tuple[Crossing, ...]

    @property
    def crossed(self) -> tuple[tuple[str, str], ...]:
        """Pairs that are crossed, in part or whole; by the data where there are any."""
        return tuple((c.first, c.second) for c in self.crossings if c.kind != "nested")


def nesting(dag: Dag, problem: Problem | None = None) -> Nesting:
    """How the plates of a graph lie to one another; asks the data too when they are given."""
    nested = tuple((p.name, outer) for p in dag.plates if p.alias_of is None for outer in p.parents)
    nested = tuple(pair for pair in nested if len(dag.plate[pair[0]].parents) == 1)
    found: dict[tuple[str, str], Crossing] = {}
    for first, second, where in _meetings(dag):
        if (first, second) not in found:
            found[first, second] = _crossing(dag, problem, first, second, where)
    return Nesting(nested, tuple(found.values()))


def _meetings(dag: Dag) -> Iterator[tuple[str, str, str]]:
    """Pairs of plates that one plate's elements belong to, then pairs that one node stands on."""
    for plate in dag.plates:
        outer = dag.lies_in(plate.name)[1:]
        for first, second in combinations(outer, 2):
            if not _related(dag, first, second):
                yield first, second, plate.name
    for node in dag.nodes.values():
        for first, second in combinations(node.plates, 2):
            if not _related(dag, first, second) and not _matrix(dag, first, second):
                yield first, second, node.name


def _related(dag: Dag, first: str, second: str) -> bool:
    return first in dag.lies_in(second) or second in dag.lies_in(first)


def _matrix(dag: Dag, first: str, second: str) -> bool:
    """A plate beside its own alias on a node makes a matrix, not a crossing."""
    return dag.base(first) == dag.base(second)


def _crossing(dag: Dag, problem: Problem | None, first: str, second: str, where: str) -> Crossing:
    aliased = dag.base(first) == dag.base(second)
    if problem is None or first not in problem.plates or second not in problem.plates:
        return Crossing(first, second, where, "crossed", aliased=aliased)
    sizes = problem.plates[first].size, problem.plates[second].size
    possible = sizes[0] * sizes[1]
    if where not in problem.plates:
        return _cells(problem, first, second, where, possible, aliased)
    codes = problem.rows((where,)).codes
    pairs = count_pairs(codes[first], codes[second], sizes)
    used = (count_distinct(codes[first]), count_distinct(codes[second]))
    if pairs == used[0] < possible and used[1] > 1:
        return Crossing(first, second, where, "nested", pairs, possible, aliased)
    if pairs == used[1] < possible and used[0] > 1:
        return Crossing(second, first, where, "nested", pairs, possible, aliased)
    kind = "fully crossed" if pairs == possible else "partly crossed"
    return Crossing(first, second, where, kind, pairs, possible, aliased)


def _cells(problem: Problem, first: str, second: str, node: str, possible: int, aliased: bool) -> Crossing:
    """A node on both plates has a cell for every pair; those with data count."""
    seen = problem.observed.get(node)
    if seen is None:
        return Crossing(first, second, node, "fully crossed", possible, possible, aliased)
    plates = problem.graph.nodes[node].plates
    rest = tuple(i for i, p in enumerate(plates) if p not in (first, second))
    pairs = int(np.count_nonzero(seen.any(axis=rest)))
    kind = "fully crossed" if pairs == possible else "partly crossed"
    return Crossing(first, second, node, kind, pairs, possible, aliased)


def count_pairs(first: Codes, second: Codes, sizes: tuple[int, int]) -> int:
    """How many different pairs of elements occur."""
    cells = first * sizes[1] + second
    if sizes[0] * sizes[1] <= DENSE_CELLS:
        return int(np.count_nonzero(np.bincount(cells, minlength=1)))
    return count_distinct(cells)
