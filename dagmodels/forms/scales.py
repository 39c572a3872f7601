"""Latents on an unconstrained scale: what they are there, back, and the log of the Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.general import IDENTITY, LOG

Floats = NDArray[np.float64]


def back(f: Any, scale: str, z: Any) -> Any:
    """The latent at z, over any namespace of functions."""
    if scale == IDENTITY:
        return z
    return f.exp(z) if scale == LOG else f.expit(z)


def log_jacobian(f: Any, scale: str, z: Any, x: Any) -> Any:
    """log of dx/dz at z, where the latent is x; zero on its own scale."""
    if scale == IDENTITY:
        return 0.0
    return z if scale == LOG else f.log(x) + f.log(1 - x)


def values_and_slopes(scale: str, z: Floats) -> tuple[Floats, Floats]:
    """The latent at z and dx/dz in numbers."""
    if scale == IDENTITY:
        return z, np.ones_like(z)
    if scale == LOG:
        return np.exp(z), np.exp(z)
    from scipy.special import expit

    return expit(z), expit(z) * expit(-z)


__all__ = ["back", "log_jacobian", "values_and_slopes"]
