"""Sums over the counts that one group can have of m drawn from two: Fisher's noncentral hypergeometric."""

from __future__ import annotations

from typing import Any

import numpy as np


def log_terms(n1: Any, n2: Any, m: Any) -> tuple[Any, Any]:
    """The counts j of the first group and log C(n1, j) C(n2, m - j), along the last axis (of one in n1).

    Rows with fewer counts than others are filled with terms of minus infinity, invalid ones with nan.
    """
    from dagmodels.distributions import _numeric
    from dagmodels.distributions._shared import log_choose

    n1, n2, m = np.broadcast_arrays(*(np.asarray(n, float) for n in (n1, n2, m)))
    valid = (n1 >= 0) & (n2 >= 0) & (m >= 0) & (m <= n1 + n2) & np.isfinite(n1 + n2)
    n1, n2, m = (np.where(valid, n, 0.0) for n in (n1, n2, m))
    low, high = np.maximum(m - n2, 0), np.minimum(n1, m)
    j = low + np.arange(int(np.max(high - low, initial=0.0)) + 1)
    inside = j <= high
    j = np.minimum(j, high)
    terms = log_choose(_numeric, n1, j) + log_choose(_numeric, n2, m - j)
    return j, np.where(valid, np.where(inside, terms, -np.inf), np.nan)


def fisher_cumulant(order: Any, n1: Any, n2: Any, m: Any, log_odds: Any) -> Any:
    """Derivative of order 0 to 4 in log_odds of log sum_j C(n1, j) C(n2, m - j) exp(j log_odds).

    The first is the mean of the law, the second its variance, and so on.
    """
    which = int(np.real(np.ravel(order)[0]))
    n1, n2, m = (np.real(np.asarray(n))[..., None] for n in (n1, n2, m))
    j, terms = log_terms(n1, n2, m)
    logs = terms + j * np.asarray(log_odds)[..., None]
    top = np.max(np.real(logs), axis=-1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(axis=-1)
    if which == 0:
        return np.log(total) + top[..., 0]
    share = weights / total[..., None]
    mean = (share * j).sum(axis=-1)
    if which == 1:
        return mean
    gap = j - mean[..., None]
    moments = [(share * gap**k).sum(axis=-1) for k in range(2, 5)]
    return (*moments[:2], moments[2] - 3 * moments[0] ** 2)[which - 2]


def draw(rng: Any, n1: Any, n2: Any, m: Any, log_odds: Any, shape: tuple[int, ...]) -> Any:
    """Counts of that shape, by inversion of the sums of all probabilities."""
    own = np.broadcast_shapes(*(np.shape(a) for a in (n1, n2, m, log_odds)))
    n1, n2, m, odds = (np.broadcast_to(np.asarray(a, float), own)[..., None] for a in (n1, n2, m, log_odds))
    j, terms = log_terms(n1, n2, m)
    logs = terms + j * odds
    share = np.cumsum(np.exp(logs - logs.max(axis=-1, keepdims=True)), axis=-1)
    j, share = (np.broadcast_to(a, (*shape, j.shape[-1])) for a in (j, share))
    goal = rng.random(shape) * share[..., -1]
    place = (share <= goal[..., None]).sum(axis=-1)
    return np.take_along_axis(j, place[..., None], axis=-1)[..., 0].astype(np.int64)
