"""Rounds of draws until enough: after each the stop rule looks at what there is."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from dagmodels.backends.gibbs.checkpoint import Checkpoint
from dagmodels.backends.gibbs.engine import Chain, Done, Submit, advanced, stacked
from dagmodels.backends.gibbs.keeping import Keeper
from dagmodels.backends.gibbs.options import Options
from dagmodels.backends.gibbs.progress import Reporter, teller
from dagmodels.backends.gibbs.recipe import Recipe
from dagmodels.backends.gibbs.route import Route
from dagmodels.backends.gibbs.stopping import Stop, read_stop
from dagmodels.errors import FitError
from dagmodels.results.draws.draws import Draws
from dagmodels.results.draws.stored import Told, diagnosed, diagnosed_if

Known = tuple[Draws, Told]
FEW = 16  # elements of a small node


@dataclass(frozen=True, eq=False, slots=True)
class Ended:
    """chains : at the end, with at least so many `draws` of this run. because : why it ended.
    warnings : what a reader must know, such as a goal that was not reached. known : all draws with their
    diagnosis, where the stop rule asked for it."""

    chains: tuple[Chain, ...]
    draws: int
    because: str
    warnings: tuple[str, ...] = ()
    known: Known | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Rounds:
    """A run. size : draws of a round. most : draws of each chain, those before included, after which it ends.
    before : draws that the chains follow."""

    recipe: Recipe
    route: Route
    stop: Stop
    size: int
    most: int
    submit: Submit
    checkpoint: Checkpoint | None
    reporter: Reporter
    before: Draws | None
    keeper: Keeper | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        route: Route,
        asked: Options,
        submit: Submit,
        checkpoint: Checkpoint | None,
        before: Draws | None,
        keeper: Keeper | None = None,
    ) -> Rounds:
        most, made = asked.greatest, 0 if before is None else before.draws
        reporter, stop = Reporter(teller(asked.progress)), read_stop(asked.until)
        if asked.most is None:
            most += made
        elif most <= made:
            raise FitError(f"most={most} is no more than the {made:,} draws of each chain there are")
        return cls(recipe, route, stop, asked.draws, most, submit, checkpoint, reporter, before, keeper)

    @property
    def made(self) -> int:
        """Draws of each chain before this run."""
        return 0 if self.before is None else self.before.draws

    def run(self, chains: Sequence[Chain]) -> Ended:
        """Draw until all goals are reached, the time is up, or the most draws are there."""
        limit, goal = self.most - self.made, 0
        found = tuple(chains)
        while True:
            goal = min(goal + self.size, limit)
            found = self._round(found, goal)
            draws = kept(found, goal)
            if draws < goal:
                return self._out_of_time(found, draws)
            if not self.stop.goals:
                if goal == limit or math.isinf(self.stop.seconds):
                    return Ended(found, draws, f"{self.made + draws:,} draws of each chain")
                continue
            goals = " and ".join(map(str, self.stop.goals))
            if goal == limit:
                return self._ended(found, draws, goals, f"most={self.most:,} draws of each chain")
            if (known := self._known(found, draws)) is not None:
                return Ended(found, draws, goals, known=known)

    def _known(self, chains: Sequence[Chain], draws: int) -> Known | None:
        """The draws, if all goals are reached; those of small nodes, which are slow, are looked at first."""
        few = [n for n, v in chains[0].parts[-1].values.items() if v[0].size <= FEW]
        if few and self.keeper is None:
            before = None if self.before is None else self.before.monitored(few)
            if not self._reached(diagnosed(drawn(self.recipe, self.route, chains, draws, before, few))):
                return None
        every = self.drawn(chains, draws)
        told = diagnosed_if(every, self._reached)
        return None if told is None else (every, told)

    def _reached(self, told: Told) -> bool:
        return not self.stop.missed(*told)

    def _round(self, chains: Sequence[Chain], goal: int) -> tuple[Chain, ...]:
        seed, thin = self.recipe.seed, self.recipe.thin
        going = partial(self._going, goal)
        return advanced(self.submit, chains, goal, seed, thin, self._after, going)

    def _after(self, chain: Chain, done: Done) -> Chain:
        if self.checkpoint is not None:
            self.checkpoint.add(chain, done)
        return chain if self.keeper is None else self.keeper.taken(chain)

    def drawn(self, chains: Sequence[Chain], draws: int) -> Draws:
        """So many draws of this run, after those before."""
        if self.keeper is not None:
            return self.keeper.kept(chains, draws)
        return drawn(self.recipe, self.route, chains, draws, self.before)

    def _going(self, goal: int, chains: Sequence[Chain]) -> bool:
        done = kept(chains, goal)
        if self.keeper is not None:
            self.keeper.tell(chains)

        def sofar() -> Draws | None:
            if self.keeper is not None:
                return self.keeper.so_far() if self.keeper.store.length else self.before
            return drawn(self.recipe, self.route, chains, done, self.before) if done else self.before

        self.reporter.look(sofar, self.made + done, self.made + goal, len(chains))
        return done == 0 or self.reporter.seconds < self.stop.seconds

    def _out_of_time(self, chains: tuple[Chain, ...], draws: int) -> Ended:
        because = f"seconds < {self.stop.seconds:g}"
        if not self.stop.goals:
            return Ended(chains, draws, because)
        return self._ended(chains, draws, because, because)

    def _ended(self, chains: tuple[Chain, ...], draws: int, reached: str, otherwise: str) -> Ended:
        """With the reason for either case: whether the goals are reached by now."""
        every = self.drawn(chains, draws)
        known = every, diagnosed(every)
        if not (missed := self.stop.missed(*known[1])):
            return Ended(chains, draws, reached, known=known)
        told = f"the run ended by {otherwise}, before {' and '.join(missed)}"
        return Ended(chains, draws, otherwise, (f"{told}; go on by fit.extend(n, until=...)",), known)


def kept(chains: Sequence[Chain], most: int) -> int:
    """Draws that all chains have."""
    return min(most, min(c.kept for c in chains))


def drawn(
    recipe: Recipe,
    route: Route,
    chains: Sequence[Chain],
    draws: int,
    before: Draws | None,
    nodes: Collection[str] | None = None,
) -> Draws:
    """So many draws of the chains, after those before; of some nodes, or of all."""
    values, statistics = stacked(chains, draws, nodes)
    options = {"seed": recipe.seed, "warmup": route.warmup, "thin": recipe.thin}
    found = Draws.of(recipe.problem, values, statistics=statistics, **options)
    return found if before is None else before.then(found)
