"""Other responses in the cells of a problem that was fitted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError

Floats = NDArray[np.float64]


def shapes_of(problem: Problem) -> dict[str, tuple[int, ...]]:
    """Of the observed nodes."""
    nodes = problem.graph.nodes.values()
    return {n.name: problem.shape(n.name) for n in nodes if n.role == "observed" and n.name in problem.values}


def problem_with(problem: Problem, y: Mapping[str, Floats]) -> Problem:
    """The problem with other responses in the given cells; cells that were missing stay so.

    Raises `FitError` for a response that is missing where there was one.
    """
    values = dict(problem.values)
    for name, given in y.items():
        values[name] = np.where(problem.observed[name], given, np.nan)
        if np.isnan(values[name][problem.observed[name]]).any():
            raise FitError(f"a new response of '{name}' is missing where the fit had one")
    p = problem
    return Problem(p.graph, p.plates, values, p.observed, labels=p.labels, cells=p.cells)
