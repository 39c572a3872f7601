"""A run whose draws go to the disk as they come: chains hold no more than one chunk of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dagmodels.backends.gibbs.engine import Chain
from dagmodels.backends.gibbs.fingerprint import digest, fingerprint
from dagmodels.backends.gibbs.recipe import Recipe
from dagmodels.backends.gibbs.route import Part, Route
from dagmodels.errors import FitError
from dagmodels.results.draws.draws import Draws

if TYPE_CHECKING:
    from dagmodels.results.draws.records import RecordStore
    from dagmodels.results.draws.store import Store


@dataclass
class Keeper:
    """Takes draws from chains.

    made : draws of each chain before this run, which are in the store. like : one draw of the run, for names
    and shapes; None until there is one.
    """

    store: Store | RecordStore
    recipe: Recipe
    route: Route
    made: int = 0
    like: Draws | None = None

    def taken(self, chain: Chain) -> Chain:
        """The chain without the whole chunks that it has, which are written.

        Raises `FitError` where the disk refuses: what the store tells of stays.
        """
        if not chain.parts:
            return chain
        if self.like is None:
            self.like = like(self.recipe, self.route, chain.parts[0])
            if not self.store.begun:
                self.store.begin(self.like)
        size = self.store.block
        while sum(p.draws for p in chain.parts) >= size:
            self._put(chain, size)
            chain = replace(chain.without(size), stored=chain.stored + size)
        return chain

    def tell(self, chains: Sequence[Chain]) -> None:
        """Tell of all chunks that every chain has."""
        whole = self.made + min(c.stored for c in chains)
        if whole > self.store.length:
            self.store.commit(whole)

    def kept(self, chains: Sequence[Chain], draws: int) -> Draws:
        """So many draws of this run, and all before: the last, short chunk is written too."""
        end = self.made + draws
        for chain in chains:
            rest = end - self.made - chain.stored
            if rest > 0:
                self._put(chain, rest)
        self.store.commit(end)
        return self.so_far()

    def so_far(self) -> Draws:
        """What the store tells of."""
        assert self.like is not None
        return self.store.read(self.like)

    def _put(self, chain: Chain, count: int) -> None:
        """The first draws of the chain's parts as one chunk."""
        values, statistics = _first(chain.parts, count)
        self.store.put(chain.number, (self.made + chain.stored) // self.store.block, values, statistics)


def keeper(path: Path, recipe: Recipe, route: Route, before: Draws | None, *, again: bool) -> Keeper:
    """What keeps the draws of a run at a place.

    before : draws of an earlier run there, which this one goes on with. again : a checkpoint may go on with
    what is there.

    Raises `FitError` for a place that is taken, or of another run.
    """
    from dagmodels.results.draws import records, store

    reopened = records.reopened if path.suffix == ".nc" else store.reopened
    if path.exists() and before is None and not again:
        raise FitError(f"'{path}' is there already: name another place, or go on with the run by checkpoint=")
    run = digest(text=json.dumps(fingerprint(recipe), sort_keys=True, default=str))
    found = Keeper(reopened(path, run, recipe.chains), recipe, route)
    if before is not None:
        found.made = before.draws
        found.like = replace(
            before, values=_one(before.values), statistics=_one(before.statistics), place=None
        )
    return found


def like(recipe: Recipe, route: Route, part: Part) -> Draws:
    """One draw of each chain, all alike."""

    def every(arrays: Any) -> dict[str, Any]:
        return {n: np.repeat(v[None, :1], recipe.chains, axis=0) for n, v in arrays.items()}

    options = {"seed": recipe.seed, "warmup": route.warmup, "thin": recipe.thin}
    return Draws.of(recipe.problem, every(part.values), statistics=every(part.statistics), **options)


def _one(arrays: Any) -> dict[str, Any]:
    """Names, shapes and types alone."""
    return {n: np.zeros((v.shape[0], 1, *v.shape[2:]), v.dtype) for n, v in arrays.items()}


def _first(parts: Sequence[Part], count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    def joined(name: str) -> dict[str, Any]:
        each = [getattr(p, name) for p in parts]
        return {n: np.concatenate([e[n] for e in each])[:count] for n in each[0]}

    return joined("values"), joined("statistics")


__all__ = ["Keeper", "keeper"]
