"""Cross-products formed all at once, pair by pair, and as the quadratic form that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.forms import pieces
from dagmodels.forms.pieces import Piece, Products, cross_products, merged


def some_pieces(rng: np.random.Generator, n: int) -> list[Piece]:
    """Pieces on single elements and on the elements of two crossed groups, of random places and data."""
    groups = [rng.integers(0, 4, n), rng.integers(0, 3, n)]
    found = []
    for _ in range(int(rng.integers(1, 6))):
        kind, data = rng.integers(0, 4), rng.normal(size=n) if rng.random() < 0.7 else float(rng.normal())
        first = int(rng.integers(0, 3))
        if kind == 0:
            found.append(Piece(first, int(rng.integers(0, 3)), data))
        elif kind == 1:  # the factor changes with the group, the element does not
            found.append(Piece(first, 3 + groups[0], data))
        else:
            found.append(Piece(3 + 4 * first + groups[kind - 2], int(rng.integers(0, 3)), data))
    return found


def quadratic(p: Products, u: np.ndarray, w: np.ndarray) -> float:
    """u'Hu: an entry off the diagonal stands for both orders."""
    twice = np.where(p.i == p.j, 1.0, 2.0)
    return float((twice * p.value * w[p.weight] * w[p.left] * w[p.right] * u[p.i] * u[p.j]).sum())


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_products_are_the_sum_of_squares(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    parts = some_pieces(rng, n)
    u, w = rng.normal(size=30), rng.normal(size=10)
    predictor = sum(p.data * w[p.source] * u[p.element] * np.ones(n) for p in parts)
    found = merged([cross_products(parts, None, 7, n)])
    np.testing.assert_allclose(
        quadratic(found, u, w), w[7] * float(predictor @ predictor), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(20))
def test_at_once_as_pair_by_pair(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    parts = some_pieces(rng, 25)
    at_once = merged([cross_products(parts, None, 7, 25)])
    monkeypatch.setattr(pieces, "SMALL", 0)
    by_pairs = merged([cross_products(parts, None, 7, 25)])
    for name in ("i", "j", "weight", "left", "right"):
        np.testing.assert_array_equal(getattr(at_once, name), getattr(by_pairs, name))
    np.testing.assert_allclose(at_once.value, by_pairs.value, rtol=1e-12, atol=1e-12)


def test_sums_by_keys_of_a_large_range() -> None:
    rng = np.random.default_rng(3)
    key, value = rng.integers(0, 10**6, 50).repeat(2), rng.normal(size=100)
    keys, sums = pieces._grouped(key, value, 10**6)
    np.testing.assert_array_equal(keys, np.unique(key))
    np.testing.assert_allclose(sums, [value[key == k].sum() for k in keys])
