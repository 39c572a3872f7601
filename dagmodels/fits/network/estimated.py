"""Questions to a graph with the numbers of a fit in the place of its unknowns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.bind import bind
from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all
from dagmodels.fits.network.asked import Asked, of_problem, watched
from dagmodels.fits.network.mpe import mpe
from dagmodels.fits.network.query import probability, query
from dagmodels.graph.dag import Dag

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Estimated:
    """problem : what was fitted. values : flat estimates by node."""

    problem: Problem
    values: Mapping[str, Floats]
    _kept: dict[str, Asked] = field(default_factory=dict)

    def query(self, evidence: Any, targets: Any, joint: bool, *, data: Any, sizes: Any) -> dict[Any, Any]:
        """See `Graph.query`."""
        return query(self.asked(data, sizes), evidence, targets, joint)

    def probability(self, evidence: Any, *, data: Any, sizes: Any) -> Any:
        """See `Graph.probability`."""
        return probability(self.asked(data, sizes), evidence)

    def mpe(self, evidence: Any, targets: Any, *, data: Any, sizes: Any) -> Any:
        """See `Graph.mpe`."""
        return mpe(self.asked(data, sizes), evidence, targets)

    @property
    def answers(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"query": self.query, "probability": self.probability, "mpe": self.mpe}

    def asked(self, data: Any = None, sizes: Mapping[str, Any] | None = None) -> Asked:
        """The network of the data fitted, of others, or of elements of which nothing is seen."""
        key = "fitted" if data is None and not sizes else f"{sizes!r}"
        if data is not None or key not in self._kept:
            found = of_problem(self._bound(data, sizes), self.values)
            if data is not None:
                return found
            self._kept[key] = found
        return self._kept[key]

    def _bound(self, data: Any, sizes: Mapping[str, Any] | None) -> Problem:
        if data is None and not sizes:
            return self.problem
        graph = self.problem.graph
        if data is not None:
            problem = bind(watched(graph), data, levels=self.problem, sizes=sizes)
        else:
            problem = bind(graph, None, sizes={**self._own(graph, sizes or {}), **(sizes or {})})
        return self._checked(problem)

    def afresh(self, data: Any) -> Problem:
        """Other data by themselves, without the elements that were fitted.

        Raises ModelErrors where numbers were estimated for elements that the data do not have alike.
        """
        graph = self.problem.graph
        own = self._own(graph, {})
        return self._checked(bind(graph, data, sizes=own))

    def _checked(self, problem: Problem) -> Problem:
        graph = problem.graph
        faults = [
            ModelError(
                f"'{name}' was estimated for the {self.problem.plates[p].size} elements of '{p}' alone",
                node=name,
                hint=f"ask about these: leave '{p}' out of the sizes",
            )
            for name in self.values
            for p in graph.nodes[name].plates
            if problem.plates[p].levels != self.problem.plates[p].levels
        ]
        raise_all(faults[:1], "a question to a fit")
        return problem

    def _own(self, graph: Dag, sizes: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Levels of the plates along which numbers were estimated, or in which nodes have values."""
        read = {graph.base(p) for n in self.values for p in graph.nodes[n].plates}
        read |= {graph.base(n.values_in) for n in graph.nodes.values() if n.values_in is not None}
        return {
            p: list(self.problem.plates[p].levels)
            for p in read
            if p not in sizes and graph.plate[p].levels is None and not graph.plate[p].parents
        }
