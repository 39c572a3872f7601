"""The kernel that visits many points against the one point at a time that it replaces."""

from __future__ import annotations

import numpy as np
import pytest

from dagmodels.forms import outer_scale
from dagmodels.forms.field import Evaluator
from dagmodels.forms.outer_points import OuterPoints
from dagmodels.forms.outer_scale import LogPosterior, Scale
from dagmodels.numerics import posterior_steps
from tests.forms.collapses import CASES
from tests.forms.test_outer_scale import kinds


def test_kinds_of_coordinates_have_the_same_numbers_in_both():
    for name in ("PLAIN", "ABOVE", "BELOW", "BETWEEN", "LOG", "PARTIAL"):
        assert getattr(outer_scale, name) == getattr(posterior_steps, name)


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_coordinate(seed: int):
    """Positive, bounded and plain ones, covariance and correlation matrices: values and gradients."""
    field = kinds()
    scale = Scale.of(field)
    points = OuterPoints(field, scale, np.arange(3))
    one = LogPosterior(field, Evaluator(field))
    y = np.random.default_rng(seed).normal(size=(6, scale.kind.size))
    y[1] = y[0]
    want = [one(row) for row in y]
    assert points.densities(y) == pytest.approx([-0.5 * v for v, _ in want], rel=1e-13)
    for row, (value, gradient) in zip(y, want, strict=True):
        got, slope = points.criterion(row)
        assert got == pytest.approx(value, rel=1e-13)
        assert slope == pytest.approx(gradient, rel=1e-10, abs=1e-10)


def test_bounds_from_above():
    y = np.array([0.3, -1.2])
    scale = Scale(np.array([2, 2]), np.full(2, -np.inf), np.array([4.0, -1.0]), np.ones(2), 0.0)
    x, slope, more = (np.zeros(2) for _ in range(3))
    jacobian = posterior_steps.place(y, scale.kind, scale.lower, scale.upper, scale.power, x, slope, more)
    want = scale.place(y)
    assert x == pytest.approx(want.x)
    assert slope == pytest.approx(want.slope)
    assert more == pytest.approx(want.jacobian_slope)
    assert jacobian == pytest.approx(want.jacobian)


def test_equal_neighbours_share_an_evaluation_and_nothing_else():
    c = CASES["slopes"]().collapsed()
    y = np.repeat(np.random.default_rng(1).normal(size=(4, 2)), [1, 3, 2, 1], axis=0)
    z = np.random.default_rng(2).standard_normal((7, c.points.width))
    together = c.points.visit(y, z)
    apart = [c.points.visit(y[k : k + 1], z[k : k + 1]) for k in range(7)]
    for k, parts in enumerate(apart):
        for whole, part in zip(together, parts, strict=True):
            assert np.array_equal(whole[k], part[0])


def test_shapes_are_checked():
    points = CASES["slopes"]().collapsed().points
    with pytest.raises(ValueError, match=r"points of shape \(4,\); one a row of 2"):
        points.densities(np.zeros(4))
    with pytest.raises(ValueError, match=r"normals of shape \(1, 3\) for 2 points and 9 elements"):
        points.visit(np.zeros((2, 2)), np.zeros((1, 3)))
