"""What small-sample tests of coefficients need of a backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class CoefficientSpread:
    """The covariance of coefficients, and how it hangs on the other unknowns.

    names : of the coefficients, as the estimates have them, (p,).
    covariance : given the other unknowns, (p, p).
    slopes : its exact derivatives in each coordinate of the other unknowns, (k, p, p).
    outer : sampling covariance of these coordinates, from the observed information, (k, k); zero for
        coordinates on a bound, which do not move.
    """

    names: tuple[str, ...]
    covariance: Floats
    slopes: Floats
    outer: Floats
