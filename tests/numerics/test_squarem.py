"""SQUAREM on maps whose fixed points are known."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.numerics.squarem import Rise, squarem


def run(step, value, start, finished, limit=2000, upper=np.inf):
    bounds = np.full(start.size, -np.inf), np.full(start.size, upper)
    return squarem(step, value, finished, lambda x: np.ones(x.size), start, *bounds, limit)


def quadratic(seed):
    """A slow gradient map, its criterion and its fixed point."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    h = q @ np.diag(np.geomspace(0.01, 1.0, 6)) @ q.T
    best = rng.normal(size=6)
    return (lambda x: x - h @ (x - best)), (lambda x: 0.5 * (x - best) @ h @ (x - best)), best


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_linear_map(seed):
    """The plain map needs log(1e-8)/log(0.99), about 1800 steps."""
    step, value, best = quadratic(seed)
    found = run(step, value, np.zeros(6), lambda x: bool(np.abs(x - best).max() < 1e-8))
    assert found.finished
    assert found.steps < 600
    assert (np.diff(found.values) <= 1e-11).all()


def test_a_map_that_climbs_is_no_map_of_em():
    with pytest.raises(Rise):
        run(lambda x: 2 * x, lambda x: float(x @ x), np.ones(2), lambda x: False)


def test_bounds_and_standstill():
    """Extrapolated points stay inside; a map that stands still ends without being finished."""
    step, value, best = quadratic(1)
    found = run(step, value, best - 1.0, lambda x: False, upper=float(best.max()) + 1e-9)
    assert not found.finished
    assert found.steps < 2000
    np.testing.assert_allclose(found.x, best, atol=1e-5)
