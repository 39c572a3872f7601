"""Values of nodes from known numbers: the tape's constant folding as an interpreter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem, Rows
from dagmodels.forms.lower import Lowering, NotLowered
from dagmodels.graph import expression as ex
from dagmodels.numerics.tape import Recorder

Floats = NDArray[np.float64]


class Evaluation:
    """Evaluates trees of a problem from numbers for its nodes.

    Parameters
    ----------
    problem : graph, data and plates.
    values : numbers of nodes that are neither data nor deterministic, by name. The same dict is read at
        each use, so that it may grow while nodes are computed one after the other.
    """

    def __init__(self, problem: Problem, values: dict[str, Floats]) -> None:
        self.problem = problem
        self.values = values
        self.recorder = Recorder()
        self.lowering = Lowering(problem, self.recorder, self._known)

    def _known(self, name: str) -> int:
        if name not in self.values:
            raise NotLowered(f"'{name}' has no value yet")
        return self.recorder.constant(np.asarray(self.values[name], dtype=np.float64))

    def rows(self, tree: ex.Expression, rows: Rows) -> Floats:
        """The value of a scalar tree on each row."""
        register = self.lowering.full(self.lowering.value(tree, rows), rows)
        value = self.recorder.constant_value(register)
        assert value is not None
        return value

    def node(self, name: str) -> Floats:
        """All elements of a node, flat."""
        value = self.recorder.constant_value(self.lowering.node(name))
        assert value is not None
        return value
