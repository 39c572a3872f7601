"""Normal nodes that hang together, given the states of the discrete nodes that they read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.forms.gaussians import Linear, linear, log_density
from dagmodels.forms.table_values import States, Value
from dagmodels.graph.dag import Dag
from dagmodels.numerics.memory import size_text

Floats = NDArray[np.float64]
Factor = tuple[tuple[int, ...], Floats]
LARGEST = 1 << 27  # numbers of the covariances of one block over all of its states


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Normal nodes by the states of the discrete nodes `axes`.

    nodes : those that are not seen. means, covariances : of them given what is seen, (states, ...).
    logs : log density of what is seen, (states,). shape : numbers of states.
    """

    nodes: tuple[str, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    means: Floats
    covariances: Floats
    logs: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Blocks:
    """place : of discrete nodes in the network. codes : of those seen. seen : values of continuous nodes."""

    dag: Dag
    states: States
    place: Mapping[str, int]
    codes: Mapping[int, int]
    seen: Mapping[str, float]
    parents: Mapping[str, frozenset[str]]

    def leaves(self, names: Iterable[str]) -> list[Factor]:
        """Log likelihoods of the discrete states that a value has by itself."""
        found = []
        for name in names:
            value = log_density(self.dag, self.states, name, self.seen[name])
            axes = self._free(value.axes)
            found.append((tuple(self.place[a] for a in axes), self._at(value, axes)))
        return found

    def blocks(
        self, hidden: Sequence[str], tied: Iterable[Sequence[str]]
    ) -> tuple[list[Block], list[Factor]]:
        """Blocks of hidden nodes with the values seen that depend on them."""
        owner = {n: n for n in hidden}

        def top(name: str) -> str:
            while owner[name] != name:
                name = owner[name]
            return name

        below = [n for n in self.seen if self.parents[n] & owner.keys()]
        groups = [[n, *(self.parents[n] & owner.keys())] for n in hidden]
        groups += [list(self.parents[n] & owner.keys()) for n in below]
        for group in (*groups, *tied):
            for other in group[1:]:
                owner[top(other)] = top(group[0])
        blocks, factors = [], []
        for root in [n for n in hidden if top(n) == n]:
            own = [n for n in hidden if top(n) == root]
            values = [n for n in below if top(next(iter(self.parents[n] & owner.keys()))) == root]
            block = self._block(own, values)
            blocks.append(block)
            factors.append((block.axes, block.logs.reshape(block.shape)))
        return blocks, factors

    def _free(self, axes: Iterable[str]) -> tuple[str, ...]:
        return tuple(a for a in axes if self.place[a] not in self.codes)

    def _at(self, value: Value, axes: Sequence[str]) -> Floats:
        """A value at the states that are seen, with these axes of the others at full length."""
        picked = [self.codes.get(self.place[a]) for a in value.axes]
        numbers = np.broadcast_to(value.numbers, self._lengths(value.axes))
        part = numbers[tuple(slice(None) if c is None else c for c in picked)]
        left = Value(part, tuple(a for a, c in zip(value.axes, picked, strict=True) if c is None))
        return np.broadcast_to(left.on(axes), self._lengths(axes))

    def _lengths(self, axes: Iterable[str]) -> tuple[int, ...]:
        return tuple(len(self.states.labels[a]) for a in axes)

    def _block(self, hidden: Sequence[str], values: Sequence[str]) -> Block:
        every = self._ordered((*hidden, *values))
        laws = {n: linear(self.dag, self.states, n, hidden) for n in every}
        axes = self._free(dict.fromkeys(a for law in laws.values() for a in law.axes))
        shape = self._lengths(axes)
        count = math.prod(shape)
        if count * len(every) ** 2 > LARGEST:
            some = ", ".join(axes[:6]) + (", ..." if len(axes) > 6 else "")
            raise FitError(
                f"the normal laws of {_some(hidden)} differ by the states of {len(axes)} discrete nodes "
                f"({some}): {count:.3g} combinations, {size_text(8 * count * len(every) ** 2)}; evidence on "
                "some of them makes it smaller, and simulate(draws=...) draws from the network instead"
            )
        mean, covariance = self._joint(every, laws, axes, count)
        own = [every.index(n) for n in hidden]
        shown = [every.index(n) for n in values]
        at = np.array([self.seen[n] for n in values])
        means, covariances, logs = conditioned(mean, covariance, own, shown, at)
        return Block(tuple(hidden), tuple(self.place[a] for a in axes), shape, means, covariances, logs)

    def _ordered(self, names: Iterable[str]) -> list[str]:
        inside = set(names)
        return [n for n in self.dag.order if n in inside]

    def _joint(
        self, every: Sequence[str], laws: Mapping[str, Linear], axes: Sequence[str], count: int
    ) -> tuple[Floats, Floats]:
        """Means and covariances of all nodes of a block, one after the other from the roots."""
        k = len(every)
        mean, covariance = np.zeros((count, k)), np.zeros((count, k, k))
        for i, name in enumerate(every):
            law = laws[name]
            mean[:, i] = self._at(law.offset, axes).reshape(-1)
            row = np.zeros((count, k))
            for parent, value in law.coefficients.items():
                row[:, every.index(parent)] = self._at(value, axes).reshape(-1)
            mean[:, i] += np.einsum("cj,cj->c", row, mean)
            cross = np.einsum("cj,cjl->cl", row, covariance)
            covariance[:, i, :] = cross
            covariance[:, :, i] = cross
            own = np.einsum("cl,cl->c", cross, row)
            covariance[:, i, i] = own + self._at(law.variance, axes).reshape(-1)
        return mean, covariance


def conditioned(
    mean: Floats, covariance: Floats, own: Sequence[int], shown: Sequence[int], at: Floats
) -> tuple[Floats, Floats, Floats]:
    """Means and covariances of some coordinates given others, and log densities of these, by row."""
    own, shown = list(own), list(shown)
    means = mean[:, own]
    covariances = covariance[:, own][:, :, own]
    if not shown:
        return means, covariances, np.zeros(len(mean))
    root = np.linalg.cholesky(covariance[:, shown][:, :, shown])
    away = np.linalg.solve(root, (at - mean[:, shown])[..., None])
    cross = np.linalg.solve(root, covariance[:, shown][:, :, own])
    logs = -0.5 * np.sum(away[..., 0] ** 2, axis=1)
    logs -= np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), axis=1) + 0.5 * len(shown) * math.log(
        2 * math.pi
    )
    turned = np.swapaxes(cross, 1, 2)
    return means + (turned @ away)[..., 0], covariances - turned @ cross, logs


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:4]) + (", ..." if len(names) > 4 else "")
