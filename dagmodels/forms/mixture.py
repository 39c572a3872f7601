"""The `mixture` form: slices of discrete latents, the evidence on each of their states, and chains of slices.

The log density of what is observed is a sum over slices (or chains of them) of the logarithm of a sum over
states. The tape holds log densities by row and state; sparse counts say which of them meet in a slice. By
Fisher's identity (Louis 1982, JRSS B 44:226) the gradient of the observed log density is that of the complete
one, averaged over the states' posterior: one pass back through the tape, seeded with the posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.direct import Direct
from dagmodels.forms.flat import Flat
from dagmodels.forms.leaves import Leaf, Values
from dagmodels.forms.sites import Site
from dagmodels.forms.slices import SliceClass
from dagmodels.forms.state_uses import Layers, Use, layers
from dagmodels.forms.states import Expanded, Latents
from dagmodels.numerics.state_sums import best_paths, forward_backward, normalise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Log densities of rows of one site that touch the same latents, in each of their joint states.

    site : one row of each kind of rows that differ in nothing but their slice. kind : of each row.
    touched : (rows, columns) elements, without columns where all is known. expanded : the kinds' rows times
        states. place : in the workspace, (kinds, states) flat, or one number for all.
    arguments : of the law by name, places in the workspace. direct : those that are single unknowns.
    own : the values themselves: (kinds, 1) data, (kinds, entries) vectors, or (kinds, states) of a latent.
    leaf : densities that need no entry a row on the tape; then `place` is empty.
    codes : of rows that touch no latent, the elements of their plates.
    """

    site: Site
    kind: Ints
    touched: Ints
    expanded: Expanded
    place: slice
    arguments: Mapping[str, slice]
    direct: Mapping[str, tuple[Direct, ...]]
    own: Floats
    leaf: Leaf | None = None
    codes: Mapping[str, Ints] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether no latent is touched: each row counts once."""
        return self.touched.shape[1] == 0

    @property
    def kinds(self) -> int:
        """How many rows there are that differ."""
        return self.site.rows.n

    def density(self, w: Floats, values: Values) -> Floats:
        """(kinds, states) log densities."""
        if self.leaf is not None:
            return self.leaf.density(values)
        shape = (self.kinds, self.expanded.states)
        return (
            np.broadcast_to(w[self.place].reshape(-1), shape)
            if _single(self)
            else w[self.place].reshape(shape)
        )

    def seed(self, bar: Floats, weights: Floats, values: Values, nodes: Mapping[str, slice]) -> None:
        """Write (kinds, states) weights where the densities' adjoints stand."""
        if self.leaf is not None:

            def add(node: str, places: Ints, slopes: Floats) -> None:
                np.add.at(bar[nodes[node]], places, slopes)

            self.leaf.seed(weights, values, add)
            return
        bar[self.place] += weights.sum() if _single(self) else weights.reshape(-1)


def _single(part: Part) -> bool:
    return part.place.stop - part.place.start == 1


@dataclass(frozen=True, eq=False, slots=True)
class Sums:
    """One class of slices.

    slices : all of them. weights : how many slices each distinct one stands for. distinct : which one
        stands for each slice. uses : of evidence.
    moves : uses of the transitions' tables, () where slices stand alone. table : which leads to each slice.
    layers : what all slices share, where that is summed first.
    """

    slices: SliceClass
    weights: Floats
    distinct: Ints
    uses: tuple[Use, ...]
    moves: tuple[Use, ...] = ()
    table: Ints | None = None
    layers: Layers | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = None if self.table is not None else layers(self.uses, self.slices.states)
        object.__setattr__(self, "layers", found)

    @property
    def chained(self) -> bool:
        """Whether slices follow one another."""
        return self.table is not None


@dataclass(frozen=True, eq=False, slots=True)
class Expected:
    """The E-step: what the states probably are, given all data.

    log_density : of what is observed, priors of unknowns included; minus infinity where impossible.
    weights : by part, (kinds, states) expected numbers of rows.
    posterior : by class, (distinct slices, states). log_sums : by class, of each distinct slice (of a chain
        at its first slice, zero at the others).
    """

    log_density: float
    weights: tuple[Floats, ...]
    posterior: tuple[Floats, ...]
    log_sums: tuple[Floats, ...]


