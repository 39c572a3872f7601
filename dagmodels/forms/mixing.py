"""The `mixing` form: log likelihoods of units by the value of their latent, whose distribution is unknown.

The tape holds the log densities of rows given one value of the latent, the same for all units; it is run once
for each value of a grid. A unit's log likelihood is a sum of its rows'; rows that agree in all they read are
one kind and have one entry on the tape, units with the same kinds of rows are one unit that counts so often.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.forms.flat import Flat
from dagmodels.forms.sites import Site

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LOWEST = -1e300  # stands for minus infinity in sums, where it must not meet a zero


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Rows of one site that read the latent, one of each kind.

    site : these rows. place : in the workspace, an entry a kind or one for all. first : number of the first
    kind among those of all parts. kinds : how many. kind, element : of every row of the data, its kind within
    the part and the latent's element that it reads.
    """

    site: Site
    place: slice
    first: int
    kinds: int
    kind: Ints
    element: Ints


@dataclass(frozen=True, eq=False, slots=True)
class MixingForm:
    """Log likelihoods of units.

    flat : the unknowns but for the latent (parameters, and what has a prior), whose `joint` has their priors
        and the rows that do not read the latent.
    node : the latent. parts : the rows that read it.
    uses : (units, kinds) how many rows of each kind a unit has; a sparse matrix, None where unit k has just
        row k. counts : how often each unit occurs.
    unit_of : the unit of each of the latent's elements, -1 where nothing was observed of it.
    aside : places in the workspace of the log densities of rows that do not read the latent, and how often
        each entry counts.
    """

    flat: Flat
    node: str
    parts: tuple[Part, ...]
    uses: Any
    counts: Floats
    unit_of: Ints
    aside: tuple[tuple[slice, int], ...] = ()
    _space: list[Any] = field(default_factory=list)

    @property
    def problem(self) -> Problem:
        """Graph and data."""
        return self.flat.problem

    @property
    def units(self) -> int:
        """How many units there are that differ."""
        return self.counts.size

    def log_likelihood(self, y: Floats, values: Floats) -> Floats:
        """(values, units) log likelihoods of the units where their latent has these values; minus infinity
        where it cannot.

        y : unconstrained point of all else.
        """
        found = np.empty((values.size, self.units))
        space = self._workspace(y)
        for k, value in enumerate(values):
            rows = self._rows(space, value)
            found[k] = rows if self.uses is None else self.uses @ rows
        found[found < LOWEST / 2] = -np.inf
        return found

    def joint(self, y: Floats) -> float:
        """Log density of priors and of rows that do not read the latent."""
        space = self._workspace(y)
        self._run(space, 0.0)
        return float(space.values[self.flat.joint])

    def prior(self, y: Floats) -> float:
        """Log density of priors alone."""
        joint = self.joint(y)
        return joint - sum(t * float(self._space[0].values[at].sum()) for at, t in self.aside)

    def gradient(self, y: Floats, values: Floats, posterior: Floats) -> Floats:
        """Gradient in y of `joint` and of the expected log likelihood.

        posterior : (values, units) probabilities times counts.
        """
        space = self._workspace(y)
        total = np.zeros(self.flat.size)
        if not total.size:
            return total
        seed = 1.0
        for value, weights in zip(values, posterior, strict=True):
            self._run(space, value)
            rows = weights if self.uses is None else self.uses.T @ weights
            space.adjoints[:] = 0.0
            space.adjoints[self.flat.joint] = seed
            seed = 0.0
            for part in self.parts:
                own = rows[part.first : part.first + part.kinds]
                one = part.place.stop - part.place.start == 1 and part.kinds != 1
                space.adjoints[part.place] += own.sum() if one else own
            self.flat.tape.reverse(space.values, space.adjoints)
            total += space.adjoints[: self.flat.size]
        return total

    def _rows(self, space: Any, value: float) -> Floats:
        self._run(space, value)
        found = np.empty(sum(p.kinds for p in self.parts))
        for part in self.parts:
            found[part.first : part.first + part.kinds] = space.values[part.place]
        return np.where(found > LOWEST, found, LOWEST)  # what is not a number is impossible too

    def _run(self, space: Any, value: float) -> None:
        space.values[self.flat.given[self.node].place] = value
        with np.errstate(all="ignore"):
            self.flat.tape.forward(space.values)

    def _workspace(self, y: Floats) -> Any:
        if not self._space:
            self._space.append(self.flat.workspace())
        self._space[0].values[: self.flat.size] = y
        return self._space[0]
