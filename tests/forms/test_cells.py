"""Which statement gives which element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.bind.bind import bind
from dagmodels.bind.labels import level_code, rank
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError
from dagmodels.forms.cells import cells, element_label, lagged
from dagmodels.graph.statement import Deterministic, Parameter, Stochastic
from dagmodels.readers import read

TEXT = """
model shares
plate person
plate grp = "a", "b", "c"
plate level = 1..3
plate t ordered
plate day in person ordered
covariate x[day]
parameter b[grp], m[grp, level], w[t]
b["b"] = 0
m["a", level] = 1
m["a", 2] = 2
h[t first 2] ~ Normal(0, 1)
h[t] ~ Normal(w[t-1], 1)
z[day first] = 0
z[day] = x - x[day-1]
(p, q)[person] ~ MvNormal([0, 0], [[1, 0.2], [0.2, 1]])
"""


def problem() -> Problem:
    """Days of two people, out of order and interleaved; five times out of order."""
    days = {"person": ["u", "v", "u", "u", "v"], "day": [3, 7, 1, 2, 5], "x": [1.0, 2.0, 3.0, 4.0, 5.0]}
    return bind(read(TEXT), {"day": days, "t": {"t": [40, 10, 30, 20, 50]}})


def places(found: Any, kind: type) -> list[list[int]]:
    return [c.places.tolist() for c in found if isinstance(c.statement, kind)]


def test_a_single_statement_gives_everything_in_order() -> None:
    (share,) = cells(problem(), "w")
    assert share.whole
    assert share.places.tolist() == [0, 1, 2, 3, 4]
    assert share.rows.n == 5


def test_one_level_is_given() -> None:
    found = cells(problem(), "b")
    assert places(found, Parameter) == [[0, 2]]
    assert places(found, Deterministic) == [[1]]
    assert not any(c.whole for c in found)


def test_the_statement_naming_more_levels_holds() -> None:
    """m["a", 2] is given by the statement that names both."""
    found = cells(problem(), "m")
    by_head = {tuple(s.label for s in c.statement.head.slots): c.places.tolist()
               for c in found if isinstance(c.statement, Deterministic)}  # fmt: skip
    assert by_head == {("a", None): [0, 2], ("a", 2): [1]}
    assert places(found, Parameter) == [[3, 4, 5, 6, 7, 8]]


def test_every_element_belongs_to_one_share() -> None:
    p = problem()
    for name in ("b", "m", "h", "z", "w", "p"):
        every = np.concatenate([c.places for c in cells(p, name)])
        assert sorted(every.tolist()) == list(range(int(np.prod(p.shape(name)))))
        for share in cells(p, name):
            full = p.rows(p.graph.nodes[name].plates)
            assert share.rows.n == share.places.size
            for plate, codes in share.rows.codes.items():
                np.testing.assert_array_equal(codes, full.codes[plate][share.places])


def test_first_elements_by_the_order_of_values() -> None:
    """Times 10 and 20 stand at places 1 and 3."""
    found = cells(problem(), "h")
    assert sorted(places(found, Stochastic)) == [[0, 2, 4], [1, 3]]
    first = [c for c in found if c.statement.head.slots[0].first == 2]
    assert first[0].places.tolist() == [1, 3]


def test_first_elements_within_each_parent() -> None:
    """Each person has a first day."""
    p = problem()
    days = p.plates["day"]
    first = next(c for c in cells(p, "z") if c.statement.head.slots[0].first)
    labels = {p.labels["day"][k] for k in first.places}
    assert first.places.size == 2
    assert {str(days.levels[k]) for k in first.places} == {"1", "5"}, labels


def test_ranks_and_lags() -> None:
    p = problem()
    levels = list(p.plates["t"].levels)
    assert rank(p, "t").tolist() == [sorted(levels).index(v) for v in levels]
    for lag in (0, 1, 2, 4, 5, 7):
        for code, before in enumerate(lagged(p, "t", lag)):
            position = sorted(levels).index(levels[code]) - lag
            assert before == (levels.index(sorted(levels)[position]) if position >= 0 else -1)


def test_lags_stay_within_the_parent() -> None:
    p = problem()
    person = p.plates["day"].parents["person"]
    before = lagged(p, "day", 1)
    assert np.sum(before < 0) == 2
    inner = before >= 0
    np.testing.assert_array_equal(person[inner], person[before[inner]])


def test_rank_without_an_order_is_the_position() -> None:
    assert rank(problem(), "grp").tolist() == [0, 1, 2]
    with pytest.raises(ModelError, match="no order"):
        lagged(problem(), "grp", 1)


def test_levels_by_label_or_by_text() -> None:
    p = problem()
    assert [level_code(p, "grp", v) for v in "abc"] == [0, 1, 2]
    assert level_code(p, "level", 2) == level_code(p, "level", "2") == 1
    assert level_code(p, "t", 30) == 2
    with pytest.raises(ModelError, match="no level 'd'"):
        level_code(p, "grp", "d")


def test_components_of_a_joint_statement() -> None:
    (first,), (second,) = cells(problem(), "p"), cells(problem(), "q")
    assert (first.component, second.component) == (0, 1)
    assert cells(problem(), "w")[0].component is None


def test_labels_of_elements() -> None:
    p = problem()
    assert element_label(p, "m", 5) == "m[b, 3]"
    assert element_label(p, "w", 0) == "w[40]"