@dataclass(frozen=True, eq=False, slots=True)
class MixtureForm:
    """A mixture's log density over the unconstrained numbers of its continuous unknowns.

    flat : unknowns, their scale, and the factors that touch no latent. latents : the discrete ones.
    parts, sums : log densities by row and state, and what they are summed over. observations : as bic counts.
    """

    flat: Flat
    latents: Latents
    parts: tuple[Part, ...]
    sums: tuple[Sums, ...]
    observations: int

    def workspace(self, y: Floats) -> Floats:
        """The tape's numbers at a point."""
        w = self.flat.tape.initial.copy()
        w[: self.flat.size] = y
        self.flat.tape.forward(w)
        return w

    def densities(self, w: Floats) -> tuple[Floats, ...]:
        """Of all parts, (kinds, states)."""
        values = self._values(w)
        return tuple(part.density(w, values) for part in self.parts)

    def _values(self, w: Floats) -> Values:
        nodes = self.flat.nodes
        return lambda name: w[nodes[name]]

    def expected(self, y: Floats, whole: bool = True) -> Expected:
        """The E-step at an unconstrained point; whole : see `expected_of`."""
        w = self.workspace(y)
        return self.expected_of(self.densities(w), float(w[self.flat.joint]), whole)

    def expected_of(self, densities: tuple[Floats, ...], others: float, whole: bool = True) -> Expected:
        """The E-step from log densities of the parts and the sum of all other factors.

        whole : the posterior of every state is asked for; else it is left out where layers are summed first.
        """
        weights = [self._certain(p) for p in self.parts]
        total, posterior, log_sums = others, [], []
        for part, density, weight in zip(self.parts, densities, weights, strict=True):
            if part.known:
                total += float(np.sum(weight * density))
        for sums in self.sums:
            if sums.layers is not None:
                part = sums.layers.summed(densities, sums.weights, whole)
                total += float(sums.weights @ part.log_sums)
                for p, more in part.weights:
                    weights[p] = weights[p] + more
                posterior.append(part.posterior)
                log_sums.append(part.log_sums)
                continue
            evidence = self.evidence(sums, densities)
            found = np.empty(len(evidence))
            if sums.chained:
                assert sums.table is not None
                tables = np.exp(self.tables(sums, densities))
                moves = np.zeros_like(tables)
                forward_backward(evidence, tables, sums.table, sums.slices.start, found, moves)
                for use in sums.moves:
                    flat = moves.reshape(len(moves), -1)
                    weights[use.part] += use.returned(flat, self.parts[use.part].expanded.states)
            else:
                normalise(evidence, found)
            total += float(sums.weights @ found)
            posterior.append(evidence)
            log_sums.append(found)
            counted = evidence if (sums.weights == 1.0).all() else evidence * sums.weights[:, None]
            for use in sums.uses:
                more = use.returned(counted, self.parts[use.part].expanded.states)
                weights[use.part] = weights[use.part] + more if weights[use.part].any() else more
        if not np.isfinite(total):
            total = -np.inf if np.isnan(total) or total < 0 else total
        return Expected(total, tuple(weights), tuple(posterior), tuple(log_sums))

    def _certain(self, part: Part) -> Floats:
        """Numbers of rows by kind where nothing is latent, else zeros to add to."""
        if part.known:
            return np.bincount(part.kind, minlength=part.kinds).astype(np.float64)[:, None]
        return np.zeros((part.kinds, part.expanded.states))

    def evidence(self, sums: Sums, densities: tuple[Floats, ...]) -> Floats:
        """(distinct slices, states) sums of log densities of a class."""
        shape = (sums.weights.size, sums.slices.states)
        shares = [use.gathered(densities[use.part]) for use in sums.uses]
        whole = next((s for s in shares if s.shape == shape), None)
        found = np.zeros(shape) if whole is None else whole.copy()
        for share in shares:
            if share is not whole:
                found += share
        return found

    def tables(self, sums: Sums, densities: tuple[Floats, ...]) -> Floats:
        """(tables, states, states) log transition weights of a class of chains."""
        s = sums.slices.states
        found = sum(use.gathered(densities[use.part]) for use in sums.moves)
        return np.ascontiguousarray(np.asarray(found).reshape(-1, s, s))

    def value_and_gradient(self, y: Floats) -> tuple[float, Floats]:
        """The observed log density (priors on their declared scale) and its exact gradient in y."""
        w = self.workspace(y)
        found = self.expected_of(self.densities(w), float(w[self.flat.joint]), whole=False)
        return found.log_density, self._gradient(w, found.weights)

    def complete(self, y: Floats, weights: tuple[Floats, ...]) -> tuple[float, Floats]:
        """The expected complete log density at given weights, and its gradient."""
        w = self.workspace(y)
        value = float(w[self.flat.joint])
        for density, weight in zip(self.densities(w), weights, strict=True):
            value += float(np.sum(np.where(weight > 0, weight * density, 0.0)))
        return value, self._gradient(w, weights)

    def _gradient(self, w: Floats, weights: tuple[Floats, ...]) -> Floats:
        bar = np.zeros_like(w)
        bar[self.flat.joint] = 1.0
        for part, weight in zip(self.parts, weights, strict=True):
            part.seed(bar, weight, self._values(w), self.flat.nodes)
        self.flat.tape.reverse(w, bar)
        return bar[: self.flat.size].copy()

    def paths(self, y: Floats) -> tuple[Ints, ...]:
        """By class, the most probable joint state of each slice: of chains the best whole path."""
        densities = self.densities(self.workspace(y))
        found = []
        for sums in self.sums:
            if sums.layers is not None:
                found.append(sums.layers.best(densities)[sums.distinct])
                continue
            evidence = self.evidence(sums, densities)
            if sums.chained:
                assert sums.table is not None
                path = np.zeros(len(evidence), dtype=np.int64)
                best_paths(evidence, self.tables(sums, densities), sums.table, sums.slices.start, path)
            else:
                path = evidence.argmax(axis=1)
            found.append(path[sums.distinct])
        return tuple(found)
