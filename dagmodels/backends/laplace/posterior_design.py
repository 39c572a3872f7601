"""Central composite designs: few points over many outer unknowns, exact for the moments of a Gaussian.

The centre, two points on each axis and a two-level fractional factorial of resolution V, all but the centre
on a sphere (Rue, Martino and Chopin 2009, J. R. Statist. Soc. B 71, section 6.5; Sanchez and Sanchez 2005,
ACM Trans. Model. Comput. Simul. 15, 362-377, for the factorials).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
REACH = 1.1  # radius of the sphere over sqrt(dimensions), as in Rue et al.
MOST_DIMENSIONS = 20


@lru_cache(maxsize=32)
def _columns(d: int) -> tuple[int, ...]:
    """Columns of a Hadamard matrix of which no four, or fewer, multiply to one: the least numbers first."""
    chosen: list[int] = []
    pairs: set[int] = {0}  # products of up to two chosen columns
    triples: set[int] = {0}
    candidate = 0
    while len(chosen) < d:
        candidate += 1
        if candidate in triples:
            continue
        pairs |= {candidate ^ c for c in (0, *chosen)}
        chosen.append(candidate)
        triples = {p ^ c for p in pairs for c in (0, *chosen)}
    return tuple(chosen)


def factorial(d: int) -> Floats:
    """Signs, one run a row, of a design of resolution V: main effects and pairs are free of one another."""
    columns = _columns(d)
    runs = np.arange(1 << max(columns).bit_length())
    parity = [np.array([bin(run & c).count("1") % 2 for run in runs.tolist()]) for c in columns]
    return 1.0 - 2.0 * np.stack(parity, axis=1)


def central_composite(d: int) -> tuple[Floats, Floats]:
    """Points z, the centre first, and their weights for a standard normal density.

    With sphere radius f sqrt(d) the weights 1 - 1/f**2 of the centre and 1/f**2, spread evenly, of the
    sphere give the first three moments and all variances of a standard normal exactly.
    """
    corners = factorial(d)
    stars = math.sqrt(d) * np.concatenate([np.eye(d), -np.eye(d)])
    points = REACH * np.concatenate([np.zeros((1, d)), stars, corners])
    n = len(points) - 1
    weight = np.full(n + 1, 1.0 / (REACH**2 * n))
    weight[0] = 1.0 - 1.0 / REACH**2
    return points, weight
