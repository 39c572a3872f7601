"""Confidence limits of estimates from their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

NORMAL_975 = 1.959963984540054  # 97.5 % point of the standard normal law


def wald(
    estimate: ArrayLike, se: ArrayLike, positive: ArrayLike = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % Wald limits, `estimate ± 1.96 se`.

    Parameters
    ----------
    estimate, se : equal shapes. A standard error that is NaN (a scale at zero, where the quadratic
        approximation does not hold) gives NaN limits; one of zero (a fixed number) gives the estimate.
    positive : which of them cannot be negative (scales, variances); their lower limit stops at zero.
        These limits stay symmetric on the declared scale before that: they are a quick look, a
        profile of the criterion is the better interval for a small variance.
    """
    centre = np.asarray(estimate, dtype=float)
    half = NORMAL_975 * np.asarray(se, dtype=float)
    lower = centre - half
    lower = np.where(np.asarray(positive, dtype=bool), np.maximum(lower, 0.0), lower)
    return lower, centre + half
