"""Exact draws of discrete unknowns that were summed out, given the point at which they were.

In reverse order of elimination: each unknown has log weights given those drawn before it; chains by sampling
backwards (Chib 1996, J. Econometrics 75).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.states import Latents
from dagmodels.forms.summation import Eliminated, Recursed, Summation
from dagmodels.numerics.pruning import only
from dagmodels.numerics.tape import Tape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CELLS = 1 << 22  # log weights held at once


@dataclass(frozen=True, eq=False, slots=True)
class StateDraws:
    """See the module.

    latents : the unknowns. tape : from a point to the log weights. places : of these in its workspace.
    parts : where each register's stand among what is read.
    """

    latents: Latents
    summation: Summation
    tape: Tape
    places: Ints
    parts: dict[int, slice]

    @classmethod
    def of(cls, latents: Latents, summation: Summation, tape: Tape) -> StateDraws:
        """On a tape that holds the registers of the summation."""
        parts: dict[int, slice] = {}
        places, at = [np.zeros(0, np.int64)], 0
        for register in registers(summation):
            if register not in parts:
                place = tape.place(register)
                places.append(np.arange(place.start, place.stop))
                parts[register] = slice(at, at + places[-1].size)
                at += places[-1].size
        return cls(latents, summation, only(tape, parts), np.concatenate(places), parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes; counts are none."""
        nodes = self.latents.problem.graph.nodes
        return tuple(n for n in self.latents.first if nodes[n].kind == "stochastic")

    def draw(self, points: Floats, rng: np.random.Generator) -> dict[str, Floats]:
        """Codes of the nodes' values at points (draws, size): by node, (draws, elements), data kept."""
        step = max(1, CELLS // max(self.places.size, 1))
        found = [self._drawn(points[i : i + step], rng) for i in range(0, len(points), step)]
        states = np.concatenate(found) if found else np.zeros((0, self.summation.total))
        return dict(self._by_node(states))

    def weights(self, points: Floats) -> list[Floats]:
        """The log weights of each register, one point a row."""
        from dagmodels.numerics.many_points import sweep

        read = np.empty((len(points), self.places.size))
        w = self.tape.initial.copy()
        sweep(*self.tape.operations, w, np.ascontiguousarray(points), self.places, read)
        return [read[:, part] for part in self.parts.values()]

    def _drawn(self, points: Floats, rng: np.random.Generator) -> Ints:
        read = dict(zip(self.parts, self.weights(points), strict=True))
        states = np.zeros((len(points), self.summation.total), dtype=np.int64)
        for part in self.summation.eliminated:
            _draw_units(part, read, states, rng)
        for part in self.summation.recursed:
            _draw_chains(part, read, states, rng)
        return states

    def _by_node(self, states: Ints) -> Iterator[tuple[str, Floats]]:
        for name in self.names:
            first, known = self.latents.first[name], self.latents.known(name)
            own = states[:, first : first + known.size].astype(np.float64)
            yield name, np.where(np.isnan(known), own, known)


def registers(summation: Summation) -> Iterator[int]:
    """What draws read."""
    for part in summation.eliminated:
        yield from (step.register for step in part.steps)
    for part in summation.recursed:
        yield from (part.forward, part.transitions)


def _draw_units(part: Eliminated, read: dict[int, Floats], states: Ints, rng: np.random.Generator) -> None:
    batch, m = part.batch, len(states)
    for step in reversed(part.steps):
        sizes = [batch.counts[k] for k in step.given]
        size = batch.counts[step.own]
        tables = read[step.register].reshape(m, -1, int(np.prod(sizes, dtype=np.int64)), size)
        at = np.zeros((m, len(batch.elements)), dtype=np.int64)
        for k, count in zip(step.given, sizes, strict=True):
            at = at * count + states[:, batch.elements[:, k]]
        weights = tables[np.arange(m)[:, None], part.like, at]
        states[:, batch.elements[:, step.own]] = drawn(weights, rng)


def drawn(log_weights: Floats, rng: np.random.Generator) -> Ints:
    """A category for each row of log weights (last axis), by the inverse of the distribution function."""
    shares = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    upto = shares.cumsum(axis=-1)
    u = rng.random(upto.shape[:-1]) * upto[..., -1]
    return np.minimum((u[..., None] >= upto).sum(axis=-1), upto.shape[-1] - 1)


def _draw_chains(part: Recursed, read: dict[int, Floats], states: Ints, rng: np.random.Generator) -> None:
    from dagmodels.numerics.backward_steps import backward

    elements = part.chains.elements
    u = rng.random((len(states), elements.size))
    found = np.empty(u.shape, dtype=np.int64)
    forward, transitions = (np.ascontiguousarray(read[r]) for r in (part.forward, part.transitions))
    backward(part.index, forward, transitions, u, found)
    states[:, elements] = found


__all__ = ["StateDraws", "drawn", "registers"]
