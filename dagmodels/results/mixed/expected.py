"""Expected values and variances of responses by family, structural zeros and truncation counted in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INVERSE_LINKS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": lambda eta: 0.5 * (1 + np.tanh(eta / 2)),
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "inverse": lambda eta: 1 / eta,
    "1/mu^2": lambda eta: 1 / np.sqrt(eta),
    "sqrt": np.square,
}


def inverse_link(link: str, eta: Floats) -> Floats:
    """The mean of a linear predictor."""
    if link == "probit":
        from scipy.special import ndtr

        return ndtr(eta)
    return INVERSE_LINKS[link](eta)


def slopes(link: str, eta: Floats) -> tuple[Floats, Floats]:
    """First and second derivative of the mean in the linear predictor."""
    m = inverse_link(link, eta)
    match link:
        case "identity":
            return np.ones_like(eta), np.zeros_like(eta)
        case "log":
            return m, m
        case "logit":
            v = m * (1 - m)
            return v, v * (1 - 2 * m)
        case "probit":
            density = np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi)
            return density, -eta * density
        case "cloglog":
            rate = np.exp(eta)
            first = rate * np.exp(-rate)
            return first, first * (1 - rate)
        case "inverse":
            return -(m**2), 2 * m**3
        case "1/mu^2":
            return -0.5 * m**3, 0.75 * m**5
        case "sqrt":
            return 2 * eta, np.full_like(eta, 2.0)
    raise AssertionError(link)


def limits_of_mean(link: str, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Least and largest mean between two linear predictors; a mean that would leave its range through
    infinity (1/eta beside zero) has no upper limit."""
    with np.errstate(divide="ignore"):
        if link in ("inverse", "1/mu^2"):
            return inverse_link(link, np.maximum(high, 0.0)), inverse_link(link, np.maximum(low, 0.0))
        ends = inverse_link(link, low), inverse_link(link, high)
    least = np.minimum(*ends)
    if link == "sqrt":
        least = np.where((low < 0) & (high > 0), 0.0, least)
    return least, np.maximum(*ends)


def probabilities(link: str, eta: Floats, cut: Floats) -> Floats:
    """Of each grade, rows by grades, from the linear predictor and the cut points."""
    below = inverse_link(link, cut[None, :] - eta[:, None])
    ends = np.zeros((eta.size, 1)), np.ones((eta.size, 1))
    return np.diff(np.concatenate([ends[0], below, ends[1]], axis=1), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """The law of each row's response.

    mean : inside its link: of the counts before truncation, where there is one. spread, shape : the
        family's parameters, one or one a row. positive : probability of no structural zero.
    weights : of the rows: trials of proportions, or divisors of the variance.
    """

    family: str
    mean: Floats
    spread: Any
    shape: float = np.nan
    positive: Any = 1.0
    weights: Any = 1.0

    @property
    def truncated(self) -> bool:
        """Whether the counts themselves have no zeros."""
        return self.family.startswith("truncated")

    def conditional(self) -> Floats:
        """Expected responses that are no structural zeros."""
        return self.mean / -np.expm1(self._log_zero()) if self.truncated else self.mean

    def expected(self) -> Floats:
        """Expected responses."""
        return self.positive * self.conditional()

    def variance(self) -> Any:
        """Variances of the responses."""
        own = self._variance()
        share = self.positive / -np.expm1(self._log_zero()) if self.truncated else self.positive
        return share * (own + (1 - share) * self.mean**2)

    def _variance(self) -> Any:
        m, s, w = self.mean, self.spread, self.weights
        match self.family:
            case "binomial":
                return m * (1 - m) / w
            case "betabinomial":
                return m * (1 - m) / w * (1 + (w - 1) / (1 + s))
            case "beta":
                return m * (1 - m) / (1 + s)
            case "poisson" | "truncated_poisson":
                return m
            case "negative.binomial" | "truncated_nbinom2":
                return m + m**2 / s
            case "nbinom1" | "truncated_nbinom1":
                return m * (1 + s)
            case "Gamma":
                return m**2 / s / w
            case "inverse.gaussian":
                return m**3 / s / w
            case "t":
                scale = self.shape / (self.shape - 2) if self.shape > 2 else np.inf
                return s**2 * scale + 0 * m
            case _:
                return s**2 / w + 0 * m

    def draw(self, rng: np.random.Generator) -> Floats:
        """One response a row; of binomial ones the number of successes."""
        y = self._draw_positive(rng) if self.truncated else self._draw(rng)
        if np.ndim(self.positive) == 0 and self.positive == 1:
            return y
        return np.where(rng.random(self.mean.shape) < self.positive, y, 0.0)

    def _draw(self, rng: np.random.Generator) -> Floats:
        m, s, w = self.mean, self.spread, self.weights
        match self.family:
            case "binomial" | "betabinomial":
                trials = np.broadcast_to(w, m.shape).astype(np.int64)
                p = m if self.family == "binomial" else rng.beta(m * s, (1 - m) * s)
                return rng.binomial(trials, p).astype(float)
            case "beta":
                return rng.beta(m * s, (1 - m) * s)
            case "poisson":
                return rng.poisson(m).astype(float)
            case "negative.binomial" | "nbinom1":
                rate = m if self._is_poisson else rng.gamma(self._size, m / self._size)
                return rng.poisson(rate).astype(float)
            case "Gamma":
                return rng.gamma(s * w, m / (s * w))
            case "inverse.gaussian":
                return rng.wald(m, s * w)
            case "t":
                return m + s * rng.standard_t(self.shape, m.shape)
            case _:
                return m + s / np.sqrt(w) * rng.standard_normal(m.shape)

    def _draw_positive(self, rng: np.random.Generator) -> Floats:
        """Counts that are not zero, by the inverse of their distribution function."""
        from scipy import stats

        m = self.mean
        zero = np.exp(self._log_zero())
        p = zero + (1 - zero) * rng.random(m.shape)
        poisson = self.family == "truncated_poisson" or self._is_poisson
        law = stats.poisson(m) if poisson else stats.nbinom(self._size, self._size / (self._size + m))
        return np.maximum(law.ppf(p), 1.0)

    @property
    def _size(self) -> Any:
        """Of negative binomial counts: the shape of the Gamma law of their rates."""
        return self.mean / self.spread if "nbinom1" in self.family else self.spread

    @property
    def _is_poisson(self) -> bool:
        """Whether negative binomial counts spread no more than a Poisson's."""
        at = 0.0 if "nbinom1" in self.family else np.inf
        return bool(np.all(np.asarray(self.spread) == at))

    def _log_zero(self) -> Any:
        """Log probability that a count before truncation is zero."""
        m, s = self.mean, self.spread
        if self.family == "truncated_poisson":
            return -m
        alpha = m / s if self.family == "truncated_nbinom1" else s
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(alpha), -m, -alpha * np.log1p(m / alpha))
