"""Replicates that show no error, and validation samples in which nothing was validated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dagmodels.analysis.finding import Finding
from dagmodels.analysis.measurement import covariates_with_error
from dagmodels.bind.problem import Problem

Floats = NDArray[np.float64]
SAME = 1e-14  # of squares about the units' means, as a share of those about the whole mean


def equal_replicates(problem: Problem) -> tuple[Finding, ...]:
    """Unknown errors of readings that are the same in every unit: the likelihood has no maximum."""
    return tuple(_equal(problem))


def apart(problem: Problem) -> tuple[str, ...]:
    """Sentences on nodes that were seen in part, never together with a node that reads them."""
    return tuple(_apart(problem))


def _equal(problem: Problem) -> Iterator[Finding]:
    for m in covariates_with_error(problem.graph):
        groups: dict[tuple[str, ...], list[str]] = {}
        for reading in m.readings:
            if reading.unknown and reading.node in problem.values:
                groups.setdefault(reading.unknown, []).append(reading.node)
        for unknown, readings in groups.items():
            found = _within(problem, m.node, readings)
            if found is not None and found[0] <= SAME * found[1]:
                named = ", ".join(f"'{n}'" for n in readings)
                yield Finding(
                    "scale",
                    (unknown[0], *readings),
                    f"all replicates of '{m.node}' ({named}) are equal, which leaves '{unknown[0]}' zero and "
                    "the likelihood without a maximum",
                    f"take {named} for the true values, as a covariate, or see whether a reading was copied",
                )


def _within(problem: Problem, node: str, readings: list[str]) -> tuple[float, float] | None:
    """Sums of squares of readings about the means of their units, and about the whole mean; None without
    replicates."""
    plates = problem.graph.nodes[node].plates
    values, units = [], []
    for name in readings:
        codes = problem.rows(problem.graph.nodes[name].plates).codes
        if not all(p in codes for p in plates):
            return None
        w = problem.values[name].reshape(-1)
        at = np.ravel_multi_index(tuple(codes[p] for p in plates), problem.shape(node)) if plates else 0 * w
        seen = np.isfinite(w)
        values.append(w[seen])
        units.append(np.asarray(at, dtype=np.int64)[seen])
    x, unit = np.concatenate(values), np.concatenate(units)
    count = np.bincount(unit) if unit.size else np.zeros(0)
    if not (count > 1).any():
        return None
    mean = np.bincount(unit, x) / np.maximum(count, 1)
    return float(((x - mean[unit]) ** 2).sum()), float(((x - x.mean()) ** 2).sum())


def _apart(problem: Problem) -> Iterator[str]:
    dag = problem.graph
    for name, node in dag.nodes.items():
        seen = problem.observed.get(name)
        if node.role != "observed" or seen is None or seen.all() or not seen.any():
            continue
        together = {
            child: bool((seen & problem.observed[child]).any())
            for child in dag.children[name]
            if dag.nodes[child].role == "observed" and dag.nodes[child].plates == node.plates
            and problem.observed[child].shape == seen.shape and problem.observed[child].any()
        }  # fmt: skip
        if len(together) < 2 or not any(together.values()):
            continue
        for child, both in together.items():
            if not both:
                yield (
                    f"no element shows both '{name}' and '{child}': the samples do not overlap, so that what "
                    f"'{child}' says of '{name}' is told by the model's form alone, not by data"
                )


__all__ = ["apart", "equal_replicates"]
