"""Coordinates of outer unknowns: `register` and `coordinates_of` are inverse, and differentiable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dagmodels.forms.outer import Coordinate, coordinates_of, register
from dagmodels.numerics.tape import Recorder
from tests.numerics.tapes import complex_step, reverse, run

SEEDS = range(8)


def coordinate(kind: str, length: int, order: int = 0, batch: int = 1) -> Coordinate:
    wide = np.full(length, np.inf)
    return Coordinate("v", kind, length, -wide, wide, np.zeros(length, bool), order=order, batch=batch)


def recorded(c: Coordinate) -> Any:
    recorder = Recorder()
    value, factor = register(recorder, c)
    recorder.start(value)
    return recorder.finish(), value, factor


def value_of(c: Coordinate, x: Any) -> Any:
    tape, value, _ = recorded(c)
    return run(tape, {"v": x})[tape.place(value)]


def covariances(rng: Any, batch: int, d: int) -> Any:
    A = rng.normal(size=(batch, d, d + 1)) * np.exp(2 * rng.normal(size=(batch, d, 1)))
    return A @ A.swapaxes(1, 2)


def correlations(rng: Any, batch: int, d: int) -> Any:
    C = covariances(rng, batch, d)
    s = np.sqrt(np.diagonal(C, axis1=1, axis2=2))
    return C / s[:, :, None] / s[:, None, :]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["identity", "log"])
def test_scalars(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = np.exp(3 * rng.normal(size=4))
    c = coordinate(kind, 4)
    np.testing.assert_allclose(value_of(c, coordinates_of(c, value)), value, rtol=1e-14)
    x = rng.normal(size=4)
    np.testing.assert_allclose(coordinates_of(c, value_of(c, x)), x, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("batch", "d"), [(1, 1), (1, 2), (1, 5), (3, 2), (2, 4)])
def test_covariances(seed: int, batch: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    c = coordinate("cholesky", batch * d * (d + 1) // 2, d, batch)
    value = covariances(rng, batch, d)
    np.testing.assert_allclose(value_of(c, coordinates_of(c, value)).reshape(value.shape), value, rtol=1e-9)
    tape, at, factor = recorded(c)
    w = run(tape, {"v": coordinates_of(c, value)})
    L = w[tape.place(factor)].reshape(batch, d, d)
    np.testing.assert_allclose(L, np.linalg.cholesky(value), rtol=1e-12)
    np.testing.assert_allclose(L @ L.swapaxes(1, 2), w[tape.place(at)].reshape(value.shape), rtol=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("batch", "d"), [(1, 2), (1, 3), (1, 5), (3, 2), (2, 4)])
def test_correlations(seed: int, batch: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    c = coordinate("partial", batch * d * (d - 1) // 2, d, batch)
    value = correlations(rng, batch, d)
    x = coordinates_of(c, value)
    assert np.all(np.abs(x) < np.pi / 2)
    np.testing.assert_allclose(value_of(c, x).reshape(value.shape), value, rtol=1e-8, atol=1e-10)
    z = rng.uniform(-0.95, 0.95, c.length)
    built = value_of(c, z).reshape(batch, d, d)
    np.testing.assert_allclose(np.diagonal(built, axis1=1, axis2=2), 1.0, rtol=1e-14)
    assert np.linalg.eigvalsh(built).min() > 0
    np.testing.assert_allclose(coordinates_of(c, built), z, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", ["identity", "log", "cholesky", "partial"])
def test_derivatives(kind: str) -> None:
    rng = np.random.default_rng(5)
    order = {"cholesky": 3, "partial": 3}.get(kind, 0)
    c = coordinate(kind, {"cholesky": 12, "partial": 6}.get(kind, 4), order, 2 if order else 1)
    tape, value, _ = recorded(c)
    x = rng.uniform(-0.9, 0.9, c.length)
    at = tape.place(value)
    seed = rng.normal(size=at.stop - at.start)
    got, want = (f(tape, {"v": x}, value, seed)["v"] for f in (reverse, complex_step))
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def test_either_sign_of_a_row_of_a_factor_gives_the_same_matrix() -> None:
    """What `symmetric` promises: diagonals may take either sign, column by column."""
    c = coordinate("cholesky", 3, 2)
    x = np.array([1.5, 0.4, 0.7])
    np.testing.assert_allclose(value_of(c, x), value_of(c, -x), rtol=1e-15)
    np.testing.assert_allclose(value_of(c, x), value_of(c, x * np.array([1, 1, -1])), rtol=1e-15)


def test_factors_of_zero_are_ordinary() -> None:
    c = coordinate("cholesky", 3, 2)
    tape, value, _ = recorded(c)
    x = np.zeros(3)
    assert not value_of(c, x).any()
    assert np.isfinite(reverse(tape, {"v": x}, value, np.ones(4))["v"]).all()


def test_singular_covariances_have_coordinates() -> None:
    """A variance of zero is an ordinary point: its matrix has coordinates too."""
    c = coordinate("cholesky", 3, 2)
    for value in ([[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 9.0]], [[4.0, 6.0], [6.0, 9.0]]):
        x = coordinates_of(c, np.array(value))
        np.testing.assert_allclose(value_of(c, x).reshape(2, 2), value, rtol=1e-7, atol=1e-12)


def test_matrices_of_order_one() -> None:
    """A plate with one level: the correlation matrix is the number one, with no coordinate."""
    c = coordinate("partial", 0, 1)
    np.testing.assert_array_equal(value_of(c, np.zeros(0)), [1.0])
    assert coordinates_of(c, np.ones((1, 1))).size == 0


def test_gradients_at_the_closed_bounds_of_correlations_are_finite() -> None:
    """Partial correlations of exactly one are within the stated bounds, as angles of pi/2."""
    c = coordinate("partial", 3, 3)
    tape, value, _ = recorded(c)
    for x in np.arcsin([[1.0, 0.2, 0.3], [-1.0, 0.0, 0.5], [0.3, 1.0, 0.2]]):
        assert np.isfinite(value_of(c, np.array(x))).all()
        assert np.isfinite(reverse(tape, {"v": np.array(x)}, value, np.ones(9))["v"]).all()
