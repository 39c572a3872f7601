"""Convergence diagnostics of chains, many quantities at once.

Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Rank-normalization, folding, and localization: an
improved R-hat for assessing convergence of MCMC, Bayesian Analysis 16, 667-718. Every function takes draws of
shape (chains, draws, ...) and gives the rest of the shape. A quantity with a nan is nan throughout; one that
never changes has no R-hat (nan), an effective size of all its draws and errors of zero. Fewer than four draws
tell nothing: nan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dagmodels.numerics.chain_loops import summarised, transposed
from dagmodels.numerics.chains.effective import by_transform, effective, most_lags
from dagmodels.numerics.chains.ranks import normal_scores, quantile, score_table, split

Floats = NDArray[np.float64]

LEAST = 4
"""Draws a chain below which nothing is said."""
TAILS = (0.05, 0.95)
CHUNK = 1 << 14  # numbers worked on at once: more would leave the cache


@dataclass(frozen=True, eq=False, slots=True)
class Diagnosis:
    """What a table of draws shows, each field of the shape of one draw.

    quantiles : first axis the probabilities asked for.
    mcse : Monte Carlo standard error of the mean.
    """

    mean: Floats
    sd: Floats
    quantiles: Floats
    mcse: Floats
    ess_bulk: Floats
    ess_tail: Floats
    rhat: Floats


def diagnose(x: ArrayLike, probabilities: Sequence[float] = (0.025, 0.975)) -> Diagnosis:
    """Mean, sd, quantiles, Monte Carlo error, effective sizes and R-hat, sharing sorts and transforms."""
    table, shape = _table(x)
    size = max(1, CHUNK // max(table.shape[1] * table.shape[2], 1))
    parts = [_diagnose(table[i : i + size], probabilities) for i in range(0, len(table), size)]
    if not parts:
        nothing = np.empty(shape)
        return Diagnosis(nothing, nothing, np.empty((len(probabilities), *shape)), *4 * (nothing,))
    joined = [np.concatenate([getattr(p, f.name) for p in parts], axis=-1) for f in fields(Diagnosis)]
    return Diagnosis(*(a.reshape((*a.shape[:-1], *shape)) for a in joined))


def _diagnose(x: Floats, probabilities: Sequence[float]) -> Diagnosis:
    k, m, n = x.shape
    flat = x.reshape(k, m * n)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, sd = flat.mean(axis=1), _deviation(x)
    if n < LEAST:
        ordered, nothing = np.sort(flat, axis=1), np.full(k, np.nan)
        ends = np.stack([quantile(ordered, p) for p in probabilities])
        return Diagnosis(mean, sd, ends, nothing, nothing, nothing, nothing)
    ordered = np.sort(flat, axis=1) if n % 2 else None
    ordered, sizes, ratio = _summary(split(x), ordered)
    sizes[:, np.isnan(ordered[:, -1])] = np.nan
    ends = np.stack([quantile(ordered, p) for p in probabilities])
    tail = np.minimum(sizes[2], sizes[3])
    return Diagnosis(mean, sd, ends, sd / np.sqrt(sizes[1]), sizes[0], tail, ratio)


def _summary(halves: Floats, every: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Sorted draws, effective sizes (bulk, mean, either tail; by quantity), and R-hat.

    halves : of the chains. every : all draws sorted, where the halves leave some out.
    """
    k, m, n = halves.shape
    halves = np.ascontiguousarray(halves)
    flat = halves.reshape(k, m * n)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    every = ordered if every is None else every
    tails = np.stack([quantile(every, p) for p in TAILS])
    scores, sizes, ratio = np.empty_like(halves), np.empty((4, k)), np.empty(k)
    summarised(halves, order, score_table(m * n), tails, most_lags(n), ordered, scores, sizes, ratio)
    for which, q in np.argwhere(sizes < 0.0).tolist():  # chains that mix slowly
        values = scores[q] if which == 0 else halves[q] if which == 1 else halves[q] <= tails[which - 2, q]
        sizes[which, q] = by_transform(np.asarray(values, dtype=np.float64)[None])[0]
    return every, sizes, ratio


def rhat(x: ArrayLike) -> Floats:
    """Rank-normalised split R-hat: the larger one of bulk and of tail (folded draws). Above 1.01 the chains
    have not mixed. Infinite where chains stand still at different places."""
    return _each(x, lambda t: _summary(split(t))[2])


def ess_bulk(x: ArrayLike) -> Floats:
    """Effective size of the rank-normalised draws: how well the centre is known."""
    return _each(x, lambda t: effective(normal_scores(split(t))[0]))


def ess_tail(x: ArrayLike, probabilities: tuple[float, float] = TAILS) -> Floats:
    """The smaller one of the effective sizes of two quantiles."""
    return np.minimum(*(ess_quantile(x, p) for p in probabilities))


