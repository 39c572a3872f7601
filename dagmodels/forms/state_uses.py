"""How log densities of rows enter the states of slices, and layers of latents that all slices share.

Slices that differ in what was observed alone share the laws of their latents. States are then grouped by
what the slices' own rows can tell apart: the shared laws are summed within groups once, and each slice sums
over groups. Of two layers of 8 and 4 binary latents below images, 256 groups of 16 states each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.state_sums import normalise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEW = 16  # states of a slice below which nothing is grouped
DENSE, MOST = 0.1, 1 << 22  # share of entries from which counts are kept whole, and how many at most


@dataclass(frozen=True, eq=False, slots=True)
class Use:
    """How a part enters the evidence of slices, or the tables of transitions.

    part : its position. counts : sparse (slices, kinds), how many rows of each kind a slice has; None where
        slice i has row i alone, 1 where all slices have the one row that there is.
    states : for each state of a slice the state of the part.
    """

    part: int
    counts: Any
    states: Ints
    turned: Any = field(init=False, repr=False)
    quick: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sparse = self.counts is not None and not self.single
        object.__setattr__(self, "turned", self.counts.T.tocsr() if sparse else None)
        full = sparse and self.counts.nnz >= DENSE * np.prod(self.counts.shape) <= MOST
        object.__setattr__(self, "quick", self.counts.toarray() if full else self.counts)

    def gathered(self, density: Floats) -> Floats:
        """The share of (slices, states)."""
        own = density
        if self.counts is not None and not self.single:  # an impossible state times no row would be nan
            own = (self.quick if np.isfinite(density).all() else self.counts) @ density
        return own if self._plain(density.shape[1]) else own[:, self.states]

    def _plain(self, count: int) -> bool:
        return self.states.size == count and np.array_equal(self.states, np.arange(count))

    @property
    def single(self) -> bool:
        """Whether all slices have the one row that there is."""
        return isinstance(self.counts, int)

    @property
    def shared(self) -> bool:
        """Whether all slices have the same rows."""
        if self.counts is None or self.single:
            return self.single
        lengths = np.diff(self.counts.indptr)
        if self.counts.shape[0] < 2 or (lengths != lengths[0]).any():
            return self.counts.shape[0] < 2
        shape = (len(lengths), int(lengths[0]))
        same = (self.counts.indices.reshape(shape) == self.counts.indices[: shape[1]]).all()
        return bool(same and (self.counts.data.reshape(shape) == self.counts.data[: shape[1]]).all())

    def returned(self, posterior: Floats, count: int) -> Floats:
        """Weights of the part's (kinds, states) from those of (slices, states)."""
        wide = posterior.sum(axis=0, keepdims=True) if self.single else posterior
        if not self._plain(count):
            order = np.argsort(self.states, kind="stable")
            used, first = np.unique(self.states[order], return_index=True)
            folded = np.zeros((wide.shape[0], count))
            folded[:, used] = np.add.reduceat(wide[:, order], first, axis=1)
            wide = folded
        if self.counts is None or self.single:
            return wide
        return self.quick.T @ wide if isinstance(self.quick, np.ndarray) else self.turned @ wide


@dataclass(frozen=True, eq=False, slots=True)
class Summed:
    """log_sums : of slices. weights : expected rows, by part. posterior : of all states, if asked."""

    log_sums: Floats
    weights: tuple[tuple[int, Floats], ...]
    posterior: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Layers:
    """States of slices in groups that the slices' own rows tell apart.

    group : of each state. own : uses of what slices have by themselves, their states those of the groups.
    shared : uses of what all have, one row for all.
    """

    group: Ints
    own: tuple[Use, ...]
    shared: tuple[Use, ...]

    def summed(self, densities: Sequence[Floats], weights: Floats, whole: bool) -> Summed:
        """The sums over states of one class of slices.

        weights : how many slices each stands for.
        """
        common, top = self._common(densities)
        groups = top.size
        with np.errstate(invalid="ignore"):
            inside = np.where(np.isfinite(common), np.exp(common - top[self.group]), 0.0)
        size = np.bincount(self.group, inside, groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            evidence = np.log(size) + top
            inside = np.where(inside > 0, inside / size[self.group], 0.0)
        shares = [use.gathered(densities[use.part]) for use in self.own]
        found = np.ascontiguousarray(np.broadcast_to(evidence, (weights.size, groups)) + sum(shares))
        log_sums = np.empty(weights.size)
        normalise(found, log_sums)
        counted = found if (weights == 1.0).all() else found * weights[:, None]
        back = [(u.part, u.returned(counted, densities[u.part].shape[1])) for u in self.own]
        every = (counted.sum(axis=0)[self.group] * inside)[None, :]
        back += [(u.part, u.returned(every, densities[u.part].shape[1])) for u in self.shared]
        posterior = found[:, self.group] * inside if whole else np.zeros((0, self.group.size))
        return Summed(log_sums, tuple(back), posterior)

    def best(self, densities: Sequence[Floats]) -> Ints:
        """The most probable state of each slice."""
        common, top = self._common(densities)
        order = np.lexsort((-common, self.group))
        first = order[np.searchsorted(self.group[order], np.arange(top.size))]
        return first[(top + sum(use.gathered(densities[use.part]) for use in self.own)).argmax(axis=1)]

    def _common(self, densities: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Log density by state of what all slices share, and its largest by group."""
        common = np.zeros(self.group.size)
        for use in self.shared:
            common += use.gathered(densities[use.part])[0]
        top = np.full(int(self.group.max()) + 1, -np.inf)
        np.maximum.at(top, self.group, common)
        return common, top


def layers(uses: Sequence[Use], states: int) -> Layers | None:
    """The groups, where there are at most half as many as states."""
    if states < FEW:
        return None
    shared = [u for u in uses if u.shared]
    own = [u for u in uses if not u.shared]
    if not shared or not own:
        return None
    keys = np.stack([u.states for u in own])
    _, first, group = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    if 2 * first.size > states:
        return None
    once = [u if u.single else replace(u, counts=u.counts[[0]]) for u in shared]
    return Layers(group.reshape(-1), tuple(replace(u, states=u.states[first]) for u in own), tuple(once))
