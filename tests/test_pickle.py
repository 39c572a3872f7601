"""Values of the pipeline go to other processes, and copies are equal, also after use."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import dagmodels as dm
from dagmodels.bind.bind import bind

TEXT = """# a comment
model small
plate g
plate r in g
covariate x[r]
parameter m, b
parameter tau, s > 0
u[g] ~ Normal(0, tau)
observed y[r] ~ Normal(m + b*x + u[g], s)   # a note
"""


def made(seed):
    rng = np.random.default_rng(seed)
    return {"g": np.repeat(list("abcdef"), 4), "x": rng.normal(size=24), "y": rng.normal(size=24)}


def fitted(task):
    """In another process: the estimates, and whether the model still prints as it should."""
    graph, data, text = task
    fit = graph.fit_quietly(data)
    return fit["b"], fit.log_likelihood, str(graph) == text


@pytest.fixture
def used():
    """A graph of which everything has been asked, so that all that it remembers is there."""
    g = dm.read(TEXT)
    g.check(made(1))
    g.plan(made(1))
    g.implied_independences()
    hash(g)
    assert g.dag.nodes.keys() == g.dag.children.keys() == set(g.dag.order)
    assert g.dag.memo
    return g


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_used_graph_and_its_plan_are_copied_whole(used, duplicate):
    assert duplicate(used) == used
    assert hash(duplicate(used)) == hash(used)
    assert str(duplicate(used)) == str(used)
    assert duplicate(used.dag).remarks == used.dag.remarks
    assert duplicate(used.dag).parents == used.dag.parents
    plan = used.plan(made(1))
    assert duplicate(plan) == plan
    assert str(duplicate(plan)) == str(plan)


def test_what_a_graph_remembers_does_not_travel(used):
    assert len(pickle.dumps(used.dag)) == len(pickle.dumps(dm.read(TEXT).dag))
    assert pickle.loads(pickle.dumps(used.dag)).memo == {}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_problem_keeps_its_values_and_loses_its_memo(used, duplicate):
    problem = bind(used.dag, {**made(1), "y": [np.nan, *range(23)]})
    problem.rows(("r",))
    again = duplicate(problem)
    assert again.graph == problem.graph
    assert problem.memo
    assert not again.memo
    assert dict(again.labels) == dict(problem.labels)
    assert again.plates["g"].levels == problem.plates["g"].levels
    np.testing.assert_array_equal(again.plates["r"].parents["g"], problem.plates["r"].parents["g"])
    for name, values in problem.values.items():
        np.testing.assert_array_equal(again.values[name], values)
        np.testing.assert_array_equal(again.observed[name], problem.observed[name])
    assert again.missing() == {"y": 1}


def test_other_processes_fit_the_same_graph(used):
    tasks = [(used, made(seed), str(used)) for seed in (1, 2)]
    context = multiprocessing.get_context("spawn")  # nothing is inherited, and hashes differ
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        there = list(pool.map(fitted, tasks))
    here = [fitted(task) for task in tasks]
    assert there == [(pytest.approx(b, rel=1e-12), pytest.approx(ll, rel=1e-12), True) for b, ll, _ in here]
    assert there[0] != there[1]


def test_errors_reach_the_parent_process_whole():
    with pytest.raises(dm.ModelErrors) as caught:
        dm.read(TEXT.replace("b*x", "bb*x"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.exceptions[0].line == caught.value.exceptions[0].line == 9


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("used", [False, True])
def test_a_fit_travels_with_its_latents_still_lazy(duplicate, used):
    fit = dm.read(TEXT).fit_quietly(made(1))
    if used:
        assert len(fit.latents) > 0
        assert len(fit.estimates) > 0
    again = duplicate(fit)
    assert again.graph == fit.graph
    assert again.plan == fit.plan
    assert again.estimates.equals(fit.estimates)
    assert again.latents.equals(fit.latents)
    np.testing.assert_array_equal(again.predict(), fit.predict())
    assert again.summary() == fit.summary()
