"""Draws of many quantities in order: sorted values, normal scores of their ranks, quantiles."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dagmodels.numerics.chain_loops import scores_by_order

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def split(x: NDArray[Any]) -> NDArray[Any]:
    """Each chain as two halves: (quantities, 2 chains, draws // 2); of an odd number one is left out."""
    k, m, n = x.shape
    half = n // 2
    if n % 2:
        return np.concatenate([x[:, :, :half], x[:, :, -half:]], axis=1)
    return x.reshape(k, 2 * m, half)


def normal_scores(x: Floats) -> tuple[Floats, Floats]:
    """Normal quantiles of the ranks over all chains, and the sorted values (quantities, all draws).

    Equal values share their average rank; the rank r of S becomes (r - 3/8)/(S + 1/4) (Blom 1958). What is
    not a number makes its quantity nan.
    """
    flat = np.ascontiguousarray(x.reshape(x.shape[0], -1))
    scores, ordered = np.empty_like(flat), np.empty_like(flat)
    scores_by_order(flat, np.argsort(flat, axis=1), score_table(flat.shape[1]), scores, ordered)
    scores[np.isnan(ordered[:, -1])] = np.nan
    return scores.reshape(x.shape), ordered


@lru_cache(maxsize=32)
def score_table(size: int) -> Floats:
    """Normal scores of the ranks 1, 1.5, 2, ..., size; shared, and never changed."""
    rank = 1.0 + 0.5 * np.arange(2 * size - 1)
    return ndtri((rank - 0.375) / (size + 0.25))


def quantile(ordered: Floats, probability: float) -> Floats:
    """Linear quantile of sorted rows (type 7 of Hyndman and Fan 1996, numpy's default)."""
    at = (ordered.shape[1] - 1) * probability
    low = int(np.floor(at))
    share = at - low
    a, b = ordered[:, low], ordered[:, min(low + 1, ordered.shape[1] - 1)]
    with np.errstate(invalid="ignore"):
        step = b - a
        found = np.where(share < 0.5, a + step * share, b - step * (1.0 - share))
    return np.where(a == b, a, np.where(np.isnan(ordered[:, -1]), np.nan, found))
