"""The vector of everything that a fit estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Unknowns:
    """Everything estimated, as one vector: elements of the block that are coefficients, then outer values.

    names, nodes, what : by entry ("integrated", "profiled" or "maximised").
    value, covariance : estimates and their sampling covariance (coefficients given the outer unknowns).
    places : where each node's entries lie, by flat place.
    """

    names: list[str]
    nodes: list[str]
    what: list[str]
    value: Floats
    covariance: Floats
    places: dict[str, NDArray[np.int64]]
