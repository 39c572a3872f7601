"""The minimiser on functions whose minima are known, and the honesty of its certificate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.numerics import optimise
from dagmodels.numerics.optimise import NEWTON_LIMIT, certify, difference_hessian, minimise

INF = np.inf


def run(f, start, *, lower=None, upper=None, scale=None, **options):
    start = np.asarray(start, dtype=float)
    k = start.size
    lower = np.full(k, -INF) if lower is None else np.asarray(lower, dtype=float)
    upper = np.full(k, INF) if upper is None else np.asarray(upper, dtype=float)
    return minimise(f, start, np.ones(k) if scale is None else scale, lower, upper, **options)


def certified(optimum) -> bool:
    """What a caller may take for a minimum: small decrement, positive definite, not stopped early."""
    return bool(optimum.decrement < 1e-4 and optimum.smallest > 0 and "limit" not in optimum.message)


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    g = np.zeros(x.size)
    g[:-1] = -400 * a * (b - a**2) - 2 * (1 - a)
    g[1:] += 200 * (b - a**2)
    return float(np.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)), g


def quadratic(A, m, offset=0.0):
    def f(x):
        r = A @ (x - m)
        return float(0.5 * (x - m) @ r) + offset, r

    return f


@pytest.mark.parametrize("k", [2, 5, 10])
def test_rosenbrock(k: int) -> None:
    start = (
        np.array([-1.2, 1.0]) if k == 2 else np.zeros(k)
    )  # from four on there is a second minimum near (-1, 1, ..)
    found = run(rosenbrock, start, limit=500)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-7)
    assert certified(found)
    assert found.message == "converged"
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert not found.active.any()


@pytest.mark.parametrize("seed", range(6))
def test_quadratics_over_eight_decades(seed: int) -> None:
    """Coordinates of very different size, their scales known: curvatures from 1e-4 to 1e4."""
    rng = np.random.default_rng(seed)
    k = 9
    size = np.geomspace(1e-4, 1e4, k)[rng.permutation(k)]
    R = rng.normal(size=(k, k + 3))
    A = R @ R.T / k / np.outer(size, size)
    m = rng.normal(size=k) * size
    found = run(quadratic(A, m), m + size * rng.normal(size=k) * 5, scale=size)
    np.testing.assert_allclose((found.x - m) / size, 0.0, atol=1e-6)
    np.testing.assert_allclose(
        found.hessian * np.outer(size, size), A * np.outer(size, size), rtol=1e-6, atol=1e-6
    )
    assert certified(found)


def test_quadratic_over_eight_decades_without_scales() -> None:
    """The same, all scales said to be one; the curvatures span eight decades."""
    A = np.diag(np.geomspace(1e-4, 1e4, 9))
    m = np.linspace(-1, 1, 9)
    found = run(quadratic(A, m), np.zeros(9) + 3)
    assert found.decrement < 1e-4
    assert abs(found.value) < 1e-8
    np.testing.assert_allclose(found.x, m, atol=1e-3)


def test_certificate_of_a_quadratic() -> None:
    """Fields at a point that is not the minimum: exact gradient, Hessian, decrement, eigenvalue ratio."""
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    f = quadratic(A, np.zeros(2))
    x, wide = np.array([0.3, -0.4]), np.full(2, INF)
    found = certify(f, x, np.ones(2), -wide, wide, 7, "as told")
    g = A @ x
    np.testing.assert_allclose(found.gradient, g)
    np.testing.assert_allclose(found.hessian, A, rtol=1e-8)
    assert found.decrement == pytest.approx(np.sqrt(g @ np.linalg.solve(A, g)), rel=1e-8)
    e = np.linalg.eigvalsh(A)
    assert found.smallest == pytest.approx(e[0] / e[1], rel=1e-7)
    assert (found.iterations, found.message) == (7, "as told")


def test_decrement_is_free_of_units() -> None:
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    units = np.array([1e-5, 1e4])
    x, wide = np.array([0.3, -0.4]), np.full(2, INF)
    plain = certify(quadratic(A, np.zeros(2)), x, np.ones(2), -wide, wide, 0, "")
    scaled = certify(quadratic(A / np.outer(units, units), np.zeros(2)), x * units, units, -wide, wide, 0, "")
    assert scaled.decrement == pytest.approx(plain.decrement, rel=1e-6)
    assert scaled.smallest == pytest.approx(plain.smallest, rel=1e-6)


def test_minimum_on_a_bound() -> None:
    """The unbounded minimum lies outside: the constrained one, its active coordinate named."""
    A = np.array([[2.0, 0.9], [0.9, 1.0]])
    m = np.array([-1.0, 2.0])
    found = run(quadratic(A, m), [1.0, 0.5], lower=[0.0, -INF])
    assert found.x[0] == 0.0
    assert found.x[1] == pytest.approx(m[1] - A[1, 0] / A[1, 1] * (0 - m[0]), abs=1e-7)
    assert found.active.tolist() == [True, False]
    assert found.gradient[0] > 0
    assert certified(found)


def test_a_start_on_a_bound_moves_inside() -> None:
    found = run(quadratic(np.eye(2), np.array([3.0, -2.0])), [0.0, 0.0], lower=[0.0, -5.0], upper=[9.0, 0.0])
    np.testing.assert_allclose(found.x, [3.0, -2.0], atol=1e-7)
    assert not found.active.any()
    assert certified(found)


def test_all_coordinates_on_bounds() -> None:
    found = run(quadratic(np.eye(3), np.full(3, -1.0)), np.full(3, 4.0), lower=np.zeros(3))
    np.testing.assert_array_equal(found.x, 0.0)
    assert found.active.all()
    assert found.decrement == 0.0
    above = run(quadratic(np.eye(3), np.full(3, 9.0)), np.full(3, 4.0), upper=np.full(3, 5.0))
    np.testing.assert_array_equal(above.x, 5.0)


def test_a_coordinate_held_by_equal_bounds() -> None:
    """lower = upper: the coordinate stays, no warning, no nan."""
    with np.errstate(all="raise"):
        found = run(
            quadratic(np.eye(2), np.array([3.0, 4.0])), [1.0, 0.0], lower=[1.0, -9.0], upper=[1.0, 9.0]
        )
    np.testing.assert_allclose(found.x, [1.0, 4.0], atol=1e-7)
    assert np.isfinite(found.hessian).all()
    assert certified(found)


def saddle(x):
    """Minima at (0, +-1), a saddle at the origin."""
    a, b = x
    return float(a**2 + (b**2 - 1) ** 2), np.array([2 * a, 4 * b * (b**2 - 1)])


def test_a_start_exactly_at_a_saddle_is_not_certified() -> None:
    """The gradient is zero there: either it leaves, or the certificate says no."""
    found = run(saddle, [0.0, 0.0])
    assert not certified(found) or abs(abs(found.x[1]) - 1) < 1e-6


def test_a_start_beside_a_saddle_leaves_it() -> None:
    for start in ([0.0, 1e-4], [2.0, -1e-4], [1e-3, 0.2]):
        found = run(saddle, start)
        assert abs(found.x[1]) == pytest.approx(1.0, abs=1e-6)
        assert found.x[0] == pytest.approx(0.0, abs=1e-6)
        assert certified(found)


def even(x):
    """Even in the first coordinate, minimum at 0, as a variance of zero is on the scale's own scale."""
    a, b = x
    return float(np.log(1 + a**2) + 0.5 * a**4 + (b - 1) ** 2), np.array(
        [2 * a / (1 + a**2) + 2 * a**3, 2 * (b - 1)]
    )


