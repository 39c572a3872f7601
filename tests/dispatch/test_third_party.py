"""A backend from another package is chosen, refused, asked for and broken, and fits."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.analysis.facts import facts
from dagmodels.bind.bind import bind
from dagmodels.dispatch.plan import make_plan
from dagmodels.dispatch.registry import backends
from dagmodels.errors import PluginWarning
from dagmodels.readers import read

MEAN = "dagmodels_thirdparty.sample_mean:backend"
ROBUST = "model robust\nplate r\nparameter m\nobserved y[r] ~ Laplace(m, 1)\n"
NORMAL = "model normal\nplate r\nparameter m\nobserved y[r] ~ Normal(m, 1)\n"


def test_it_is_chosen_where_no_own_backend_can(register):
    register(sample_mean=MEAN)
    plan = make_plan(facts(read(ROBUST)))
    assert plan.backend == "sample_mean"
    assert "'y' has one unknown, its location" in str(plan)


def test_it_refuses_with_a_reason_that_names_the_node(register):
    register(sample_mean=MEAN)
    plan = make_plan(facts(read(NORMAL)), method="sample_mean")
    assert plan.backend is None
    assert "'y' is Normal: it takes StudentT, Laplace, Logistic" in plan.reason


def test_it_fits(register):
    register(sample_mean=MEAN)
    values = np.array([1.0, 2.0, 4.0, np.nan])
    problem = bind(read(ROBUST), {"y": values})
    plan = make_plan(facts(problem))
    fit = backends()["sample_mean"].fit(problem, plan, {})
    assert fit["m"] == pytest.approx(7 / 3)
    assert fit.estimates["se"][0] == pytest.approx(np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    assert fit.n_observations == 3
    assert fit.plan is plan


def test_a_broken_neighbour_does_not_stop_it(register):
    register(broken="dagmodels_thirdparty.broken:backend", sample_mean=MEAN)
    with pytest.warns(PluginWarning, match="could not be loaded"):
        plan = make_plan(facts(read(ROBUST)))
    assert plan.backend == "sample_mean"


def test_a_neighbour_whose_judge_fails_does_not_stop_it(register):
    register(failing="dagmodels_thirdparty.failing:backend", sample_mean=MEAN)
    with pytest.warns(PluginWarning, match="its judge failed with ZeroDivisionError"):
        plan = make_plan(facts(read(ROBUST)))
    assert plan.backend == "sample_mean"
