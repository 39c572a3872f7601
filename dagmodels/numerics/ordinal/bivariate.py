"""The bivariate normal distribution, for arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def distribution(h: Floats, k: Floats, rho: Floats) -> Floats:
    """P(X <= h, Y <= k) of standard normal X and Y with correlation rho, |rho| < 1; h and k may be infinite.

    By Owen's T function (Owen 1956, Ann. Math. Stat. 27:1075, equation 2.1).
    """
    from scipy.special import ndtr, owens_t

    h, k, rho = np.broadcast_arrays(h, k, rho)
    found = np.where(h == np.inf, ndtr(k), ndtr(h))  # also where both are infinite
    found[np.minimum(h, k) == -np.inf] = 0.0
    plain = np.isfinite(h) & np.isfinite(k)
    a, b, r = h[plain], k[plain], rho[plain]
    root = np.sqrt((1.0 - r) * (1.0 + r))
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (b / a - r) / root, (a / b - r) / root
    both = (a == 0) & (b == 0)
    first, second = np.where(both, 0.0, first), np.where(both, 0.0, second)
    apart = (a * b < 0) | ((a * b == 0) & (a + b < 0))
    inner = 0.5 * (ndtr(a) + ndtr(b) - apart) - owens_t(a, first) - owens_t(b, second)
    found[plain] = np.clip(np.where(both, 0.25 + np.arcsin(r) / (2 * np.pi), inner), 0.0, 1.0)
    return found


def density(h: Floats, k: Floats, rho: Floats) -> Floats:
    """Density at finite or infinite places; zero at the latter."""
    finite = np.isfinite(h) & np.isfinite(k)
    a, b = np.where(finite, h, 0.0), np.where(finite, k, 0.0)
    rest = (1.0 - rho) * (1.0 + rho)
    found = np.exp(-0.5 * (a * a - 2 * rho * a * b + b * b) / rest) / (2 * np.pi * np.sqrt(rest))
    return np.where(finite, found, 0.0)


def density_slope(h: Floats, k: Floats, rho: Floats) -> Floats:
    """Derivative of the density in the correlation."""
    finite = np.isfinite(h) & np.isfinite(k)
    a, b = np.where(finite, h, 0.0), np.where(finite, k, 0.0)
    rest = (1.0 - rho) * (1.0 + rho)
    factor = (rho + a * b) / rest - rho * (a * a - 2 * rho * a * b + b * b) / rest**2
    return density(h, k, rho) * factor


def normal_density(z: Floats) -> Floats:
    """Density of the standard normal, zero at infinity."""
    return np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
