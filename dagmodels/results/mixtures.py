"""Mixtures of normal and skew normal laws: moments, quantiles and densities of many quantities at once."""

from __future__ import annotations

import math
from collections.abc import Callable
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
        """The p-quantile of every quantity."""
        parts = self._parts()
        mean, sd = self.moments()
        start = mean + _normal_quantile(p) * sd
        return _solved(
            p, lambda x: _cdf_and_density(x, *parts), start, mean - 40.0 * sd, mean + 40.0 * sd, sd
        )

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


@dataclass(frozen=True, eq=False, slots=True)
class ClosedMixture:
    """Positive quantities whose laws given a point are of one family, mixed over weighted points.

    family : "Gamma", "InverseGamma" or "Beta". first, second : its parameters. mean, sd : of these laws. One
    point a row, one quantity a column.
    """

    weight: Floats
    family: str
    first: Floats
    second: Floats
    mean: Floats
    sd: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of every quantity."""
        return Mixture(self.weight, self.mean, self.sd, self.sd).moments()

    def column(self, k: int) -> ClosedMixture:
        """One quantity alone."""
        parts = (a[:, k : k + 1] for a in (self.first, self.second, self.mean, self.sd))
        return ClosedMixture(self.weight, self.family, *parts)

    def quantiles(self, p: float) -> Floats:
        """The p-quantile of every quantity."""
        mean, sd = self.moments()
        mean, sd = np.where(np.isfinite(mean), mean, 1.0), np.where(np.isfinite(sd), sd, 1.0)
        high = mean + 40.0 * sd
        while (short := self._cdf_and_density(high)[0] < p).any():
            high = np.where(short, 4.0 * high, high)
        start = np.clip(mean + _normal_quantile(p) * sd, 0.1 * mean, high)
        return _solved(p, self._cdf_and_density, start, np.zeros(mean.size), high, 1e-3 * mean)

    def density(self, x: Floats) -> Floats:
        """Density of the only quantity at some values."""
        return np.array([self._cdf_and_density(np.array([v]))[1][0] for v in x])

    def _cdf_and_density(self, x: Floats) -> tuple[Floats, Floats]:
        from scipy.special import betainc, betaln, gammainc, gammaincc, gammaln

        a, b = self.first, self.second
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(x)
            match self.family:
                case "Gamma":
                    cdf = gammainc(a, b * x)
                    density = np.exp(a * np.log(b) - gammaln(a) + (a - 1) * log - b * x)
                case "InverseGamma":
                    cdf = gammaincc(a, b / x)
                    density = np.exp(a * np.log(b) - gammaln(a) - (a + 1) * log - b / x)
                case "Beta":
                    inside = np.clip(x, 0.0, 1.0)
                    cdf = betainc(a, b, inside)
                    density = np.exp((a - 1) * log + (b - 1) * np.log1p(-inside) - betaln(a, b))
                case _:
                    raise NotImplementedError(self.family)
        return self.weight @ cdf, self.weight @ density


@dataclass(frozen=True, eq=False, slots=True)
class MappedMixture:
    """Quantities whose logarithms (log odds, if logit) are the mixture's."""

    mixture: Mixture
    logit: bool

    def inverse(self, x: Floats) -> Floats:
        """Logarithms or log odds."""
        return np.log(x) - np.log1p(-x) if self.logit else np.log(x)

    def moments(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation, by Gauss-Hermite sums for every component: a skew normal is a standard
        normal density times 2 Phi(shape z)."""
        from scipy.special import ndtr

        weight, location, scale, shape = self.mixture._parts()
        nodes, hermite = np.polynomial.hermite_e.hermegauss(41)
        mean = square = np.zeros(location.shape[1])
        for z, w in zip(nodes, hermite / math.sqrt(2.0 * math.pi), strict=True):
            share = 2.0 * w * ndtr(shape * z)
            x = self._value(location + scale * z)
            mean, square = mean + weight @ (share * x), square + weight @ (share * x * x)
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def column(self, k: int) -> MappedMixture:
        """One quantity alone."""
        return MappedMixture(self.mixture.column(k), self.logit)

    def quantiles(self, p: float) -> Floats:
        """The p-quantile of every quantity."""
        return self._value(self.mixture.quantiles(p))

    def density(self, x: Floats) -> Floats:
        """Density of the only quantity at some values."""
        return self.mixture.density(self.inverse(x)) / (x * (1.0 - x) if self.logit else x)

    def _value(self, z: Floats) -> Floats:
        return 1.0 / (1.0 + np.exp(-z)) if self.logit else np.exp(z)


def _solved(
    p: float,
    cdf_and_density: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    low: Floats,
    high: Floats,
    scale: Floats,
) -> Floats:
    """Where distribution functions reach p, by Newton steps inside brackets that shrink."""
    x = start
    for _ in range(80):
        cdf, density = cdf_and_density(x)
        miss = cdf - p
        low, high = np.where(miss < 0, x, low), np.where(miss < 0, high, x)
        step = x - miss / np.maximum(density, 1e-300)
        inside = (step > low) & (step < high) & np.isfinite(step)
        following = np.where(inside, step, 0.5 * (low + high))
        done = (np.abs(following - x) <= 1e-9 * scale) | (np.abs(miss) < 1e-15)
        x = np.where(np.abs(miss) < 1e-15, x, following)
        if done.all():
            break
    return x


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
