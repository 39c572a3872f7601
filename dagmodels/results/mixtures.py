"""Mixtures of normal and skew normal laws: moments, quantiles and densities of many quantities at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEGLIGIBLE = 1e-10  # components with less weight take no part in quantiles and densities


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """Quantities whose laws given a point are (skew) normal, mixed over weighted points.

    weight : of each point, summing to one. mean, sd, skewness : one point a row, one quantity a column.
    """

    weight: Floats
    mean: Floats
    sd: Floats
    skewness: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of every quantity."""
        mean = self.weight @ self.mean
        variance = self.weight @ (self.sd**2 + (self.mean - mean) ** 2)
        return mean, np.sqrt(variance)

    def column(self, k: int) -> Mixture:
        """One quantity alone."""
        return Mixture(self.weight, *(a[:, k : k + 1] for a in (self.mean, self.sd, self.skewness)))

    def quantiles(self, p: float) -> Floats:
        """The p-quantile of every quantity, by Newton steps inside a bracket that shrinks."""
        parts = self._parts()
        mean, sd = self.moments()
        low, high = mean - 40.0 * sd, mean + 40.0 * sd
        x = mean + _normal_quantile(p) * sd
        for _ in range(60):
            cdf, density = _cdf_and_density(x, *parts)
            miss = cdf - p
            low, high = np.where(miss < 0, x, low), np.where(miss < 0, high, x)
            step = x - miss / np.maximum(density, 1e-300)
            inside = (step > low) & (step < high) & np.isfinite(step)
            following = np.where(inside, step, 0.5 * (low + high))
            done = np.abs(following - x) <= 1e-9 * sd
            x = np.where(np.abs(miss) < 1e-15, x, following)
            if done.all():
                break
        return x

    def density(self, x: Floats) -> Floats:
        """Density of the only quantity at some values."""
        weight, location, scale, shape = self._parts()
        found = np.zeros(x.size)
        for w, at, s, a in zip(weight, location[:, 0], scale[:, 0], shape[:, 0], strict=True):
            found += w * _density((x - at) / s, a) / s
        return found

    def _parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights, locations, scales and shapes (Azzalini 1985, Scand. J. Statist. 12) of what counts."""
        kept = self.weight > NEGLIGIBLE * self.weight.max()
        weight = self.weight[kept] / self.weight[kept].sum()
        mean, sd, skewness = self.mean[kept], self.sd[kept], self.skewness[kept]
        sd = np.maximum(sd, 1e-300)
        root = np.abs(skewness) ** (2.0 / 3.0)
        square = 0.5 * math.pi * root / (root + (0.5 * (4.0 - math.pi)) ** (2.0 / 3.0))
        delta = np.sign(skewness) * np.sqrt(square)
        scale = sd / np.sqrt(1.0 - 2.0 * square / math.pi)
        location = mean - scale * delta * math.sqrt(2.0 / math.pi)
        return weight, location, scale, delta / np.sqrt(np.maximum(1.0 - square, 1e-12))


def _density(z: Floats, shape: Floats | float) -> Floats:
    from scipy.special import ndtr

    return 2.0 / math.sqrt(2.0 * math.pi) * np.exp(-0.5 * z * z) * ndtr(shape * z)


def _cdf_and_density(
    x: Floats, weight: Floats, location: Floats, scale: Floats, shape: Floats
) -> tuple[Floats, Floats]:
    from scipy.special import ndtr, owens_t

    z = (x - location) / scale
    cdf = ndtr(z)
    if shape.any():
        cdf = cdf - 2.0 * owens_t(z, shape)
    return weight @ cdf, weight @ (_density(z, shape) / scale)


def _normal_quantile(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))
