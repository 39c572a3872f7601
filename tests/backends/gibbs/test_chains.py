"""Chains: the same draws whatever draws them and however often they are interrupted; thinning, monitors."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from dagmodels.errors import FitError
from tests.backends.gibbs.runs import TRAJECTORIES, WAYS, run, same


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("threads", [1, 4])
def test_the_same_seed_gives_the_same_draws_on_any_number_of_threads(way: dict[str, Any], threads: int):
    with ThreadPoolExecutor(threads) as pool:
        assert same(run(draws=150, executor=pool, **way), run(draws=150, **way))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_processes_give_the_same_draws(way: dict[str, Any]):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert isinstance(pool, Executor)
        assert same(run(draws=150, chains=2, executor=pool, **way), run(draws=150, chains=2, **way))


def test_chains_and_seeds_differ():
    mu = run(draws=50).samples["mu"]
    assert len(np.unique(mu)) == mu.size
    assert not np.isin(run(2, draws=50).samples["mu"], mu).any()


def test_more_chains_leave_the_others_as_they_are():
    two, three = (run(draws=50, chains=k).samples["theta"] for k in (2, 3))
    np.testing.assert_array_equal(two, three[:2])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("thin", "parts"), [(1, (30, 95, 1)), (3, (7, 33)), (1, (100, 100))])
def test_an_extended_fit_is_that_of_one_long_run(way: dict[str, Any], thin: int, parts: tuple[int, ...]):
    fit = run(draws=parts[0], thin=thin, **way)
    for more in parts[1:]:
        fit = pickle.loads(pickle.dumps(fit)).extend(more)
    whole = run(draws=sum(parts), thin=thin, **way)
    assert same(fit, whole)
    np.testing.assert_array_equal(fit.estimate_columns["ess_bulk"], whole.estimate_columns["ess_bulk"])
    assert fit.posterior_predictive(thin=20)["y"].shape[-1] == 8


def test_extending_leaves_the_fit_as_it_was():
    fit = run(draws=40)
    before = fit.samples["mu"].copy()
    assert same(fit.extend(20), fit.extend(20))
    np.testing.assert_array_equal(fit.samples["mu"], before)


def test_what_cannot_be_extended_is_told():
    with pytest.raises(FitError, match="extend has no option 'seed'; it has executor, progress, until, most"):
        run(draws=40).extend(10, seed=3)
    with pytest.raises(FitError, match="draws=0 must be a whole number, 1 or more"):
        run(draws=40).extend(0)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("thin", [2, 7, 150])
def test_thinning_keeps_every_so_manyth_draw(way: dict[str, Any], thin: int):
    every, some = run(draws=300, chains=2, **way), run(draws=300 // thin, chains=2, thin=thin, **way)
    np.testing.assert_array_equal(some.samples["mu"], every.samples["mu"][:, thin - 1 :: thin])
    np.testing.assert_array_equal(
        some.samples.statistics["lp"], every.samples.statistics["lp"][:, thin - 1 :: thin]
    )


def test_monitors_keep_what_is_named():
    fit = run(draws=40, monitor=["mu"], **TRAJECTORIES)
    assert list(fit.samples) == ["mu"]
    np.testing.assert_array_equal(fit.samples["mu"], run(draws=40, **TRAJECTORIES).samples["mu"])
    assert list(run(draws=40, monitor="theta").samples) == ["theta"]


def test_warm_up_is_what_was_done():
    assert run(draws=40).samples.warmup == 0
    assert run(draws=40, **TRAJECTORIES).samples.warmup == TRAJECTORIES["warmup"]


def test_an_error_in_a_worker_is_the_callers():
    inits = {"mu": 0.0, "tau": -1.0}
    with pytest.raises(FitError):
        run(draws=40, inits=inits, **TRAJECTORIES)


def test_independent_draws_need_neither_rhat_nor_effective_sizes():
    few = run(draws=6, chains=2)
    assert few.converged
    assert few.message == "independent draws"
    assert not run(draws=6, chains=2, **TRAJECTORIES).converged
