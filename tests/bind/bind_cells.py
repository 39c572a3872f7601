"""A Problem as plain dicts keyed by labels, so that two problems compare up to the order of elements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dagmodels.bind.problem import Problem


def names(problem: Problem, keys: Mapping[str, str]) -> dict[str, list[Any]]:
    """For each plate one name an element: its labels from the outermost plate in.

    keys : for plates whose elements have no labels, a covariate that tells them apart.
    """
    found: dict[str, list[Any]] = {}

    def name(plate: str) -> list[Any]:
        if plate not in found:
            bound = problem.plates[plate]
            own = problem.values[keys[plate]].tolist() if plate in keys else list(bound.levels)
            outer = [[name(p)[i] for i in codes] for p, codes in bound.parents.items()]
            found[plate] = list(zip(own, *outer, strict=True)) if outer else own
        return found[plate]

    for plate in problem.plates:
        name(plate)
    return found


def cells(problem: Problem, **keys: str) -> dict[str, Any]:
    """Everything a Problem says, keyed by names of elements; missing values are None."""
    told = names(problem, keys)
    result: dict[str, Any] = {"unused": sorted(problem.unused)}
    for plate, bound in problem.plates.items():
        order = bound.order
        before = None if order is None else [None if i < 0 else told[plate][i] for i in order]
        result[f"plate {plate}"] = dict(zip(told[plate], before or [True] * bound.size, strict=True))
        assert len(set(told[plate])) == bound.size, f"elements of {plate} share names"
    for node, values in problem.values.items():
        plates = problem.graph.nodes[node].plates
        target = problem.graph.nodes[node].values_in
        assert problem.observed[node].shape == values.shape
        flat: dict[Any, Any] = {}
        for index in np.ndindex(values.shape):
            value = float(values[index])
            assert problem.observed[node][index] == (not math.isnan(value))
            shown = None if math.isnan(value) else told[target][int(value)] if target else value
            flat[tuple(told[p][i] for p, i in zip(plates, index, strict=True))] = shown
        result[node] = flat
    return result
