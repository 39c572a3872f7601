"""Patterns of missing values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dagmodels.data.missing import missing_counts, patterns


@given(arrays(bool, st.tuples(st.integers(0, 30), st.integers(0, 11))), st.randoms())
def test_patterns_are_a_partition_that_permuting_rows_leaves(observed: np.ndarray, random: object) -> None:
    found = patterns(observed)
    np.testing.assert_array_equal(found.observed[found.index], observed)
    assert len(np.unique(found.observed, axis=0)) == len(found.observed)
    np.testing.assert_array_equal(np.bincount(found.index, minlength=len(found.counts)), found.counts)
    assert (np.diff(found.counts) <= 0).all()
    order = list(range(len(observed)))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = patterns(observed[order])
    np.testing.assert_array_equal(again.observed, found.observed)
    np.testing.assert_array_equal(again.index, found.index[order])


def test_rows_of_a_pattern() -> None:
    found = patterns(np.array([[True, False], [True, True], [True, True]]))
    assert found.counts.tolist() == [2, 1]
    assert found.rows(0).tolist() == [1, 2]


def test_counts_name_only_what_misses() -> None:
    masks = {"x": np.array([True, True]), "y": np.array([[True, False], [False, False]])}
    assert missing_counts(masks) == {"y": 3}