@pytest.mark.parametrize("start", [[0.0, 0.0], [2.0, 5.0], [-3.0, 0.0], [0.5, 1.0]])
@pytest.mark.parametrize("lower", [-INF, 0.0])
def test_minimum_at_zero_of_an_even_function(start, lower) -> None:
    found = run(even, start, lower=[lower, -INF])
    np.testing.assert_allclose(found.x, [0.0, 1.0], atol=1e-6)
    assert certified(found)


def test_quartic_minimum() -> None:
    """A minimum without curvature: reached to what the value can tell, and not called positive definite."""
    found = run(lambda x: (float(x[0] ** 4 + x[1] ** 2), np.array([4 * x[0] ** 3, 2 * x[1]])), [1.0, 1.0])
    assert abs(found.value) < 1e-8
    assert found.smallest < 1e-3


def bump(x):
    """Even; a local maximum at 0, minima at +-1."""
    return float((x[0] ** 2 - 1) ** 2), 4 * x * (x**2 - 1)


def test_a_maximum_on_a_bound_is_no_minimum() -> None:
    """The gradient on the bound is exactly zero and the criterion falls inward (numerics: certificate)."""
    found = run(bump, [0.0], lower=[0.0], upper=[5.0])
    assert found.x[0] == pytest.approx(1.0, abs=1e-6) or not certified(found)


