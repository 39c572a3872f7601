"""Latents that were integrated in closed form, over the points of a posterior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.fits.field.closed import Law, conditional_law
from dagmodels.forms.cells import element_label
from dagmodels.forms.field import Conditional
from dagmodels.results.mixtures import ClosedMixture

Floats = NDArray[np.float64]


class Closed:
    """One such latent; its conditional law is added point after point."""

    def __init__(self, found: Conditional) -> None:
        self.found = found
        self.size = int(found.prior[0].size)
        self._laws: list[Law] = []

    def add(self, w: Floats) -> None:
        """The law at a workspace whose tape has run."""
        self._laws.append(conditional_law(self.found, w))

    def names(self, problem: Problem) -> list[str]:
        """Of its elements."""
        return [element_label(problem, self.found.pair.name, i) for i in range(self.size)]

    def mixture(self, weight: Floats) -> ClosedMixture:
        """The laws that were added, mixed with these weights."""
        columns = zip(*((*law.parameters, law.mean, law.sd) for law in self._laws), strict=True)
        first, second, mean, sd = (np.stack([np.broadcast_to(a, self.size) for a in c]) for c in columns)
        return ClosedMixture(weight, self._laws[0].name, first, second, mean, sd)
