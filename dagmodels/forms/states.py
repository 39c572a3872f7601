"""Trees on rows times states: what discrete latents are is read off the state, all else as ever.

A site's rows are repeated once for each joint state of the latent elements that they touch. Two columns of
codes that no plate has say which row and which state an expanded row is; references to latents become known
numbers there, so that `mu[z]` is a gather and `x == "yes"` a constant. Deterministic nodes that depend on
latents are read where they are referred to, because their value is another in each state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Codes, Problem, Rows
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.cells import cells
from dagmodels.forms.jets import Jet
from dagmodels.forms.lower import ROWS, Lowering, NotLowered, Value
from dagmodels.forms.sites import Site
from dagmodels.forms.tree_jets import TreeJets
from dagmodels.graph import expression as ex
from dagmodels.graph.dag import Dag, expressions
from dagmodels.graph.statement import Deterministic
from dagmodels.numerics.tape import Recorder

Ints = NDArray[np.int64]
ROW, STATE = "\0row", "\0state"  # codes of an expanded row


@dataclass(frozen=True, eq=False, slots=True)
class Latents:
    """The discrete latents of a problem, their elements numbered one after the other.

    first : number of each node's first element. count : states of each node's elements. total : elements.
    """

    problem: Problem
    first: Mapping[str, int]
    count: Mapping[str, int]
    total: int

    @classmethod
    def of(cls, problem: Problem, count: Mapping[str, int]) -> Latents:
        """Of the nodes in `count`, in the order of the graph."""
        names = [n for n in problem.graph.order if n in count]
        sizes = [int(np.prod(problem.shape(n), dtype=np.int64)) for n in names]
        ends = np.cumsum([0, *sizes])
        return cls(problem, dict(zip(names, ends.tolist(), strict=False)), dict(count), int(ends[-1]))

    def known(self, name: str) -> Any:
        """The values of a node that the data give, flat; nan where it is latent."""
        if name not in self.problem.values:
            return np.full(int(np.prod(self.problem.shape(name), dtype=np.int64)), np.nan)
        seen = self.problem.observed[name].reshape(-1)
        return np.where(seen, self.problem.values[name].reshape(-1), np.nan)

    def owner(self, element: int) -> tuple[str, int]:
        """The node and flat place of an element."""
        name = max((n for n in self.first if self.first[n] <= element), key=lambda n: self.first[n])
        return name, element - self.first[name]


@dataclass(frozen=True, eq=False, slots=True)
class Expanded:
    """Rows repeated for each joint state of the elements that they touch.

    touched : (rows, columns) elements. digits : (states, columns) the state of each of them.
    """

    touched: Ints
    digits: Ints

    @classmethod
    def of(cls, touched: Ints, counts: tuple[int, ...]) -> Expanded:
        """All joint states, the last column fastest."""
        if not counts:
            return cls(touched, np.zeros((1, 0), dtype=np.int64))
        digits = np.indices(counts).reshape(len(counts), -1).T
        return cls(touched, np.ascontiguousarray(digits))

    @property
    def states(self) -> int:
        """How many joint states there are."""
        return len(self.digits)

    def site(self, site: Site) -> Site:
        """The site's rows times states, states fastest."""
        n, s = len(self.touched), self.states
        rows = site.at(np.repeat(np.arange(n), s))
        codes = dict(rows.rows.codes)
        codes[ROW], codes[STATE] = np.repeat(np.arange(n), s), np.tile(np.arange(s), n)
        whole = Rows(n * s, codes, ())
        return Site(
            rows.statement, rows.names, whole, rows.places, rows.event, rows.head, rows.whole, rows.states
        )

    def states_of(self, elements: Ints, rows: Rows) -> Ints:
        """The state of an element on each row, -1 where the row does not touch it."""
        at, state = rows.codes[ROW], rows.codes[STATE]
        found = np.full(elements.size, -1)
        for column in range(self.touched.shape[1]):
            mine = self.touched[at, column] == elements
            found[mine] = self.digits[state[mine], column]
        return found


def depending(dag: Dag, latents: Mapping[str, int]) -> frozenset[str]:
    """Deterministic nodes that depend on latents, through others too."""
    found: set[str] = set()
    for name in dag.order:
        for statement in dag.nodes[name].statements:
            if isinstance(statement, Deterministic) and any(
                r.name in latents or r.name in found
                for tree in expressions(statement)
                for r in ex.references(tree)
            ):
                found.add(name)
    return frozenset(found)


