"""Warm-up: the schedule, dual averaging, metrics from windows, and what chains reach by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagmodels.numerics.chains.diagnose import ess_mean
from dagmodels.numerics.sampling import adaptation, nuts
from dagmodels.numerics.sampling.adaptation import Adaptation, Moments, StepSize, window_ends
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.targets import TARGETS, gaussian


@pytest.mark.parametrize(
    ("draws", "ends"),
    [
        (1000, (75, 100, 150, 250, 450, 950)),  # as Stan's reference manual draws it
        (500, (75, 100, 150, 250, 450)),
        (499, (75, 100, 150, 449)),
        (150, (75, 100)),
        (100, (15, 90)),
        (19, ()),
        (0, ()),
    ],
)
def test_windows(draws: int, ends: tuple[int, ...]) -> None:
    assert window_ends(draws) == ends


@given(st.integers(0, 50_000))
def test_windows_grow_and_leave_a_last_phase(draws: int) -> None:
    ends = window_ends(draws)
    widths = np.diff(ends)
    assert (widths > 0).all()
    assert (widths[1:] >= 2 * widths[:-1]).all()
    if draws >= 150:
        assert ends[0] == 75
        assert ends[-1] == draws - 50
    elif draws >= 20:
        assert len(ends) == 2


def averaged(step: float, accepts: Any, target: float) -> tuple[float, float]:
    """Algorithm 6 of Hoffman and Gelman (2014), with sums instead of recursions for the error."""
    mu = math.log(10 * step)
    error, log_average = 0.0, math.log(step)
    log_step = log_average
    for m, accept in enumerate(accepts, start=1):
        error += (target - accept - error) / (m + 10)
        log_step = mu - math.sqrt(m) / 0.05 * error
        log_average += m**-0.75 * (log_step - log_average)
    return log_step, log_average


def test_dual_averaging_by_the_paper() -> None:
    accepts = stream(1, 0).uniform(size=50)
    state = StepSize.learning(0.3, 0.7)
    for accept in accepts:
        state = state.after(accept)
    log_step, log_average = averaged(0.3, accepts, 0.7)
    assert state.log_step == pytest.approx(log_step, rel=1e-12)
    assert state.log_average == pytest.approx(log_average, rel=1e-12)
    assert state.final.step == pytest.approx(math.exp(log_average))
    assert state.final.after(0.1) == state.final


def test_dual_averaging_finds_the_step_of_a_known_curve() -> None:
    """Acceptance exp(-step): 0.8 at -log(0.8)."""
    state = StepSize.learning(5.0)
    for _ in range(3000):
        state = state.after(math.exp(-state.step))
    assert state.final.step == pytest.approx(-math.log(0.8), rel=0.02)


@pytest.mark.parametrize("dense", [False, True])
def test_moments_in_pieces(dense: bool) -> None:
    y = stream(2, 0).normal(1e6, 1.0, (300, 3))
    state = Moments.none(3, dense)
    for piece in (y[:1], y[1:1], y[1:120], y[120:]):
        state = state.after(piece)
    np.testing.assert_allclose(state.mean, y.mean(axis=0), rtol=1e-14)
    estimate = np.cov(y.T)
    inverse = (300 * estimate + 5e-3 * np.eye(3)) / 305
    expected = inverse if dense else np.diag(inverse)[None]
    np.testing.assert_allclose(state.metric.inverse, expected, rtol=1e-7)


def test_fewer_draws_than_dimensions_still_make_a_metric() -> None:
    metric = Moments.none(40, True).after(stream(3, 0).normal(size=(10, 40))).metric
    np.testing.assert_allclose(metric.root @ metric.root.T, metric.inverse, atol=1e-12)


@pytest.mark.parametrize("dense", [False, True])
def test_momenta_have_the_inverse_covariance(dense: bool) -> None:
    """Variances of 20,000 draws have relative standard error 1 %."""
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]]) if dense else np.diag([2.0, 0.5])
    metric = Metric.dense(covariance) if dense else Metric.diagonal(np.diag(covariance))
    rng = stream(4, 0)
    p = np.stack([metric.momentum(rng) for _ in range(20_000)])
    expected = np.linalg.inv(covariance)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(np.cov(p.T) - expected) / scale).max() < 0.055
    np.testing.assert_allclose(metric.velocity(p[0]), covariance @ p[0], rtol=1e-12)


def progress(state: Adaptation, pieces: list[int]) -> tuple[list[bool], Adaptation]:
    """A warm-up in which every draw is normal and accepted with probability one half."""
    rng = stream(5, 0)
    renewals: list[bool] = []
    for n in pieces:
        step = state.step
        for _ in range(n):
            step = step.after(0.5)
        state, renewed = adaptation.adapt(state, rng.normal(0, [1.0, 3.0], (n, 2)), step)
        if renewed:
            state = adaptation.restarted(state, 0.25, adaptation.TARGET)
        renewals.append(renewed)
    return renewals, state


def test_one_by_one_or_a_window_at_a_time() -> None:
    start = adaptation.begin(Metric.identity(2), 500, 0.1)
    singly, a = progress(start, [1] * 500)
    assert [i + 1 for i, renewed in enumerate(singly) if renewed] == [100, 150, 250, 450]
    pieces, b = [], start
    while b.until > 0:
        pieces.append(b.until)
        (_,), b = progress(b, [b.until])
    assert pieces == [75, 25, 50, 100, 200, 50]
    together, b = progress(start, pieces)
    assert together == [False, True, True, True, True, False]
    np.testing.assert_allclose(a.metric.inverse, b.metric.inverse, rtol=1e-12)
    np.testing.assert_allclose(a.metric.inverse[0], [1.0, 9.0], rtol=0.5)
    assert a.step == b.step
    assert (a.done, a.until) == (500, 0)
    assert start.done == 0  # frozen: nothing has changed it


def test_draws_beyond_a_change_are_refused() -> None:
    with pytest.raises(ValueError, match="after 75"):
        progress(adaptation.begin(Metric.identity(2), 500, 0.1), [76])


@pytest.mark.parametrize("target", [0.6, 0.8, 0.95])
def test_chains_reach_the_target(target: float) -> None:
    """While the step is learned over m draws, the mean of target - accept is (mu - log step) 0.05/sqrt(m):
    for m = 500 below 0.011 unless the step falls more than a hundredfold below ten times the first."""
    model = TARGETS["correlated"]
    rng = stream(6, 0)
    sampler = nuts.sampler(model.density, 3)
    warmed = nuts.warm_up(sampler, model.exact(rng, 1)[0], rng, 1000, target=target)
    window = warmed.transitions[5]
    assert window.accept.size == 500
    assert abs(window.accept.mean() - target) < 0.011
    _, _, known, _ = sampler.draws(warmed.point, warmed.step, warmed.metric, rng, 2000)
    assert target - 0.05 < known.accept.mean() < target + 0.5 * (1 - target) + 0.05


@pytest.mark.parametrize("dense", [False, True])
def test_coordinates_may_change_between_windows(dense: bool) -> None:
    """From y to 100 y + 5, and aiming higher: the metric is that of the new coordinates, within 40 % of 500
    draws, and the step's target the new one. Means by 5 standard errors: false alarms of 2e-6 in three."""
    covariance = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, 0.0], [0.0, 0.0, 0.5]])
    old, new = gaussian(covariance, np.zeros(3)), gaussian(1e4 * covariance, np.full(3, 5.0))
    asked: list[int] = []

    def change(y: Any) -> Any:
        asked.append(len(y))
        return (nuts.sampler(new.density, 3), 100.0 * y + 5.0, 0.95) if len(asked) == 3 else None

    rng = stream(12, 0)
    warmed = nuts.warm_up(nuts.sampler(old.density, 3), np.ones(3), rng, 1000, dense=dense, change=change)
    assert asked == [25, 50, 100, 200, 500]
    truth = 1e4 * (covariance if dense else np.diag(covariance)[None])
    assert (np.abs(warmed.metric.inverse - truth) / 1e4).max() < 0.8
    assert warmed.transitions[-2].accept.mean() > 0.9
    _, y, _, _ = nuts.sampler(new.density, 3).draws(warmed.point, warmed.step, warmed.metric, rng, 4000)
    error = y.std(axis=0) / np.sqrt(ess_mean(y[None]))
    assert (np.abs(y.mean(axis=0) - 5.0) < 5 * error).all()


