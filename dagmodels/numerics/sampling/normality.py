"""How far a density is from a normal law of independent coordinates, as draws and gradients say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fisher_divergence(y: Floats, gradients: Floats) -> Floats:
    """By coordinate, from the nearest such law: E(sigma g + (y - mu)/sigma)^2 at the best mu and sigma.

    That is 2 (sd(y) sd(g) + cov(y, g)), at sigma^2 = sd(y)/sd(g): zero where the gradient g of the log
    density falls on a line in y, whatever the draws.  For draws of N(m, S) it is
    2 (sqrt(S_jj (S^-1)_jj) - 1), from the correlations of coordinate j with all others.  It measures what
    trajectories by the best diagonal metric meet (Seyboldt, Carlson and Carpenter 2026, arXiv:2603.18845).

    y, gradients : (n, d). Returns (d,); unchanged by shifts and scales of coordinates.
    """
    about, slope = y - y.mean(axis=0), gradients - gradients.mean(axis=0)
    spread = np.sqrt((about**2).mean(axis=0) * (slope**2).mean(axis=0))
    return 2.0 * np.maximum(spread + (about * slope).mean(axis=0), 0.0)
