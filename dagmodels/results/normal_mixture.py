"""What is known of a continuous node, or of several: a mixture of normal laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class NormalMixture:
    """One component a combination of discrete states that is possible.

    names : of the nodes.
    weights : (components,), they sum to one.
    means : (components, nodes). covariances : (components, nodes, nodes).
    """

    names: tuple[str, ...]
    weights: Floats
    means: Floats
    covariances: Floats

    @property
    def mean(self) -> float | Floats:
        """Expected value; a vector for several nodes."""
        found = self.weights @ self.means
        return float(found[0]) if len(self.names) == 1 else found

    @property
    def covariance(self) -> Floats:
        """Of the mixture: within components and between their means."""
        away = self.means - self.weights @ self.means
        within = np.einsum("c,cij->ij", self.weights, self.covariances)
        return within + np.einsum("c,ci,cj->ij", self.weights, away, away)

    @property
    def sd(self) -> float | Floats:
        """Standard deviation; a vector for several nodes."""
        found = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return float(found[0]) if len(self.names) == 1 else found

    def density(self, x: object) -> Floats:
        """At points, in their shape; the last axis is that of the nodes where there are several."""
        at = np.asarray(x, dtype=float)
        points = at[..., None] if len(self.names) == 1 else at
        away = points[..., None, :] - self.means
        solved = np.einsum("cij,...cj->...ci", np.linalg.inv(self.covariances), away)
        _, logs = np.linalg.slogdet(2 * np.pi * self.covariances)
        return np.exp(-0.5 * (np.sum(away * solved, axis=-1) + logs)) @ self.weights

    def probability(self, lower: float = -np.inf, upper: float = np.inf) -> float:
        """Of an interval, for one node."""
        from scipy.special import ndtr

        sd = np.sqrt(self.covariances[:, 0, 0])
        ends = [ndtr((end - self.means[:, 0]) / sd) for end in (lower, upper)]
        return float(self.weights @ (ends[1] - ends[0]))

    def __repr__(self) -> str:
        number = len(self.weights)
        told = f"{number} components" if number > 1 else "normal"
        if len(self.names) == 1:
            return f"<{self.names[0]}: mean {self.mean:.6g}, sd {self.sd:.6g} ({told})>"
        return f"<{', '.join(self.names)}: means {np.round(self.mean, 6).tolist()} ({told})>"
