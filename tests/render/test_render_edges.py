"""Arrows: whose they are, through which lag, with which coefficient."""

import pytest
from hypothesis import given
from render_models import JOINT, NAMES, dags, model

from dagmodels.graph.dag import Dag
from dagmodels.readers import read
from dagmodels.render.edges import Edge, coefficients, edges


@pytest.mark.parametrize("name", NAMES)
def test_arrows_are_the_parents_of_the_model(name: str) -> None:
    _assert_parents(model(name))


@given(dags())
def test_arrows_are_the_parents_of_any_model(dag: Dag) -> None:
    _assert_parents(dag)


def _assert_parents(dag: Dag) -> None:
    found = edges(dag)
    assert {(e.parent, e.child) for e in found} == {(p, c) for c, ps in dag.parents.items() for p in ps}
    assert len({(e.parent, e.child, bool(e.lags)) for e in found}) == len(found)


def test_a_lag_makes_an_arrow_of_its_own() -> None:
    found = {(e.parent, e.child, e.lags) for e in edges(read(JOINT))}
    assert {("u", "x", ""), ("u", "x", "t−1"), ("x", "x", "t−1")} <= found
    hmm = {(e.parent, e.child, e.lags) for e in edges(model("hmm"))}
    assert {("z", "z", "t−1"), ("p", "z", ""), ("z", "y", "")} <= hmm


def test_a_covariance_marks_the_arrows_of_its_parameter() -> None:
    found = edges(model("cfa3"))
    assert Edge("c_78", "x7", covariance=True) in found
    assert Edge("e7", "x7") in found


def test_coefficients_are_the_scalars_that_multiply_one_parent() -> None:
    assert coefficients(model("radon")) == {
        ("uranium", "alpha", False): "g1",
        ("floor", "log_radon", False): "beta",
    }
    assert coefficients(model("mediation")) == {
        ("x", "m", False): "a",
        ("m", "y", False): "b",
        ("x", "y", False): "c",
    }
    assert coefficients(model("stochastic_volatility"))["h", "h", True] == "phi"
    # within a link, and within brackets: beta*(log_x - mean_log_x); the subtracted mean has none
    salm = coefficients(model("salm"))
    assert salm["log_x", "y", False] == "beta"
    assert ("mean_log_x", "y", False) not in salm


def test_a_parent_in_an_interaction_has_no_single_coefficient() -> None:
    seeds = coefficients(model("seeds"))
    assert ("seed", "r", False) not in seeds
    assert ("extract", "r", False) not in seeds