@pytest.mark.parametrize("dense", [False, True])
def test_the_metric_is_learned(dense: bool) -> None:
    """From 500 draws or more, variances over five orders of magnitude within 40 %."""
    sd = np.array([0.1, 1.0, 30.0])
    correlation = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 1.0]]) if dense else np.eye(3)
    covariance = correlation * np.outer(sd, sd)
    target = gaussian(covariance, np.zeros(3))
    rng = stream(7, 0)
    sampler = nuts.sampler(target.density, 3)
    warmed = nuts.warm_up(sampler, np.ones(3), rng, 1000, dense=dense)
    inverse = warmed.metric.inverse
    truth = covariance if dense else sd[None] ** 2
    size = np.outer(sd, sd) if dense else truth
    assert (np.abs(inverse - truth) / size).max() < 0.4
    _, _, known, _ = sampler.draws(warmed.point, warmed.step, warmed.metric, rng, 500)
    assert known.gradients.mean() < 12  # without the metric about 300


def test_streams_depend_on_nothing_but_their_numbers() -> None:
    children = [c.spawn(3) for c in np.random.SeedSequence(11).spawn(4)]
    for chain in range(4):
        for unit in range(3):
            expected = np.random.default_rng(children[chain][unit]).random(5)
            np.testing.assert_array_equal(stream(11, chain, unit).random(5), expected)
    firsts = {stream(seed, c, u).random() for seed in range(5) for c in range(5) for u in range(5)}
    assert len(firsts) == 125


