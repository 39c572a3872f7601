"""Labels: one spelling each, sorted, coded without loss."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.data.column import categorical, column
from dagmodels.data.levels import canonical, distinct_integers, have_values, in_order


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("308", 308),
        (308.0, 308),
        (np.int64(308), 308),
        (np.str_("a"), "a"),
        ("-3", -3),
        ("-0", "-0"),
        ("007", "007"),
        ("1.0", "1.0"),
        ("0.5", 0.5),
        (0.5, 0.5),
        ("1e3", "1e3"),
        ("nan", "nan"),
        ("inf", "inf"),
        (True, True),
        (datetime.date(2020, 1, 31), "2020-01-31"),
        (datetime.datetime(2020, 1, 31), "2020-01-31"),
        ("2020-01-31T00:00:00", "2020-01-31"),
        ("2020-01-31 10:30", "2020-01-31T10:30:00"),
        ("2020-13-31", "2020-13-31"),
        ("", ""),
    ],
)
def test_one_spelling(label: object, expected: object) -> None:
    found = canonical(label)
    assert found == expected
    assert type(found) is type(expected)


@given(st.lists(st.text(max_size=6) | st.from_regex(r"-?[0-9]{1,3}(\.[0-9])?", fullmatch=True), unique=True))
def test_distinct_text_stays_distinct(texts: list[str]) -> None:
    assert len({canonical(t) for t in texts}) == len(texts) - _dates_spelled_twice(texts)


def _dates_spelled_twice(texts: list[str]) -> int:
    found = [canonical(t) for t in texts if isinstance(canonical(t), str)]
    return len(found) - len(set(found))


def test_numbers_by_value_before_text_by_letters() -> None:
    assert in_order(["b", 10, "a", 9, "B", 0.5]) == [0.5, 9, 10, "B", "a", "b"]


def test_what_orders_itself() -> None:
    assert have_values([1, 2.5])
    assert have_values(["2020-01-01", "2021-05-05"])
    assert not have_values(["may", "june"])
    assert not have_values([1, "2020-01-01"])


scalars = st.integers(-5, 5) | st.sampled_from(["a", "b", "10", "9", "x y"]) | st.none()


@given(st.lists(scalars, max_size=30))
def test_codes_give_the_labels_back(values: list[object]) -> None:
    factor = column("x", values).factor()
    back = [None if c < 0 else factor.labels[c] for c in factor.codes.tolist()]
    assert back == [None if v is None else canonical(v) for v in values]
    assert list(factor.labels) == in_order(set(back) - {None})


@given(st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 20), max_size=40))
def test_distinct_integers(values: list[int]) -> None:
    distinct, codes = distinct_integers(np.array(values, dtype=np.int64))
    assert distinct.tolist() == sorted(set(values))
    assert distinct[codes].tolist() == values


def test_categories_keep_their_order_and_lose_unused_ones() -> None:
    factor = categorical("x", np.array([2, 0, -1]), ["low", "unused", "high"], ordered=True).factor()
    assert factor.labels == ("low", "high")
    assert factor.codes.tolist() == [1, 0, -1]
    assert factor.ordered


def test_first_missing() -> None:
    assert column("x", ["a", None, None]).factor().first_missing == 1
    assert column("x", [1.0, 2.0, np.nan]).factor().first_missing == 2
    assert column("x", [1, 2]).factor().first_missing is None
