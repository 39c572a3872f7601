"""Elements of plates: nested, crossed, aliased, ordered, stated, numbered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest
from bind_cells import cells
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.bind.bind import bind
from dagmodels.bind.spread import spread
from dagmodels.graph.dag import Dag
from dagmodels.readers import read

Model = Callable[[str], Dag]


def test_nested_labels_are_unique_only_within_their_parent(pastes: Dag) -> None:
    problem = bind(
        pastes, {"batch": ["A", "A", "B", "B"], "cask": ["a", "b", "a", "a"], "strength": [1, 2, 3, 4]}
    )
    cask = problem.plates["cask"]
    assert cask.levels == ("a", "b", "a")
    assert cask.parents["batch"].tolist() == [0, 0, 1]
    assert problem.labels["cask"] == ("a:A", "b:A", "a:B")
    assert problem.plates["row"].parents["cask"].tolist() == [0, 1, 2, 2]
    assert problem.labels["row"] == ("0", "1", "2", "3")


def test_unique_nested_labels_are_written_alone(pastes: Dag) -> None:
    problem = bind(pastes, {"batch": ["A", "B"], "cask": ["a", "b"], "strength": [1, 2]})
    assert problem.labels["cask"] == ("a", "b")


def test_one_frame_a_plate_equals_one_long_frame(radon: Dag) -> None:
    long = {"county": ["B", "A", "B"], "u": [2, 1, 2], "floor": [0, 1, 1], "log_radon": [5, 6, 7]}
    apart = {
        "county": {"county": ["B", "A"], "u": [2, 1]},
        "house": pd.DataFrame({"county": ["B", "A", "B"], "floor": [0, 1, 1], "log_radon": [5, 6, 7]}),
    }
    told = bind(radon, apart)
    assert told.plates["county"].levels == ("B", "A")  # a frame of the plate keeps its order
    assert cells(told, house="log_radon") == cells(bind(radon, long), house="log_radon")


def test_a_county_without_houses_is_kept(radon: Dag) -> None:
    problem = bind(
        radon,
        {
            "county": {"county": ["A", "B", "C"], "u": [1, 2, 3]},
            "house": {"county": ["C", "A"], "floor": [0, 1], "log_radon": [1, 2]},
        },
    )
    assert problem.plates["county"].size == 3
    assert problem.plates["house"].parents["county"].tolist() == [2, 0]


def test_grandparents_follow_from_the_parents_frame() -> None:
    dag = read(
        "model m\nplate school\nplate pupil in school\nplate visit in pupil\na[school] ~ Normal(0, 1)\n"
        "covariate sex[pupil]\nobserved y[visit] ~ Normal(a[school] + sex[pupil], 1)\n"
    )
    pupils = pl.DataFrame({"pupil": ["p", "q"], "school": ["S", "T"], "sex": [0, 1]})
    problem = bind(dag, {"pupil": pupils, "visit": {"pupil": ["q", "p", "q"], "y": [1, 2, 3]}})
    assert problem.rows(("visit",)).codes["school"].tolist() == [1, 0, 1]


def test_crossed_elements_and_a_covariate_whose_values_are_levels(model: Model) -> None:
    frame = pd.DataFrame(
        {"cluster": [7, 7, 8, 8], "period": [2, 1, 1, 2], "start": [2, 2, 1, 1], "y": [True, 0, 1, None]}
    )
    problem = bind(model("stepped_wedge"), frame)
    person = problem.plates["person"]
    assert person.parents["cluster"].tolist() == [0, 0, 1, 1]
    assert person.parents["period"].tolist() == [1, 0, 0, 1]
    assert problem.values["start"].tolist() == [1, 0]  # codes of period
    np.testing.assert_array_equal(problem.values["y"], [1, 0, 1, np.nan])


def test_aliases_share_levels_and_may_be_belonged_to_twice() -> None:
    dag = read(
        "model m\nplate team\nplate home as team\nplate away as team\nplate match in home, away\n"
        "skill[team] ~ Normal(0, 1)\nobserved y[match] ~ Normal(skill[home] - skill[away], 1)\n"
    )
    problem = bind(dag, {"home": ["a", "b", "a"], "away": ["c", "c", "b"], "y": [1, 2, 3]})
    assert problem.plates["team"].levels == ("a", "b", "c") == problem.plates["home"].levels
    assert problem.plates["away"].base == "team"
    assert problem.plates["match"].parents["home"].tolist() == [0, 1, 0]
    assert problem.plates["match"].parents["away"].tolist() == [2, 2, 1]


@pytest.mark.parametrize("years", [[1999, 1997, 2001], ["1999-01-02", "1997-01-02", "2001-01-01"]])
def test_order_by_value(model: Model, years: list[object]) -> None:
    problem = bind(model("local_level"), {"year": years, "flow": [1, 2, None]})
    year = problem.plates["year"]
    assert year.levels == tuple(sorted(years, key=str))
    assert year.order is not None
    assert year.order.tolist() == [-1, 0, 1]


def test_order_of_rows_without_labels(model: Model) -> None:
    order = bind(model("local_level"), pd.DataFrame({"flow": [3, 4, 5]})).plates["year"].order
    assert order is not None
    assert order.tolist() == [-1, 0, 1]


def test_order_of_categoricals(model: Model) -> None:
    months = pd.Categorical(["may", "june", "april"], ["april", "may", "june"], ordered=True)
    year = bind(model("local_level"), pd.DataFrame({"year": months, "flow": [1, 2, 3]})).plates["year"]
    assert year.levels == ("april", "may", "june")
    assert year.order is not None
    assert year.order.tolist() == [-1, 0, 1]


def test_order_within_parents() -> None:
    dag = read(
        "model m\nplate subject\nplate visit in subject ordered\nx[visit first] ~ Normal(0, 1)\n"
        "x[visit] ~ Normal(x[visit-1], 1)\nobserved y[visit] ~ Normal(x, 1)\n"
    )
    data = {"subject": ["a", "b", "a", "b", "a"], "visit": [10, 1, 2, 3, 4], "y": [1, 2, 3, 4, 5]}
    visit = bind(dag, data).plates["visit"]
    told = {(s, v): i for i, (s, v) in enumerate(zip(visit.parents["subject"], visit.levels, strict=True))}
    assert visit.order is not None
    assert visit.order[told[0, 2]] == -1 == visit.order[told[1, 1]]
    assert visit.order[told[0, 10]] == told[0, 4]
    assert visit.order[told[1, 3]] == told[1, 1]


def test_stated_levels_keep_their_order_and_unused_ones() -> None:
    dag = read(
        'model m\nplate arm = "z", "a", "b"\nplate row in arm\nm[arm] ~ Normal(0, 1)\n'
        "observed y[row] ~ Normal(m[arm], 1)\n"
    )
    problem = bind(dag, {"arm": ["b", "z"], "y": [1, 2]})
    assert problem.plates["arm"].levels == ("z", "a", "b")
    assert problem.plates["row"].parents["arm"].tolist() == [2, 0]


@pytest.mark.parametrize("items", [["1", "5"], [1, 5], [1.0, 5.0]])
def test_stated_numbers_match_text(model: Model, items: list[object]) -> None:
    problem = bind(model("lsat"), {"student": ["s", "s"], "item": items, "r": [1, 0]})
    np.testing.assert_array_equal(problem.values["r"], [[1, np.nan, np.nan, np.nan, 0]])


def test_values_of_discrete_nodes_give_the_levels() -> None:
    dag = read(
        "model m\nplate row\nplate answer\n"
        "observed x[row] in answer ~ Categorical(p)\np[answer] ~ Dirichlet(1)\n"
    )
    problem = bind(dag, {"x": ["no", None, "yes", "no"]})
    assert problem.plates["answer"].levels == ("no", "yes")
    np.testing.assert_array_equal(problem.values["x"], [0, np.nan, 1, 0])


def test_entries_of_a_dict_named_like_plates(rats: Dag) -> None:
    sized = bind(rats, {"rat": 2, "week": [8, 15], "x": [1, 2], "y": np.array([[1, 2], [3, np.nan]])})
    assert sized.plates["rat"].levels == (0, 1)
    assert sized.plates["week"].levels == (8, 15)
    bare = bind(rats, {"x": [1, 2], "y": [[1, 2], [3, None]]})
    np.testing.assert_array_equal(bare.values["y"], sized.values["y"])
    listed = bind(rats, {"week": ["late", "early"], "x": [2, 1], "y": [[1, 2]]})
    assert listed.plates["week"].levels == ("late", "early")  # axes follow the order given


def test_level_columns_beside_arrays_of_other_plates(rats: Dag) -> None:
    mixed = bind(rats, {"rat": ["b", "a", "b"], "week": [1, 1, 2], "y": [1, 2, 3], "x": [10, 20]})
    assert mixed.plates["rat"].levels == ("a", "b")
    np.testing.assert_array_equal(mixed.values["y"], [[2, np.nan], [1, 3]])
    assert mixed.values["x"].tolist() == [10, 20]


def test_absent_cells_are_missing(rats: Dag) -> None:
    problem = bind(
        rats, pd.DataFrame({"rat": [1, 1, 2], "week": [1, 2, 2], "x": [5, 6, 6], "y": [1.0, None, 3]})
    )
    np.testing.assert_array_equal(problem.values["y"], [[1, np.nan], [np.nan, 3]])
    assert problem.missing() == {"y": 2}


def test_constants_have_their_shape(model: Model) -> None:
    problem = bind(model("birats"), {"x": [1, 2], "y": [[1, 2], [3, 4]]})
    np.testing.assert_array_equal(problem.values["v"], [[0.005, 0], [0, 5]])


def test_constants_number_a_plate() -> None:
    dag = read("model m\nplate k\nconstant c[k] = [1, 2, 3]\nobserved y[k] ~ Normal(c, 1)\n")
    assert bind(dag).plates["k"].levels == (0, 1, 2)


def test_scalars(model: Model) -> None:
    dag = read("model m\nplate r\ncovariate n\nobserved y[r] ~ Normal(n, 1)\n")
    assert bind(dag, {"n": 3, "y": [1, 2]}).values["n"].tolist() == 3
    assert bind(dag, pd.DataFrame({"n": [3, 3], "y": [1, 2]})).values["n"].shape == ()


def test_alias_axes_of_a_matrix() -> None:
    dag = read("model m\nplate p\nplate q as p\ncovariate K[p, q]\nobserved y[p] ~ MvNormal(0, K)\n")
    square = bind(dag, {"K": [[2, 1], [1, 3]], "y": [1, 2]})
    cell = {"p": ["b", "b", "a", "a"], "q": ["b", "a", "b", "a"], "K": [3, 1, 1, 2]}
    long = bind(dag, {**cell, "y": [2, 2, 1, 1]})
    assert long.values["K"].tolist() == [[2, 1], [1, 3]] == square.values["K"].tolist()
    assert square.plates["q"].size == 2


def test_sizes_without_data(radon: Dag) -> None:
    problem = bind(radon, sizes={"county": 85, "house": 919}, require_covariates=False)
    counts = np.bincount(problem.plates["house"].parents["county"])
    assert counts.size == 85
    assert (counts.min(), counts.max(), counts.sum()) == (10, 11, 919)
    each = bind(radon, sizes={"county": ["A", "B"], "house": [1, 3]}, require_covariates=False)
    assert each.plates["county"].levels == ("A", "B")
    assert each.plates["house"].parents["county"].tolist() == [0, 1, 1, 1]


def test_sizes_beside_data(radon: Dag) -> None:
    problem = bind(radon, {"county": ["A", "B"], "u": [1, 2]}, sizes={"house": 4}, require_covariates=False)
    assert problem.plates["house"].parents["county"].tolist() == [0, 0, 1, 1]


def test_covariates_alone_size_the_rows(model: Model) -> None:
    problem = bind(model("replicates"), pd.DataFrame({"subject": ["a", "a", "b"], "z": [1, 1, 2]}))
    assert problem.plates["replicate"].parents["subject"].tolist() == [0, 0, 1]
    assert "w" not in problem.values


def test_levels_that_the_model_names_come_first_in_a_simulation(model: Model) -> None:
    plates = bind(model("alligators"), sizes={"lake": 3, "size": 2}, require_covariates=False).plates
    assert plates["lake"].levels == ("Hancock", 1, 2)
    assert plates["size"].levels == ("small", 1)


def test_sizes_beside_a_frame_that_places_nested_levels(model: Model) -> None:
    items = {"item": ["x1", "x4", "x7"], "factor": ["visual", "textual", "speed"]}
    plates = bind(model("equal_loadings"), {"item": items}, sizes={"school": 2, "pupil": 5}).plates
    assert plates["item"].levels == ("x1", "x4", "x7")
    assert plates["item"].parents["factor"].tolist() == [0, 1, 2]
    assert plates["pupil"].parents["school"].tolist() == [0, 0, 0, 1, 1]


@given(st.integers(0, 200), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_spreading_is_even(n: int, sizes: list[int]) -> None:
    codes = spread(n, sizes)
    assert len(codes) == len(sizes)
    cell = np.ravel_multi_index(codes, sizes) if n else np.zeros(0, int)
    counts = np.bincount(cell, minlength=int(np.prod(sizes)))
    assert counts.max() - counts.min() <= 1
    first = np.bincount(codes[0], minlength=sizes[0])
    assert first.max() - first.min() <= 1
    assert counts.sum() == n
