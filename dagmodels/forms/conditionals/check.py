"""Every factor at a point: the log joint density, and what has probability zero, told with its parents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_flat import Factor
from dagmodels.forms.cells import element_label
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.target import Target
from dagmodels.forms.flat_plan import Ask
from dagmodels.forms.flat_reasons import parents_of
from dagmodels.forms.jets import Jet
from dagmodels.graph import expression as ex
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
IMPOSSIBLE = -1e8


@dataclass(frozen=True, eq=False, slots=True)
class Check:
    """All factors on a tape of their own.

    parents : of each factor, what its law depends on, by the argument's name. own : its values. bounds :
    registers of the ends of supports that are trees, by (ask, side).
    """

    board: Board
    tape: Tape
    parents: tuple[tuple[tuple[str, Jet], ...], ...]
    own: tuple[Jet, ...]
    bounds: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, board: Board) -> Check:
        """Record it; parents' values are kept beside the factors."""
        builder, recorder = board.builder, board.recorder
        parents = tuple(tuple(parents_of(builder, f)) for f in builder.factors)
        own = tuple(builder.value(f.site) for f in builder.factors)
        for jet in (*own, *(j for found in parents for _, j in found)):
            recorder.start(jet.value.register)
        for factor in builder.factors:
            recorder.start(factor.register)
        bounds = {}
        for plan in builder.plans.values():
            for ask in plan.asks:
                for side, end in enumerate((ask.lower, ask.upper)):
                    if isinstance(end, ex.Expression):
                        register = builder.trees.number(end, ask.rows).value.register
                        recorder.start(register)
                        bounds[id(ask), side] = register
        return cls(board, recorder.finish(), parents, own, bounds)

    def ends(self, ask: Ask, state: Floats) -> list[Floats | None]:
        """The ends of a support at a state."""
        found: list[Floats | None] = []
        for side, end in enumerate((ask.lower, ask.upper)):
            if isinstance(end, ex.Expression):
                end = self.values(state)[self.tape.place(self.bounds[id(ask), side])]
            found.append(end)
        return found

    def by_unit(self, target: Target, state: Floats) -> Floats:
        """For each unit the log density of what depends on it; each impossible row counts as IMPOSSIBLE."""
        w, total = self.values(state), np.zeros(len(target.units))
        for t in target.touched:
            rows = w[self.tape.place(t.factor.register)][t.rows]
            rows = np.where(np.isfinite(rows), rows, IMPOSSIBLE)
            total += np.bincount(t.owner, rows * t.factor.times, total.size)
        return total

    def values(self, state: Floats) -> Floats:
        """The workspace at a state."""
        w = self.tape.initial.copy()
        w[: state.size] = state
        self.tape.forward(w)
        return w

    def log_density(self, state: Floats) -> float:
        """The log joint density at a state; minus infinity where a factor is no number."""
        w = self.values(state)
        total = sum(float(w[self.tape.place(f.register)].sum()) * f.times for f in self.board.factors)
        return -np.inf if np.isnan(total) else total

    def impossible(self, state: Floats, known: bool = False) -> tuple[str, ...]:
        """A sentence for each factor that is not finite, naming its first element that is not.

        known : only factors that depend on data alone.
        """
        w = self.values(state)
        found = []
        for factor, parents, own in zip(self.board.factors, self.parents, self.own, strict=True):
            if not known or self.board.influence.pattern(factor.register) is None:
                told = self._told(factor, parents, own, w)
                if told:
                    found.append(told)
        return tuple(found)

    def _told(self, factor: Factor, parents: tuple[tuple[str, Jet], ...], own: Jet, w: Floats) -> str:
        density = w[self.tape.place(factor.register)]
        bad = np.flatnonzero(~np.isfinite(density))
        if not bad.size:
            return ""
        row = int(bad[0])
        site = factor.site

        def at(jet: Jet) -> float:
            entries = w[self.tape.place(jet.value.register)]
            return float(entries[0] if entries.size == 1 else entries[min(row, entries.size - 1)])

        node = element_label(self.board.builder.problem, site.names[0], int(site.places[row, 0]))
        given = ", ".join(f"{key} = {at(jet):g}" for key, jet in parents)
        value = "" if site.event else f"{site.names[0]} = {at(own):g}"
        if np.isnan(density[row]):
            return f"'{node}' has a log density that is no number under its parents: {given} and {value}"
        if density[row] > 0:
            return f"'{node}' has infinite density under its parents: {given} and {value}"
        between = " but " if given and value else ""
        return f"node {node} has probability zero under its parents: {given}{between}{value}"
