"""Who does the units of work: threads of this process, or any executor, processes included."""

from __future__ import annotations

import os
from collections.abc import Generator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from dagmodels.backends.gibbs.engine import Done, Submit, Task, worked
from dagmodels.backends.gibbs.recipe import Packed, Recipe, unpacked
from dagmodels.backends.gibbs.route import Route


@contextmanager
def crew(recipe: Recipe, route: Route, executor: Executor | None) -> Generator[Submit]:
    """What takes a unit of work.

    executor : None for threads of our own, no more than there are chains and processors. Executors that are
    no threads get the recipe, and make the route themselves.

    Units in work when something is raised end by themselves; nobody waits for them.
    """
    if executor is not None:
        own = isinstance(executor, ThreadPoolExecutor)
        work = partial(worked, route) if own else partial(worked_elsewhere, recipe.packed())
        yield partial(executor.submit, work)
        return
    threads = min(recipe.chains, processors())
    if threads == 1:
        yield partial(_now, route)
        return
    pool = ThreadPoolExecutor(threads, "gibbs")
    try:
        yield partial(pool.submit, partial(worked, route))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def worked_elsewhere(packed: Packed, task: Task) -> Done:
    """A unit of work in another process."""
    return worked(unpacked(packed), task)


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _now(route: Route, task: Task) -> Future[Done]:
    found: Future[Done] = Future()
    found.set_result(worked(route, task))
    return found