def test_clipped_steps_do_not_end_on_a_maximum() -> None:
    """Starts all over the admissible interval, whatever the scale that sets the first step."""
    wrong = []
    for start in np.linspace(0.05, 4.0, 40):
        for scale in (0.1, 1.0, 10.0, 100.0):
            found = run(bump, [start], lower=[0.0], upper=[5.0], scale=np.array([scale]))
            if certified(found) and abs(found.x[0] - 1) > 1e-5:
                wrong.append((start, scale, float(found.x[0])))
    assert wrong == []


def test_infinite_on_part_of_the_space() -> None:
    """x - log x is infinite for x <= 0; the second coordinate is infinite above 3."""

    def f(x):
        if x[0] <= 0 or x[1] > 3:
            return INF, np.full(2, np.nan)
        return float(x[0] - np.log(x[0]) + (x[1] - 2.9) ** 2), np.array([1 - 1 / x[0], 2 * (x[1] - 2.9)])

    for start in ([1e-3, 0.0], [50.0, -100.0], [1e-6, 3.0], [200.0, 2.99]):
        found = run(f, start, limit=500)
        np.testing.assert_allclose(found.x, [1.0, 2.9], atol=1e-6)
        assert certified(found)
        assert np.isfinite(found.hessian).all()


def test_a_minimum_beside_the_edge_of_what_is_admissible() -> None:
    """The certificate's difference steps reach over the edge on one side."""

    def f(x):
        if x[0] > 1:
            return INF, np.full(1, np.nan)
        return float((x[0] - 1 + 1e-6) ** 2), 2 * (x - 1 + 1e-6)

    found = run(f, [0.0])
    assert found.x[0] == pytest.approx(1 - 1e-6, abs=1e-7)
    assert found.hessian[0, 0] == pytest.approx(2.0, rel=1e-4)
    assert certified(found)


def test_a_start_that_is_not_admissible_is_refused() -> None:
    with pytest.raises(FloatingPointError, match="starting point"):
        run(lambda x: (INF, x), [0.0])


@pytest.mark.parametrize("value", [np.nan, -INF])
def test_no_optimum_where_the_criterion_is_not_a_number(value: float) -> None:
    """nan beside the start, or minus infinity: never an answer."""

    def f(x):
        return (value, np.full(1, np.nan)) if x[0] < 0.5 else (float((x[0] - 0.2) ** 2), 2 * (x - 0.2))

    found = run(f, [3.0])
    assert np.isfinite(found.value)
    assert not certified(found)


def test_unbounded_below_is_not_certified() -> None:
    found = run(lambda x: (float(-x.sum()), -np.ones(2)), [0.0, 0.0])
    assert not certified(found)
    linear = run(lambda x: (float(np.exp(-x[0])), -np.exp(-x)), [0.0], limit=30)
    assert not certified(linear) or linear.value < 1e-10


@pytest.mark.parametrize("seed", range(3))
def test_sixty_coordinates(seed: int) -> None:
    """More than the limit for Newton steps: BFGS on a convex function, not quadratic."""
    rng = np.random.default_rng(seed)
    k = 60
    assert k > NEWTON_LIMIT
    R = rng.normal(size=(k, 2 * k))
    A, b = R @ R.T / k, rng.normal(size=k)

    def f(x):
        e = np.exp(x)
        return float(0.5 * x @ A @ x - b @ x + e.sum()), A @ x - b + e

    found = run(f, rng.normal(size=k), limit=500)
    x = np.zeros(k)
    for _ in range(50):  # plain Newton
        x = x - np.linalg.solve(A + np.diag(np.exp(x)), f(x)[1])
    np.testing.assert_allclose(found.x, x, atol=1e-5)
    assert certified(found)


