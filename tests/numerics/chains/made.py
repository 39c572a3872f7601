"""Chains to diagnose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autoregressive(shape: tuple[int, ...], phi: float, seed: int = 1) -> Floats:
    """(chains, draws, ...) of x_t = phi x_{t-1} + e_t with variance 1, started from its own law."""
    e = np.random.default_rng(seed).standard_normal(shape)
    x = np.empty(shape)
    x[:, 0] = e[:, 0]
    for t in range(1, shape[1]):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * e[:, t]
    return x
