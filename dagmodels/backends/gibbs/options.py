"""The options of `method="gibbs"`, checked before anything is drawn."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagmodels.errors import FitError

if TYPE_CHECKING:
    from dagmodels.backends.gibbs.progress import Tell
    from dagmodels.bind.problem import Problem

CHAINS = 4
ROUTES = ("collapsed", "flat", "conditionals")
ROUNDS = 100  # of a run whose stop rule is never met


@dataclass(frozen=True, eq=False, slots=True)
class Options:
    """What a user may ask for.

    seed : of all random numbers. chains : how many. draws : kept of each. warmup : draws a chain before.
    thin : every how many are kept. monitor : names of the nodes whose draws are kept, None for all.
    inits : initial values by node over its plates, nan where none; one mapping, or a list, one a chain.
    target_accept : share of trajectories' acceptance; nearer to 1 for shorter steps. collapse : integrate
    what has a closed form; False draws all unknowns together. route : one of `ROUTES`, None for the best that
    the graph allows: "conditionals" draws element by element, "flat" all together by trajectories.

    executor : for the chains, instead of threads; processes too. progress : True for a line a second on
    standard error, or a function of a `Progress`; None for lines where that is a terminal.
    until : what must hold before the run ends, "ess_bulk > 1000 and seconds < 60" (see `stopping`); looked at
    after every `draws` draws. most : draws kept of each chain at which it ends anyhow, None for 100 rounds.
    checkpoint : a folder that the run is written to, and goes on from.
    store : a folder that ends in .zarr, or a NetCDF file in .nc, to which draws go as they come: none but the
    last stay in memory.
    """

    seed: int = 1
    chains: int = CHAINS
    draws: int = 1000
    warmup: int = 1000
    thin: int = 1
    monitor: tuple[str, ...] | None = None
    inits: Sequence[Mapping[str, Any]] = ()
    target_accept: float = 0.8
    collapse: bool = True
    route: str | None = None
    executor: Executor | None = None
    progress: bool | Tell | None = None
    until: str | None = None
    most: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    store: str | os.PathLike[str] | None = None

    @property
    def greatest(self) -> int:
        """Draws of each chain at which a run ends in any case."""
        if self.most is not None:
            return self.most
        return self.draws if self.until is None else ROUNDS * self.draws


def unknown_options(given: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each name that is no option."""
    for name in given:
        if told := _unknown(name):
            yield told


@lru_cache(maxsize=256)
def _unknown(name: str) -> str:
    """Why a name is no option; "" of those that are."""
    known = [f.name for f in fields(Options)]
    if name in known:
        return ""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
    return f"gibbs has no option {name!r}; {hint}"


def read_options(problem: Problem, given: Mapping[str, Any]) -> Options:
    """The options of a call; raises `FitError` for names and values that mean nothing."""
    for told in unknown_options(given):
        raise FitError(told)
    stated: dict[str, Any] = {**given, "monitor": _names(problem, given), "inits": _inits(problem, given)}
    found = Options(**stated)
    for name, least in (("chains", 1), ("draws", 1), ("warmup", 0), ("thin", 1)):
        value = getattr(found, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise FitError(f"{name}={value!r} must be a whole number, {least} or more")
    if found.route not in (None, *ROUTES):
        raise FitError(f"route={found.route!r} must be one of {', '.join(map(repr, ROUTES))}")
    _check_run(found)
    if not 0.0 < found.target_accept < 1.0:
        raise FitError(f"target_accept={found.target_accept!r} must lie between 0 and 1")
    return found


def _check_run(found: Options) -> None:
    """The options of long runs."""
    from dagmodels.backends.gibbs.stopping import read_stop

    read_stop(found.until)
    most = found.most
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise FitError(f"most={most!r} must be a whole number of draws, 1 or more")
    if most is not None and found.until is None:
        raise FitError("most= is the cap of a stop rule: give until= too, or write draws=")
    if found.progress is not None and not isinstance(found.progress, bool) and not callable(found.progress):
        raise FitError(f"progress={found.progress!r} must be True, False, or a function of one argument")
    if found.executor is not None and not isinstance(found.executor, Executor):
        raise FitError(f"executor={found.executor!r} must be an Executor of concurrent.futures, or like one")
    if found.checkpoint is not None and not isinstance(found.checkpoint, str | os.PathLike):
        raise FitError(f"checkpoint={found.checkpoint!r} must be the name of a folder")
    if found.store is not None:
        given = isinstance(found.store, str | os.PathLike) and os.fspath(found.store)
        if not given or not given.endswith((".zarr", ".nc")):
            raise FitError(
                f"store={found.store!r} must be the name of a folder that ends in .zarr, or of a file in .nc"
            )
        if given.endswith(".zarr"):
            from dagmodels.results.draws.files import check_place

            check_place(Path(found.store))


def _names(problem: Problem, given: Mapping[str, Any]) -> tuple[str, ...] | None:
    stated = given.get("monitor")
    if stated is None:
        return None
    names = (stated,) if isinstance(stated, str) else tuple(stated)
    for name in names:
        if name not in problem.graph.nodes:
            near = difflib.get_close_matches(name, problem.graph.nodes, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise FitError(f"monitor: the model has no node '{name}'{hint}")
    return names


def _inits(problem: Problem, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    stated = given.get("inits")
    if stated is None:
        return ()
    found = (stated,) * int(given.get("chains", CHAINS)) if isinstance(stated, Mapping) else tuple(stated)
    for own in found:
        for name in own:
            if name not in problem.graph.nodes:
                near = difflib.get_close_matches(name, problem.graph.nodes, 1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise FitError(f"inits: the model has no node '{name}'{hint}")
    return found
