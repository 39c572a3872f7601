"""Which plates are bound, which stay whole, and what counts as a cycle."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagmodels.errors import ModelErrors
from dagmodels.graph import statement as st
from dagmodels.graph.dag import expressions
from dagmodels.graph.scope import bound, event_plates, free, head_plates, lies_in
from dagmodels.readers import read

MODELS = Path(__file__).parents[1] / "models"


@pytest.mark.parametrize(
    ("model", "node", "expected"),
    [
        ("radon", "log_radon", {"house", "county"}),
        ("birats", "b", {"rat"}),  # MvNormal takes coef whole
        ("birats", "omega", set()),  # Wishart takes both
        ("birats", "cov_b", {"coef", "coef2"}),  # a definition binds all its plates
        ("hmm", "p", {"state"}),
        ("hmm", "mu", set()),  # Ordered
        ("alligators", "x", {"lake", "size"}),  # Multinomial
        ("equal_loadings", "eta", {"pupil", "school"}),
        ("equal_loadings", "x", {"pupil", "school", "item", "factor"}),
        ("stepped_wedge", "y", {"person", "cluster", "period"}),
        ("asia", "dysp", set()),
    ],
)
def test_bound_plates(model: str, node: str, expected: set[str]):
    dag = read(MODELS / f"{model}.dag")
    statement = dag.nodes[node].statements[0]
    assert bound(dag.plate, statement) == expected
    assert set(head_plates(statement)) == {*dag.nodes[node].plates}


@pytest.mark.parametrize(
    ("model", "node", "expected"),
    [
        ("radon", "log_radon", [(), ()]),
        ("birats", "b", [("coef",), ("coef", "coef2")]),
        ("birats", "omega", [(), ("coef", "coef2")]),
        ("birats", "cov_b", [()]),  # inverse takes the head's plates, whose elements are meant
        ("hmm", "z", [("to",)]),
        ("gp_regression", "y", [(), ("point", "point2")]),
        ("gp_regression", "k", [()]),
        ("alligators", "x", [(), ("food",)]),
        ("stagnant", "k", [("obs",)]),
        ("stagnant", "n_obs", [()]),
        ("equal_loadings", "eta", [(), ("factor", "factor2")]),
    ],
)
def test_free_plates(model: str, node: str, expected: list[tuple[str, ...]]):
    dag = read(MODELS / f"{model}.dag")
    statement = dag.nodes[node].statements[0]
    around, head = bound(dag.plate, statement), head_plates(statement)
    assert [free(dag.plate, tree, around, head) for tree in expressions(statement)] == expected


def test_event_plates_and_ancestors():
    dag = read(MODELS / "birats.dag")
    assert event_plates(dag.nodes["omega"].statements[0]) == ("coef", "coef2")
    assert event_plates(dag.nodes["y"].statements[0]) == ()
    dag = read("model m\nplate a\nplate b in a\nplate c in b, a\nplate d as c\n")
    assert lies_in(dag.plate, "c") == ("c", "b", "a")
    assert lies_in(dag.plate, "d") == ("d",)
    assert dag.lies_in("c") == ("c", "b", "a")


ACYCLIC = {
    "a lag": "x[t first] = 0\nx[t] ~ Normal(x[t-1], 1)",
    "two nodes tied by lags": "x[t first], y[t] ~ Normal(0, 1)\nx[t] ~ Normal(y[t-1], 1)",
    "a lag there, none back": "x[t first] = 0\nx[t] = y[t-1]\ny[t] ~ Normal(x, 1)",
    "lags along two plates": """x[t first, u] = 0
x[t, u first] = 0
x[t first, u first] = 0
x[t, u] = x[t-1, u] + x[t, u-1]""",
    "levels of one node": 'x["b"] ~ Normal(0, 1)\nx["a"] = 2*x["b"]\nparameter x[k]',
    "a level overruled": 'x[k] ~ Normal(x["a"], 1)\nx["a"] ~ Normal(0, 1)',
    "through levels of two nodes": 'x[k] ~ Normal(y["a"], 1)\ny[k] ~ Normal(x["b"], 1)\nx["b"], y["a"] = 1',
}
CYCLIC = {
    "x = x + 1": "x -> x",
    "x = y\ny = z\nz = x": "x -> z -> y -> x",
    "x[t] ~ Normal(y, 1)\ny[t] ~ Normal(x, 1)": "x -> y -> x",
    "x[t first] = 0\nx[t] = x[t-1] + y\ny[t] = x": "x -> y -> x",
    "x[t first, k] = 0\nx[t, k] = sum(x[t-1, k2] for k2) + sum(x[t, k2] for k2)": "x -> x",
    'x[k] ~ Normal(x["a"], 1)': "x -> x",
    'x[k] ~ Normal(0, 1)\nx["a"] = x[k] + 1': "x -> x",
    """x[t first, u] = 0
x[t, u] = sum(y[t-1, u2] for u2)
y[t, u first] = 0
y[t, u] = sum(x[t2, u-1] for t2)""": "x -> y -> x",
}
PLATES = """model m
plate t ordered
plate u ordered
plate t2 as t
plate u2 as u
plate k = "a", "b"
plate k2 as k
"""


@pytest.mark.parametrize("text", ACYCLIC.values(), ids=ACYCLIC)
def test_no_cycle(text: str):
    dag = read(PLATES + text)
    assert set(dag.order) == set(dag.nodes)


@pytest.mark.parametrize(("text", "path"), CYCLIC.items())
def test_cycle(text: str, path: str):
    with pytest.raises(ModelErrors) as caught:
        read(PLATES + text)
    (error,) = caught.value.exceptions
    assert error.message == f"The graph has a cycle: {path}."
    assert error.node == path.split(" ")[0]


def test_separate_cycles_are_all_told():
    with pytest.raises(ModelErrors) as caught:
        read("model m\na = b\nb = a\nc = c\n")
    assert [e.message for e in caught.value.exceptions] == [
        "The graph has a cycle: a -> b -> a.",
        "The graph has a cycle: c -> c.",
    ]


def test_a_covariance_between_parent_and_child_is_no_cycle():
    dag = read("model m\nplate i\nx[i] ~ Normal(0, 1)\ny[i] ~ Normal(x, 1)\nparameter c\nx ~~ y = c\n")
    assert isinstance(dag.statements[-1], st.Covariance)
