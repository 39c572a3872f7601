"""Geweke's joint test (2004, J. Am. Stat. Assoc. 99:799) of the no-U-turn sampler on a small hierarchy.

mu ~ N(0, 1), log tau ~ N(0, 1/2), theta_j ~ N(mu, tau), y_j ~ N(theta_j, 1), j = 1..4.  Drawing y given
theta and then one transition given y, again and again, must leave the joint law, whose expectations are
known; the posteriors it passes through go from easy to funnels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats as _stats

from dagmodels.numerics.sampling import nuts
from dagmodels.numerics.sampling.adaptation import StepSize
from dagmodels.numerics.sampling.metric import Metric
from dagmodels.numerics.sampling.streams import stream
from dagmodels.numerics.tape import Recorder
from tests.numerics.sampling.monte_carlo import FAR, z
from tests.numerics.sampling.targets import total

stats: Any = _stats
SPREAD = 0.5  # of log tau


def posterior(prior: float) -> tuple[nuts.Sampler, Any]:
    """A sampler of (mu, log tau, theta) with that standard deviation of mu, and where its data lie."""
    r = Recorder()
    u, y = r.input("u", 6), r.input("y", 4)
    mu, log_tau = r.gather(u, np.array([0])), r.gather(u, np.array([1]))
    theta = r.gather(u, np.arange(2, 6))
    e = r.apply("-", y, theta)
    f = r.apply("/", r.apply("-", theta, mu), r.apply("exp", log_tau))
    g, h = r.apply("/", mu, r.constant(prior)), r.apply("/", log_tau, r.constant(SPREAD))
    squares = [total(r, r.apply("*", x, x)) for x in (e, f, g, h)]
    half = r.apply(
        "*", r.constant(-0.5), r.apply("+", *[r.apply("+", *pair) for pair in (squares[:2], squares[2:])])
    )
    place = r.apply("-", half, r.apply("*", r.constant(4.0), log_tau))
    tape = r.finish()
    start, length = tape.inputs["u"]
    density = nuts.TapeDensity(tape, np.arange(start, start + length), tape.place(place).start)
    sampler = nuts.sampler(density, 6, depth=6)
    data, n = tape.inputs["y"]
    return sampler, sampler.workspace[data : data + n]


def functions(u: Any, y: Any) -> Any:
    mu, log_tau, theta = u[:, 0], u[:, 1], u[:, 2]
    moments = [mu, mu**2, log_tau, log_tau**2, mu * log_tau, theta, theta * mu, y, y * mu, y - theta]
    standard = (theta - mu) * np.exp(-log_tau)
    cuts = stats.norm.ppf([0.05, 0.25, 0.5, 0.75, 0.95])
    below = [x < c for x in (mu, log_tau / SPREAD, standard) for c in cuts]
    return np.stack([*moments, standard, standard**2, standard * log_tau, *below], axis=-1).astype(float)


EXPECTED = np.array([0, 1, 0, SPREAD**2, 0, 0, 1, 0, 1, 0, 0, 1, 0, *([0.05, 0.25, 0.5, 0.75, 0.95] * 3)])


def scores(iterations: int, prior: float = 1.0) -> Any:
    rng = stream(2004, 0)
    sampler, data = posterior(prior)
    u = np.empty(6)
    u[:2] = rng.normal(0, [1.0, SPREAD])
    u[2:] = rng.normal(u[0], np.exp(u[1]), 4)
    metric, step = Metric.diagonal(np.array([0.6, 0.2, 0.6, 0.6, 0.6, 0.6])), StepSize.fixed(0.5)
    us, ys = np.empty((iterations, 6)), np.empty(iterations)
    for i in range(iterations):
        data[:] = u[2:] + rng.standard_normal(4)
        ys[i] = data[0]
        u = us[i] = sampler.draws(sampler.at(u), step, metric, rng)[0].y
    return z(functions(us, ys)[None], EXPECTED, batches=80)


@pytest.mark.parametrize("iterations", [8_000, pytest.param(300_000, marks=pytest.mark.long)])
def test_the_joint_law_is_left(iterations: int) -> None:
    """28 scores: one run in 70,000 fails by chance (see FAR)."""
    assert np.abs(scores(iterations)).max() < FAR


@pytest.mark.long
def test_a_wrong_prior_is_seen() -> None:
    """A standard deviation of 1.15 instead of 1 for mu."""
    assert np.abs(scores(100_000, prior=1.15)).max() > FAR
