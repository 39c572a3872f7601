"""Normal leaves that are alike in all rows: densities and derivatives by state without the tape.

What differs between rows is the value alone, and by state mean and covariance are single unknowns or known.
Then weighted sums of x and of its products say all about the maximum, and about the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dagmodels.forms.direct import Direct
from dagmodels.numerics.normal_columns import densities, moments

Floats = NDArray[np.float64]
Values = Callable[[str], Floats]  # all elements of a node, flat
Argument = Direct | Floats
PRODUCTS = 20_000_000  # entries of the table of products that is kept
SAFE = 1e4  # squared distance from the centre over a variance, up to which products keep their digits


@dataclass(frozen=True, eq=False, slots=True)
class NormalLeaf:
    """Numbers x, with mean and sd by state."""

    x: Floats
    states: int
    mean: Argument
    sd: Argument

    def density(self, values: Values) -> Floats:
        """(rows, states)."""
        found = np.empty((self.x.size, self.states))
        densities(
            self.x, _numbers(self.mean, values, self.states), _numbers(self.sd, values, self.states), found
        )
        return found

    def sums(self, weights: Floats, mean: Floats) -> Floats:
        """(3, states) : weights, weights times x - mean, weights times its square."""
        found = np.empty((3, self.states))
        moments(self.x, np.ascontiguousarray(weights), mean, found)
        return found

    def seed(
        self, weights: Floats, values: Values, add: Callable[[str, NDArray[np.int64], Floats], None]
    ) -> None:
        """Add the weighted density's derivatives in the unknowns: node, places, derivatives."""
        mean, sd = _numbers(self.mean, values, self.states), _numbers(self.sd, values, self.states)
        total, first, second = self.sums(weights, mean)
        if isinstance(self.mean, Direct):
            add(self.mean.node, self.mean.places, first / sd**2)
        if isinstance(self.sd, Direct):
            add(self.sd.node, self.sd.places, second / sd**3 - total / sd)


