"""Bad calls are answered with every problem at once, naming nodes and saying what to give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.errors import ModelError, ModelErrors
from dagmodels.readers import read
from dagmodels.simulate import simulate

from .model_cases import CASES, model

SMALL = """
model small
plate g
plate i in g
plate k = "a", "b"
covariate x[i]
constant c = 2
parameter s > 0
parameter b[k]
u[g] ~ HalfNormal(1)
z[i] in k ~ Categorical([0.5, 0.5])
d = 2*s
b["a"] = 1
observed y[i] ~ Normal(u[g] + b[z] + c*x, s)
"""
GOOD: dict[str, Any] = {"data": {"x": np.zeros(6)}, "sizes": {"g": 3, "i": 6}}


def problems(text: str, **call: Any) -> list[ModelError]:
    """The problems of a call."""
    with pytest.raises(ModelErrors) as caught:
        simulate(read(text), **call)
    return list(caught.value.exceptions)


def only(text: str, **call: Any) -> str:
    """The one problem of a call, as it is shown."""
    found = problems(text, **call)
    assert len(found) == 1, found
    return str(found[0])


def small(**values: Any) -> str:
    return only(SMALL, **GOOD, values={"s": 1.0, "b": {"b": 2.0}, **values})


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        SMALL, data={"x": np.zeros(6)}, sizes={"gg": 3, "i": 6}, values={"uu": 1, "x": 1}, draws=0, seed=-1
    )
    told = "\n".join(map(str, found))
    for part in ("'gg' is no plate", "did you mean 'g'?", "draws is 0", "seed is -1", "'x' is a covariate"):
        assert part in told
    assert "'uu' is no node of the model (did you mean 'u'?)" in told


def test_unknowns_without_value_or_prior_are_named_together() -> None:
    text = "model m\nplate i\nparameter a, b[i]\nc ~ Flat()\nobserved y[i] ~ Normal(a + b + c, 1)"
    told = only(text, sizes={"i": 2}, values={"b": {0: 1.0}})
    assert "a, b[1] are parameters without a prior; c has a flat prior" in told
    assert 'give values={"a": ..., "b": ..., "c": ...}' in told


def test_a_flat_start_of_a_chain_needs_its_first_element_only() -> None:
    dag = model("local_level")
    told = only(str(dag), sizes={"year": 5}, values={"s_level": 1, "s_obs": 1})
    assert "level[0] has a flat prior" in told
    simulate(dag, sizes={"year": 5}, values={"s_level": 1, "s_obs": 1, "level": {0: 3.0}})


def test_covariates_without_data_are_named_together() -> None:
    told = only(str(model("seeds")), sizes={"dish": 3})
    assert "'n', 'seed', 'extract': the covariates are without data" in told
    assert 'give data={"n": ..., "seed": ..., "extract": ...}' in told


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"s": -1.0}, "'s' is -1, but must not be below 0"),
        ({"u": [1.0, 2.0]}, "'u' has shape 2, its plates need 3 (g)"),
        ({"u": [1.0, -2.0, 1.0]}, "'u[1]' is -2, but must lie between 0"),
        ({"u": "high"}, "'high' for 'u' is not a number"),
        ({"u": {"g9": 1.0}}, "'g9' for 'u' is no level of plate 'g'"),
        ({"u": np.inf}, "'u' is infinite"),
        ({"z": "c"}, "'c' for 'z' is no level of plate 'k'"),
        ({"c": 3}, "'c' is a constant"),
        ({"d": 5.0}, "'d' is given as 5, but the model makes it 2"),
        ({"b": [3.0, 2.0]}, "'b[a]' is given as 3, but the model makes it 1"),
        ({"s": {"a": 1.0}}, "'s' has no plate"),
        ({"g": 1}, "'g' is a plate"),
        ({"Table(z)": [0.5, 0.5]}, "'Table(z)' is no node"),
    ],
)
def test_values_that_cannot_be(values: dict[str, Any], part: str) -> None:
    assert part in small(**values)


def test_domains_of_vectors_and_matrices() -> None:
    text = """
    model m
    plate k = 1..3
    plate l as k
    parameter w[k] simplex
    parameter c[k] ordered
    parameter S[k, l] covariance
    parameter R[k, l] correlation
    x[k] ~ MvNormal(w, S)
    """
    skew = np.eye(3) + np.eye(3, k=1)
    values = {"w": [0.5, 0.5, 0.5], "c": [1, 1, 2], "S": skew, "R": 2 * np.eye(3)}
    told = [str(e) for e in problems(text, values=values)]
    assert len(told) == 4
    assert "'w' must hold probabilities that sum to 1" in told[0]
    assert "'c' must increase" in told[1]
    assert "'S' must be symmetric without negative eigenvalues" in told[2]
    assert "'R' must be a correlation matrix" in told[3]


def test_arguments_outside_their_domain_name_the_element_and_the_cause() -> None:
    text = """
    model m
    plate i
    covariate x[i]
    parameter b
    u[i] ~ Normal(0, b*x)
    v[i] ~ Bernoulli(x)
    w[i] ~ Normal(u + v, 1)
    """
    found = problems(text, data={"x": [0.5, 2.0]}, values={"b": -1})
    told = [str(e) for e in found]
    assert len(told) == 2, "what depends on a broken node is not told again"
    assert "line 6" in told[0]
    assert "sigma of 'u[0]' is -0.5, but must not be negative (it follows from b)" in told[0]
    assert "p of 'v[1]' is 2, but must lie between 0 and 1" in told[1]


def test_a_vague_prior_beyond_the_range_of_numbers() -> None:
    text = "model m\nb ~ Normal(0, 1e6)\nobserved y ~ Poisson(exp(b**2))"
    told = only(text)
    assert "mu of 'y' is inf, but must be a finite number" in told
    assert 'it follows from values drawn; give values={"b": ...}' in told
    told = only("model m\nparameter b\nobserved y ~ Poisson(exp(b))", values={"b": 60.0})
    assert "'y' cannot be drawn" in told


def test_covariances_that_make_no_matrix() -> None:
    case = CASES["cfa3"]
    told = only(str(model("cfa3")), sizes={"pupil": 4}, values={**case.values, "c_vt": 2.0})
    assert "visual ~~ textual" in told
    assert "make no covariance matrix" in told


def test_vectors_given_in_part() -> None:
    text = "model m\nplate k = 1..2\nplate l as k\nconstant S[k, l] = [[1, 0], [0, 1]]\nx[k] ~ MvNormal(0, S)"
    assert "the vector of 'x[1]' is given in part" in only(text, values={"x": {1: 0.0}})
    text = "model m\n(a, b) ~ MvNormal([0, 0], [[1, 0], [0, 1]])"
    assert "(a, b) is given in part" in only(text, values={"a": 0.0})


def test_values_outside_the_support_of_vectors() -> None:
    text = (
        "model m\nplate k = 1..2\np[k] ~ Dirichlet(1)\nx[k] ~ Multinomial(3, p)\nc[k] ~ Ordered(Normal(0, 1))"
    )
    found = problems(text, values={"p": [0.3, 0.3], "c": [2.0, 1.0]})
    told = "\n".join(map(str, found))
    assert "'p[1]' must hold probabilities that sum to 1" in told
    assert "'c[1]' must increase" in told


def test_a_table_without_a_row_for_what_was_drawn() -> None:
    text = """
    model m
    plate a
    x in a ~ Categorical([0, 0, 1])
    y in a ~ Table(x, {"u": [1, 0, 0], "v": [0, 1, 0]})
    """
    assert "the Table of 'y' has no row for (w)" in only(text, sizes={"a": ["u", "v", "w"]})


def test_nested_dicts_and_tuples_of_labels() -> None:
    text = 'model m\nplate g = "u", "v"\nplate k = 1..2\nparameter b[g, k]\nx[g, k] ~ Normal(b, 1)'
    one = simulate(read(text), values={"b": {("u", 1): 1, ("u", 2): 2, ("v", 1): 3, ("v", 2): 4}})
    two = simulate(read(text), values={"b": {"u": {1: 1, 2: 2}, "v": {"1": 3, "2": 4}}})
    np.testing.assert_array_equal(one.truth["b"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(two.truth["b"], one.truth["b"])
    assert "b[v, 2] is a parameter" in only(text, values={"b": {"u": {1: 1, 2: 2}, "v": {1: 3}}})
