"""What rules share: the factors with the elements that they depend on, and sums over a class's rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_flat import Factor
from dagmodels.forms.conditionals.censoring import side
from dagmodels.forms.conditionals.curves import curves
from dagmodels.forms.conditionals.gaussian import Gaussian, gaussian, log_scale
from dagmodels.forms.conditionals.influence import Influence
from dagmodels.forms.conditionals.squares import Statistics
from dagmodels.forms.conditionals.state import StateBuilder
from dagmodels.forms.conditionals.tangent import Tangents
from dagmodels.forms.conditionals.target import Target, Touched
from dagmodels.graph.statement import Stochastic

Ints = NDArray[np.int64]
LOG_2_PI = math.log(2.0 * math.pi)


def levels_of(builder: StateBuilder, node: str) -> int:
    """How many values 0, 1, ... a node may have; 0 where that is not known."""
    plate = builder.graph.nodes[node].values_in
    if plate is not None:
        return int(builder.problem.plates[plate].size)
    laws = [s.distribution.family for s in builder.graph.nodes[node].statements if isinstance(s, Stochastic)]
    whole = len(laws) == len(builder.graph.nodes[node].statements)
    return 2 if laws and whole and set(laws) == {"Bernoulli"} else 0


@dataclass(eq=False)
class Board:
    """The state with its factors recorded.

    added_inputs : auxiliary variables that rules have added, with their number.
    """

    builder: StateBuilder
    influence: Influence = field(init=False)
    statistics: Statistics = field(init=False)
    added_inputs: list[tuple[str, int]] = field(default_factory=list)
    _gaussian: dict[int, Gaussian | None] = field(default_factory=dict)
    _curves: dict[int, Gaussian | None] = field(default_factory=dict)
    _pairs: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        b = self.builder
        b.record()
        inputs = {b.recorded[n][0].register: int(h.slots[0]) for n, h in b.holdings.items()}
        counts = {b.recorded[n][0].register: levels_of(b, n) for n in b.holdings}
        self.influence = Influence(b.recorder, inputs, b.size, {r: k for r, k in counts.items() if k})
        self.statistics = Statistics(self.influence)

    @property
    def recorder(self) -> Any:
        return self.builder.recorder

    @property
    def factors(self) -> list[Factor]:
        """All factors, by row."""
        return self.builder.factors

    def pairs(self, factor: Factor) -> tuple[Ints, Ints]:
        """(row, slot) of all dependences of a factor."""
        key = factor.register
        if key not in self._pairs:
            self._pairs[key] = self.influence.pairs(factor.register)
        return self._pairs[key]

    # -- sums over the rows of a class ---------------------------------------------------------------

    def by_owner(self, register: int, touched: Touched, count: int) -> int:
        """For each of `count` units the sum of a register over the rows that it owns."""
        r, n = self.recorder, touched.length
        if r.length(register) == 1:
            share = np.bincount(touched.owner, minlength=count).astype(float)
            if (share == share[0]).all():
                share = share[:1]
            weights = r.constant(share)
            return register if share.size == 1 and share[0] == 1.0 else r.apply("*", register, weights)
        if touched.rows.size < n:
            register = r.gather(register, touched.rows)
        if touched.rows.size == count and (touched.owner == np.arange(count)).all():
            return register
        return r.segment_sum(register, touched.owner, count)

    def added(self, registers: list[int]) -> int:
        """The sum of registers, those of one entry first."""
        r = self.recorder
        total: int | None = None
        for x in sorted(registers, key=r.length):
            total = x if total is None else r.apply("+", total, x)
        return r.constant(0.0) if total is None else total

    def log_density(self, target: Target) -> int:
        """For each unit the log density of everything that depends on it, up to a constant."""
        r, count, parts = self.recorder, len(target.units), []
        for touched in target.touched:
            known = self.statistics_of(touched, count)
            if known is not None:
                parts.append(known)
                continue
            if 2 * touched.rows.size < touched.length and touched.factor.ties is None:
                touched = self._part(touched)
            register = touched.factor.register
            if touched.factor.times > 1:
                register = r.apply("*", register, r.constant(float(touched.factor.times)))
            parts.append(self.by_owner(register, touched, count))
        return self.added(parts)

    def entries(self, slots: Ints) -> int:
        """Slots of the state, perhaps of several nodes, as one register."""
        r, parts = self.recorder, []
        for register, start in self.influence.inputs.items():
            n = r.length(register)
            mine = np.flatnonzero((slots >= start) & (slots < start + n))
            if mine.size:
                at = slots[mine] - start
                whole = at.size == n and (at == np.arange(n)).all()
                parts.append((register if whole else r.gather(register, at), mine))
        return parts[0][0] if len(parts) == 1 else r.assemble(slots.size, parts)

    def whole_density(self) -> int:
        """The log joint density."""
        r, parts = self.recorder, []
        for factor in self.factors:
            n = r.length(factor.register)
            every = Touched(factor, np.arange(n), np.zeros(n, np.int64), n)
            known = self._by_squares(every, 1, self.squares(every, 1))
            if known is not None:
                parts += [known, r.constant(-0.5 * n * LOG_2_PI)]
                continue
            total = r.total(factor.register) if n > 1 else factor.register
            parts.append(total if factor.times == 1 else r.apply("*", total, r.constant(float(factor.times))))
        return self.added(parts)

    def statistics_of(self, touched: Touched, count: int) -> int | None:
        """For each unit the log density of a Normal factor's rows, but for a constant, by sums of squares;
        None of others, and where rows differ in precision."""
        return self._by_squares(touched, count, self.squares(touched, count))

    def squares(self, touched: Touched, count: int) -> int | None:
        """For each unit the sum of squares of a Normal factor's residuals; None of others."""
        r, factor = self.recorder, touched.factor
        g = self.gaussian(factor) if factor.site.law.family == "Normal" and factor.ties is None else None
        if g is None:
            return None
        known = self.statistics.squares(g.residual, touched, count)
        return self.by_owner(r.apply("*", g.residual, g.residual), touched, count) if known is None else known

    def _by_squares(self, touched: Touched, count: int, squares: int | None) -> int | None:
        """For each unit the log density of a Normal factor's rows, but for a constant."""
        r, factor = self.recorder, touched.factor
        if squares is None or factor.ties is not None or factor.times > 1:
            return None
        g = self.gaussian(factor)
        if g is None or r.length(g.weight) > 1:
            return None
        logs = self.by_owner(log_scale(self, factor), touched, count)
        half = r.apply("*", r.apply("*", r.constant(-0.5), g.weight), squares)
        return r.apply("-", half, logs)

    def _part(self, touched: Touched) -> Touched:
        """The same factor recorded on its touched rows alone."""
        site = touched.factor.site.at(touched.rows)
        density = self.builder.density(site).value.register
        alone = self.recorder.length(density) == 1 and site.rows.n > 1
        if alone:
            return touched
        at = np.arange(touched.rows.size)
        return Touched(Factor(site, density), at, touched.owner, at.size)

    def side(self, touched: Touched, target: Target, tangents: Tangents) -> tuple[int, int] | None:
        """The ends between which a factor that is one or zero keeps the units; None of other factors."""
        return side(self, touched, target, tangents)

    # -- Gaussian factors ----------------------------------------------------------------------------

    def gaussian(self, factor: Factor) -> Gaussian | None:
        """A factor's Gaussian form, None where it has none."""
        key = factor.register
        if key not in self._gaussian:
            self._gaussian[key] = gaussian(self, factor)
        return self._gaussian[key]

    def gaussian_in(self, factor: Factor, slots: Ints) -> Gaussian | None:
        """A factor as Gaussian in residuals that hang on these slots: in the logarithm of a rate or scale
        where they stand in that alone; None where it is not Gaussian."""
        found, key = self.gaussian(factor), factor.register
        if found is not None and not (
            self.influence.depends(found.weight, slots) and not self.influence.depends(found.residual, slots)
        ):
            return found
        if key not in self._curves:
            self._curves[key] = curves(self, factor)
        near = self._curves[key]
        return near if near is not None and self.influence.depends(near.residual, slots) else found

    def auxiliary(self, name: str, length: int) -> tuple[int, Ints]:
        """A register of further variables, and their slots, which follow the state's."""
        start = self.builder.size + sum(n for _, n in self.added_inputs)
        register = self.recorder.input(f"{name}\0{start}", length)
        self.added_inputs.append((name, length))
        return register, start + np.arange(length)
