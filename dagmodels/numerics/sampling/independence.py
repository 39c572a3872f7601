"""Draws by proposals that do not depend on where the chain is, while their weights can be trusted.

Proposals come from a multivariate t with the mode and the curvature of the density.  Ungated, this is
silently unreliable: where the tails of the density are heavier, effective sizes look fine and means are
wrong.  So the route is open only while the Pareto k of the weights is below 0.7 (Vehtari et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.pareto import RELIABLE, smoothed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

DEGREES = 5.0
TRIALS = 1000  # proposals by which the gate decides


class Proposals(Protocol):
    """A law of points, one a row."""

    def drawn(self, rng: np.random.Generator, count: int) -> Floats: ...
    def log_density(self, y: Floats) -> Floats: ...


@dataclass(frozen=True, eq=False, slots=True)
class Proposal:
    """Multivariate t: centre (d), a lower root of its scale matrix (d, d), and degrees of freedom."""

    centre: Floats
    root: Floats
    degrees: float = DEGREES

    @classmethod
    def at_mode(cls, mode: Floats, hessian: Floats, degrees: float = DEGREES) -> Proposal:
        """From the mode and the Hessian of minus the log density there.

        Raises
        ------
        FitError : the Hessian is not positive definite.
        """
        try:
            factor = np.linalg.cholesky(hessian[::-1, ::-1])[::-1, ::-1]  # upper: hessian = factor factor'
        except np.linalg.LinAlgError as error:
            raise FitError(
                "no independence proposals: the log density does not curve downward at its mode in every "
                "direction; draw by NUTS instead"
            ) from error
        return cls(
            np.array(mode, dtype=np.float64), np.array(np.linalg.inv(factor).T, dtype=np.float64), degrees
        )

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Points, one a row."""
        z = rng.standard_normal((count, self.centre.size))
        stretch = np.sqrt(self.degrees / rng.chisquare(self.degrees, count))
        return self.centre + (z * stretch[:, None]) @ self.root.T

    def log_density(self, y: Floats) -> Floats:
        """At points, one a row."""
        d, nu = self.centre.size, self.degrees
        z = np.linalg.solve(self.root, (y - self.centre).T)
        constant = math.lgamma((nu + d) / 2.0) - math.lgamma(nu / 2.0) - 0.5 * d * math.log(nu * math.pi)
        constant -= float(np.linalg.slogdet(self.root)[1])
        return constant - 0.5 * (nu + d) * np.log1p((z**2).sum(axis=0) / nu)


class Gate(NamedTuple):
    """Whether independence proposals may be used, and why.

    k : shape of the tail of their weights. effective : share of the proposals that equal weights are worth.
    log_evidence : of the density, by the mean of the weights. because : a sentence.
    """

    open: bool
    k: float
    effective: float
    log_evidence: float
    because: str


class Weighted(NamedTuple):
    """Proposals (n, d), one a row, and their log weights (n)."""

    y: Floats
    log_weight: Floats


def weighted(densities: Densities, proposal: Proposals, rng: np.random.Generator, count: int) -> Weighted:
    """Proposals and the logs of density over proposal density; points without a density weigh nothing."""
    y = proposal.drawn(rng, count)
    log_weight = np.asarray(densities(y), dtype=np.float64) - proposal.log_density(y)
    return Weighted(y, np.where(np.isnan(log_weight), -np.inf, log_weight))


def gate(trials: Weighted) -> Gate:
    """Judge a density by its weights at some hundred proposals and more."""
    log_weight = trials.log_weight
    top = float(log_weight.max(initial=-np.inf))
    if not math.isfinite(top):
        why = "no proposal has a finite log density; draw by NUTS instead"
        return Gate(False, math.nan, 0.0, math.nan, why)
    found = smoothed(log_weight)
    k = found.k
    effective = found.effective / log_weight.size
    evidence = top + math.log(float(np.exp(log_weight - top).mean()))
    if k < RELIABLE:
        return Gate(True, k, effective, evidence, f"Pareto k of the weights is {k:.2f}, below {RELIABLE}")
    if math.isnan(k):
        why = f"{log_weight.size} proposals are too few for a Pareto k; give some hundred"
    else:
        why = f"Pareto k of the weights is {k:.2f}, not below {RELIABLE}: the density has heavier tails than "
        why += "its proposals; draw by NUTS instead"
    return Gate(False, k, effective, evidence, why)


def draws(
    proposals: Weighted, rng: np.random.Generator, start: tuple[Floats, float]
) -> tuple[Floats, tuple[Floats, float], float]:
    """Independence Metropolis-Hastings through the proposals, in their order (Tierney 1994, Ann. Stat.
    22:1701, section 2.3.2).

    start : the present point (d) and its log weight.

    Returns
    -------
    One draw for each proposal (n, d), the last point with its log weight, and the share accepted.
    """
    chosen = chain(proposals.log_weight, rng, start[1])
    y = np.vstack([proposals.y, start[0]])[chosen]  # -1 is the start, in the last row
    accepted = int((chosen == np.arange(chosen.size)).sum())
    last = start if not chosen.size or chosen[-1] < 0 else (y[-1], float(proposals.log_weight[chosen[-1]]))
    return y, last, accepted / max(chosen.size, 1)


def chain(log_weight: Floats, rng: np.random.Generator, present: float) -> Ints:
    """Which proposal each draw is, by their log weights in order; -1 for the start, whose weight is given."""
    log_u = -rng.standard_exponential(log_weight.size)
    chosen = np.empty(log_u.size, dtype=np.int64)
    now = -1
    for i, (weight, u) in enumerate(zip(log_weight.tolist(), log_u.tolist(), strict=True)):
        if u < weight - present:
            now, present = i, weight
        chosen[i] = now
    return chosen


def exchanged(trials: Weighted, before: Floats, other: Floats) -> tuple[float, float]:
    """What other proposals would be worth, by trials of those before.

    before, other : log densities of either proposals at the trials.

    Returns
    -------
    The share of them that equal weights would be worth, and their largest weight at a trial, in means.
    """
    weight = np.exp(trials.log_weight - trials.log_weight.max())  # density over the proposals before
    mean = float(weight.mean())
    weight_of_other = weight * np.exp(before - other)
    return float(mean**2 / (weight * weight_of_other).mean()), float(weight_of_other.max()) / mean


def first(proposals: Weighted, rng: np.random.Generator) -> tuple[Floats, float]:
    """One proposal drawn by its weight, where a chain may start."""
    weight = np.exp(proposals.log_weight - proposals.log_weight.max())
    i = int(rng.choice(weight.size, p=weight / weight.sum()))
    return proposals.y[i], float(proposals.log_weight[i])
