"""One column per level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from bind_cells import cells

from dagmodels.bind.bind import bind
from dagmodels.graph.dag import Dag
from dagmodels.readers import read

Model = Callable[[str], Dag]
Faults = Callable[..., str]


def test_stated_levels_name_columns(model: Model) -> None:
    wide = pd.DataFrame({"student": ["t", "s"], **{str(i): [i % 2, None] for i in range(1, 6)}})
    long = wide.melt(id_vars="student", var_name="item", value_name="r")
    problem = bind(model("lsat"), wide)
    assert cells(problem) == cells(bind(model("lsat"), long))
    assert problem.unused == ()
    np.testing.assert_array_equal(problem.values["r"][1], [1, 0, 1, 0, 1])


def test_rows_may_go_without_labels(model: Model) -> None:
    problem = bind(model("lsat"), {str(i): [1, 0, 1] for i in range(1, 6)})
    assert problem.shape("r") == (3, 5)


def test_levels_from_a_frame_of_the_plate_name_columns(model: Model) -> None:
    items = {"item": ["x4", "x1", "x7"], "factor": ["textual", "visual", "speed"]}
    pupils = {"school": ["P", "Q"], "x1": [1.0, 2], "x4": [3.0, 4], "x7": [5.0, None]}
    problem = bind(model("equal_loadings"), {"item": items, "pupil": pupils})
    np.testing.assert_array_equal(problem.values["x"], [[3, 1, 5], [4, 2, np.nan]])


def test_node_and_level_name_columns(model: Model) -> None:
    data = {"x1": [1, 2], "x2": [3, 4]}
    data |= {f"y[{i}]": [i, 10 + i] for i in range(4)} | {f"c[{i}]": [-i, -i] for i in range(4)}
    problem = bind(model("growth"), data)
    assert problem.values["y"].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert problem.values["c"][0].tolist() == [0, -1, -2, -3]


def test_two_nodes_cannot_share_columns(model: Model, faults: Faults) -> None:
    told = faults(model("growth"), {"x1": [1], "x2": [3], **{str(i): [i] for i in range(4)}})
    assert "the same columns could hold 'c' and 'y'" in told
    assert "`y[...]`" in told


def test_a_level_without_its_column(model: Model, faults: Faults) -> None:
    data = {"1": [1], "2": [1], "3": [1], "4": [1]}
    assert "none for 5 (add a column of missing values" in faults(model("lsat"), data)


def test_the_first_bad_value_names_its_column(model: Model, faults: Faults) -> None:
    data = {str(i): [1, 1] for i in range(1, 6)} | {"3": [1, 2]}
    told = faults(model("lsat"), data)
    assert "column '3': 2 in row 2 of 'r' is above 1" in told


def test_wide_columns_of_rows_inside_the_plate() -> None:
    dag = read(
        'model m\nplate s\nplate r in s\nplate t = "a", "b"\nu[s] ~ Normal(0, 1)\n'
        "covariate k[r]\nobserved y[s, t] ~ Normal(u[s], 1)\nobserved z[r] ~ Normal(k, 1)\n"
    )
    data = pd.DataFrame({"s": [1, 1, 2], "k": [1, 2, 3], "z": [1, 2, 3], "a": [5, 5, 6], "b": [7, 7, 8]})
    problem = bind(dag, data)
    assert problem.values["y"].tolist() == [[5, 7], [6, 8]]
