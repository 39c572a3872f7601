"""Rules of quadrature over independent standard normals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@lru_cache(maxsize=32)
def _one_dimension(order: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return nodes, np.log(weights) - 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """Nodes (n, d) and log weights (n) of the mean over independent standard normals."""

    order: int
    nodes: Floats
    log_weights: Floats

    @classmethod
    def of(cls, order: int, dimensions: int) -> Rule:
        """The product rule."""
        nodes, log_weights = _one_dimension(order)
        grid = np.array(list(product(range(order), repeat=dimensions)), dtype=np.int64)
        grid = grid.reshape(order**dimensions, dimensions)
        return cls(order, np.ascontiguousarray(nodes[grid]), log_weights[grid].sum(axis=1))