@pytest.mark.parametrize(
    ("correlation", "draws", "dense"), [(0.999, 60, True), (0.9, 60, False), (0.999, 20, False)]
)
def test_draws_say_whether_the_metric_is_dense(correlation: float, draws: int, dense: bool) -> None:
    """Eigenvalues 1.999 and 0.001, or 1.9 and 0.1; and too few draws for three numbers."""
    covariance = np.eye(3)
    covariance[0, 1] = covariance[1, 0] = correlation
    y = stream(9, 0).multivariate_normal(np.zeros(3), covariance, draws)
    found = adaptation.begin(Metric.identity(3), 1000, 0.1, None).moments.after(y).metric
    assert found.inverse.shape == ((3, 3) if dense else (1, 3))
    fixed = Moments.none(3, True).after(y).metric.inverse
    np.testing.assert_allclose(found.inverse, fixed if dense else np.diag(fixed)[None])


def test_many_numbers_have_a_diagonal_metric() -> None:
    assert adaptation.begin(Metric.identity(51), 1000, 0.1, None).moments.scatter.shape == (51,)


def test_correlations_are_learned_where_they_matter() -> None:
    """A law of eigenvalues 1.999 and 0.001: three gradients a draw and not some sixty."""
    covariance = np.array([[1.0, 0.999], [0.999, 1.0]])
    sampler = nuts.sampler(gaussian(covariance, [0.0, 0.0]).density, 2)
    rng = stream(10, 0)
    warmed = nuts.warm_up(sampler, np.zeros(2), rng, 500, dense=None)
    assert warmed.metric.inverse.shape == (2, 2)
    _, _, known, _ = sampler.draws(warmed.point, warmed.step, warmed.metric, rng, 200)
    assert known.gradients.mean() < 10
