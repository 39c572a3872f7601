"""One chain's workspace, and the sweeps over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.conditionals.segments import Walk

Floats = NDArray[np.float64]


class Sweeper:
    """The memory of one chain; for one thread at a time.

    walk : the schedule. state : where it starts. numbers : what updates have learned, the first guesses if
    None.
    """

    def __init__(self, walk: Walk, state: Floats, numbers: Floats | None = None) -> None:
        self.walk = walk
        self.w = walk.tape.initial.copy()
        self.w[: walk.size] = state
        self.numbers = (walk.numbers if numbers is None else numbers).copy()
        self.scratch = np.empty(walk.scratch)
        walk.program.run(self.w)
        if walk.blocks.long:
            from dagmodels.numerics import dense_blocks, wide_blocks  # noqa: F401

    def place(self, state: Floats) -> None:
        """Go on from another state."""
        self.w[: self.walk.size] = state
        self.walk.program.run(self.w)

    def run(self, rng: np.random.Generator, count: int, learning: int = 0, period: int = 1) -> Floats:
        """So many sweeps; the state after each, (count, size).

        period : in which of these sweeps second updates are done: the last of each so many.
        learning : the number of the first sweep of warm-up, counted from 1, or 0 after it.
        """
        kept = np.empty((count, self.walk.size))
        if not self.walk.outside:
            self._loop(self.walk.table, rng, learning, kept, period)
            return kept
        for sweep in range(count):
            row = kept[sweep : sweep + 1]
            number, at = learning + sweep if learning else 0, 0
            for update in self.walk.outside:
                self._loop(self.walk.table[at : update.row + 1], rng, number, row, period, sweep)
                at = update.row + 1
                given = tuple(self.w[p].copy() for p in update.parameters)
                more = () if update.numbers is None else (self.numbers[update.numbers], number)
                self.w[update.slots] = update.function(given, self.w[update.slots].copy(), rng, *more)
            self._loop(self.walk.table[at:], rng, number, row, period, sweep)
        return kept

    def _loop(
        self,
        table: NDArray[np.int64],
        rng: np.random.Generator,
        learning: int,
        kept: Floats,
        period: int = 1,
        phase: int = 0,
    ) -> None:
        from dagmodels.numerics.sweep_steps import sweeps

        tape, walk, b = self.walk.tape.operations, self.walk, self.walk.blocks
        memory = (self.w, table, walk.slots, self.numbers, self.scratch, rng, learning, period, phase)
        sweeps(walk.steps, *tape, *memory, b.table, b.places, b.near, b.wide, b.kinds, kept)

    def state(self) -> Floats:
        """A copy of the state."""
        return self.w[: self.walk.size].copy()
