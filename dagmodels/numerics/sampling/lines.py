"""Proposals that have the density's own shape along each axis through its mode.

The log density is asked for at even places along lines through the mode; a proposal is a product of the
interpolated densities of the lines, or, with a small probability, a draw of a multivariate t, whose tails are
heavier.  Where coordinates hang together by more than their covariance the product is off, and the weights
of its proposals tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.errors import FitError
from dagmodels.numerics.sampling.grid import Grid, integrated
from dagmodels.numerics.sampling.independence import Proposal
from dagmodels.numerics.sampling.lattice import DEEPEST, Lattice

Floats = NDArray[np.float64]
Densities = Callable[[Floats], Floats]  # log densities of points, one a row

REACH, STEP = 8.0, 0.5  # how far lines go to either side, and steps, in standard deviations
SHARE = 0.1  # of the proposals that are a multivariate t


@dataclass(frozen=True, eq=False, slots=True)
class Lines:
    """Proposals y = centre + root z, see the module.

    lines : the laws of the elements of z. tails : the other part.
    """

    centre: Floats
    root: Floats
    lines: tuple[Grid, ...]
    tails: Proposal

    @classmethod
    def through(cls, densities: Densities, tails: Proposal) -> Lines:
        """Through the centre of these proposals, along the columns of their root.

        Raises
        ------
        FitError : the density has no value at the centre, or an infinite one on a line.
        """
        d = tails.centre.size
        places = np.arange(-REACH, REACH + 0.5 * STEP, STEP)
        z = np.zeros((d, places.size, d))
        z[np.arange(d), :, np.arange(d)] = places
        y = tails.centre + z.reshape(-1, d) @ tails.root.T
        values = np.asarray(densities(y), dtype=np.float64).reshape(d, -1)
        peaks = np.fmax.reduce(values, axis=1, initial=-np.inf)
        if not np.isfinite(peaks).all():
            raise FitError("the density has no finite value on a line through its mode")
        values = np.fmax(values, peaks[:, None] - DEEPEST)
        low, step = np.array([-REACH]), np.array([STEP])
        lines = tuple(integrated(np.zeros(1), np.eye(1), Lattice(low, step, v)) for v in values)
        return cls(tails.centre, tails.root, lines, tails)

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Points, one a row."""
        other = rng.random(count) < SHARE
        z = np.column_stack([line.drawn(rng, count) for line in self.lines])
        return np.where(other[:, None], self.tails.drawn(rng, count), self.centre + z @ self.root.T)

    def log_density(self, y: Floats) -> Floats:
        """At points, one a row."""
        z = np.linalg.solve(self.root, (y - self.centre).T)
        product = -float(np.linalg.slogdet(self.root)[1])
        for line, places in zip(self.lines, z, strict=True):
            product = product + line.log_densities(places[:, None]) - line.log_evidence
        return np.logaddexp(np.log1p(-SHARE) + product, np.log(SHARE) + self.tails.log_density(y))