def read_at(
    problem: Problem, name: str, places: Codes, rows: Rows
) -> Iterator[tuple[ex.Expression, Codes, Rows]]:
    """A deterministic node's expressions where rows refer to its elements: tree, which rows, their codes."""
    plates, shape = problem.graph.nodes[name].plates, problem.shape(name)
    for share in cells(problem, name):
        at = np.arange(places.size) if share.whole else np.flatnonzero(np.isin(places, share.places))
        if not at.size:
            continue
        codes: dict[str, Codes] = {key: rows.codes[key][at] for key in (ROW, STATE) if key in rows.codes}
        for plate, own in zip(plates, np.unravel_index(places[at], shape) if plates else (), strict=True):
            problem._bind(plate, own, codes)
        assert isinstance(share.statement, Deterministic)
        yield share.statement.expression, at, Rows(at.size, codes)


class StateLowering(Lowering):
    """Lowering on expanded rows.

    expanded : of the site being read; None where no row touches a latent.
    """

    def __init__(
        self, latents: Latents, recorder: Recorder, unknown: Callable[[str], int], dependent: frozenset[str]
    ) -> None:
        super().__init__(latents.problem, recorder, unknown, moving=True)
        self.latents, self.dependent = latents, dependent
        self.expanded: Expanded | None = None

    def depends(self, tree: ex.Expression) -> bool:
        """Whether a tree's value hangs on latents."""
        return any(r.name in self.latents.first or r.name in self.dependent for r in ex.references(tree))

    def latent_codes(self, reference: ex.Reference, rows: Rows) -> Ints:
        """The value of a latent, as a code, on each row."""
        return self.codes_at(reference.name, self.places(reference, rows), rows)

    def codes_at(self, name: str, places: Codes, rows: Rows) -> Ints:
        """The same at places of the node."""
        values = self.latents.known(name)[places]
        missing = np.flatnonzero(np.isnan(values))
        if missing.size:
            if self.expanded is None:
                raise NotLowered(f"'{name}' is latent where a number is needed")
            part = Rows(missing.size, {k: rows.codes[k][missing] for k in (ROW, STATE)})
            values[missing] = self.expanded.states_of(places[missing] + self.latents.first[name], part)
        return values.astype(np.int64)

    def moves(self, reference: ex.Reference) -> bool:
        return False

    def _codes(self, plate: str, index: ex.Index, rows: Rows) -> Codes:
        if isinstance(index, ex.NodeIndex) and index.reference.name in self.latents.first:
            return self.latent_codes(index.reference, rows)
        return super()._codes(plate, index, rows)

    def _discrete(self, reference: ex.Reference) -> str | None:
        return None if reference.name in self.latents.first else super()._discrete(reference)

    def _reference(self, reference: ex.Reference, rows: Rows) -> Value:
        if reference.name in self.latents.first:
            return Value(self.recorder.constant(self.latent_codes(reference, rows)), ROWS)
        if reference.name not in self.dependent:
            return super()._reference(reference, rows)
        parts = [
            (self.full(self.value(tree, inner), inner), at)
            for tree, at, inner in read_at(self.problem, reference.name, self.places(reference, rows), rows)
        ]
        whole = len(parts) == 1 and parts[0][1].size == rows.n
        return Value(parts[0][0] if whole else self.recorder.assemble(rows.n, parts), ROWS)

    def _needs(self, tree: ex.Reduction, rows: Rows) -> bool:
        return (STATE in rows.codes and self.depends(tree)) or super()._needs(tree, rows)


class StateTrees(TreeJets):
    """Arguments of laws on expanded rows."""

    def __init__(self, lowering: StateLowering, jets: BatchJets) -> None:
        super().__init__(lowering, jets)
        self.states = lowering

    def number(self, tree: ex.Expression, rows: Rows) -> Jet:
        if isinstance(tree, ex.Reference) and tree.name in self.states.dependent:
            places = self.states.places(tree, rows)
            parts = list(read_at(self.problem, tree.name, places, rows))
            if len(parts) == 1 and parts[0][1].size == rows.n:
                return self.number(parts[0][0], parts[0][2])
        return super().number(tree, rows)

    def _is_stable_node(self, name: str) -> bool:
        return name not in self.states.dependent and super()._is_stable_node(name)

    def _uses(self, tree: ex.Expression, rows: Rows) -> bool:
        return (STATE in rows.codes and self.states.depends(tree)) or super()._uses(tree, rows)
