"""Problem -> Flat with discrete unknowns summed out: the rest is in the vector, they are drawn after."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.discrete_latents import DiscreteLatents, discrete_latents
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.forms.build_flat import NONE, Bools, FlatBuilder
from dagmodels.forms.flat import Flat
from dagmodels.forms.flat_plan import NodePlan, plans
from dagmodels.forms.jets import Jet
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.sites import Site
from dagmodels.forms.state_counts import counters, counts
from dagmodels.forms.state_draws import StateDraws, registers
from dagmodels.forms.state_tables import Table, TableReader, readings, states_of
from dagmodels.forms.state_units import Units, units
from dagmodels.forms.states import Latents, StateLowering, StateTrees, depending
from dagmodels.forms.summation import Summation, summation
from dagmodels.forms.touches import touches
from dagmodels.graph.dag import expressions
from dagmodels.numerics.tape import Tape

Ints = NDArray[np.int64]


class SummedBuilder(FlatBuilder):
    """Builds one form; see `build_summed`.

    tables, of : log densities by state, and the site of each's rows. units : how the unknowns hang together.
    """

    def __init__(
        self, problem: Problem, forward: Collection[str] = (), standard: Mapping[str, Bools] = NONE
    ) -> None:
        self.found: DiscreteLatents = discrete_latents(problem.graph, problem)
        refused = [
            ModelError(f"'{n}' cannot be summed out: {why}", node=n) for n, why in self.found.refused.items()
        ]
        raise_all(refused, f"the discrete unknowns of model '{problem.graph.name}'")
        super().__init__(problem, None, forward, standard)
        nodes = {n: node for n, node in self.found.nodes.items() if n not in self.forward}
        count = {n: node.states for n, node in nodes.items() if node.states is not None}
        self._read_states(count)
        self.counts = counts(self.trees)
        if self.counts:
            self._read_states(count | {n: c.states for n, c in self.counts.items()})
        self.reader = TableReader(self.lowering, self.jets, self._law, self.value)
        self.tables: list[Table] = []
        self.of: list[Site] = []
        self.units = Units((), ())
        self.summation = Summation(0, (), (), ())

    def _read_states(self, count: dict[str, int]) -> None:
        """Trees are read where these nodes' states are known."""
        self.latents = Latents.of(self.problem, count)
        dependent = depending(self.graph, self.latents.first) - count.keys()
        self.lowering: StateLowering = StateLowering(self.latents, self.recorder, self._node, dependent)
        self.trees = StateTrees(self.lowering, self.jets)

    def _planned(self) -> dict[str, NodePlan]:
        return plans(self.problem, None, {*self.found.nodes, *self.forward}, self.standard)

    def record(self) -> None:
        """All values and factors, and the sums."""
        super().record()
        more = counters(self.recorder, self.counts, self.latents.first, self.latents.total)
        tables = [*self.tables, *more.tables]
        states = np.append(states_of(self.latents), np.array(more.states, dtype=np.int64))
        self.units = units(states.size, states, tables)
        self.summation = summation(self.recorder, states.size, tables, self.units)
        for register in (*self.kept(), *self.summation.terms):
            self.recorder.start(register)

    def value(self, site: Site) -> Jet:
        """The site's values; of a discrete unknown, its states."""
        name = site.names[0]
        if name not in self.latents.first:
            return super().value(site)
        codes = self.lowering.codes_at(name, site.places[:, 0], site.rows)
        return self.jets.of(self.recorder.constant(codes))

    def _factor(self, site: Site) -> None:
        own = site.names[0] in self.latents.first
        if not own and not any(self.lowering.depends(tree) for tree in expressions(site.statement)):
            super()._factor(site)
            return
        site = self._told(site)
        if not site.rows.n:
            return
        if len(site.names) > 1:
            raise NotLowered(f"the joint law of {' and '.join(site.names)} depends on discrete unknowns")
        for reading in readings(self.latents, site, touches(self.lowering, site)):
            if not reading.counts:
                super()._factor(site.at(reading.rows))
                continue
            try:
                with np.errstate(all="ignore"):  # states that are impossible beside data
                    self.tables.append(self.reader.table(site, reading))
            except (NotLowered, ModelError) as error:
                if f"'{site.names[0]}'" in str(error):
                    raise
                raise NotLowered(f"'{site.names[0]}' has no tape form: {error}") from error
            finally:
                self.lowering.expanded = None
            self.of.append(site.at(reading.rows))

    def _tied(self, touched: set[str]) -> set[str]:
        for statement in self.graph.covariances:
            for name in (statement.left.name, statement.right.name):
                trees = [t for s in self.graph.nodes[name].statements for t in expressions(s)]
                if any(self.lowering.depends(tree) for tree in trees):
                    raise NotLowered(
                        f"'{name}' is tied by ~~ and its law depends on discrete unknowns: write a MvNormal"
                    )
        return super()._tied(touched)

    def _joint(self) -> int:
        terms = [(f.register, f.times) for f in self.factors]
        return self._sum([*terms, *((register, 1) for register in self.summation.terms)])

    def kept(self) -> list[int]:
        """The log weights that draws read."""
        return list(registers(self.summation))

    def _summed(self, tape: Tape) -> StateDraws:
        return StateDraws.of(self.latents, self.summation, tape)


def build_summed(
    problem: Problem, forward: Collection[str] = (), standard: Mapping[str, Bools] = NONE
) -> Flat:
    """The log density of everything continuous, discrete unknowns summed out.

    `Flat.summed` draws them at given points. forward, standard : as for `build_flat`.

    Raises
    ------
    ModelErrors : discrete unknowns without a list of states, by name.
    NotLowered : what the tape cannot hold, with the node and the reason.
    FitError : more joint states than are summed over.
    """
    builder = SummedBuilder(problem, forward, standard)
    try:
        return builder.build()
    except ModelError as error:
        raise NotLowered(str(error)) from error
