"""Chains: each by its own random numbers, on any executor; the same draws whatever draws them.

A chain is drawn in whole units of work, each with the random numbers of (seed, chain, unit).  What a unit
gives beyond the draws asked for is kept, so that a chain which goes on later is that of one long run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.gibbs.route import Part, Route
from dagmodels.numerics.sampling.streams import stream

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """A chain so far.

    units : of work done, the warm-up being number 0; the next one's number. drawn : draws after warm-up, kept
    or not. parts : the kept draws, or the last of them. stored : draws of this run before `parts`, which are
    kept elsewhere (below zero where `parts` begin with draws of an earlier run).
    """

    number: int
    state: Any = None
    units: int = 0
    drawn: int = 0
    parts: tuple[Part, ...] = ()
    stored: int = 0

    @property
    def kept(self) -> int:
        """Draws of this run."""
        return self.stored + sum(p.draws for p in self.parts)

    def after(self, done: Done) -> Chain:
        """With a further unit."""
        parts = self.parts if done.part is None else (*self.parts, done.part)
        return Chain(self.number, done.state, self.units + 1, self.drawn + done.drawn, parts, self.stored)

    def after_all(self, draws: int, *, stored: bool) -> Chain:
        """As a further run begins with it: so many draws counted no more, dropped where nothing is stored."""
        return replace(self, stored=self.stored - draws) if stored else self.without(draws)

    def without(self, draws: int) -> Chain:
        """With so many of the first draws left out of `parts`."""
        left, parts = draws, list[Part]()
        for part in self.parts:
            gone = min(left, part.draws)
            left -= gone
            if gone < part.draws:
                parts.append(part.rows(slice(gone, None)).copy() if gone else part)
        return replace(self, parts=tuple(parts))


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """The next unit of work of a chain; `drawn` and `thin` say which draws are kept."""

    seed: int
    chain: int
    unit: int
    state: Any
    drawn: int
    thin: int


@dataclass(frozen=True, eq=False, slots=True)
class Done:
    """A unit of work: the state after it, the draws made and, but of a warm-up, those kept."""

    state: Any
    drawn: int
    part: Part | None


def worked(route: Route, task: Task) -> Done:
    """Warm-up, or `route.unit` draws."""
    rng = stream(task.seed, task.chain, task.unit)
    if task.unit == 0:
        return Done(route.begin(rng, task.chain), 0, None)
    state, part = route.draw(task.state, rng, route.unit)
    keep = slice((-task.drawn - 1) % task.thin, None, task.thin)  # draws thin, 2 thin, ... counted from 1
    return Done(state, route.unit, part if task.thin == 1 else part.rows(keep).copy())


Submit = Callable[[Task], Future[Done]]
After = Callable[[Chain, Done], Chain]
"""Called in the caller's thread after each unit; gives the chain to go on with."""
Going = Callable[[Sequence[Chain]], bool]
"""Called now and then in the caller's thread: whether to go on."""
PATIENCE = 0.25  # seconds between calls of `going` while no unit ends


def advanced(
    submit: Submit, chains: Sequence[Chain], draws: int, seed: int, thin: int, after: After, going: Going
) -> tuple[Chain, ...]:
    """The chains, each with at least so many draws in `parts`; fewer where `going` ended it.

    Whatever is raised, Ctrl-C too, leaves what was not begun undone; units in work end by themselves.
    """
    found = {c.number: c for c in chains}
    busy: dict[Future[Done], int] = {}

    def send(chain: Chain) -> None:
        if chain.kept < draws:
            task = Task(seed, chain.number, chain.units, chain.state, chain.drawn, thin)
            busy[submit(task)] = chain.number

    try:
        on = going(chains)
        for chain in chains if on else ():
            send(chain)
        while busy:
            ended, _ = wait(busy, PATIENCE, FIRST_COMPLETED)
            for future in ended:
                number, done = busy.pop(future), future.result()
                found[number] = after(found[number].after(done), done)
            on = on and going(tuple(found.values()))
            if on:
                for number in {c.number for c in found.values()} - set(busy.values()):
                    send(found[number])
    except BaseException:
        for future in busy:
            future.cancel()
        raise
    return tuple(found.values())


def stacked(
    chains: Sequence[Chain], draws: int, nodes: Collection[str] | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Values (of some nodes, or of all) and statistics of so many first draws of all chains: (chains, draws,
    ...)."""

    def joined(of: Callable[[Part], Arrays], wanted: Collection[str] | None) -> dict[str, NDArray[Any]]:
        names = [n for n in of(chains[0].parts[0]) if wanted is None or n in wanted]
        return {n: _stacked([[of(p)[n] for p in c.parts] for c in chains], draws) for n in names}

    return joined(lambda p: p.values, nodes), joined(lambda p: p.statistics, None)


def _stacked(parts: Sequence[Sequence[NDArray[Any]]], count: int) -> NDArray[Any]:
    """So many first rows of the parts of each chain, copied once."""
    like = parts[0][0]
    found = np.empty((len(parts), count, *like.shape[1:]), like.dtype)
    for own, chain in zip(found, parts, strict=True):
        at = 0
        for part in chain:
            own[at : at + len(part)] = part[: count - at]
            at += min(len(part), count - at)
    return found
