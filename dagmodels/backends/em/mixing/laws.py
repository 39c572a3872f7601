"""Unknown distributions on a grid: the probabilities that they put there, as a function of free numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.backends.em.mixing.grid import even
from dagmodels.numerics.natural_spline import natural_spline

Floats = NDArray[np.float64]
NODES, SHARES = np.polynomial.legendre.leggauss(3)


@dataclass(frozen=True, eq=False, slots=True)
class Free:
    """Any probabilities on the values: every value is a component of its own.

    values : of the latent. width : of the piece of the line that each stands for, 0 for masses.
    """

    values: Floats

    @property
    def width(self) -> Floats:
        return np.zeros(self.values.size)

    @property
    def extra(self) -> tuple[int, float]:
        """A component to which elements are added that were not observed, and how many."""
        return 0, 0.0

    def components(self, likelihood: Floats) -> Floats:
        """(components, units) likelihoods of the components, from those of the values (values, units)."""
        return likelihood

    def spread(self, weights: Floats) -> Floats:
        """Probabilities of the values, from weights of the components."""
        return weights


@dataclass(frozen=True, eq=False, slots=True)
class Falling:
    """Mixtures of a mass at the mode and of uniforms between the mode and the edges of cells on both sides.

    mode : where. below, above : edges, ever farther from the mode. nullweight : of the penalty
    (nullweight - 1) log of the mass (Stephens 2017, section 3.1.1). Each cell is integrated by three points
    of Gauss and Legendre; values lie in the order of the line, so that components do too: the widest uniform
    below first, the mass, the widest above last.
    """

    mode: float
    below: Floats
    above: Floats
    nullweight: float = 1.0

    @classmethod
    def of(cls, mode: float, lower: float, upper: float, points: int, nullweight: float = 1.0) -> Falling:
        """About half as many cells as points on each side, narrow ones next to the mode."""
        share = (np.arange(1, max(points // 2, 1) + 1) / max(points // 2, 1)) ** 2
        below = mode - share * (mode - lower) if lower < mode else np.zeros(0)
        above = mode + share * (upper - mode) if upper > mode else np.zeros(0)
        return cls(mode, below, above, nullweight)

    @property
    def values(self) -> Floats:
        below = _nodes(self.mode, self.below)[::-1]
        return np.concatenate([below, [self.mode], _nodes(self.mode, self.above)])

    @property
    def width(self) -> Floats:
        below, above = (np.repeat(_cells(self.mode, e), 3) * np.tile(SHARES, e.size) / 2 for e in self._sides)
        return np.concatenate([below[::-1], [0.0], above])

    @property
    def extra(self) -> tuple[int, float]:
        """As in `Free`."""
        return self.below.size, self.nullweight - 1.0

    @property
    def _sides(self) -> tuple[Floats, Floats]:
        return self.below, self.above

    def components(self, likelihood: Floats) -> Floats:
        """As in `Free`."""
        first = 3 * self.below.size
        below = _averages(likelihood[:first][::-1], self.mode, self.below)
        above = _averages(likelihood[first + 1 :], self.mode, self.above)
        return np.concatenate([below[::-1], likelihood[first : first + 1], above])

    def spread(self, weights: Floats) -> Floats:
        """As in `Free`."""
        first = self.below.size
        below = _shares(weights[:first][::-1], self.mode, self.below)
        above = _shares(weights[first + 1 :], self.mode, self.above)
        return np.concatenate([below[::-1], weights[first : first + 1], above])


@dataclass(frozen=True, eq=False, slots=True)
class Smooth:
    """exp(basis alpha), normalised, on values at equal distances. c0 : of the penalty c0 |alpha|.

    basis : (values, df) columns of a natural cubic spline, centred and of length one (Efron 2016).
    """

    values: Floats
    basis: Floats
    c0: float

    @classmethod
    def of(cls, values: Floats, df: int, c0: float) -> Smooth:
        """With knots at quantiles of the values."""
        basis = natural_spline(values, df)
        basis = basis - basis.mean(axis=0)
        return cls(values, basis / np.sqrt((basis**2).sum(axis=0)), c0)

    @property
    def width(self) -> Floats:
        return np.full(self.values.size, self.values[1] - self.values[0])

    def spread(self, alpha: Floats) -> Floats:
        """Probabilities of the values."""
        eta = self.basis @ alpha
        g = np.exp(eta - eta.max())
        return g / g.sum()


def made(family: str, arguments: dict[str, float], lower: float, upper: float) -> Free | Falling | Smooth:
    """The law of a family between two ends; see `analysis.unknown_laws` for its arguments."""
    points = int(arguments["points"])
    if family == "NPMLE":
        return Free(even(lower, upper, points))
    if family == "Unimodal":
        return Falling.of(arguments["mode"], lower, upper, points, arguments["nullweight"])
    return Smooth.of(np.linspace(lower, upper, points), int(arguments["df"]), arguments["c0"])


def on_grid(family: str, arguments: dict[str, float], grid: Floats) -> Free | Smooth:
    """The law on values that the user gives."""
    if family == "NPMLE":
        return Free(grid)
    return Smooth.of(grid, int(arguments["df"]), arguments["c0"])


def _cells(mode: float, edges: Floats) -> Floats:
    """Lengths of the cells, the one next to the mode first."""
    return np.abs(np.diff(np.concatenate([[mode], edges])))


def _nodes(mode: float, edges: Floats) -> Floats:
    """Points of the cells, ever farther from the mode."""
    ends = np.concatenate([[mode], edges])
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * np.diff(ends)
    return (middle[:, None] + half[:, None] * NODES).reshape(-1)


def _averages(likelihood: Floats, mode: float, edges: Floats) -> Floats:
    """Likelihoods averaged from the mode to each edge."""
    if not edges.size:
        return likelihood[:0]
    cells = np.einsum("ckn,k->cn", likelihood.reshape(edges.size, 3, -1), SHARES / 2)
    cells *= _cells(mode, edges)[:, None]
    return np.cumsum(cells, axis=0) / np.abs(edges - mode)[:, None]


def _shares(weights: Floats, mode: float, edges: Floats) -> Floats:
    """Probabilities of the points, from those of the uniforms."""
    density = np.cumsum((weights / np.abs(edges - mode))[::-1])[::-1]
    return (density * _cells(mode, edges))[:, None].repeat(3, axis=1).reshape(-1) * np.tile(
        SHARES / 2, edges.size
    )
