"""Trajectories for nodes that no rule draws: the no-U-turn sampler on their density given everything else.

Vectors whose entries do not move alone (probabilities, increasing vectors, correlation matrices), and nodes
of which too many elements depend on one another, are drawn together, unconstrained, by the exact gradient
of the `flat` form. Step and metric are learned in warm-up alone, as `numerics.sampling.adaptation` learns
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.build_flat import build_flat
from dagmodels.forms.conditionals.board import Board
from dagmodels.forms.conditionals.rule import Update
from dagmodels.forms.flat import Flat
from dagmodels.numerics.sampling import nuts
from dagmodels.numerics.sampling.adaptation import Moments, StepSize
from dagmodels.numerics.sampling.metric import Metric

name = "trajectories"
Floats = NDArray[np.float64]
DEPTH = 6  # doublings: one of many updates of a sweep
RENEWED = (50, 150, 350, 750)  # sweeps of warm-up after which the metric is estimated anew
DUAL = 6  # numbers of the step's state
STATISTICS = ("acceptance_rate", "n_steps", "diverging")  # of each draw, after the elements


@dataclass(frozen=True, eq=False, slots=True)
class Trajectories:
    """Draws the nodes' elements; called by several chains, it keeps nothing itself.

    numbers : the step's state, the metric's diagonal, then count, mean and squares of the points since it was
    renewed: what it learns.
    """

    flat: Flat
    board: Board
    nodes: tuple[str, ...]
    given: tuple[str, ...]

    learns = True

    def first(self) -> Floats:
        """Of the numbers."""
        d = self.flat.size
        return np.concatenate([np.array(StepSize.learning(0.1)), np.ones(d), np.zeros(1 + 2 * d)])

    def __call__(
        self,
        parameters: tuple[Floats, ...],
        values: Floats,
        rng: np.random.Generator,
        numbers: Floats,
        learning: int,
    ) -> Floats:
        flat, d = self.flat, self.flat.size
        space = flat.workspace()
        for node, whole in zip(self.given, parameters, strict=True):
            at = flat.given[node]
            space.values[at.place] = whole[at.elements]
        y = flat.unconstrain(self._arrays(values), at=space)
        density = nuts.TapeDensity(flat.tape, np.arange(d), flat.total)
        sampler = nuts.sampler(density, d, space.values, depth=DEPTH)
        state = StepSize(*numbers[:DUAL].tolist())
        metric = Metric.diagonal(numbers[DUAL : DUAL + d])
        point, drawn, known, after = sampler.draws(
            sampler.at(y), state if learning else state.final, metric, rng, 1
        )
        if learning:
            self._learn(numbers, drawn[0], after, learning)
        found = flat.constrain(point.y, at=space)
        holdings = self.board.builder.holdings
        told = np.array([known.accept[0], known.gradients[0], known.divergent[0]], dtype=np.float64)
        return np.concatenate([*(found[n].reshape(-1)[holdings[n].places] for n in self.nodes), told])

    def _learn(self, numbers: Floats, y: Floats, step: StepSize, learning: int) -> None:
        """Write what this draw adds."""
        d = y.size
        numbers[:DUAL] = step
        at = DUAL + d
        moments = Moments(int(numbers[at]), numbers[at + 1 : at + 1 + d], numbers[at + 1 + d :])
        moments = moments.after(y[None])
        if learning in RENEWED:
            numbers[DUAL:at] = moments.metric.inverse[0]
            numbers[:DUAL] = StepSize.learning(step.step)
            numbers[at:] = 0.0
            return
        numbers[at] = moments.count
        numbers[at + 1 : at + 1 + d], numbers[at + 1 + d :] = moments.mean, moments.scatter

    def _arrays(self, values: Floats) -> dict[str, Any]:
        found, at, builder = {}, 0, self.board.builder
        for node in self.nodes:
            held = builder.holdings[node]
            shape = builder.problem.shape(node)
            whole = np.zeros(int(np.prod(shape, dtype=np.int64)))
            if node in builder.problem.values:
                whole[:] = builder.problem.values[node].reshape(-1)
            whole[held.places] = values[at : at + held.places.size]
            at += held.places.size
            found[node] = whole.reshape(shape)
        return found


def together(board: Board, nodes: Sequence[str], passed: Sequence[str]) -> Update:
    """One update of these nodes; raises `NotLowered` where they have no density with a gradient.

    passed : why the rules do not draw them.
    """
    builder = board.builder
    flat = build_flat(builder.problem, nodes)
    names, given = flat.unknown, tuple(flat.given)
    registers = tuple(builder.lowering.node(n) for n in given)
    draw = Trajectories(flat, board, names, given)
    _, told_at = board.auxiliary(f"trajectories of {names[0]}", len(STATISTICS))
    slots = np.concatenate([*(builder.holdings[n].slots for n in names), told_at])
    told = ", ".join(f"'{n}'" for n in names)
    why = f"trajectories (NUTS) of {told} given the rest, by the exact gradient: {'; '.join(passed)}"
    return Update(
        names[0],
        slots,
        "python",
        slots.size,
        registers,
        why,
        numbers=draw.first(),
        nodes=names,
        function=draw,
        statistics=tuple(zip(STATISTICS, told_at.tolist(), strict=True)),
    )
