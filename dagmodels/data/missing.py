"""Missing values: marked, counted, grouped into patterns; never dropped silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The distinct patterns of observed columns among rows, most frequent first.

    observed : (k, p), which columns a pattern has.
    counts : (k,), rows with that pattern.
    index : (n,), each row's pattern.
    """

    observed: NDArray[np.bool_]
    counts: NDArray[np.int64]
    index: NDArray[np.int64]

    def rows(self, pattern: int) -> NDArray[np.int64]:
        """The rows with that pattern."""
        return np.flatnonzero(self.index == pattern)


def patterns(observed: NDArray[np.bool_]) -> Patterns:
    """Group rows by which of their columns are observed.

    Parameters
    ----------
    observed : (n, p) booleans.

    Returns
    -------
    Patterns sorted by falling count, ties by the earlier columns observed, so that permuting rows
    changes nothing but `index`.
    """
    n, p = observed.shape
    if p == 0:
        return Patterns(np.zeros((min(n, 1), 0), bool), np.array([n] * min(n, 1)), np.zeros(n, np.int64))
    packed = np.ascontiguousarray(np.packbits(observed, axis=1))
    key = packed.view(np.dtype((np.void, packed.shape[1]))).reshape(n)
    _, first, index, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    which = observed[first]
    rank = np.lexsort((*(~which).T[::-1], -counts))
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    return Patterns(which[rank], counts[rank].astype(np.int64), place[index].astype(np.int64))


def missing_counts(observed: Mapping[str, NDArray[np.bool_]]) -> dict[str, int]:
    """How many entries of each node are missing, for nodes that miss any."""
    counts = {name: int(mask.size - np.count_nonzero(mask)) for name, mask in observed.items()}
    return {name: n for name, n in counts.items() if n}
