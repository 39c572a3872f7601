"""Responses drawn once more for a problem that was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.simulate.ancestral import prepare
from dagmodels.simulate.draw import draw_all

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Redraw:
    """Draws observed nodes for the elements of a problem; travels to other processes."""

    problem: Problem

    def __call__(self, values: Mapping[str, Floats], stream: np.random.SeedSequence) -> dict[str, Floats]:
        """By node in its shape.

        values : coefficients and parameters by node; latents left out are drawn from their laws.
        """
        errors: list[ModelError] = []
        prepared = prepare(self.problem, values, errors)
        raise_all(errors, f"the simulation of model '{self.problem.graph.name}'")
        assert prepared is not None
        drawn, _ = draw_all(prepared, stream)
        nodes = self.problem.graph.nodes.values()
        return {
            n.name: drawn[n.name].reshape(self.problem.shape(n.name))
            for n in nodes
            if n.role == "observed" and n.name in self.problem.values
        }
