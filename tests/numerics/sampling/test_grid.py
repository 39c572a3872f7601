"""Draws from grids: the law they follow, the error they state, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.errors import FitError
from dagmodels.numerics.lattice_steps import along, cells
from dagmodels.numerics.sampling import grid
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR

stats: Any = _stats
COVARIANCE: Any = np.array([[1.0, 0.9], [0.9, 1.0]])


@dataclass(frozen=True)
class Case:
    """standard(y) gives independent coordinates of the laws; the density integrates to one."""

    density: Callable[[Any], Any]
    centre: Any
    axes: Any
    laws: tuple[Any, ...]
    standard: Callable[[Any], Any] = lambda y: y
    most: int = 1000


def one(law: Any, centre: float, axis: float, most: int = 1000) -> Case:
    return Case(lambda y: law.logpdf(y[:, 0]), np.array([centre]), np.array([[axis]]), (law,), most=most)


def whitened(y: Any) -> Any:
    return np.column_stack([y[:, 0], (y[:, 1] - 0.9 * y[:, 0]) / np.sqrt(0.19)])


def ridge(y: Any) -> Any:
    return np.column_stack([y[:, 0], (y[:, 1] - y[:, 0] ** 2) / 0.5])


def neck(y: Any) -> Any:
    return np.column_stack([y[:, 0], y[:, 1] * np.exp(-y[:, 0] / 2)])


NORMAL = stats.norm()
TWO = (NORMAL, NORMAL)


def normal(y: Any) -> Any:
    return NORMAL.logpdf(y).sum(axis=1)


CASES = {
    "normal": one(stats.norm(3, 2), 3.0, 2.0, 120),
    "axis too long": one(stats.norm(3, 2), 2.0, 150.0, 250),
    "axis too short": one(stats.norm(3, 2), 2.0, 0.05, 2000),
    "log gamma": one(stats.loggamma(0.3), -1.2, 1.8),
    "log of half Cauchy": one(stats.hypsecant(), 0.0, 1.0),  # log |C|
    "t5": one(stats.t(5), 0.0, 1.0),
    "correlated": Case(
        lambda y: normal(whitened(y)) - 0.5 * np.log(0.19),
        np.zeros(2),
        grid.axes_of(np.linalg.inv(COVARIANCE)),
        TWO,
        whitened,
    ),
    "correlated, axes not": Case(
        lambda y: normal(whitened(y)) - 0.5 * np.log(0.19), np.full(2, 0.5), np.eye(2), TWO, whitened
    ),
    "ridge": Case(
        lambda y: normal(ridge(y)) + np.log(2.0), np.zeros(2), np.diag([1.0, 0.5]), TWO, ridge, 25_000
    ),
    "neck": Case(lambda y: normal(neck(y)) - y[:, 0] / 2, np.zeros(2), np.eye(2), TWO, neck, 4000),
}


@pytest.mark.parametrize("name", CASES)
def test_draws_follow_the_law(name: str) -> None:
    """Kolmogorov's distance of 20,000 draws: beyond 2.9/sqrt(n), and the stated error, once in 10^7."""
    case = CASES[name]
    found = grid.explored(case.density, case.centre, case.axes)
    assert found.error < 1.5e-3
    assert abs(found.log_evidence) < max(found.error, 1e-6)
    assert found.points < case.most
    n = 20_000
    x = case.standard(found.drawn(stream(1, 0), n))
    for column, law in zip(x.T, case.laws, strict=True):
        assert stats.kstest(column, law.cdf).statistic < 2.9 / np.sqrt(n) + found.error
    if len(case.laws) == 2:
        u = np.column_stack([law.cdf(c) for c, law in zip(x.T, case.laws, strict=True)]) - 0.5
        assert abs((u[:, 0] * u[:, 1]).mean()) < FAR / 12 / np.sqrt(n) + found.error


@pytest.mark.parametrize("name", CASES)
def test_the_stated_error_bounds_the_true_one(name: str) -> None:
    """Half the integral of |what is drawn - the density|, the latter by quadrature inside the cells."""
    case = CASES[name]
    found = grid.explored(case.density, case.centre, case.axes)
    span = found.step * (np.array(found.values.shape[: len(found.step)]) - 1)
    y = case.centre + (found.low + span * stream(2, 0).random((40_000, len(span)))) @ case.axes.T
    drawn = np.exp(found.log_densities(y) - found.log_evidence)
    volume = float(np.prod(span)) * abs(np.linalg.det(case.axes))
    apart = np.abs(drawn - np.exp(case.density(y))) * volume / 2
    assert apart.mean() - 4 * apart.std() / np.sqrt(len(apart)) < found.error


def two_scales(y: Any) -> Any:
    """Only the sum of two squared scales is known: two arms of falling exponentials, without a curvature."""
    total = np.exp(2 * y).sum(axis=1)
    return y.sum(axis=1) - 2.0 * np.log(total) - 0.1 / total - np.exp(2 * y).sum(axis=1) / 2


