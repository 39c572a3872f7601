"""A density known on a fine grid: its quantiles, moments and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Marginal(NamedTuple):
    """A posterior density: `x, density = fit.marginal("tau")`. It integrates to one over x."""

    x: Floats
    density: Floats


class Marginals(Protocol):
    """A posterior, by the names of estimates and of latents' elements; None for a name that nothing has."""

    def density(self, name: str) -> Marginal | None:
        """On a grid."""
        ...

    def quantile(self, name: str, p: float) -> float | None:
        """Below which the share p of the posterior lies."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """A density in t, on a grid, of which the quantity itself is a monotone function.

    t, density : the grid and the density in t. cdf : cumulative, ending at one. value : the quantity at t.
    slope : |d value / d t|.
    """

    t: Floats
    density: Floats
    cdf: Floats
    value: Floats
    slope: Floats

    @classmethod
    def of(cls, t: Floats, density: Floats, value: Callable[[Floats], tuple[Floats, Floats]]) -> Curve:
        """From values of a density that need not be normalised; value gives the quantity and its slope."""
        steps = np.diff(t)
        inner = 0.5 * (density[1:] + density[:-1]) * steps
        # Simpson's correction from the slopes at the ends of each interval
        slope = np.gradient(density, t)
        inner = np.maximum(inner - (slope[1:] - slope[:-1]) * steps**2 / 12.0, 0.0)
        cdf = np.concatenate([[0.0], np.cumsum(inner)])
        x, stretch = value(t)
        return cls(t, density / cdf[-1], cdf / cdf[-1], x, np.abs(stretch))

    def quantile(self, p: float) -> float:
        """Inverse of the distribution function, by the density within its interval."""
        share = p if self.value[-1] >= self.value[0] else 1.0 - p
        k = int(np.clip(np.searchsorted(self.cdf, share) - 1, 0, self.t.size - 2))
        width = self.t[k + 1] - self.t[k]
        low, high = self.density[k], self.density[k + 1]
        whole = self.cdf[k + 1] - self.cdf[k]
        part = share - self.cdf[k]
        mean = 0.5 * (low + high) * width
        part *= mean / whole if whole > 0 else 0.0
        # low s + (high - low) s^2 / (2 width) = part
        root = np.sqrt(max(low * low + 2.0 * (high - low) * part / width, 0.0))
        s = 2.0 * part / (low + root) if low + root > 0 else 0.5 * width
        at = np.clip(s / width, 0.0, 1.0)
        # cubic in the value, whose slopes are known
        rise = np.sign(self.value[-1] - self.value[0])
        a, b = self.value[k], self.value[k + 1]
        da, db = rise * self.slope[k] * width, rise * self.slope[k + 1] * width
        cubic = (1 + 2 * at) * (1 - at) ** 2 * a + at * (1 - at) ** 2 * da
        return float(cubic + at * at * (3 - 2 * at) * b + at * at * (at - 1) * db)

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the quantity."""
        weight = np.zeros(self.t.size)
        share = np.diff(self.cdf)
        weight[1:] += 0.5 * share
        weight[:-1] += 0.5 * share
        mean = float(weight @ self.value)
        return mean, float(np.sqrt(weight @ (self.value - mean) ** 2))

    def marginal(self) -> Marginal:
        """The density on the quantity's own scale, where it is not negligible."""
        inside = (self.cdf > 1e-7) & (self.cdf < 1.0 - 1e-7) & (self.slope > 0)
        x, density = self.value[inside], self.density[inside] / self.slope[inside]
        return Marginal(x, density) if x.size < 2 or x[-1] >= x[0] else Marginal(x[::-1], density[::-1])
