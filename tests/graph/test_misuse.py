"""What Python lets one write and a model cannot mean: refused at once, with what to write instead."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dagmodels as dm
from dagmodels.graph.expression import Binary, Call, Expression, Number, Reference, Vector, as_expression

b = Reference("b")
DATA = pd.DataFrame({"x": [1.0, 2.0]})


# -- a tree is neither true nor false, has no elements and is no number


@pytest.mark.parametrize(
    "use",
    [
        lambda: bool(b),
        lambda: 0 < b < 1,
        lambda: 1 if b > 0 else 2,
        lambda: b and 1,
        lambda: not b,
        lambda: max(b, 0),
        lambda: min(b, 0),
    ],
)
def test_truth_is_refused_and_the_message_says_what_to_write(use: Any):
    with pytest.raises(dm.DagmodelsError) as caught:
        use()
    assert isinstance(caught.value, TypeError)
    for told in ("neither true nor false", "dm.functions.if_else", "min or max", "(0 < x)*(x < 1)"):
        assert told in str(caught.value)


@pytest.mark.parametrize("use", [list, tuple, sum, iter, lambda t: 3 in t, lambda t: dict.fromkeys(t)])
def test_nothing_goes_through_a_node(use: Any):
    for tree in (b, b["a"], b + 1):
        with pytest.raises(TypeError, match="not iterable"):
            use(tree)


def test_what_the_messages_advise_can_be_written():
    f = dm.functions
    assert f.max(b, 0) == as_expression("max(b, 0)")
    assert f.min(b, 0) == as_expression("min(b, 0)")
    assert f.if_else(b > 0, 1, 2) == as_expression("if_else(b > 0, 1, 2)")
    assert (b > 0) * (b < 1) == as_expression("(b > 0)*(b < 1)")
    assert abs(b) == as_expression("abs(b)")


def test_comparison_of_trees_is_a_plain_truth_value():
    assert (b == Reference("b")) is True
    assert (b == Reference("c")) is False
    assert (b != Reference("c")) is True
    assert b in [Reference("c"), Reference("b")]
    assert len({b, Reference("b"), b + 1, b + 1}) == 2
    assert (b == np.array([1, 2])) is False
    assert (np.array([1, 2]) == b) is False
    assert (np.float64(2) != b) is True


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda: np.exp(b), 'dm.functions.exp(b) or the text "exp(b)"'),
        (lambda: np.maximum(b, 0), "dm.functions.max(b, 0)"),
        (lambda: np.abs(b + 1), "dm.functions.abs(b + 1)"),
        (lambda: np.sinh(b), "the functions of the language are"),
        (lambda: np.sum(b), '"sum(b for plate)"'),
        (lambda: np.mean(b), '"mean(b for plate)"'),
        (lambda: np.where(b > 0, 1, 2), "dm.functions.if_else(condition, yes, no)"),
        (lambda: np.add(b, 1, out=np.zeros(1)), "numpy's add"),
        (lambda: math.exp(b), "dm.functions.exp(b)"),
        (lambda: float(b), "no number"),
    ],
)
def test_functions_of_numpy_and_math_say_which_of_ours_to_take(use: Any, told: str):
    with pytest.raises(dm.DagmodelsError) as caught:
        use()
    assert told in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_arithmetic_with_numpy_makes_trees():
    assert np.float64(2) * b == Binary("*", Number(2.0), b)
    assert b / np.float64(2) == Binary("/", b, Number(2.0))
    assert np.int64(2) - b == Binary("-", Number(2), b)
    assert (np.float64(2) > b) == Binary(">", Number(2.0), b)
    vector = np.array([1, 2]) * b
    assert vector == Binary("*", Vector((Number(1), Number(2))), b)
    assert np.negative(b) == -b
    assert b[np.int64(2)] == b[2]


def test_what_cannot_index_a_node():
    for key in (1.5, None, slice(1, 3), [1]):
        with pytest.raises(dm.DagmodelsError, match="cannot index a node"):
            b[key]


def test_short_texts_for_people():
    county = dm.Graph("m").plate("county")
    assert repr(b) == "Reference(b)"
    assert repr(b[county] + 2 * b) == "Binary(b[county] + 2*b)"
    assert str(b[county] + 2 * b) == "b[county] + 2*b"
    assert repr(Call("exp", (b,))) == "Call(exp(b))"
    assert repr(dm.Normal("a + b*x", tau=b)) == "Normal(a + b*x, tau=b)"
    assert repr(dm.Mixture([0.5, 0.5], [dm.Normal(0, 1), dm.Normal(1, 1)])).startswith(
        "Mixture([0.5, 0.5], [No"
    )
    assert repr(b * math.inf) == "Binary(...)"
    assert repr(dm.Normal(b, math.inf)) == "Normal(...)"

    class Odd(Expression):
        __slots__ = ()

    assert "Odd object" in repr(Odd())


# -- arguments of the builder's calls

WRONG: dict[str, tuple[Any, str]] = {
    "a list of names": (lambda g: g.parameter(["a", "b"]), 'parameter("a", "b")'),
    "no name": (lambda g: g.parameter(), "no name is given"),
    "a text as start": (lambda g: g.parameter("s", start="x"), "start is 'x', not a number"),
    "a list as start": (lambda g: g.parameter("s", start=[1]), "start is [1], not a number"),
    "no finite start": (lambda g: g.parameter("s", start=math.inf), "start is inf"),
    "a text as bound": (lambda g: g.parameter("s", lower="x"), "lower is 'x', not a number"),
    "no number as bound": (lambda g: g.parameter("s", upper=math.nan), "upper is nan"),
    "a number as domain": (lambda g: g.parameter("s", domain=5), "domain is 5"),
    "a domain and a bound": (lambda g: g.parameter("s", domain="simplex", lower=0), "a domain and bounds"),
    "numbers as plates": (lambda g: g.plate("h", within=[1]), "within is 1, which is no plate"),
    "a node as plate": (lambda g: g.covariate("x", plate=b), "'b' is a node"),
    "a number as plate": (lambda g: g.covariate("x", plate=5), "plate is 5, which is no plate"),
    "two plates of values": (lambda g: g.covariate("x", values_in=["c", "d"]), "values_in names 2 plates"),
    "a number of levels": (lambda g: g.plate("h", levels=5), "levels=range(1, 6)"),
    "a text of levels": (lambda g: g.plate("h", levels="abc"), 'write levels=["abc"]'),
    "a text of two levels": (lambda g: g.plate("h", levels="a, b"), 'write levels=["a", "b"]'),
    "a set of levels": (lambda g: g.plate("h", levels={1, 2}), "a set, which has no order"),
    "a frame of levels": (lambda g: g.plate("h", levels=DATA), "levels of 'h' is a DataFrame of 2"),
    "arrays as levels": (lambda g: g.plate("h", levels=[np.array([1, 2])]), "is no level of 'h'"),
    "a text as flag": (lambda g: g.plate("h", ordered="yes"), "ordered is 'yes', not True or False"),
    "a number as name": (lambda g: g.plate(5), "5 is no name"),
    "a number as note": (lambda g: g.plate("h", note=5), "note is 5"),
    "nothing as constant": (lambda g: g.constant("k", None), "a constant holds numbers, not None"),
    "nothing as value": (lambda g: g.node("y", None), "the value of 'y': None is no part of an expression"),
    "a list as levels": (lambda g: g.node("y", b, levels=["a"]), "write levels={plate: level}"),
    "a number in levels": (lambda g: g.node("y", b, levels={5: "a"}), "levels has the key 5"),
    "an observed expression": (lambda g: g.node("y", b, observed=True), "only nodes with a distribution"),
    "a text of names": (lambda g: g.joint("ab", dm.MvNormal(0, [[1]])), "is no list of names"),
    "no joint law": (lambda g: g.joint(["a", "b"], 5), "need a distribution, not 5"),
    "a number as end": (lambda g: g.covariance(5, "b", 1), "5 is no node"),
    "data as file": (lambda g: dm.Graph("m", data_file=DATA), "give data to fit(...)"),
    "a number as model": (lambda g: dm.Graph(5), "5 is no name"),
    "no argument": (lambda g: dm.Normal(None, 1), "mu: None is no part of an expression"),
    "a frame as argument": (lambda g: dm.Normal(0, DATA), "sigma: a DataFrame is no part"),
    "a number as row": (lambda g: dm.Table("b", {"yes": 0.2}), "the row 'yes' is 0.2, not a list"),
    "a text as row": (lambda g: dm.Table("b", {"yes": "abc"}), "the row 'yes' is 'abc', not a list"),
    "nothing as state": (lambda g: dm.Table("b", {None: [1]}), "None is no state"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_told_with_the_call_and_a_hint(case: str):
    g = dm.Graph("m")
    call, told = WRONG[case]
    with pytest.raises(dm.ModelErrors) as caught:
        call(g)
    (error,) = caught.value.exceptions
    assert told in str(error)
    assert "the arguments of " in caught.value.message
    assert error.hint
    assert g.dag.nodes == {}, "what was refused must leave nothing behind"


@pytest.mark.parametrize("y", [[1.0, 2.0], np.array([1.0, 2.0]), np.array([1.0]), DATA["x"], 5, None, []])
def test_data_as_observed_are_refused(y: Any):
    """PyMC takes the data there; here they would be lost."""
    g = dm.Graph("m")
    for call in (
        lambda: g.node("y", dm.Normal(0, 1), observed=y),
        lambda: g.joint(["a", "b"], dm.MvNormal(0, [[1, 0], [0, 1]]), observed=y),
    ):
        with pytest.raises(dm.ModelErrors) as caught:
            call()
        assert "give the data to fit(...)" in str(caught.value)
    assert g.dag.nodes == {}


def test_all_wrong_arguments_of_a_call_are_told_at_once():
    with pytest.raises(dm.ModelErrors) as caught:
        dm.Graph("m").plate(5, within=[1], levels=3, ordered=2, note=4)  # type: ignore[arg-type]
    assert len(caught.value.exceptions) == 5
    with pytest.raises(dm.ModelErrors) as caught:
        dm.Normal(None, {1})
    assert [str(e).split(":")[0] for e in caught.value.exceptions] == ["mu", "sigma"]


def test_values_of_numpy_and_paths_are_taken():
    g = dm.Graph("m", data_file=Path("d.csv"))
    g.plate("k", levels=np.array(["a", "b"]), ordered=np.True_)
    g.plate("i", within=iter(["k"]))
    g.parameter("s", lower=np.float64(0), start=np.int64(1))
    g.node("y", dm.Normal(0, "s"), plate=("i",), observed=np.bool_(True))
    assert g == dm.read(
        'model m\ndata "d.csv"\nplate k = "a", "b" ordered\nplate i in k\nparameter s > 0 start 1\n'
        "observed y[i] ~ Normal(0, s)\n"
    )


def test_none_for_a_named_argument_means_that_it_is_left_out():
    assert dm.Normal(0, 1, tau=None) == dm.Normal(0, 1)
    assert dm.Truncated(dm.Normal(0, 1), lower=0, upper=None) == dm.Truncated(dm.Normal(0, 1), lower=0)


def test_lags_and_first_elements_are_whole_numbers():
    year = dm.Graph("m").plate("year")
    for lag in ("x", None, b):
        with pytest.raises(dm.DagmodelsError, match="has no earlier element"):
            _ = year - lag
    for count in (0, -1, "x", 1.5):
        with pytest.raises(dm.DagmodelsError, match="names no elements"):
            dm.First(count)  # type: ignore[arg-type]


def test_names_of_bugs_say_what_differs():
    hints = {}
    for law in ("dnorm(0, 1)", "dgamma(1, 1)", "dbin(0.5, 3)", "dmnorm(0, 1)"):
        with pytest.raises(dm.ModelErrors) as caught:
            dm.read(f"model m\ny ~ {law}\n")
        hints[law.split("(")[0]] = caught.value.exceptions[0].hint
    assert "tau=precision" in hints["dnorm"]
    assert "standard deviation" in hints["dnorm"]
    assert "Gamma(shape, rate)" in hints["dgamma"]
    assert "Binomial(n, p)" in hints["dbin"]
    assert "precision matrix" in hints["dmnorm"]


def test_what_is_advised_for_bugs_names_families_of_ours():
    import re

    from dagmodels.graph.bugs import NAMES
    from dagmodels.graph.signatures import is_distribution

    for hint in NAMES.values():
        called = re.findall(r"\b([A-Z]\w*)\(", hint)
        assert called, hint
        assert all(map(is_distribution, called)), hint
