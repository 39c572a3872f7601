"""Readings of true values as numbers: which true value each belongs to, their means and squares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagmodels.bind.problem import Problem
from dagmodels.errors import ModelError, raise_all

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Averages:
    """By true value, flat: the mean of its readings (NaN without any), how many there are, and their squares
    about the mean."""

    mean: Floats
    count: Floats
    squares: Floats


def averages(problem: Problem, node: str, readings: Iterable[str]) -> Averages:
    """Of the readings of a true value."""
    size = int(np.prod(problem.shape(node), dtype=np.int64))
    total, count, squares = np.zeros(size), np.zeros(size), np.zeros(size)
    seen = [(places(problem, node, name), problem.values[name].reshape(-1)) for name in readings]
    seen = [(at[np.isfinite(v)], v[np.isfinite(v)]) for at, v in seen]
    for at, values in seen:
        np.add.at(total, at, values)
        np.add.at(count, at, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.asarray(total / count, dtype=float)
    for at, values in seen:
        np.add.at(squares, at, (values - mean[at]) ** 2)
    return Averages(mean, count, squares)


def places(problem: Problem, node: str, reading: str) -> NDArray[np.int64]:
    """The flat place of the true value that each cell of a reading belongs to."""
    codes = problem.rows(problem.graph.nodes[reading].plates).codes
    plates = problem.graph.nodes[node].plates
    missing = [p for p in plates if p not in codes]
    if missing:
        hint = f"give '{reading}' the plates of '{node}', or plates inside them"
        told = f"'{reading}' does not lie in the plate '{missing[0]}' of '{node}'"
        raise_all([ModelError(told, node=reading, hint=hint)], "the readings")
    if not plates:
        return np.zeros(problem.values[reading].size, dtype=np.int64)
    return np.ravel_multi_index(tuple(codes[p] for p in plates), problem.shape(node)).astype(np.int64)


__all__ = ["Averages", "averages", "places"]
