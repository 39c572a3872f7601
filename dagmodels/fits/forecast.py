"""Expected values with their uncertainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Forecast(NamedTuple):
    """Expected values with their uncertainty, given the outer unknowns (scales and the like).

    mean : expected values. sd : their standard deviations, from latents and coefficients.
    sd_new : standard deviations of new observations: sd and the noise around the mean.
    """

    mean: Floats
    sd: Floats
    sd_new: Floats