@dataclass(frozen=True, eq=False, slots=True)
class VectorLeaf:
    """Vectors x (rows, d), with mean vector and covariance matrix by state.

    centre : of all rows. products : (rows, d (d + 1) / 2) of x - centre with itself; None where too many.
    """

    x: Floats
    states: int
    mean: Argument
    cov: Argument
    centre: Floats = field(init=False)
    centred: Floats = field(init=False)
    products: Floats | None = field(init=False)

    def __post_init__(self) -> None:
        n, d = self.x.shape
        i, j = np.triu_indices(d)
        object.__setattr__(self, "centre", self.x.mean(axis=0) if n else np.zeros(d))
        object.__setattr__(self, "centred", self.x - self.centre)
        few = n * i.size <= PRODUCTS
        object.__setattr__(self, "products", self.centred[:, i] * self.centred[:, j] if few else None)

    @property
    def d(self) -> int:
        """Length of a vector."""
        return self.x.shape[1]

    def means(self, values: Values) -> Floats:
        """(states, d)."""
        return _blocks(self.mean, values, self.states, self.d, 1)

    def covariances(self, values: Values) -> Floats:
        """(states, d, d)."""
        return _blocks(self.cov, values, self.states, self.d, 2)

    def density(self, values: Values) -> Floats:
        """(rows, states); nan where a covariance is none."""
        mean, cov = self.means(values) - self.centre, self.covariances(values)
        try:
            root = np.linalg.cholesky(cov)
        except np.linalg.LinAlgError:
            return np.full((len(self.x), self.states), np.nan)
        inverse = np.linalg.inv(root)
        constant = -np.log(np.einsum("kii->ki", root)).sum(axis=1) - 0.5 * self.d * math.log(2 * math.pi)
        if self.products is not None and self._safe(mean, cov):
            precision = np.swapaxes(inverse, 1, 2) @ inverse
            i, j = np.triu_indices(self.d)
            twice = np.where(i == j, -0.5, -1.0) * precision[:, i, j]
            pull = np.einsum("kab,kb->ka", precision, mean)
            found = self.products @ twice.T
            found += self.centred @ pull.T
            found += constant - 0.5 * np.einsum("ka,ka->k", pull, mean)
            return found
        found = np.empty((len(self.x), self.states))
        for k in range(self.states):
            z = (self.centred - mean[k]) @ inverse[k].T
            found[:, k] = constant[k] - 0.5 * np.einsum("ia,ia->i", z, z)
        return found

    def _safe(self, mean: Floats, cov: Floats) -> bool:
        return bool((mean**2 <= SAFE * np.einsum("kii->ki", cov)).all())

    def sums(self, weights: Floats, mean: Floats, cov: Floats) -> tuple[Floats, Floats, Floats]:
        """By state: weights, weighted sums of x - mean (states, d), and of its products (states, d, d).

        cov : the scale of distances, which decides whether products are taken about the centre.
        """
        total = weights.sum(axis=0)
        away = mean - self.centre
        if self.products is not None and self._safe(away, cov):
            i, j = np.triu_indices(self.d)
            sums = weights.T @ self.centred
            flat = weights.T @ self.products
            second = np.empty((self.states, self.d, self.d))
            second[:, i, j] = second[:, j, i] = flat
            cross = sums[:, :, None] * away[:, None, :]
            second += (
                total[:, None, None] * away[:, :, None] * away[:, None, :] - cross - np.swapaxes(cross, 1, 2)
            )
            return total, sums - total[:, None] * away, second
        first, second = np.empty((self.states, self.d)), np.empty((self.states, self.d, self.d))
        for k in range(self.states):
            z = self.centred - away[k]
            weighted = z * weights[:, [k]]
            first[k], second[k] = weighted.sum(axis=0), weighted.T @ z
        return total, first, second

    def seed(
        self, weights: Floats, values: Values, add: Callable[[str, NDArray[np.int64], Floats], None]
    ) -> None:
        """Add the weighted density's derivatives in the unknowns: node, places, derivatives."""
        mean, cov = self.means(values), self.covariances(values)
        total, first, second = self.sums(weights, mean, cov)
        precision = np.linalg.inv(cov)
        if isinstance(self.mean, Direct):
            places = self.mean.places[:, None] + np.arange(self.d)
            add(self.mean.node, places.reshape(-1), np.einsum("kab,kb->ka", precision, first).reshape(-1))
        if isinstance(self.cov, Direct):
            places = self.cov.places[:, None] + np.arange(self.d**2)
            slope = 0.5 * (precision @ second @ precision - total[:, None, None] * precision)
            add(self.cov.node, places.reshape(-1), slope.reshape(-1))


Leaf = NormalLeaf | VectorLeaf


def leaf(family: str, x: Floats, states: int, arguments: Mapping[str, Argument]) -> Leaf | None:
    """The leaf of a law whose arguments are single unknowns or known by state; None for other laws."""
    if family == "Normal" and set(arguments) == {"mu", "sigma"}:
        return NormalLeaf(np.ascontiguousarray(x[:, 0]), states, arguments["mu"], arguments["sigma"])
    if family == "MvNormal" and set(arguments) == {"mu", "cov"}:
        return VectorLeaf(np.ascontiguousarray(x), states, arguments["mu"], arguments["cov"])
    return None


def _numbers(argument: Argument, values: Values, states: int) -> Floats:
    found = values(argument.node)[argument.places] if isinstance(argument, Direct) else argument
    return np.array(np.broadcast_to(found, states), dtype=np.float64)


def _blocks(argument: Argument, values: Values, states: int, d: int, axes: int) -> Floats:
    if isinstance(argument, Direct):
        block = argument.places[:, None] + np.arange(d**axes)
        return values(argument.node)[block].reshape(-1, *(d,) * axes)
    return np.broadcast_to(argument.reshape(-1, *(d,) * axes), (states, *(d,) * axes))