@pytest.mark.parametrize("turned", [False, True])
def test_two_arms_of_exponential_tails(turned: bool) -> None:
    """Against the trapezoid rule on a box where the tails beyond are below 10^-6 of the whole."""
    density: Any = two_scales
    axes: Any = np.array([[-0.58, -0.5], [-0.58, 0.5]]) if turned else np.eye(2)
    found = grid.explored(density, np.full(2, -1.4), axes)
    assert found.error < 1.5e-3
    assert found.points < 2500
    line = np.linspace(-18.0, 3.0, 1401)
    y = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    p = np.exp(two_scales(y.reshape(-1, 2)).reshape(1401, 1401))
    area = (line[1] - line[0]) ** 2
    assert abs(found.log_evidence - np.log(p.sum() * area)) < found.error
    n = 20_000
    drawn = found.drawn(stream(5, 0), n)
    share = np.cumsum(p.sum(axis=1)) / p.sum()
    for column in drawn.T:
        u = np.interp(column, line + 0.5 * (line[1] - line[0]), share)
        assert stats.kstest(u, "uniform").statistic < 2.9 / np.sqrt(n) + found.error
    together = float(p[np.add.outer(line, line) < -4.0].sum() / p.sum())
    spread = np.sqrt(together * (1 - together) / n)
    assert (
        abs((drawn.sum(axis=1) < -4.0).mean() - together) < FAR * spread + found.error + 2e-3
    )  # edge of the rule


def test_a_tolerance_is_reached() -> None:
    case = CASES["log gamma"]
    coarse = grid.explored(case.density, case.centre, case.axes, 1e-2)
    fine = grid.explored(case.density, case.centre, case.axes, 1e-5)
    assert coarse.points < fine.points
    assert fine.error < 3e-5 < coarse.error < 1.5e-2
    assert abs(fine.log_evidence) < 1e-6


def test_interpolation_is_exact_for_its_degree() -> None:
    x = np.arange(9.0) / 8
    t = np.stack(np.meshgrid(np.arange(33), np.arange(33), indexing="ij"), axis=-1).reshape(-1, 2) / 4
    one, other = [0.3, -1, 0.2, 1, -2, 3], [1, -2, 0, 1]
    fine = grid.interpolated(np.polyval(one, x)[:, None] * np.polyval(other, x), t)
    np.testing.assert_allclose(
        fine, np.polyval(one, t[:, 0] / 8) * np.polyval(other, t[:, 1] / 8), rtol=1e-12
    )
    alone = grid.interpolated(np.polyval(one, x)[:, None], t[:, :1])
    np.testing.assert_allclose(alone, np.polyval(one, t[:, 0] / 8), rtol=1e-12)
    assert grid.interpolated(np.zeros((9, 1)), np.array([[-0.1], [8.1]])).tolist() == [-np.inf, -np.inf]


def test_interpolation_does_not_swing() -> None:
    jump = np.array([0.0] * 6 + [-60.0] * 6)[:, None]
    fine = grid.interpolated(jump, np.arange(23)[:, None] / 2)
    assert fine.max() == 1.0  # 5.9 without a limit
    np.testing.assert_array_equal(fine[:7], 0.0)
    np.testing.assert_array_equal(fine, along(jump, 2)[:, 0])


def test_cells_have_their_integrals_and_bounds() -> None:
    """Against a sum over many points of each cell, where a jump and a peak make parts of them steep."""
    x = np.arange(-6.0, 7.0)
    values = -0.5 * x[:, None] ** 2 - np.where(x > 2, 20.0, 0.0) - 0.7 * np.abs(x[:, None] - x)
    mass, top = np.empty((12, 12)), np.empty((12, 12))
    off = cells(values, 1e-4, mass, top)
    k = 200
    inside = np.stack(np.meshgrid(np.arange(12 * k), np.arange(12 * k), indexing="ij"), axis=-1).reshape(
        -1, 2
    )
    fine = grid.interpolated(values, (inside + 0.5) / k).reshape(12, k, 12, k)
    means = np.exp(fine).mean(axis=(1, 3))
    assert np.abs(mass - means).sum() / means.sum() < 2e-4
    assert off <= 1e-4
    assert (fine.max(axis=(1, 3)) <= top + 1e-12).all()


def test_axes_of_a_hessian() -> None:
    hessian: Any = np.linalg.inv(COVARIANCE * np.outer([1.0, 1e3], [1.0, 1e3]))
    axes = grid.axes_of(hessian)
    np.testing.assert_allclose(axes.T @ hessian @ axes, np.eye(2), atol=1e-9)
    assert np.isfinite(grid.axes_of(np.zeros((1, 1)))).all()


def test_where_there_is_no_density() -> None:
    with pytest.raises(FitError, match="no value near"):
        grid.explored(lambda y: np.full(len(y), np.nan), np.zeros(1), np.eye(1))
    with pytest.raises(FitError, match=r"infinite at \[0.0\]"):
        grid.explored(lambda y: np.where(y[:, 0] == 0, np.inf, -1.0), np.zeros(1), np.eye(1))
    with pytest.raises(FitError, match="NUTS"):
        grid.explored(lambda y: np.zeros(len(y)), np.zeros(2), np.eye(2))
    with pytest.raises(ValueError, match="not 3"):
        grid.explored(lambda y: np.zeros(len(y)), np.zeros(3), np.eye(3))


def test_beyond_the_support() -> None:
    """A uniform law on (-1.3, 2) has jumps that no polynomial follows; the error says what is left."""
    density = lambda y: np.where((y[:, 0] > -1.3) & (y[:, 0] < 2), 0.0, -np.inf)  # noqa: E731
    with np.errstate(invalid="raise"):
        found = grid.explored(density, np.zeros(1), np.eye(1), 1e-2)
    assert found.error < 2e-2
    y = found.drawn(stream(3, 0), 20_000)
    assert stats.kstest(y[:, 0], stats.uniform(-1.3, 3.3).cdf).statistic < 2.9 / np.sqrt(20_000) + found.error


def test_the_same_generator_gives_the_same_draws() -> None:
    case = CASES["normal"]
    found = grid.explored(case.density, case.centre, case.axes)
    np.testing.assert_array_equal(found.drawn(stream(4, 0), 10), found.drawn(stream(4, 0), 10))
    assert found.drawn(stream(4, 0), 0).shape == (0, 1)
