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

REACH, FURTHEST, STEP = 8.0, 64.0, 0.5  # how far lines go to either side, and steps, in standard deviations
FALL = 15.0  # of the log density at the ends of a line; longer lines are tried where it is less
SHARE = 0.1  # of the proposals that are a multivariate t


@dataclass(frozen=True, eq=False, slots=True)
class Lines:
    """Proposals y = centre + root z, see the module.

    lines : the laws of the elements of z. tails : the other part. inverse, log_volume : of the root.
    """

    centre: Floats
    root: Floats
    lines: tuple[Grid, ...]
    tails: Proposal
    inverse: Floats
    log_volume: float

    @classmethod
    def through(cls, densities: Densities, tails: Proposal) -> Lines:
        """Through the centre of these proposals, along the columns of their root.

        Raises
        ------
        FitError : the density has no finite value on a line, or an infinite one.
        """
        lines = [_line(densities, tails.centre, axis) for axis in tails.root.T]
        inverse, volume = np.linalg.inv(tails.root), float(np.linalg.slogdet(tails.root)[1])
        return cls(tails.centre, tails.root, tuple(lines), tails, inverse, volume)

    def drawn(self, rng: np.random.Generator, count: int) -> Floats:
        """Points, one a row."""
        other = rng.random(count) < SHARE
        z = np.column_stack([line.drawn(rng, count) for line in self.lines])
        return np.where(other[:, None], self.tails.drawn(rng, count), self.centre + z @ self.root.T)

    def log_density(self, y: Floats) -> Floats:
        """At points, one a row."""
        z = self.inverse @ (y - self.centre).T
        product = -self.log_volume
        for line, places in zip(self.lines, z, strict=True):
            product = product + line.log_densities(places[:, None]) - line.log_evidence
        return np.logaddexp(np.log1p(-SHARE) + product, np.log(SHARE) + self.tails.log_density(y))


def _line(densities: Densities, centre: Floats, axis: Floats) -> Grid:
    """The density on the line through the centre along an axis, by its length."""
    reach = REACH
    while True:
        places = np.arange(-reach, reach + 0.5 * STEP, STEP)
        values = np.asarray(densities(centre + places[:, None] * axis), dtype=np.float64)
        peak = float(np.fmax.reduce(values))
        if not np.isfinite(peak):
            raise FitError("the density has no finite value on a line through its mode")
        values = np.fmax(values, peak - DEEPEST)
        if max(values[0], values[-1]) < peak - FALL or reach >= FURTHEST:
            lattice = Lattice(np.array([-reach]), np.array([STEP]), values)
            return integrated(np.zeros(1), np.eye(1), lattice)
        reach *= 2.0
