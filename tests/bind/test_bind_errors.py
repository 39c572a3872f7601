"""What is wrong with data: where, what, what next; all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dagmodels.bind.bind import bind
from dagmodels.errors import ModelError, ModelErrors
from dagmodels.graph.dag import Dag
from dagmodels.readers import read

Model = Callable[[str], Dag]
Faults = Callable[..., str]

GOOD: dict[str, list[Any]] = {
    "county": ["A", "B", "B"],
    "u": [1, 2, 2],
    "floor": [0, 1, 0],
    "log_radon": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"floor": [0, np.inf, 0]}, "inf in row 2 of 'floor' is infinite"),
        ({"log_radon": [1, -np.inf, -np.inf]}, "-inf in row 2 of 'log_radon' and 1 other is infinite"),
        ({"log_radon": ["1", "two", "3"]}, "'two' in row 2 of 'log_radon' is not a number"),
        ({"log_radon": [None, None, None]}, "all values of the observed node 'log_radon' are missing"),
        ({"floor": [0, None, None]}, "covariate 'floor' is missing at house 1 and 1 other"),
        ({"floor": [0, None, 1]}, "write `observed floor[house] ~ ...` with a distribution"),
        ({"u": [1, 2, 3]}, "'u' is not constant within county 'B': 2 in row 2, 3 in row 3"),
        ({"u": [1, 2, 3]}, "declare a plate for the rows: `plate row in county`"),
        ({"county": ["A", None, "B"]}, "the level of 'county' is missing in row 2"),
        ({"tau": [1, 1, 1]}, "'tau', which is not marked observed"),
        ({"alpha": [1, 1, 1]}, "write `observed alpha[county] ~ ...`"),
    ],
)
def test_one_fault(radon: Dag, faults: Faults, changed: dict[str, Any], told: str) -> None:
    assert told in faults(radon, GOOD | changed)


def test_a_wholly_wrong_file_names_all_columns_that_lack(radon: Dag) -> None:
    with pytest.raises(ModelErrors) as caught:
        bind(radon, pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}), require_observed=True)
    nodes = [str(e.node) for e in caught.value.exceptions if isinstance(e, ModelError)]
    assert nodes == ["county", "floor", "u", "log_radon"]
    with pytest.raises(ModelErrors) as caught:
        bind(radon, pd.DataFrame({"a": [1.0, 2.0]}), require_covariates=False)
    assert [str(e.node) for e in caught.value.exceptions if isinstance(e, ModelError)] == ["county"]


def test_all_faults_at_once(radon: Dag) -> None:
    bad = {"county": ["A", None, "B"], "uu": [1, 2, 2], "floor": [0, np.inf, 0], "log_radon": ["x", 1, 2]}
    bad |= {"sigma": [1, 1, 1]}
    with pytest.raises(ModelErrors) as caught:
        bind(radon, pd.DataFrame(bad))
    nodes = sorted(str(e.node) for e in caught.value.exceptions if isinstance(e, ModelError))
    assert nodes == ["county", "floor", "log_radon", "sigma", "u"]
    assert str(caught.value).startswith("5 problems in the data for model 'radon'")
    assert all(isinstance(e, ModelError) and e.line for e in caught.value.exceptions)


def test_absent_columns_are_suggested(radon: Dag, faults: Faults) -> None:
    renamed = {{"u": "uu", "floor": "Floor"}.get(k, k): v for k, v in GOOD.items()}
    told = faults(radon, renamed)
    assert "no column 'u' for the covariate (did you mean 'uu'?)" in told
    assert "no column 'floor' for the covariate (did you mean 'Floor'?)" in told
    told = faults(radon, {"County": GOOD["county"], **{k: v for k, v in GOOD.items() if k != "county"}})
    assert "do not say which element of 'county' each element of 'house' lies in" in told
    assert "did you mean 'County'?" in told
    frame = pd.DataFrame(GOOD).rename(columns={"county": "County"})
    assert "the data needs a column 'county': each row is an element of 'house'" in faults(radon, frame)
    assert "did you mean 'County'?" in faults(radon, frame)


def test_observed_without_data(radon: Dag, faults: Faults) -> None:
    data = {k: v for k, v in GOOD.items() if k != "log_radon"}
    assert "log_radon" not in bind(radon, data).values
    assert "no column 'log_radon' for the observed node" in faults(radon, data, require_observed=True)
    assert "no data are given" in faults(
        radon, sizes={"county": 2, "house": 4}, require_observed=True, require_covariates=False
    )


def test_unused_columns_are_listed(radon: Dag) -> None:
    assert bind(radon, pd.DataFrame(GOOD | {"x": [1, 2, 3], "county_name": ["a", "b", "b"]})).unused == (
        "x",
        "county_name",
    )
    assert bind(radon, GOOD | {"N": 3}).unused == ("N",)


def test_unknown_labels_of_stated_levels(model: Model, faults: Faults) -> None:
    told = faults(model("lsat"), {"student": [1, 1], "item": [1, 6], "r": [1, 0]})
    assert "6 in row 2 of column 'item' is no level of plate 'item'" in told
    assert "the levels are 1, 2, 3, 4, 5" in told


def test_unseen_level_beside_a_frame_of_the_plate(radon: Dag, faults: Faults) -> None:
    data = {
        "county": {"county": ["AITKIN", "ANOKA"], "u": [1, 2]},
        "house": {"county": ["AITKN", "ANOKA"], "floor": [0, 1], "log_radon": [1, 2]},
    }
    told = faults(radon, data)
    assert "the frame of 'house': 'AITKN' in row 1 of column 'county' is no level of plate 'county'" in told
    assert "did you mean 'AITKIN'?" in told


def test_level_twice_in_the_frame_of_its_plate(radon: Dag, faults: Faults) -> None:
    data = {
        "county": {"county": ["A", "A"], "u": [1, 1]},
        "house": {"county": ["A"], "floor": [0], "log_radon": [1]},
    }
    assert "the frame of 'county': level 'A' of plate 'county' stands in 2 rows" in faults(radon, data)


def test_ambiguous_nested_level(pastes: Dag, faults: Faults) -> None:
    data = {
        "cask": {"batch": ["A", "B"], "cask": ["a", "a"]},
        "row": {"cask": ["a"], "strength": [1]},
    }
    told = faults(pastes, data)
    assert "level 'a' of 'cask' in row 1 is in more than one 'batch'" in told
    assert "add the level column of 'batch'" in told


def test_nested_level_without_its_parent(pastes: Dag, faults: Faults) -> None:
    told = faults(pastes, pd.DataFrame({"Batch": ["A"], "cask": ["a"], "strength": [1]}))
    assert "'batch'" in told
    assert "did you mean 'Batch'?" in told


def test_stated_level_of_a_nested_plate_that_no_row_places(faults: Faults) -> None:
    dag = read(
        'model m\nplate b\nplate c in b = "x", "y"\nplate r in c\nm[c] ~ Normal(0, 1)\n'
        "observed y[r] ~ Normal(m[c], 1)\n"
    )
    told = faults(dag, {"b": [1, 2], "c": ["x", "x"], "y": [1, 2]})
    assert "level 'y' of the nested plate 'c' is in no row, so its b is unknown" in told


def test_empty_plate(radon: Dag, faults: Faults) -> None:
    assert "has no elements" in faults(radon, pd.DataFrame(GOOD).iloc[:0])
    assert "plate 'county' has no elements" in faults(radon, sizes={"county": 0, "house": 0})


def test_text_has_no_order(model: Model, faults: Faults) -> None:
    told = faults(model("local_level"), {"year": ["may", "june"], "flow": [1, 2]})
    assert "the levels of the ordered plate 'year' have no order: 'june' is text" in told
    assert "ordered categorical" in told


def test_shape_of_arrays(rats: Dag, faults: Faults) -> None:
    told = faults(rats, {"rat": 3, "x": [1, 2], "y": np.zeros((2, 2))})
    assert "'y' is given with shape 2 x 2, its plates need 3 (rat) x 2 (week)" in told
    assert "differ in length" in faults(rats, {"x": [1, 2], "y": [[1, 2], [3]]})


def test_shape_of_constants(faults: Faults) -> None:
    dag = read("model m\nplate k\nconstant c[k] = [1, 2, 3]\nobserved y[k] ~ Normal(c, 1)\n")
    assert "constant 'c' is written with shape 3, its plates need 2 (k)" in faults(dag, {"k": 2})
    assert "'y' is given with shape 2, its plates need 3 (k)" in faults(dag, {"y": [1, 2]})


def test_positions_mean_nothing_where_levels_come_from_a_column(radon: Dag, faults: Faults) -> None:
    data = {"county": ["B", "A", "B"], "u": [1, 2], "floor": [0, 1, 0], "log_radon": [1, 2, 3]}
    assert "'u' is given by position, but the levels of 'county' come from a column" in faults(radon, data)
    numbered = bind(radon, data | {"county": [2, 1, 2]})
    assert numbered.values["u"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("law", "value", "told"),
    [
        ("Poisson(3)", -1, "below 0, the least value of Poisson"),
        ("Poisson(3)", 1.5, "no whole number, but Poisson counts"),
        ("Binomial(4, 0.5)", 2.5, "no whole number"),
        ("Bernoulli(0.5)", 2, "above 1, the greatest value of Bernoulli"),
        ("Gamma(1, 1)", -0.5, "below 0, the least value of Gamma"),
        ("Beta(1, 1)", 1.5, "above 1, the greatest value of Beta"),
        ("Truncated(Poisson(3), lower=1)", -2, "below 0"),
    ],
)
def test_values_outside_the_support(faults: Faults, law: str, value: float, told: str) -> None:
    dag = read(f"model m\nplate r\nobserved y[r] ~ {law}\n")
    message = faults(dag, {"y": [1, value, 0]})
    assert told in message
    assert f"{value:g} in row 2 of 'y'" in message


def test_booleans_are_bernoulli_values() -> None:
    dag = read("model m\nplate r\nobserved y[r] ~ Bernoulli(0.5)\n")
    np.testing.assert_array_equal(bind(dag, {"y": [True, None, False]}).values["y"], [1, np.nan, 0])


def test_two_rows_of_one_cell(rats: Dag, faults: Faults) -> None:
    frame = pd.DataFrame({"rat": [1, 1, 2], "week": [1, 1, 1], "x": [8, 8, 8], "y": [5.0, 5.0, 6.0]})
    told = faults(rats, frame)
    assert "rows 1 and 2 both give 'y' of rat 1, week 1" in told
    assert "plate row in rat, week" in told


def test_rows_by_a_plate_without_column(rats: Dag, faults: Faults) -> None:
    told = faults(rats, pd.DataFrame({"rat": [1, 2], "x": [1, 2], "y": [1, 2]}))
    assert "which has no level column (add a column 'week', or declare a plate for the rows)" in told


def test_too_many_cells(rats: Dag, faults: Faults) -> None:
    n = 20_000
    frame = pd.DataFrame({"rat": np.arange(n), "week": np.arange(n), "x": np.arange(n), "y": 1.0})
    assert "declare a plate for the rows: `plate row in rat, week`" in faults(rats, frame)


def test_values_given_twice(radon: Dag, faults: Faults) -> None:
    data = {
        "county": {"county": ["A", "B"], "u": [1, 2]},
        "house": {"county": ["A", "B"], "u": [1, 2], "floor": [0, 1], "log_radon": [1, 2]},
    }
    assert "values of 'u' are given in more than one place" in faults(radon, data)


def test_levels_that_the_model_names(model: Model, faults: Faults) -> None:
    food = ["fish", "invertebrate", "reptile", "bird", "other"]
    frame = pd.DataFrame({"lake": ["Hancok"] * 5, "size": ["small"] * 5, "food": food, "x": 1, "n": 5})
    told = faults(model("alligators"), frame)
    assert "'beta' names the level 'Hancock', which plate 'lake' does not have" in told
    assert "did you mean 'Hancok'?" in told


def test_data_of_a_parameter(model: Model, faults: Faults) -> None:
    data = {"x": [1], "m": [1], "y": [2], "a": [1]}
    assert "'a', which is a parameter of the model" in faults(model("mediation"), data)


def test_frames_of_no_plate(radon: Dag, faults: Faults) -> None:
    told = faults(radon, {"cuonty": {"u": [1]}})
    assert "there is a frame under 'cuonty', which is no plate of the model (did you mean 'county'?)" in told


def test_sizes_of_no_plate(radon: Dag, faults: Faults) -> None:
    assert "sizes: 'hose' is no plate of the model (did you mean 'house'?)" in faults(
        radon, sizes={"hose": 3}
    )
    assert "'x' is no size for plate 'county'" in faults(radon, sizes={"county": "x"})
    assert "2 numbers for 'house', county has 3 elements" in faults(
        radon, sizes={"county": 3, "house": [1, 2]}
    )


def test_sizes_that_disagree_with_the_data(radon: Dag, faults: Faults) -> None:
    told = faults(radon, GOOD, sizes={"county": 3})
    assert "plate 'county' has 2 elements, but its size is given as 3" in told


def test_arrays_of_a_nested_plate_without_membership(radon: Dag, faults: Faults) -> None:
    told = faults(radon, {"u": [1, 2], "floor": [0, 1, 0], "log_radon": [1, 2, 3]})
    assert "the data do not say which element of 'county' each element of 'house' lies in" in told


def test_what_is_no_data(radon: Dag, faults: Faults) -> None:
    assert "int is not a table" in faults(radon, 5)
    assert "no data file" in faults(radon, "absent.csv")
    assert "nothing says what the elements of plate 'county' are" in faults(radon)
