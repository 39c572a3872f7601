"""The oracle's reading of the language, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from .affine import NotLinearGaussian
from .cases import problem_of
from .dense import dense
from .interpret import Interpreter


def laws_of(text, data, theta, node):
    problem = problem_of(text, data)
    of = Interpreter(problem, theta, given=True)
    return [of.law(node, codes) for codes in np.ndindex(*problem.shape(node))]


def test_most_specific_statement_holds():
    text = """
model heads
plate arm = "control", "low", "high"
plate t ordered
parameter b[arm]
b["control"] = 7
h[t first 2] = 5
h[t] = h[t-1] + h[t-2]
observed y[t] ~ Normal(h + b["low"] + b["control"], 1)
"""
    theta = {"b": np.array([np.nan, 2.0, 3.0])}
    data = {"t": np.arange(5), "y": np.zeros(5)}
    assert [float(v) for v in laws_of(text, data, theta, "b")] == [7, 2, 3]
    assert [float(v) for v in laws_of(text, data, theta, "h")] == [5, 5, 10, 15, 25]
    assert [v.constant for v in laws_of(text, data, theta, "y")] == [14, 14, 19, 24, 34]


def test_aliases_belong_twice():
    text = """
model league
plate team = "a", "b", "c"
plate home as team
plate away as team
plate match in home, away
parameter skill[team]
observed y[match] ~ Normal(skill[home] - skill[away], 1)
"""
    data = {"home": ["a", "c"], "away": ["b", "a"], "y": [0.0, 0.0]}
    laws = laws_of(text, data, {"skill": np.array([1.0, 10.0, 100.0])}, "y")
    assert [v.constant for v in laws] == [-9, 99]


def test_sums_run_over_what_belongs_to_the_bound_element():
    text = """
model sums
plate g
plate row in g
covariate x[row]
m[g] = mean(x for row)
total = sum(m*2 for g)
observed y[row] ~ Normal(m + total, 1)
"""
    data = {"g": ["p", "q", "p"], "x": [1.0, 5.0, 3.0], "y": [0.0, 0.0, 0.0]}
    assert [v.constant for v in laws_of(text, data, {}, "y")] == [2 + 14, 5 + 14, 2 + 14]


def test_covariates_point_to_elements():
    text = """
model pointing
plate g = "p", "q"
plate row
covariate k[row] in g
parameter b[g]
observed y[row] ~ Normal(b[k] + if_else(k == "q", 100, 0), 1)
"""
    data = {"k": ["q", "p"], "y": [0.0, 0.0]}
    laws = laws_of(text, data, {"b": np.array([1.0, 2.0])}, "y")
    assert [v.constant for v in laws] == [102, 1]


def test_a_coefficient_times_an_observed_node_needs_parents_as_data():
    text = """
model mediation
plate row
parameter b
observed m[row] ~ Normal(1, 2)
observed y[row] ~ Normal(b*m, 1)
"""
    data = {"m": [0.5, 2.0, -1.0], "y": [1.0, 0.2, 0.4]}
    problem = problem_of(text, data)
    with pytest.raises(NotLinearGaussian):
        dense(problem, {}, "random")
    model = dense(problem, {})
    assert model.parents == "given"
    m, y = np.array(data["m"]), np.array(data["y"])
    assert model.coefficients().mean == pytest.approx([m @ y / (m @ m)], abs=1e-14)


@pytest.mark.parametrize(
    "line",
    [
        "observed y[row] ~ Normal(u*v, 1)",
        "observed y[row] ~ Normal(u**2, 1)",
        "observed y[row] ~ Normal(v, exp(u))",
    ],
)
def test_what_is_not_linear_gaussian_is_refused(line):
    text = f"model bad\nplate row\nu[row] ~ Normal(0, 1)\nv[row] ~ Normal(0, 1)\n{line}\n"
    with pytest.raises(NotLinearGaussian):
        dense(problem_of(text, {"y": [1.0, 2.0]}), {})
