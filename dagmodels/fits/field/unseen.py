"""Levels that no observation has: the cut points beside them have no finite estimate, or run together."""

from __future__ import annotations

import numpy as np

from dagmodels.bind.problem import Problem
from dagmodels.errors import FitError
from dagmodels.graph import expression as ex
from dagmodels.graph.statement import Parameter, Stochastic


def refuse_unseen(problem: Problem) -> None:
    """Raise `FitError` where an ordinal response lacks a level and its cut points are unknown.

    Several responses may share cut points; then one of them must have the level.
    """
    dag = problem.graph
    seen: dict[str, set[int]] = {}
    whose: dict[str, Stochastic] = {}
    for s in dag.statements:
        if not (isinstance(s, Stochastic) and s.observed and s.distribution.family.startswith("Ordered")):
            continue
        cut = s.distribution.argument("cutpoints")
        if s.values_in is None or not isinstance(cut, ex.Reference) or cut.name not in dag.nodes:
            continue
        stated = dag.nodes[cut.name].statements
        if len(dag.nodes[cut.name].plates) != 1 or not all(isinstance(t, Parameter) for t in stated):
            continue  # one row of cut points by group, or known ones
        name = s.head.name
        codes = problem.values[name][problem.observed[name]]
        seen.setdefault(cut.name, set()).update(np.unique(codes).astype(int).tolist())
        whose[cut.name] = s
    for cut_name, codes in seen.items():
        s = whose[cut_name]
        plate = problem.plates[str(s.values_in)]
        lost = [k for k in range(plate.size) if k not in codes]
        if lost:
            told = ", ".join(f"'{problem.labels[str(s.values_in)][k]}'" for k in lost[:5])
            raise FitError(
                f"no observation of '{s.head.name}' has the level {told} of plate '{s.values_in}', so "
                f"'{cut_name}' has no finite estimate there; leave the level out of the plate, or merge it "
                "with a neighbour"
            )
