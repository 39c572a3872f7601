"""Inverses that need no eigenvalues, against numpy's; when they refuse, against eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.numerics.triangle import inverse_of_regular, lower_triangle


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_places_are_those_of_numpy_and_cannot_be_written(order: int) -> None:
    found = lower_triangle(order)
    for got, want in zip(found, np.tril_indices(order), strict=True):
        np.testing.assert_array_equal(got, want)
        assert not got.flags.writeable


@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0, 12))
def test_an_inverse_is_given_only_where_the_matrix_is_regular(seed: int, k: int, digits: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(k, k + 2))
    rows[-1] = rows[0] + 10.0**-digits * rows[-1]  # nearly the same as the first
    rows /= np.sqrt((rows**2).sum(axis=1, keepdims=True))
    matrix = rows @ rows.T
    found = inverse_of_regular(matrix)
    values = np.linalg.eigvalsh(matrix)
    if found is None:
        assert np.prod(values) < 1e-7 * k
    else:
        assert values[0] > 1e-9 * values[-1]
        np.testing.assert_allclose(found @ matrix, np.eye(k), atol=1e-5)


def test_what_is_not_positive_definite_has_none() -> None:
    assert inverse_of_regular(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    assert inverse_of_regular(np.array([[1.0, 0.0], [0.0, -1.0]])) is None
    assert inverse_of_regular(np.array([[1.0, np.nan], [np.nan, 1.0]])) is None
