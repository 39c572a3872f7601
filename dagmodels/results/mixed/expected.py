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

    def _log_zero(self) -> Any:
        """Log probability that a count before truncation is zero."""
        m, s = self.mean, self.spread
        if self.family == "truncated_poisson":
            return -m
        alpha = m / s if self.family == "truncated_nbinom1" else s
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(alpha), -m, -alpha * np.log1p(m / alpha))
