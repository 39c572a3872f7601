"""Conditional means of all variables of a unit given its data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import Moments

Floats = NDArray[np.float64]


def conditional(moments: Moments, values: Floats, group_of: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Means of all variables given each row's observed ones, (n, t), and their standard deviations.

    values : (n, p) in the order of the structure's observed variables, nan where missing.
    """
    o, t = moments.structure.observed, moments.structure.order
    mean, sd = np.empty((len(values), t)), np.empty((len(values), t))
    there = ~np.isnan(values)
    keys = np.concatenate([group_of[:, None], there], axis=1)
    _, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    for c in range(int(of.max(initial=-1)) + 1):
        rows = np.flatnonzero(of == c)
        g, mask = int(group_of[rows[0]]), there[rows[0]]
        seen = o[mask]
        sigma = moments.covariance[g]
        weight = np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[seen]).T
        mean[rows] = moments.mean[g] + (values[rows][:, mask] - moments.mean[g, seen]) @ weight.T
        variance = np.diag(sigma) - np.einsum("ij,ij->i", weight, sigma[:, seen])
        sd[rows] = np.sqrt(np.maximum(variance, 0.0))
    return mean, sd
