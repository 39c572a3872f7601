"""Densities on tapes, with expectations known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from dagmodels.numerics.sampling.nuts import TapeDensity
from dagmodels.numerics.tape import Recorder


@dataclass(frozen=True)
class Target:
    """exact(rng, n) : independent draws (n, d). functions(y) : (..., m), of the expectations `means`."""

    dimension: int
    density: TapeDensity
    exact: Callable[[Any, int], Any]
    functions: Callable[[Any], Any]
    means: Any


def tape_density(dimension: int, build: Callable[[Recorder, int], int]) -> TapeDensity:
    """build(recorder, y) -> register of the log density."""
    recorder = Recorder()
    y = recorder.input("y", dimension)
    total = build(recorder, y)
    recorder.start(total)
    tape = recorder.finish()
    start, length = tape.inputs["y"]
    return TapeDensity(tape, np.arange(start, start + length), tape.place(total).start)


def total(r: Recorder, x: int) -> int:
    return r.segment_sum(x, np.zeros(r.length(x), np.int64), 1)


def below(y: Any, distributions: Any) -> Any:
    """Whether y is below the quartiles and the 5 % and 95 % quantiles of each coordinate, flattened."""
    levels = np.array(LEVELS)
    cuts = np.stack([d.ppf(levels) for d in distributions])
    return (y[..., None] < cuts).reshape(*y.shape[:-1], -1).astype(float)


LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def gaussian(covariance: Any, mean: Any) -> Target:
    covariance, mean = np.asarray(covariance, float), np.asarray(mean, float)
    d = len(mean)
    precision, root = np.linalg.inv(covariance), np.linalg.cholesky(covariance)

    def build(r: Recorder, y: int) -> int:
        e = r.apply("-", y, r.constant(mean))
        rows, columns = np.indices((d, d)).reshape(2, -1)
        products = r.apply("*", r.gather(e, rows), r.gather(e, columns))
        return total(r, r.apply("*", r.constant(-0.5 * precision.reshape(-1)), products))

    laws = [stats.norm(m, s) for m, s in zip(mean, np.sqrt(np.diag(covariance)), strict=True)]

    def functions(y: Any) -> Any:
        e = y - mean
        pairs = (e[..., :, None] * e[..., None, :]).reshape(*y.shape[:-1], -1)
        return np.concatenate([y, pairs, below(y, laws)], axis=-1)

    means = np.concatenate([mean, covariance.reshape(-1), np.tile(LEVELS, d)])

    def exact(rng: Any, n: int) -> Any:
        return mean + rng.standard_normal((n, d)) @ root.T

    return Target(d, tape_density(d, build), exact, functions, means)


def student(df: float = 5.0, d: int = 3) -> Target:
    """Independent t: means, absolute values and quantiles (squares have too heavy a tail for a z)."""

    def build(r: Recorder, y: int) -> int:
        return total(
            r,
            r.apply(
                "*",
                r.constant(-(df + 1) / 2),
                r.apply("log1p", r.apply("/", r.apply("*", y, y), r.constant(df))),
            ),
        )

    laws = [stats.t(df)] * d

    def functions(y: Any) -> Any:
        return np.concatenate([y, np.abs(y), below(y, laws)], axis=-1)

    size = 2 * stats.t(df).expect(lambda x: x, lb=0)
    means = np.concatenate([np.zeros(d), np.full(d, size), np.tile(LEVELS, d)])
    return Target(d, tape_density(d, build), lambda rng, n: rng.standard_t(df, (n, d)), functions, means)


def funnel() -> Target:
    """v ~ N(0, 1) and two x ~ N(0, exp(v/2)): a funnel with a neck that steps of one size still reach."""

    def build(r: Recorder, y: int) -> int:
        v, x = r.gather(y, np.array([0])), r.gather(y, np.array([1, 2]))
        half = r.apply("*", r.constant(0.5), v)
        e = r.apply("*", x, r.apply("exp", r.apply("neg", half)))
        squares = r.apply("+", total(r, r.apply("*", e, e)), r.apply("*", v, v))
        return r.apply("-", r.apply("*", r.constant(-0.5), squares), v)

    def standard(y: Any) -> Any:
        return np.concatenate([y[..., :1], y[..., 1:] * np.exp(-y[..., :1] / 2)], axis=-1)

    def functions(y: Any) -> Any:
        z = standard(y)
        return np.concatenate([z, z**2, below(z, [stats.norm()] * 3)], axis=-1)

    def exact(rng: Any, n: int) -> Any:
        z = rng.standard_normal((n, 3))
        z[:, 1:] *= np.exp(z[:, :1] / 2)
        return z

    means = np.concatenate([np.zeros(3), np.ones(3), np.tile(LEVELS, 3)])
    return Target(3, tape_density(3, build), exact, functions, means)


def bounded() -> Target:
    """exp(y1) ~ Gamma(3, 1) and expit(y2) ~ Beta(2, 5), with their Jacobians."""

    def build(r: Recorder, y: int) -> int:
        a, b = r.gather(y, np.array([0])), r.gather(y, np.array([1]))
        gamma = r.apply("-", r.apply("*", r.constant(3.0), a), r.apply("exp", a))
        beta = r.apply(
            "-", r.apply("*", r.constant(2.0), b), r.apply("*", r.constant(7.0), r.apply("softplus", b))
        )
        return r.apply("+", gamma, beta)

    def natural(y: Any) -> Any:
        return np.stack([np.exp(y[..., 0]), 1 / (1 + np.exp(-y[..., 1]))], axis=-1)

    laws = [stats.gamma(3), stats.beta(2, 5)]

    def functions(y: Any) -> Any:
        x = natural(y)
        return np.concatenate([x, x**2, below(x, laws)], axis=-1)

    def exact(rng: Any, n: int) -> Any:
        p = rng.beta(2, 5, n)
        return np.stack([np.log(rng.gamma(3, size=n)), np.log(p) - np.log1p(-p)], axis=-1)

    means = np.concatenate([[3, 2 / 7], [12, 2 * 3 / (7 * 8)], np.tile(LEVELS, 2)])
    return Target(2, tape_density(2, build), exact, functions, means)


TARGETS: dict[str, Target] = {
    "scales": gaussian(np.diag([0.01, 1.0, 100.0]), [0.0, 3.0, -50.0]),
    "correlated": gaussian([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 4.0]], [1.0, 2.0, 0.0]),
    "t5": student(),
    "funnel": funnel(),
    "bounded": bounded(),
}
