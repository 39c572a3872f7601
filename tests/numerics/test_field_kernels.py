"""The kernels that fill H, T and s, against loops in Python; their adjoint by duality."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics.field_kernels import fill, fill_adjoint, propagate


def problem(seed: int):
    rng = np.random.default_rng(seed)
    w, n, size, nt, nh = rng.normal(size=20), 6, 15, 25, 40
    at = lambda high, k, kind=np.int32: rng.integers(0, high, k).astype(kind)  # noqa: E731
    lists = (
        at(20, n, np.int64),
        at(size, nt),
        at(20, nt, np.int64),
        rng.normal(size=nt),
        at(size, nh),
        at(20, nh),
        at(20, nh),
        at(20, nh),
        rng.normal(size=nh),
    )
    return rng, w, n, size, lists


def filled(w, n, size, lists):
    s, T, H = np.full(n, 9.0), np.zeros(size), np.full(size, 9.0)
    T[lists[1]] = 9.0  # what was filled in before; T is zero elsewhere
    fill(w, *lists, s, T, H)
    return s, T, H


@pytest.mark.parametrize("seed", range(5))
def test_fill(seed: int) -> None:
    _, w, n, size, lists = problem(seed)
    s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value = lists
    s, T, H = filled(w, n, size, lists)
    np.testing.assert_array_equal(s, w[s_from])
    want_T, want_H = np.zeros(size), np.zeros(size)
    np.add.at(want_T, t_place, t_value * w[t_from])
    np.add.at(want_H, h_place, h_value * w[h_weight] * w[h_left] * w[h_right])
    np.testing.assert_allclose(T, want_T, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(H, want_H, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_fill_adjoint(seed: int) -> None:
    """Against central differences, which are exact up to rounding on cubics after extrapolation."""
    rng, w, n, size, lists = problem(seed)
    sb, Tb, Hb = rng.normal(size=n), rng.normal(size=size), rng.normal(size=size)
    before = rng.normal(size=w.size)
    g = before.copy()
    fill_adjoint(w, *lists, sb, Tb, Hb, g)

    def value(x):
        s, T, H = filled(x, n, size, lists)
        return s @ sb + T @ Tb + H @ Hb

    def slope(k, h):
        e = np.zeros(w.size)
        e[k] = h
        return (value(w + e) - value(w - e)) / (2 * h)

    want = np.array([(4 * slope(k, 0.05) - slope(k, 0.1)) / 3 for k in range(w.size)])
    np.testing.assert_allclose(g - before, want, rtol=1e-10, atol=1e-10)


def test_propagate() -> None:
    columns = np.zeros((4, 2))
    columns[3] = (1.0, 2.0)
    propagate(np.array([2, 1, 0, 0]), np.array([3, 2, 1, 3]), np.array([2.0, 3.0, 4.0, 0.5]), columns)
    np.testing.assert_array_equal(columns, [[24.5, 49.0], [6.0, 12.0], [2.0, 4.0], [1.0, 2.0]])
