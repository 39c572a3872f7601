"""Responses drawn once more for a problem that was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

    def posterior_predictive(self, draws: Any, seed: int) -> dict[str, Floats]:
        """Observed nodes, one data set for each of many draws; see `OverDraws`."""
        return self._over().posterior_predictive(draws, seed)

    def prior_predictive(self, draws: int, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Unknowns from their priors, and the observed nodes that follow; see `OverDraws`."""
        return self._over().prior_predictive(draws, seed)

    def log_likelihood(self, draws: Any) -> dict[str, Floats]:
        """Log density of every observed entry in every draw; see `OverDraws`."""
        return self._over().log_likelihood(draws)

    def _over(self) -> Any:
        from dagmodels.simulate.over_draws import OverDraws

        return OverDraws(self.problem)

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