def ess_mean(x: ArrayLike) -> Floats:
    """Effective size of the mean."""
    return _each(x, lambda t: effective(split(t)))


def ess_sd(x: ArrayLike) -> Floats:
    """Effective size of the standard deviation: that of the squared departures from the mean."""
    return _each(x, lambda t: effective(split(_squares(t))))


def ess_quantile(x: ArrayLike, probability: float) -> Floats:
    """Effective size of a quantile: that of being below it."""
    return _each(x, lambda t: _below(t, probability)[0])


def mcse_mean(x: ArrayLike) -> Floats:
    """Monte Carlo standard error of the mean."""
    return _each(x, lambda t: _deviation(t) / np.sqrt(effective(split(t))))


def mcse_sd(x: ArrayLike) -> Floats:
    """Monte Carlo standard error of the standard deviation, without assuming a Normal law.

    var(sd) = var(s2)/(4 s2) with s2 the mean square and var(s2) its variance over the effective size of the
    squares (delta method; Kenney and Keeping 1951, p. 141). ArviZ 0.8 takes the effective size of the mean.
    """

    def error(t: Floats) -> Floats:
        squares = _squares(t).reshape(len(t), -1)
        second = squares.mean(axis=1)
        spread = ((squares**2).mean(axis=1) - second**2) / effective(split(_squares(t)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(second == 0, 0.0, np.sqrt(np.maximum(spread, 0.0) / second / 4))

    return _each(x, error)


def mcse_quantile(x: ArrayLike, probability: float) -> Floats:
    """Monte Carlo standard error of a quantile: half of the central 68 % interval of its order statistics,
    whose places follow a Beta law of the effective size (section 4.4)."""
    from scipy.special import betaincinv

    def error(t: Floats) -> Floats:
        size, ordered = _below(t, probability)
        count = ordered.shape[1]
        a, b = size * probability + 1, size * (1 - probability) + 1
        low = np.floor(np.maximum(betaincinv(a, b, 0.1586553) * count - 1, 0))
        high = np.ceil(np.minimum(betaincinv(a, b, 0.8413447) * count - 1, count - 1))
        known = np.isfinite(size)
        at = (np.where(known, p, 0).astype(np.int64)[:, None] for p in (high, low))
        upper, lower = (np.take_along_axis(ordered, i, axis=1)[:, 0] for i in at)
        return np.where(known, (upper - lower) / 2, np.nan)

    return _each(x, error)


def bfmi(energy: ArrayLike) -> Floats:
    """Estimated Bayesian fraction of missing information of each chain; below 0.3 (Stan's bound) the energy
    moves too slowly for the tails to be explored (Betancourt 2016, arXiv 1604.00695, section 2).

    energy : (chains, draws).
    """
    e = np.asarray(energy, dtype=np.float64)
    if e.shape[1] < 2:
        return np.full(e.shape[0], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.diff(e, axis=1) ** 2).mean(axis=1) / e.var(axis=1, ddof=1)


def _below(t: Floats, probability: float) -> tuple[Floats, Floats]:
    """Effective size of lying below the quantile, and the sorted draws."""
    ordered = np.sort(t.reshape(len(t), -1), axis=1)
    size = effective(split(t <= quantile(ordered, probability)[:, None, None]))
    return np.where(np.isnan(ordered[:, -1]), np.nan, size), ordered


def _squares(t: Floats) -> Floats:
    """Squared departures from the mean; exactly zero for what never changes."""
    with np.errstate(invalid="ignore"):
        found = (t - t.mean(axis=(1, 2), keepdims=True)) ** 2
    found[t.max(axis=(1, 2)) == t.min(axis=(1, 2))] = 0.0
    return found


def _deviation(t: Floats) -> Floats:
    if t[0].size == 1:
        return np.full(len(t), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = t.std(axis=(1, 2), ddof=1)
    found[t.max(axis=(1, 2)) == t.min(axis=(1, 2))] = 0.0
    return found


def _table(x: ArrayLike) -> tuple[Floats, tuple[int, ...]]:
    """(quantities, chains, draws), and the shape of one draw."""
    values = np.asarray(x, dtype=np.float64)
    if values.ndim < 2:
        raise ValueError(f"draws need axes (chains, draws, ...), but there are {values.ndim}")
    m, n, *rest = values.shape
    flat = np.ascontiguousarray(values).reshape(m * n, -1)
    found = np.empty(flat.shape[::-1])
    transposed(flat, found)
    return found.reshape(-1, m, n), tuple(rest)


def _each(x: ArrayLike, of: Callable[[Floats], Floats]) -> Floats:
    table, shape = _table(x)
    if table.shape[2] < LEAST:
        return np.full(shape, np.nan)
    size = max(1, CHUNK // (table.shape[1] * table.shape[2]))
    parts = [of(table[i : i + size]) for i in range(0, len(table), size)]
    return np.concatenate([*parts, np.empty(0)]).reshape(shape)