def test_sixty_coordinates_badly_scaled_with_bounds() -> None:
    k = 60
    size = np.geomspace(1e-4, 1e4, k)
    m = np.where(np.arange(k) % 3 == 0, -1.0, 1.0) * size
    found = run(quadratic(np.diag(1 / size**2), m), 2 * size, lower=np.zeros(k), scale=size, limit=500)
    np.testing.assert_allclose(found.x / size, np.where(np.arange(k) % 3 == 0, 0.0, 1.0), atol=1e-5)
    np.testing.assert_array_equal(found.active, np.arange(k) % 3 == 0)
    assert certified(found)


def test_sixty_dimensional_rosenbrock() -> None:
    """Reached, or said not to be."""
    found = run(rosenbrock, np.zeros(60), limit=2000)
    assert certified(found)
    np.testing.assert_allclose(found.x, 1.0, atol=1e-5)


def test_too_few_iterations_are_said() -> None:
    found = run(rosenbrock, np.full(10, -1.2), limit=3)
    assert "limit" in found.message
    assert found.decrement > 1e-3


def test_large_values_with_a_small_curvature() -> None:
    """A criterion of 1e8 hides changes below 1e-8; the gradient does not: one polished step."""
    A = np.diag([1.0, 3.0])
    found = run(quadratic(A, np.array([0.3, -0.7]), offset=1e8), [5.0, 5.0])
    np.testing.assert_allclose(found.x, [0.3, -0.7], atol=1e-6)
    assert certified(found)


def test_no_coordinates() -> None:
    found = run(lambda x: (1.5, np.zeros(0)), np.zeros(0))
    assert found.value == 1.5
    assert found.hessian.shape == (0, 0)
    assert (found.decrement, found.smallest) == (0.0, 1.0)


def test_difference_hessian_next_to_bounds() -> None:
    """One-sided where a bound is near: exact for quadratics all the same."""
    A = np.array([[2.0, 0.5], [0.5, 1.0]])
    x = np.array([0.0, 1.0])
    found = difference_hessian(
        quadratic(A, np.zeros(2)), x, np.full(2, 1e-3), np.array([0.0, -INF]), np.array([INF, 1.0])
    )
    np.testing.assert_allclose(found, A, rtol=1e-9)


def test_nothing_is_changed_outside() -> None:
    start, lower, upper = np.array([0.5, 0.5]), np.zeros(2), np.ones(2)
    minimise(rosenbrock, start, np.ones(2), lower, upper)
    np.testing.assert_array_equal(np.concatenate([start, lower, upper]), [0.5, 0.5, 0, 0, 1, 1])


@given(st.integers(0, 10_000), st.integers(1, optimise.BY_HAND), st.floats(0.01, 10))
def test_a_step_in_plain_numbers_is_that_of_the_eigenvalues(seed: int, k: int, radius: float) -> None:
    """Within the radius both are Newton's step; beyond it both have its direction and the radius' length."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(k, k + 3))
    model, gradient, scale = rows @ rows.T, rng.normal(size=k), rng.uniform(0.5, 2, k)
    step, decrement = optimise._step(model, gradient, np.ones(k, bool), scale, radius)
    newton = -np.linalg.solve(model, gradient)
    length = np.sqrt(((newton / scale) ** 2).sum())
    np.testing.assert_allclose(step, newton * min(1.0, radius / length), rtol=1e-7, atol=1e-12)
    assert decrement == pytest.approx(np.sqrt(-gradient @ newton), rel=1e-7)


def test_a_model_that_bends_down_is_left_to_eigenvalues() -> None:
    assert optimise._small_step([[1.0, 2.0], [2.0, 1.0]], [1.0, 0.0], 1.0) is None
    step, _ = optimise._step(
        np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([1.0, 0.0]), np.ones(2, bool), np.ones(2), 9.0
    )
    assert step @ np.array([1.0, 0.0]) < 0  # a descent all the same
