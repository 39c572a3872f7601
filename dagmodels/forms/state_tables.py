"""Log densities of a site in every joint state of the discrete unknowns that its rows read.

Rows that read as many unknowns, of as many states, are one table; rows with the same law and value share one
block of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.labels import level_code
from dagmodels.bind.problem import Problem
from dagmodels.distributions._shared import NEVER
from dagmodels.distributions.dirichlet import on_simplex
from dagmodels.errors import FitError
from dagmodels.forms.batch_jets import BatchJets
from dagmodels.forms.cells import element_label
from dagmodels.forms.jets import Jet
from dagmodels.forms.leaf_laws import LawReader
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.sites import Site
from dagmodels.forms.states import Expanded, Latents, StateLowering
from dagmodels.forms.touches import Touches
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Rows as TableRows
from dagmodels.numerics.memory import available

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST = 2**14  # joint states that are enumerated together
BYTES = 200  # of the workspace, of its adjoints and of their making, for a log density


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """Log densities by row and joint state.

    register : (blocks, states), the last element's state fastest. block : of each row.
    elements : (rows, read), increasing along each row. counts : states of each of them.
    """

    register: int
    block: Ints
    elements: Ints
    counts: tuple[int, ...]

    @property
    def states(self) -> int:
        """Joint states of a row."""
        return math.prod(self.counts)


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """Rows of a site that read unknowns at the same positions.

    rows : of the site. elements : (rows, read), increasing along each row. counts : their states.
    block, first : of each row, and a row of each block.
    own : which of the elements is the row's own value, or None.
    """

    rows: Ints
    elements: Ints
    counts: tuple[int, ...]
    block: Ints
    first: Ints
    own: int | None


def readings(latents: Latents, site: Site, found: Touches) -> Iterator[Reading]:
    """The rows by what they read; rows that read nothing unknown come with no elements.

    Raises `FitError` where a row reads too many at once.
    """
    n = site.rows.n
    columns = np.stack(found.elements, axis=1) if found.elements else np.full((n, 1), -1)
    chosen = np.sort(columns, axis=1)
    chosen[:, 1:][chosen[:, 1:] == chosen[:, :-1]] = -1
    chosen = np.sort(chosen, axis=1)
    at = np.full(columns.shape, -1)  # which of the chosen each column is
    for k in range(columns.shape[1]):
        at[columns == chosen[:, [k]]] = k
    at[columns < 0] = -1
    states = np.concatenate([[1], states_of(latents)])[chosen + 1]
    kinds, of = np.unique(np.concatenate([at, states], axis=1), axis=0, return_inverse=True)
    same = _same(latents.problem, site, found)
    for number, kind in enumerate(kinds):
        rows = np.flatnonzero(of.reshape(-1) == number)
        read = np.flatnonzero(chosen[rows[0]] >= 0)
        counts = tuple(kind[columns.shape[1] :][read].tolist())
        if math.prod(counts) > MOST:
            raise FitError(_too_many(latents, site, chosen[rows[0], read], counts))
        if same is None:
            first = block = np.arange(rows.size)
        else:
            _, first, block = np.unique(same[rows], axis=0, return_index=True, return_inverse=True)
        own = None
        if found.names and found.names[0] == site.names[0] and site.names[0] in latents.first:
            own = int(kind[0]) - int(read[0]) if kind[0] >= 0 else None
        yield Reading(rows, chosen[np.ix_(rows, read)], counts, block.reshape(-1), rows[first], own)


def states_of(latents: Latents) -> Ints:
    """States of every element."""
    shape = latents.problem.shape
    parts = [np.full(math.prod(shape(n)), latents.count[n]) for n in latents.first]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _same(problem: Problem, site: Site, found: Touches) -> Floats | None:
    """Columns that agree where rows have the same law and the same value."""
    if not found.alike:
        return None
    columns = list(found.reads)
    for name in site.names:
        known = problem.observed.get(name)
        for places in site.places.T:
            if known is None:
                columns.append(places.astype(np.float64))
                continue
            there = known.reshape(-1)[places]
            value = problem.values[name].reshape(-1)[places]
            columns += [np.where(there, value, places), there.astype(np.float64)]
    if site.names[0] in found.names:  # a discrete unknown: its value is a state
        columns = [*found.reads]
    return np.stack([np.zeros(site.rows.n), *columns], axis=1)


def _too_many(latents: Latents, site: Site, elements: Ints, counts: tuple[int, ...]) -> str:
    named = [element_label(latents.problem, *latents.owner(int(e))) for e in elements[:3]]
    more = f" and {elements.size - 3} more" if elements.size > 3 else ""
    return (
        f"the law of '{site.names[0]}' reads {elements.size} discrete unknowns at once "
        f"({', '.join(named)}{more}): {math.prod(counts):,} joint states, more than the {MOST:,} that "
        "are summed over; observe some of them, or let fewer stand in one law"
    )


def _check_room(site: Site, reading: Reading) -> None:
    """Refuse what takes more memory than there is, with the figures."""
    rows, states = reading.first.size, math.prod(reading.counts)
    need, free = BYTES * rows * states, available()
    if free is not None and need > free:
        raise FitError(
            f"the law of '{site.names[0]}' in {states:,} states of discrete unknowns on {rows:,} rows needs "
            f"about {need / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free: give fewer of either"
        )


@dataclass(frozen=True, slots=True)
class TableReader:
    """Records tables.

    law : reads a site's law. value : its values, in their shape.
    """

    lowering: StateLowering
    jets: BatchJets
    law: Callable[[Site], LawReader]
    value: Callable[[Site], Jet]

    def table(self, site: Site, reading: Reading) -> Table:
        """The log densities of rows; raises `FitError` where there is no room for them."""
        _check_room(site, reading)
        part = site.at(reading.first)
        at = np.searchsorted(reading.rows, reading.first)
        elements = reading.elements[at]
        whole = site.law.family in ("Categorical", "Table") and reading.own is not None
        register = (self._by_state if whole else self._each)(part, elements, reading)
        return Table(register, reading.block, reading.elements, reading.counts)

    def _each(self, site: Site, elements: Ints, reading: Reading) -> int:
        """One row times state after the other."""
        expanded = Expanded.of(elements, reading.counts)
        rows = expanded.site(site)
        self.lowering.expanded = expanded
        if site.law.family == "Table":
            values = self.lowering.codes_at(site.names[0], rows.places[:, 0], rows.rows)
            every = self._stated(rows)
            with np.errstate(divide="ignore"):
                return self.lowering.recorder.constant(np.log(every[np.arange(len(values)), values]))
        density = self.law(rows).log_density(site.law, self.value(rows))
        return self._full(density, rows.rows.n)

    def _by_state(self, site: Site, elements: Ints, reading: Reading) -> int:
        """The probabilities of all values of a row at once: one vector for each state of its parents."""
        own = reading.own
        assert own is not None
        parents = [k for k in range(len(reading.counts)) if k != own]
        counts = tuple(reading.counts[k] for k in parents)
        rows = site
        self.lowering.expanded = None
        if parents:
            self.lowering.expanded = Expanded.of(elements[:, parents], counts)
            rows = self.lowering.expanded.site(site)
        size = reading.counts[own]
        if site.law.family == "Table":
            with np.errstate(divide="ignore"):
                found = self.lowering.recorder.constant(np.log(self._stated(rows)))
        else:
            (p,) = self.law(rows).law(site.law)[1]
            logs = self.jets.where(self.jets.expand(on_simplex(self.jets, p)), self.jets.log(p), NEVER)
            found = self._full(logs, rows.rows.n, size)
        shape = (site.rows.n, *counts, size)
        places = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), -1, own + 1).reshape(-1)
        if own == len(parents):
            return found
        return self.lowering.recorder.gather(found, places.copy())

    def _full(self, density: Jet, n: int, size: int = 1) -> int:
        """A register with entries for every row."""
        f = self.jets.functions
        event = (size,) if size > 1 or f.event(density.value) else ()
        register = density.value.register
        if self.lowering.recorder.length(register) == n * size:
            return register
        return f.spread(density.value, event, n)

    def _stated(self, site: Site) -> Floats:
        """Probabilities of all values of a `Table` on rows where its parents are known: (rows, values)."""
        problem, law = self.lowering.problem, site.law
        own = site.statement.values_in  # type: ignore[union-attr]
        size = problem.plates[str(own)].size
        rows = law.argument("rows")
        if isinstance(rows, ex.Vector):
            return np.broadcast_to(_numbers(rows.items, site.names[0]), (site.rows.n, size))
        assert isinstance(rows, TableRows)
        parents = [v for k, v in law.arguments if k != "rows" and isinstance(v, ex.Reference)]
        codes = np.stack([self._codes(r, site) for r in parents], axis=1)
        found = np.full((site.rows.n, size), np.nan)
        plates = [str(problem.graph.nodes[r.name].values_in) for r in parents]
        for row in rows.rows:
            label = [level_code(problem, p, v) for p, v in zip(plates, row.labels, strict=True)]
            found[(codes == label).all(axis=1)] = _numbers(row.entries, site.names[0])
        return found

    def _codes(self, reference: ex.Reference, site: Site) -> Ints:
        if reference.name in self.lowering.latents.first:
            return self.lowering.latent_codes(reference, site.rows)
        places = self.lowering.places(reference, site.rows)
        return self.lowering.problem.values[reference.name].reshape(-1)[places].astype(np.int64)


def _numbers(entries: tuple[ex.Expression, ...], name: str) -> Floats:
    found = [ex.literal(e) for e in entries]
    if any(v is None for v in found):
        raise NotLowered(
            f"the Table of '{name}' has entries that are not numbers: write Categorical(p) instead"
        )
    return np.array(found, dtype=np.float64)
