"""Slices and random walks of many numbers at once: exactness, balance, and what they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from dagmodels.errors import FitError
from dagmodels.numerics.sampling import metropolis, slice
from dagmodels.numerics.sampling.metropolis import Scales
from dagmodels.numerics.sampling.slice import Widths
from dagmodels.numerics.sampling.streams import stream
from tests.numerics.sampling.monte_carlo import FAR, independent_z, z
from tests.numerics.sampling.univariate import LAWS, log_density

SEED = 4711


def functions(law: Any, x: Any) -> Any:
    """Below the quantiles of five levels, the probability integral (of a rank within ties, if discrete)."""
    cuts = law.ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    return np.stack([*(x <= c for c in cuts), law.cdf(x)], axis=-1).astype(float)


def expectations(law: Any, integer: bool) -> Any:
    cuts = law.ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    if not integer:
        return np.array([0.05, 0.25, 0.5, 0.75, 0.95, 0.5])
    values = np.arange(law.ppf(1e-12), law.ppf(1 - 1e-12) + 1)
    return np.append(law.cdf(cuts), law.pmf(values) @ law.cdf(values))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("width", [0.1, 1.0, 30.0])
def test_a_slice_leaves_exact_draws_exact(name: str, width: float) -> None:
    """Whatever the widths, three updates of 8,000 independent elements leave their law."""
    law, integer = LAWS[name]
    rng = stream(SEED, 0)
    x = law.rvs(size=8_000, random_state=rng).astype(float)
    widths = Widths.of(width * float(law.std()), x.size)
    for _ in range(3):
        x, _ = slice.update(log_density(name), x, widths, rng, integer=integer)
    assert np.abs(independent_z(functions(law, x), expectations(law, integer))).max() < FAR


@pytest.mark.parametrize("name", LAWS)
def test_a_random_walk_leaves_exact_draws_exact(name: str) -> None:
    law, integer = LAWS[name]
    rng = stream(SEED, 1)
    x = law.rvs(size=8_000, random_state=rng).astype(float)
    density = log_density(name)
    scales, now = Scales.of(2.0 * float(law.std()), x.size), density(x)
    for _ in range(5):
        x, moved = metropolis.update(density, x, now, scales, rng, integer=integer)
        now = moved.log_density
    np.testing.assert_array_equal(now, density(x))
    assert np.abs(independent_z(functions(law, x), expectations(law, integer))).max() < FAR


@pytest.mark.parametrize("way", ["slice", "metropolis"])
@pytest.mark.parametrize("name", LAWS)
def test_chains_from_afar(name: str, way: str) -> None:
    """Forty chains, widths or scales learned in warm-up from a first one that is wrong."""
    law, integer = LAWS[name]
    rng, density = stream(SEED, 2), log_density(name)
    x = np.full(40, float(law.ppf(0.999)))
    widths, scales = Widths.of(0.01 * float(law.std()), 40), Scales.of(30.0 * float(law.std()), 40)
    now, kept = density(x), []
    moved = metropolis.Moved(now, now, now > 0)
    for i in range(1300):
        before = x
        if way == "slice":
            x, _ = slice.update(density, x, widths, rng, integer=integer)
        else:
            x, moved = metropolis.update(density, x, now, scales, rng, integer=integer)
            now = moved.log_density
        if i >= 300:
            kept.append(x)
        elif way == "slice":
            widths = slice.learned(widths, before, x, integer)
        else:
            scales = metropolis.learned(scales, moved.accept, integer=integer)
    chains = functions(law, np.array(kept).T)
    assert np.abs(z(chains, expectations(law, integer), batches=10)).max() < FAR


WEIGHTS = np.array([1.0, 4.0, 0.5, 2.0, 3.0])


def tiny(x: Any) -> Any:
    inside = (x >= 0) & (x < len(WEIGHTS))
    return np.where(inside, np.log(WEIGHTS[np.clip(x, 0, 4).astype(int)]), -np.inf)


@pytest.mark.parametrize("way", ["slice", "bounded slice", "metropolis"])
def test_detailed_balance(way: str) -> None:
    """All moves of a target of five states, 100,000 from each: pi_i P_ij = pi_j P_ji."""
    each, m = 100_000, len(WEIGHTS)
    x = np.repeat(np.arange(m), each).astype(float)
    rng = stream(SEED, 3)
    if way == "metropolis":
        new, _ = metropolis.update(tiny, x, tiny(x), Scales.of(1.7, x.size), rng, integer=True)
    else:
        bounds = {"lower": 0.0, "upper": 4.0} if way == "bounded slice" else {}
        new, _ = slice.update(tiny, x, Widths.of(1.3, x.size), rng, integer=True, **bounds)
    p = np.stack([np.bincount(row.astype(int), minlength=m) for row in new.reshape(m, each)]) / each
    flow = WEIGHTS[:, None] / WEIGHTS.sum() * p
    variance = (WEIGHTS[:, None] / WEIGHTS.sum()) ** 2 * p * (1 - p) / each
    off = ~np.eye(m, dtype=bool)
    score = (flow - flow.T)[off] / np.sqrt((variance + variance.T)[off])
    assert np.abs(score).max() < FAR
    assert (p[off] > 0).all()


def test_metropolis_probabilities_by_hand() -> None:
    """From state 1 of the tiny target to 2: P(0 < |z| <= 1/scale)/2 times the ratio 0.5/4."""
    each, scale = 400_000, 1.7
    x = np.full(each, 1.0)
    new, moved = metropolis.update(tiny, x, tiny(x), Scales.of(scale, each), stream(SEED, 4), integer=True)
    step = stats.norm.cdf([1 / scale, 2 / scale, 3 / scale])
    expected = {0: (step[0] - 0.5) / 4, 2: (step[0] - 0.5) / 8, 3: (step[1] - step[0]) / 2}
    expected[4] = (step[2] - step[1]) * 3 / 4
    for state, p in expected.items():
        assert abs((new == state).mean() - p) < FAR * np.sqrt(p * (1 - p) / each)
    np.testing.assert_array_equal(new != x, moved.accepted)  # an integer that moves does move


def test_a_slice_within_bounds_asks_for_nothing_outside() -> None:
    def density(x: Any) -> Any:
        assert ((x >= 0) & (x <= 1)).all()
        return np.zeros(x.size)

    rng = stream(SEED, 5)
    x = rng.random(5000)
    widths = Widths.of(np.geomspace(0.01, 10, 5000), 5000)
    for _ in range(5):
        x, _ = slice.update(density, x, widths, rng, lower=0.0, upper=1.0)
    assert np.abs(independent_z(np.stack([x, x**2], axis=-1), [1 / 2, 1 / 3])).max() < FAR


def test_elements_have_their_own_densities_and_bounds() -> None:
    rng = stream(SEED, 6)
    mean = np.repeat([-100.0, 0.0, 7.0], 5000)
    lower = np.repeat([-np.inf, 0.0, 6.5], 5000)
    x = np.maximum(mean, lower)
    widths = Widths.of(3.0, x.size)
    for _ in range(30):
        x, _ = slice.update(lambda y: -0.5 * (y - mean) ** 2, x, widths, rng, lower=lower)
    expected = [stats.norm.mean(), stats.halfnorm.mean(), stats.truncnorm(-0.5, np.inf).mean()]
    for part, e in zip((x - mean).reshape(3, -1), expected, strict=True):
        assert abs(independent_z(part, e)) < FAR


def test_not_a_number_is_outside() -> None:
    rng = stream(SEED, 7)
    x = np.full(2000, 0.5)
    with np.errstate(invalid="ignore"):
        for _ in range(20):
            x, _ = slice.update(lambda y: np.log(y) - y, x, Widths.of(2.0, x.size), rng)
        now = np.log(x) - x
        moved = metropolis.update(lambda y: np.log(y) - y, x, now, Scales.of(9.0, 2000), rng)
    assert (x > 0).all()
    assert (moved[0] > 0).all()
    assert np.isfinite(moved[1].accept).all()
    assert abs(independent_z(x, 2.0)) < FAR  # Gamma(2, 1)


def test_a_start_outside_is_refused() -> None:
    with pytest.raises(FitError, match=r"elements \[1\] have -inf at 9.0"):
        slice.update(tiny, np.array([1.0, 9.0]), Widths.of(1.0, 2), stream(1, 0), integer=True)


def test_widths_follow_the_spread() -> None:
    """After 200 updates within a factor of two of 2.5 mean moves of an independent sampler, 2.82 sd."""
    sd = np.geomspace(1e-4, 1e4, 50)
    rng = stream(SEED, 8)
    x, widths = np.zeros(50), Widths.of(1.0, 50)
    evaluations = 0
    for _ in range(200):
        before = x
        x, known = slice.update(lambda y: -0.5 * (y / sd) ** 2, x, widths, rng)
        frozen = widths.width.copy()
        widths, old = slice.learned(widths, before, x), widths
        np.testing.assert_array_equal(old.width, frozen)
        evaluations = known.evaluations
    assert (np.abs(np.log(widths.width / (2.5 * sd * 2 / np.sqrt(np.pi)))) < np.log(2)).all()
    assert evaluations < 30  # of all elements, so as many as the slowest of 50 needs


def test_scales_reach_the_target() -> None:
    """The mean acceptance of 400 elements after learning; their sd is about 0.04 each."""
    sd = np.geomspace(1e-3, 1e3, 400)
    rng = stream(SEED, 9)
    x, scales = np.zeros(400), Scales.of(1.0, 400)
    now, accepts = np.zeros(400), []
    for i in range(1500):
        x, moved = metropolis.update(lambda y: -0.5 * (y / sd) ** 2, x, now, scales, rng)
        now = moved.log_density
        if i < 1000:
            scales = metropolis.learned(scales, moved.accept)
        else:
            accepts.append(moved.accept)
    assert abs(np.mean(accepts) - 0.44) < 0.02
    # 2.38 sd is where 0.44 of the moves of a normal number are accepted
    assert abs(np.mean(scales.log_scale - np.log(2.38 * sd))) < 0.1


def test_a_flat_integer_keeps_its_scale_off_zero() -> None:
    scales = Scales.of(1.0, 2)
    for _ in range(500):
        scales = metropolis.learned(scales, np.zeros(2), integer=True)
    np.testing.assert_allclose(np.exp(scales.log_scale), 0.3)


@pytest.mark.parametrize("name", LAWS)
def test_the_quick_log_densities_are_those_of_the_laws(name: str) -> None:
    law, integer = LAWS[name]
    x = law.rvs(size=50, random_state=stream(SEED, 10)).astype(float)
    apart = log_density(name)(x) - (law.logpmf(x) if integer else law.logpdf(x))
    np.testing.assert_allclose(apart, apart[0], rtol=1e-9, atol=1e-9)
    below = law.support()[0] - 1
    assert log_density(name)(np.array([below])) == -np.inf or not np.isfinite(below)
