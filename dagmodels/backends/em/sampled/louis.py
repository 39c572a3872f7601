"""Standard errors of EM with draws, by the observed information.

Louis (1982, J. R. Stat. Soc. B 44:226): the observed information is the complete data's, less the covariance
of the complete data's scores given the observed data. Both are averages over draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.sampled.loop import Model, away_from_zero

Floats = NDArray[np.float64]
DRAWS = 1000  # that scores are looked at
USED = 20  # of them, that the complete data's information is averaged over
STEP = 1e-4  # of its differences
MOST = 0.97  # share of information that latents may keep for standard errors to be told


@dataclass(frozen=True, eq=False, slots=True)
class Information:
    """covariance : of the estimates, nan where draws tell none. missing : the largest share of information on
    any combination that the latents keep. score : as `loop.Sampled` has it. distance : of the optimum, in
    standard errors of the estimates, by Newton's step on the mean score; nan as the covariance.
    """

    covariance: Floats
    missing: float
    score: float
    distance: float = float("nan")


def information(model: Model, theta: Floats) -> Information:
    """At the estimates."""
    draws = [model.draw(theta) for _ in range(DRAWS)]
    scores = np.array([-model.objective([u], theta)[1] for u in draws])
    values, axes = np.linalg.eigh(_complete(model, draws[:: DRAWS // USED], theta))
    nothing = np.full((theta.size, theta.size), np.nan)
    far = away_from_zero(scores)
    if not values[0] > 0:
        return Information(nothing, np.nan, far)
    inverse = axes / np.sqrt(values)  # columns W with W' J W = 1, J the complete data's information
    share, vectors = np.linalg.eigh(np.atleast_2d(np.cov((scores @ inverse).T)))
    if not share[-1] < MOST:
        return Information(nothing, float(share[-1]), far)
    root = inverse @ vectors / np.sqrt(1.0 - share)
    along = root.T @ scores.mean(axis=0)
    return Information(root @ root.T, float(share[-1]), far, float(np.sqrt(along @ along)))


def _complete(model: Model, draws: list[Floats], theta: Floats) -> Floats:
    """Minus the mean second derivatives of the complete data's log density."""
    found = np.empty((theta.size, theta.size))
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = STEP * max(1.0, abs(theta[i]))
        up, down = model.objective(draws, theta + step)[1], model.objective(draws, theta - step)[1]
        found[i] = (up - down) / (2 * step[i])
    return 0.5 * (found + found.T)
