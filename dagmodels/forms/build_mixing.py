"""Problem -> MixingForm: factors that read a latent of unknown distribution, merged where rows are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError
from dagmodels.forms.alike import alike
from dagmodels.forms.build_flat import Factor, FlatBuilder
from dagmodels.forms.lower import NotLowered
from dagmodels.forms.mixing import MixingForm, Part
from dagmodels.forms.sites import Site
from dagmodels.forms.states import Latents, StateLowering, depending
from dagmodels.forms.touches import touches
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Read:
    """A site's rows that read the latent: one of each kind, its register, kind and element of every row."""

    site: Site
    register: int
    kinds: int
    kind: Ints
    element: Ints


class MixingBuilder(FlatBuilder):
    """Builds one mixing form; see `build_mixing`. needs_data : refuse a latent that no data tell of."""

    needs_data = True

    def __init__(self, problem: Problem, node: str) -> None:
        dag = problem.graph
        outer = [
            n
            for n, found in dag.nodes.items()
            if found.kind == "parameter" or (found.role == "latent" and n != node)
        ]
        super().__init__(problem, outer)
        self.everything, self.latent = True, node
        counted = Latents.of(problem, {node: 1})
        self.touching = StateLowering(counted, Recorder(), self._node, depending(dag, counted.first))
        self.read: list[Read] = []
        self.aside: list[Factor] = []

    def build_form(self) -> MixingForm:
        """See `build_mixing`."""
        flat = self.build()
        if not self.read and self.needs_data:
            raise NotLowered(f"no value was observed that depends on '{self.latent}'")
        firsts = np.cumsum([0, *(r.kinds for r in self.read)]).tolist()
        parts = tuple(
            Part(r.site, flat.tape.place(r.register), first, r.kinds, r.kind, r.element)
            for r, first in zip(self.read, firsts, strict=False)
        )
        size = int(np.prod(self.problem.shape(self.latent), dtype=np.int64))
        aside = tuple((flat.tape.place(f.register), f.times) for f in self.aside)
        return MixingForm(flat, self.latent, parts, *_units(parts, size, self._repeats(size)), aside)

    def _repeats(self, size: int) -> Floats:
        """How often each element of the latent occurs."""
        plates = self.graph.nodes[self.latent].plates
        for plate, counts in self.problem.repeats.items():
            if plates != (plate,) or self.aside:
                raise NotLowered(
                    f"'{self.latent}' is not of the plate '{plate}' of the rows alone, whose equal elements "
                    "were counted: the data are needed in one piece"
                )
            return counts
        return np.ones(size)

    def kept(self) -> list[int]:
        """Registers of the rows, which the tape must hold."""
        self.lowering.node(self.latent)
        return [r.register for r in (*self.read, *self.aside)]

    def _factor(self, site: Site) -> None:
        name = site.names[0]
        if name == self.latent:
            return
        if self.graph.nodes[name].role != "observed":
            super()._factor(site)  # a prior
            return
        site = self._seen(site)
        if not site.rows.n:
            return
        found = touches(self.touching, site)
        if not found.elements:
            known = len(self.factors)
            super()._factor(site)
            self.aside.extend(self.factors[known:])
            return
        element = _element(found.elements, name, self.latent)
        own = self.problem.values[name].reshape(-1)[site.places]
        first = kind = np.arange(site.rows.n)
        if found.alike:
            first, kind = alike([*found.reads, *own.T], site.rows.n)
        base = site.at(first)
        try:
            register = self.density(base).value.register
        except (NotLowered, ModelError) as error:
            if f"'{name}'" in str(error):
                raise
            raise NotLowered(f"'{name}' has no tape form: {error}") from error
        self.recorder.start(register)
        self.read.append(Read(base, register, first.size, kind, element))

    def element(self, site: Site) -> Ints | None:
        """The element of the latent that each row of a site reads; None where none does."""
        columns = touches(self.touching, site).elements
        return _element(columns, site.names[0], self.latent) if columns else None

    def _seen(self, site: Site) -> Site:
        """The rows whose own value is given."""
        name = site.names[0]
        missing = ~self.problem.observed[name].reshape(-1)[site.places]
        if not missing.any():
            return site
        if self.graph.children[name] or (missing.any(axis=1) & ~missing.all(axis=1)).any():
            raise NotLowered(
                f"'{name}' misses values, and others depend on them or on part of a vector: these are not "
                "integrated beside an unknown distribution"
            )
        return site.at(np.flatnonzero(~missing.any(axis=1)))


def _element(columns: Sequence[Ints], name: str, latent: str) -> Ints:
    """The one element that each row reads."""
    element = np.max(columns, axis=0)
    if any(((c >= 0) & (c != element)).any() for c in columns):
        raise NotLowered(
            f"a row of '{name}' reads two elements of '{latent}': each row must depend on one of them, so "
            "that units are independent"
        )
    if (element < 0).any():
        raise NotLowered(f"some rows of '{name}' read '{latent}', others do not: write two statements")
    return element


def _units(parts: Sequence[Part], size: int, repeats: Floats) -> tuple[object, Floats, Ints]:
    """Which units differ: their rows by kind, how often each occurs, and the unit of each element."""
    from scipy.sparse import csr_array

    if not parts:
        return None, np.zeros(0), np.full(size, -1)
    seen = np.zeros(size, dtype=np.int64)
    codes = np.random.default_rng(1).integers(0, 2**62, (2, sum(p.kinds for p in parts)), dtype=np.uint64)
    sums = np.zeros((2, size), dtype=np.uint64)
    for part in parts:  # equal sums of random codes, modulo 2^64, are equal sets of rows
        seen += np.bincount(part.element, minlength=size)
        for code, total in zip(codes, sums, strict=True):
            np.add.at(total, part.element, code[part.first + part.kind])
    present = np.flatnonzero(seen)
    first, which = alike(sums[:, present], present.size)
    unit_of = np.full(size, -1)
    unit_of[present] = which
    chosen = np.full(size, -1)
    chosen[present[first]] = np.arange(first.size)
    rows, columns = [], []
    for part in parts:
        unit = chosen[part.element]
        mine = np.flatnonzero(unit >= 0)
        rows.append(unit[mine])
        columns.append(part.first + part.kind[mine])
    row, column = np.concatenate(rows), np.concatenate(columns)
    uses = csr_array((np.ones(row.size), (row, column)), shape=(first.size, codes.shape[1]))
    uses.sum_duplicates()
    counts = np.bincount(which, repeats[present], first.size)
    alone = uses.shape[0] == uses.shape[1] == row.size and np.array_equal(row, column)
    return None if alone else uses, counts, unit_of


def build_mixing(problem: Problem, node: str) -> MixingForm:
    """The log likelihoods of units by the value of `node`, a latent of unknown distribution.

    Raises
    ------
    NotLowered : rows that read several elements, missing values on which others depend, no data.
    """
    builder = MixingBuilder(problem, node)
    try:
        return builder.build_form()
    except ModelError as error:
        raise NotLowered(str(error)) from error
