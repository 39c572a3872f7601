"""Pieces and their cross-products against explicit dense designs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.forms.pieces import Piece, Products, aligned, cross_products, gathered, merged, scaled

N, Q, W = 17, 6, 9  # rows, elements (the constant is Q), places of the workspace
SEEDS = range(20)


def piece(rng: Any, n: int = N, owned: bool = False) -> Piece:
    """Entries of every mixture: one for all or one each; some rows without and some with several entries."""
    owner = np.sort(rng.integers(0, n, int(rng.integers(0, 2 * n)))) if owned else None
    if owned and rng.random() < 0.5:
        owner = rng.permutation(owner)
    m = n if owner is None else owner.size
    element = rng.integers(0, Q + 1, m) if rng.random() < 0.6 else int(rng.integers(0, Q + 1))
    source = rng.integers(0, W, m) if rng.random() < 0.6 else int(rng.integers(0, W))
    data = rng.normal(size=m) if rng.random() < 0.6 else float(rng.normal())
    return Piece(element, source, data, owner)


def design(pieces: list[Piece], w: Any, n: int = N) -> Any:
    """A[row, element], the tape's values included."""
    A = np.zeros((n, Q + 1))
    for p in pieces:
        m = p.count(n)
        rows = np.arange(n) if p.owner is None else p.owner
        element, source, data = (np.broadcast_to(v, m) for v in (p.element, p.source, p.data))
        for k in range(m):
            A[rows[k], element[k]] += data[k] * w[source[k]]
    return A


def assembled(products: Products, w: Any) -> Any:
    """The symmetric H that the entries stand for: each off the diagonal once for both orders."""
    H = np.zeros((Q + 1, Q + 1))
    entries = (getattr(products, f) for f in Products.__slots__)
    for i, j, weight, left, right, value in zip(*entries, strict=True):
        t = value * w[weight] * w[left] * w[right]
        H[i, j] += t
        if i != j:
            H[j, i] += t
    return H


def weights(rng: Any) -> Any:
    return int(rng.integers(0, W)) if rng.random() < 0.4 else rng.integers(0, W, N)


@pytest.mark.parametrize("seed", SEEDS)
def test_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, weight = rng.normal(size=W), weights(rng)
    pieces = [piece(rng) for _ in range(int(rng.integers(1, 6)))]
    A = design(pieces, w)
    want = A.T @ np.diag(np.broadcast_to(w[weight], N)) @ A
    products = cross_products(pieces, None, weight, N)
    np.testing.assert_allclose(assembled(products, w), want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(assembled(merged([products]), w), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_products_of_two_predictors(seed: int) -> None:
    """Twice the product, symmetrised: what stands beside two squares."""
    rng = np.random.default_rng(100 + seed)
    w, weight = rng.normal(size=W), weights(rng)
    first = [piece(rng) for _ in range(int(rng.integers(1, 4)))]
    second = [piece(rng) for _ in range(int(rng.integers(1, 4)))]
    if seed % 3 == 0:
        second[0] = first[0]  # the same columns in both
    A, B, D = design(first, w), design(second, w), np.diag(np.broadcast_to(w[weight], N))
    want = A.T @ D @ B
    want = want + want.T
    products = cross_products(first, second, weight, N)
    np.testing.assert_allclose(assembled(products, w), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_weight_of_its_own_for_every_row(seed: int) -> None:
    rng = np.random.default_rng(300 + seed)
    w, weight = rng.normal(size=N), rng.permutation(N)
    group = rng.integers(0, Q, N)
    first = [Piece(group, 0, 1.0), Piece(group, 1, rng.normal(size=N)), *(piece(rng) for _ in range(3))]
    A, B, D = design(first, w), design(first[2:], w), np.diag(w[weight])
    products = cross_products(first, None, weight, N)
    for found in (products, merged([products, products])):
        want = A.T @ D @ A * (1 if found is products else 2)
        np.testing.assert_allclose(assembled(found, w), want, rtol=1e-12, atol=1e-12)
    two = cross_products(first, first[2:], weight, N)
    np.testing.assert_allclose(assembled(two, w), A.T @ D @ B + B.T @ D @ A, rtol=1e-12, atol=1e-12)


def test_columns_that_change_together() -> None:
    """Two pieces on one index array (slope and intercept of a group): one key serves both."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 3, N)
    w = rng.normal(size=W)
    pieces = [Piece(group, 0, 1.0), Piece(group + 3, 1, rng.normal(size=N)), Piece(Q, 2, rng.normal(size=N))]
    weight = rng.integers(0, W, N)
    A = design(pieces, w)
    products = cross_products(pieces, None, weight, N)
    np.testing.assert_allclose(assembled(products, w), A.T @ np.diag(w[weight]) @ A, rtol=1e-12, atol=1e-12)


def test_large_keys_are_grouped_without_a_table() -> None:
    """Elements, sources and weights of a wide range: the number of pairs exceeds any table."""
    rng = np.random.default_rng(2)
    e, f = rng.integers(0, 10**6, 50), rng.integers(0, 10**6, 50)
    products = cross_products([Piece(e, 0, 1.0), Piece(f, 1, 2.0)], None, rng.integers(0, 10**4, 50), 50)
    assert products.value.sum() == pytest.approx(50 + 200 + 100 + 100 * np.sum(e == f) / 50)
    assert set(products.i.tolist()) <= set(e.tolist()) | set(f.tolist())


@pytest.mark.parametrize("seed", SEEDS)
def test_merging_adds_up(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    w = rng.normal(size=W)
    lists = [cross_products([piece(rng), piece(rng)], None, weights(rng), N) for _ in range(3)]
    one = merged(lists)
    np.testing.assert_allclose(assembled(one, w), sum(assembled(p, w) for p in lists), rtol=1e-12, atol=1e-12)
    keys = {
        (min(i, j), max(i, j), k, min(a, b), max(a, b))
        for i, j, k, a, b in zip(one.i, one.j, one.weight, one.left, one.right, strict=True)
    }
    assert len(keys) == one.value.size


@pytest.mark.parametrize("seed", SEEDS)
def test_alignment_keeps_the_design(seed: int) -> None:
    """Several entries a row become several pieces with one entry a row."""
    rng = np.random.default_rng(300 + seed)
    w = np.append(rng.normal(size=W - 1), 1.0)
    pieces = [piece(rng, owned=True), piece(rng), piece(rng, owned=True)]
    found = aligned(pieces, N, Q, W - 1)
    assert all(p.owner is None for p in found)
    np.testing.assert_allclose(design(found, w), design(pieces, w), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_gathering_is_a_choice_of_rows(seed: int) -> None:
    rng = np.random.default_rng(400 + seed)
    w = rng.normal(size=W)
    rows = rng.integers(0, N, 23)
    for owned in (False, True):
        p = piece(rng, owned=owned)
        found = gathered(p, rows, N)
        np.testing.assert_allclose(design(found, w, 23), design([p], w)[rows], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_scaling_multiplies_rows(seed: int) -> None:
    rng = np.random.default_rng(500 + seed)
    w = rng.normal(size=W)
    for owned in (False, True):
        p = piece(rng, owned=owned)
        factor = rng.normal(size=N)
        want = design([p], w) * factor[:, None]
        np.testing.assert_allclose(design([scaled(p, factor)], w), want, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(design([scaled(p, 2.5)], w), design([p], w) * 2.5, rtol=1e-13, atol=1e-14)
