"""Binding new data to the levels of earlier data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.graph.dag import Dag

Faults = Callable[..., str]


@pytest.fixture
def fitted(radon: Dag) -> Problem:
    return bind(
        radon, {"county": ["C", "A", "C"], "u": [3, 1, 3], "floor": [0, 1, 0], "log_radon": [1, 2, 3]}
    )


def test_known_levels_keep_their_places_and_new_ones_follow(radon: Dag, fitted: Problem) -> None:
    new = pd.DataFrame({"county": ["B", "C"], "u": [2, 3], "floor": [0, 1]})
    problem = bind(radon, new, levels=fitted)
    assert problem.plates["county"].levels == ("A", "C", "B")
    assert problem.new["county"].tolist() == [2]
    assert problem.plates["house"].parents["county"].tolist() == [2, 1]
    assert problem.values["u"].tolist() == [1, 3, 2]
    assert problem.new["house"].tolist() == [0, 1]  # rows without labels are never met again


def test_covariates_of_known_elements_need_not_be_repeated(radon: Dag, fitted: Problem) -> None:
    problem = bind(radon, {"county": ["A", "A"], "floor": [0, 1]}, levels=fitted)
    assert problem.values["u"].tolist() == [1, 3]
    assert problem.new["county"].size == 0
    assert "log_radon" not in problem.values


def test_covariates_of_new_elements_are_needed(radon: Dag, fitted: Problem, faults: Faults) -> None:
    told = faults(radon, {"county": ["A", "B"], "floor": [0, 1]}, levels=fitted)
    assert "covariate 'u' is missing at county 'B'" in told


def test_new_values_of_covariates_hold(radon: Dag, fitted: Problem) -> None:
    problem = bind(radon, {"county": ["A"], "u": [9], "floor": [0]}, levels=fitted)
    assert problem.values["u"].tolist() == [9, 3]


def test_nested_levels(pastes: Dag) -> None:
    old = bind(pastes, {"batch": ["A", "B"], "cask": ["a", "a"], "strength": [1, 2]})
    problem = bind(pastes, {"batch": ["B", "B", "C"], "cask": ["b", "a", "a"]}, levels=old)
    cask = problem.plates["cask"]
    assert cask.levels == ("a", "a", "b", "a")
    assert cask.parents["batch"].tolist() == [0, 1, 1, 2]
    assert problem.new["cask"].tolist() == [2, 3]
    assert problem.new["batch"].tolist() == [2]
    assert problem.plates["row"].parents["cask"].tolist() == [2, 1, 3]


def test_what_the_new_data_do_not_tell_stays(rats: Dag) -> None:
    old = bind(rats, {"rat": [1, 1, 2], "week": [1, 2, 1], "x": [8, 15, 8], "y": [1, 2, 3]})
    problem = bind(rats, {"rat": ["3", "2"], "week": [2, 1]}, levels=old)
    assert problem.plates["rat"].levels == (1, 2, 3)
    assert problem.values["x"].tolist() == [8, 15]
    same = bind(rats, None, levels=old)
    assert same.plates["rat"].levels == (1, 2)
    np.testing.assert_array_equal(same.values["x"], [8, 15])


def test_later_elements_of_an_ordered_plate(model: Callable[[str], Dag]) -> None:
    dag = model("local_level")
    old = bind(dag, {"year": [2001, 2000], "flow": [1, 2]})
    problem = bind(dag, {"year": [2003, 2002]}, levels=old)
    assert problem.plates["year"].levels == (2000, 2001, 2002, 2003)
    assert problem.plates["year"].order is not None
    assert problem.plates["year"].order.tolist() == [-1, 0, 1, 2]
