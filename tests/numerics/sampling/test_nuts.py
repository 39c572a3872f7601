"""The no-U-turn sampler: exactness, its trajectories against the recursive definition, both of its paths."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dagmodels.errors import FitError
from dagmodels.numerics import trajectory_steps as steps
from dagmodels.numerics.sampling import nuts
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR, independent_z, z
from tests.numerics.sampling.recursive import Run
from tests.numerics.sampling.targets import TARGETS, Target, tape_density

SEED = 20240611


def by_function(target: Target) -> Any:
    """The tape's density as any function."""
    return nuts.sampler(target.density, target.dimension).evaluated


def chain(target: Target, density: Any, index: int, draws: int, dense: bool = False) -> Any:
    rng = stream(SEED, index)
    sampler = nuts.sampler(density, target.dimension)
    warmed = nuts.warm_up(sampler, target.exact(rng, 1)[0], rng, 500, dense=dense)
    return sampler.draws(warmed.point, warmed.step, warmed.metric, rng, draws)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_expectations(name: str, dense: bool) -> None:
    target = TARGETS[name]
    found = [chain(target, target.density, i, 4000, dense) for i in range(4)]
    y = np.stack([kept for _, kept, _, _ in found])
    assert np.abs(z(target.functions(y), target.means)).max() < FAR
    assert sum(known.divergent.sum() for _, _, known, _ in found) < 100
    assert min(known.e_bfmi for _, _, known, _ in found) > 0.3


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("step", [0.1, 0.6, 1.5])
def test_one_transition_leaves_exact_draws_exact(name: str, step: float) -> None:
    """Whatever the step and however short the trajectory; independent starts, hence independent ends."""
    target = TARGETS[name]
    rng = stream(SEED, 7)
    sampler = nuts.sampler(target.density, target.dimension, depth=5)
    metric = Metric.diagonal(target.exact(rng, 200).var(axis=0))
    fixed = StepSize.fixed(step)
    ends = np.stack([sampler.draws(sampler.at(y), fixed, metric, rng)[0].y for y in target.exact(rng, 4000)])
    assert np.abs(independent_z(target.functions(ends), target.means)).max() < FAR


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_transitions_are_those_of_the_recursive_definition(name: str, dense: bool) -> None:
    target = TARGETS[name]
    setup = stream(SEED, 1)
    covariance = np.cov(target.exact(setup, 500).T)
    inverse = covariance if dense else np.diag(np.diag(covariance))
    metric = Metric.dense(inverse) if dense else Metric.diagonal(np.diag(inverse))
    mine, theirs = stream(SEED, 2), stream(SEED, 2)
    sampler = nuts.sampler(target.density, target.dimension, depth=6)
    evaluate = by_function(target)
    depths = set()
    for y in target.exact(setup, 150):
        step = float(np.exp(setup.uniform(-3.0, 0.5)))
        point, _, known, _ = sampler.draws(sampler.at(y), StepSize.fixed(step), metric, mine)
        run = Run(evaluate, inverse, step, 6, theirs)
        chosen, depth = run.transition(y)
        np.testing.assert_allclose(point.y, chosen.y, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(known.energy[0], chosen.energy, rtol=1e-9, atol=1e-9)
        assert (known.depth[0], known.gradients[0]) == (depth, run.gradients)
        assert mine.bit_generator.state == theirs.bit_generator.state
        depths.add(depth)
    assert len(depths) >= 4


def test_a_trajectory_computed_by_hand() -> None:
    """A standard normal, step 1, from (y, p) = (0, 1): points forward (1, 1/2), (1, -1/2), (0, -1).

    The first doubling goes forward to (1, 1/2).  Forward again, the subtree has rho = -3/2 and does not
    turn, but the whole has rho = 0 and does; backward, the subtree (-1, 1/2), (-1, -1/2) has rho = 0.
    """
    ways = set()
    for seed in range(20):
        sampler = nuts.sampler(lambda y: (-0.5 * float(y @ y), -y), 1)
        v, t, u, s, k = sampler.scratch
        metric = Metric.identity(1)
        arguments = (v, t, u, s, k, metric.inverse, metric.root, stream(seed, 0))
        s[steps.STEP] = 1.0
        steps.begin(*arguments)
        v[:] = 0.0
        for row in (steps.LEFT + 1, steps.RIGHT + 1, steps.SHARP_LEFT, steps.SHARP_RIGHT, steps.RHO):
            v[row] = 1.0
        s[steps.START] = s[steps.CHOSEN_H] = 0.5
        v[steps.Y], v[steps.P], k[steps.WAY] = 1.0, 1.0, 1
        visited = []
        going = True
        while going:
            visited.append(float(v[steps.Y, 0]))
            s[steps.LOG_DENSITY], v[steps.G] = -0.5 * v[steps.Y, 0] ** 2, -v[steps.Y]
            going = steps.advance(*arguments)
        assert k[steps.GRADIENTS] == 3
        forward = visited == [1.0, 1.0, 0.0]
        assert forward or visited == [1.0, -1.0, -1.0]
        assert k[steps.DEPTH] == (2 if forward else 1)
        ways.add(forward)
    assert ways == {True, False}


@pytest.mark.parametrize("name", TARGETS)
def test_both_paths_give_the_same_draws(name: str) -> None:
    target = TARGETS[name]
    _, kept, known, _ = chain(target, target.density, 3, 200)
    _, again, known_again, _ = chain(target, by_function(target), 3, 200)
    np.testing.assert_array_equal(kept, again)
    for field in ("accept", "depth", "gradients", "divergent", "energy", "log_density"):
        np.testing.assert_array_equal(getattr(known, field), getattr(known_again, field))


def test_gradients_are_counted() -> None:
    calls = []

    def density(y: Any) -> tuple[float, Any]:
        calls.append(y)
        return -0.5 * float(y @ y), -y

    sampler = nuts.sampler(density, 3)
    point = sampler.at(np.zeros(3))
    _, _, known, _ = sampler.draws(point, StepSize.fixed(0.3), Metric.identity(3), stream(1, 0), 50)
    assert len(calls) == 1 + known.gradients.sum()
    assert (known.gradients < 2 ** (known.depth + 1)).all()
    assert (known.gradients >= 2**known.depth - 1).all()


def test_depth_is_limited() -> None:
    target = TARGETS["correlated"]
    sampler = nuts.sampler(target.density, 3, depth=4)
    point = sampler.at(np.array([1.0, 2.0, 0.0]))
    _, _, known, _ = sampler.draws(point, StepSize.fixed(1e-4), Metric.identity(3), stream(1, 0), 20)
    assert set(known.depth) == {4}
    assert set(known.gradients) == {15}


@pytest.mark.parametrize("name", TARGETS)
def test_leapfrog_steps_come_back_and_keep_the_volume(name: str) -> None:
    target = TARGETS[name]
    rng = stream(SEED, 5)
    sampler = nuts.sampler(target.density, target.dimension)
    spread = target.exact(rng, 300).std(axis=0)
    metric = Metric.diagonal(spread**2)
    y, p = target.exact(rng, 1)[0], metric.momentum(rng)

    def forth(y: Any, p: Any) -> tuple[Any, Any]:
        point = sampler.at(y)
        for _ in range(10):
            point, p, _ = nuts.leapfrog(sampler, point, p, 0.2, metric)
        return point.y, p

    end, momentum = forth(y, p)
    back, reversed_ = forth(end, -momentum)
    np.testing.assert_allclose(back, y, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(-reversed_, p, rtol=1e-9, atol=1e-9)
    d = y.size
    scale = np.concatenate([spread, 1 / spread])
    columns = []
    for i in range(2 * d):
        move = np.zeros(2 * d)
        move[i] = 1e-5 * scale[i]
        upper = np.concatenate(forth(y + move[:d], p + move[d:]))
        lower = np.concatenate(forth(y - move[:d], p - move[d:]))
        columns.append((upper - lower) / 2e-5 / scale)
    assert abs(abs(np.linalg.det(np.array(columns))) - 1.0) < 1e-5


def test_energy_is_kept_to_second_order() -> None:
    """Over a fixed time the error falls fourfold when the step is halved."""
    target = TARGETS["bounded"]
    sampler = nuts.sampler(target.density, 2)
    metric = Metric.identity(2)
    errors = []
    for halvings in range(4):
        point, p = sampler.at(np.array([0.3, -1.0])), np.array([0.7, -0.4])
        before = 0.5 * p @ p - point.log_density
        energy = before
        for _ in range(5 * 2**halvings):
            point, p, energy = nuts.leapfrog(sampler, point, p, 0.2 / 2**halvings, metric)
        errors.append(abs(energy - before))
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 4.0, rtol=0.15)


def test_the_first_leapfrog_of_a_trajectory() -> None:
    """With one doubling a draw is the start or one leapfrog step away, forward or backward."""
    target = TARGETS["funnel"]
    sampler = nuts.sampler(target.density, 3, depth=1)
    metric = Metric.dense(np.array([[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]]))
    start = sampler.at(np.array([0.2, 0.5, -0.3]))
    moves = 0
    for seed in range(30):
        end, _, known, _ = sampler.draws(start, StepSize.fixed(1.3), metric, stream(seed, 0))
        rng = stream(seed, 0)
        p = metric.momentum(rng)
        way = 1.0 if rng.random() < 0.5 else -1.0
        to, _, energy = nuts.leapfrog(sampler, start, p, way * 1.3, metric)
        before = 0.5 * p @ metric.velocity(p) - start.log_density
        assert known.accept[0] == pytest.approx(min(1.0, math.exp(before - energy)), rel=1e-12)
        moved = not np.array_equal(end.y, start.y)
        np.testing.assert_allclose(end.y, to.y if moved else start.y, rtol=1e-13)
        np.testing.assert_allclose(end.gradient, to.gradient if moved else start.gradient, rtol=1e-12)
        moves += moved
    assert 3 < moves < 30


@pytest.mark.parametrize("beyond", [math.nan, -math.inf, math.inf, -1e9])
def test_divergences(beyond: float) -> None:
    """Where the log density is no number, or falls by more than 1000, the trajectory ends there."""

    def density(y: Any) -> tuple[float, Any]:
        return (beyond if y[0] < 0 else -float(y[0])), -np.ones(1)

    sampler = nuts.sampler(density, 1)
    point = sampler.at(np.array([0.5]))
    point, y, known, _ = sampler.draws(point, StepSize.fixed(0.4), Metric.identity(1), stream(2, 0), 400)
    assert (y >= 0).all()
    assert 50 < known.divergent.sum() < 400
    assert np.isfinite(known.energy).all()
    assert point.log_density == -point.y[0]


def test_a_gradient_that_is_no_number_is_a_divergence() -> None:
    """A chain that went there could never leave."""

    def density(y: Any) -> tuple[float, Any]:
        return -0.5 * float(y @ y), np.where(np.abs(y) > 1.0, np.nan, -y)

    sampler = nuts.sampler(density, 1)
    point, y, known, _ = sampler.draws(
        sampler.at(np.zeros(1)), StepSize.fixed(0.7), Metric.identity(1), stream(2, 1), 300
    )
    assert (np.abs(y) <= 1.0).all()
    assert len(np.unique(y)) > 50
    assert known.divergent.any()
    assert np.isfinite(point.gradient).all()


def test_a_step_that_is_far_too_long() -> None:
    sampler = nuts.sampler(lambda y: (-0.5e8 * float(y @ y), -1e8 * y), 2)
    start = np.array([1e-4, 0.0])
    point, y, known, _ = sampler.draws(
        sampler.at(start), StepSize.fixed(1.0), Metric.identity(2), stream(3, 0)
    )
    np.testing.assert_array_equal(point.y, start)
    np.testing.assert_array_equal(y, [start])
    assert known.divergent.tolist() == [True]
    assert known.gradients.tolist() == [1]
    assert known.accept.tolist() == [0.0]


def test_a_start_without_a_density_is_refused() -> None:
    sampler = nuts.sampler(lambda y: (math.log(y[0]) if y[0] > 0 else math.nan, 1 / y), 1)
    with pytest.raises(FitError, match="log density is nan"):
        sampler.at(np.array([-1.0]))
    bent = nuts.sampler(lambda y: (0.0, np.array([1.0, math.inf])), 2)
    with pytest.raises(FitError, match=r"not finite in coordinates \[1\]"):
        bent.at(np.zeros(2))


def test_no_first_step() -> None:
    flat = nuts.sampler(lambda y: (0.0, np.zeros(1)), 1)
    metric = Metric.identity(1)
    with pytest.raises(FitError, match="flat"):
        nuts.first_step(flat, flat.at(np.zeros(1)), metric, stream(1, 0))
    alone = nuts.sampler(lambda y: (0.0 if y[0] == 0 else -1e9, np.zeros(1)), 1)
    with pytest.raises(FitError, match="short enough"):
        nuts.first_step(alone, alone.at(np.zeros(1)), metric, stream(1, 0))


def test_the_share_of_energy_renewed() -> None:
    """Differences 1, 1, 1 about a mean of 1/2: 3/1. Independent energies give 2."""
    rows = np.zeros((4, steps.STATISTICS))
    rows[:, 4] = [0, 1, 0, 1]
    known = nuts.Transitions.of(rows)
    assert known.e_bfmi == pytest.approx(3.0)
    independent = replace(known, energy=stream(4, 0).normal(size=100_000))
    assert independent.e_bfmi == pytest.approx(2.0, abs=0.03)  # its sd is 0.005
    assert math.isnan(replace(known, energy=np.ones(5)).e_bfmi)
    assert math.isnan(replace(known, energy=np.ones(0)).e_bfmi)


def test_the_same_draws_on_one_and_on_four_threads() -> None:
    target = TARGETS["funnel"]

    def run(index: int) -> Any:
        return chain(target, target.density, index, 500)[1]

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(4) as four:
        alone, together = list(one.map(run, range(8))), list(four.map(run, range(8)))
    np.testing.assert_array_equal(alone, together)
    assert len({float(y[-1, 0]) for y in alone}) == 8


def test_one_by_one_or_all_at_once() -> None:
    target = TARGETS["bounded"]
    metric = Metric.identity(2)
    sampler = nuts.sampler(target.density, 2)
    point, step = sampler.at(np.zeros(2)), StepSize.learning(0.5)
    _, together, _, learned = sampler.draws(point, step, metric, stream(6, 0), 60)
    rng = stream(6, 0)
    for y in together:
        point, alone, _, step = sampler.draws(point, step, metric, rng)
        np.testing.assert_array_equal(alone[0], y)
    assert step == learned


def test_other_inputs_of_the_workspace() -> None:
    """A block of a larger model: what the tape reads besides y is written between calls."""
    from dagmodels.numerics.tape import Recorder

    recorder = Recorder()
    y, centre = recorder.input("y", 1), recorder.input("centre", 1)
    e = recorder.apply("-", y, centre)
    total = recorder.apply("*", recorder.constant(-0.5), recorder.apply("*", e, e))
    tape = recorder.finish()
    w = tape.initial.copy()
    places = np.array([tape.inputs["y"][0]])
    sampler = nuts.sampler(nuts.TapeDensity(tape, places, tape.place(total).start), 1, workspace=w)
    rng = stream(8, 0)
    for centre_value in (-30.0, 40.0):
        w[tape.inputs["centre"][0]] = centre_value
        point = sampler.at(np.array([centre_value]))
        assert point.log_density == 0.0
        _, kept, _, _ = sampler.draws(point, StepSize.fixed(0.9), Metric.identity(1), rng, 2000)
        assert abs(z(kept[None], centre_value).max()) < FAR


def test_an_independent_density_in_plain_python() -> None:
    """A Gaussian in numpy, which no tape has seen."""
    root = np.array([[1.0, 0.0], [0.7, 0.5]])
    precision = np.linalg.inv(root @ root.T)
    sampler = nuts.sampler(lambda y: (-0.5 * float(y @ precision @ y), -precision @ y), 2)
    rng = stream(9, 0)
    warmed = nuts.warm_up(sampler, np.ones(2), rng, 300, dense=True)
    _, y, _, _ = sampler.draws(warmed.point, warmed.step, warmed.metric, rng, 8000)
    squares = np.stack([y[:, 0] ** 2, y[:, 0] * y[:, 1], y[:, 1] ** 2], axis=-1)
    assert np.abs(z(squares[None], [1.0, 0.7, 0.74], batches=80)).max() < FAR


def test_tapes_need_no_copy_of_their_arrays() -> None:
    density = tape_density(1, lambda r, y: r.apply("neg", r.apply("*", y, y)))
    before = density.tape.initial.copy()
    sampler = nuts.sampler(density, 1)
    sampler.draws(sampler.at(np.ones(1)), StepSize.fixed(0.5), Metric.identity(1), stream(1, 0), 10)
    np.testing.assert_array_equal(density.tape.initial, before)
