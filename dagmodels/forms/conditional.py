"""Conditional means of all variables of a unit given its data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.numerics.moments import Moments

Floats = NDArray[np.float64]
BITS = 40  # variables up to which what a row shows is one whole number


def conditional(moments: Moments, values: Floats, group_of: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Means of all variables given each row's observed ones, (n, t), and their standard deviations.

    values : (n, p) in the order of the structure's observed variables, nan where missing.
    """
    o, t = moments.structure.observed, moments.structure.order
    mean, sd = np.empty((len(values), t)), np.empty((len(values), t))
    there = ~np.isnan(values)
    for rows in _alike(group_of, there):
        g, mask = int(group_of[rows[0]]), there[rows[0]]
        seen = o[mask]
        sigma = moments.covariance[g]
        weight = np.linalg.solve(sigma[np.ix_(seen, seen)], sigma[seen]).T
        mean[rows] = moments.mean[g] + (values[rows][:, mask] - moments.mean[g, seen]) @ weight.T
        variance = np.diag(sigma) - np.einsum("ij,ij->i", weight, sigma[:, seen])
        sd[rows] = np.sqrt(np.maximum(variance, 0.0))
    return mean, sd


def _alike(group_of: NDArray[np.int64], there: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows of one group that show the same variables, by kind."""
    if not len(there):
        return []
    if there.shape[1] < BITS:
        code = (group_of << there.shape[1]) + there @ (1 << np.arange(there.shape[1]))
        if (code == code[0]).all():
            return [np.arange(code.size)]
        _, of = np.unique(code, return_inverse=True)
    else:
        keys = np.concatenate([group_of[:, None], there], axis=1)
        _, of = np.unique(keys, axis=0, return_inverse=True)
    of = of.reshape(-1)
    order = np.argsort(of, kind="stable")
    return np.split(order, np.cumsum(np.bincount(of))[:-1])
