"""The metric of Hamiltonian trajectories: an estimate of the covariance of y, diagonal or dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Metric:
    """M^-1, by which momenta p ~ N(0, M) become velocities.

    inverse, root : M^-1 and a lower root of it, as (1, d) where diagonal, (d, d) where dense.
    """

    inverse: Floats
    root: Floats

    @classmethod
    def identity(cls, dimension: int) -> Metric:
        return cls.diagonal(np.ones(dimension))

    @classmethod
    def diagonal(cls, variances: Floats) -> Metric:
        inverse = np.array(variances, dtype=np.float64)[None, :]  # a copy: kernels refuse read-only views
        return cls(inverse, np.sqrt(inverse))

    @classmethod
    def dense(cls, covariance: Floats) -> Metric:
        inverse = np.array(covariance, dtype=np.float64, order="C")
        return cls(inverse, np.array(np.linalg.cholesky(inverse), dtype=np.float64))

    def velocity(self, p: Floats) -> Floats:
        """M^-1 p."""
        return self.inverse[0] * p if len(self.inverse) == 1 else self.inverse @ p

    def momentum(self, rng: np.random.Generator) -> Floats:
        """p ~ N(0, M)."""
        z = rng.standard_normal(self.inverse.shape[1])
        return z / self.root[0] if len(self.root) == 1 else np.linalg.solve(self.root.T, z)
