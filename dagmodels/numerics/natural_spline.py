"""Natural cubic splines: cubic between knots, linear beyond the outer ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def natural_spline(x: Floats, df: int) -> Floats:
    """(x, df) basis without constant, knots at quantiles of x (as `ns` of R's package splines).

    B-splines without the first, in the directions in which second derivatives vanish at both ends; these are
    what Householder reflections of the two conditions leave.
    """
    from scipy.interpolate import BSpline

    inner = np.quantile(x, np.arange(1, df) / df)
    low, high = float(x.min()), float(x.max())
    knots = np.concatenate([[low] * 4, inner, [high] * 4])
    size = knots.size - 4
    whole = BSpline(knots, np.eye(size), 3)
    basis = whole(x)[:, 1:]
    conditions = whole.derivative(2)(np.array([low, high]))[:, 1:]
    rotation = np.linalg.qr(conditions.T, mode="complete")[0]
    return (basis @ rotation)[:, 2:]
